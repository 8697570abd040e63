"""The page "House", over a scripted cluster."""

from __future__ import annotations

import pytest
from playwright.async_api import expect

from pipecatapp.cluster.house import House, Pc
from pipecatapp.cluster.overview import Watch
from pipecatapp.cluster.roster import Member, Room, RosterReader
from testing.fakes.cluster_api import ScriptedCluster
from testing.fakes.mission import Mission
from testing.ui.conftest import PHONE, OpenPage
from testing.ui.test_accessibility import serious

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

GB = 1024**3


async def test_a_house_that_heals_on_a_phone_with_the_keyboard(mission: Mission, open_page: OpenPage) -> None:
    page = await open_page(mission.link, viewport=PHONE)
    await expect(page.locator("#state")).to_have_text("Ready")
    await page.locator("#panel-toggle").click()
    await page.get_by_role("tab", name="Camera").click()
    await page.keyboard.press("ArrowRight")  # no experts: their tab is not there
    await expect(page.locator("#house-says")).to_contain_text("This PC stands alone")
    await expect(page.locator("#house-says")).to_contain_text("docs/operations/cluster.md")
    await expect(page.locator("#house-pcs li")).to_have_count(1)
    await expect(page.locator("#house-heals")).to_be_hidden()

    cluster = ScriptedCluster(away={"n3"}, jobs={"pipecat-app": (1, 1, 0)})
    seen = [Pc("n1", "10.0.0.1", "active", True), Pc("n2", "10.0.0.2", "standby", True)]

    async def look() -> House:
        return House([*seen, Pc("n3", "10.0.0.3", "none", False)])

    own = Member("n2", "", True, Room(GB, 4 * GB), Room(8 * GB, 60 * GB))
    reader = RosterReader("http://consul:8500", "http://nomad:4646", transport=cluster)
    mission.house.become(Watch(lambda: own, look, reader))
    await page.keyboard.press("ArrowLeft")
    await page.keyboard.press("ArrowRight")
    pcs = page.locator("#house-pcs > li")
    await expect(pcs).to_have_count(3)
    await expect(pcs.nth(0)).to_contain_text("answers; keeps the memory; decides what runs where")
    await expect(pcs.nth(0).locator(".scarce")).to_have_text("Disk: 4.0 of 100 GB free")
    await expect(pcs.nth(1)).to_contain_text("RAM: 3.0 of 4.0 GB free")
    await expect(pcs.nth(2)).to_contain_text("is away")
    await expect(page.locator("#house-says")).to_contain_text("Another PC must not be lost now")
    await expect(page.locator("#house-healing")).to_contain_text("n3 is away. What ran there starts elsewhere")
    await expect(page.locator("#house-running")).to_contain_text("1 runs, 1 starts")
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert await serious(page) == []
    cluster.silent.add("nomad")  # it is seen while one looks
    await expect(page.locator("#house-unknown")).to_have_text("Nomad cannot be asked: it does not answer")
