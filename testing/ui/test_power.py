"""Who sleeps, on the page: seen, steered by the keyboard, and named when it is refused."""

from __future__ import annotations

import pytest
from playwright.async_api import expect

from testing.fakes.mission import Mission
from testing.fakes.power_agent import ControlDouble
from testing.ui.conftest import MARKUP, OpenPage, open_tab

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]


async def test_a_person_sees_who_sleeps_and_steers_them_by_the_keyboard(mission: Mission, open_page: OpenPage) -> None:
    agent = ControlDouble(mission.state_dir / "power.sock")
    agent.add("prima-api-coding", "asleep", f"no work for 600 s {MARKUP}")
    agent.add("prima-api-main", "awake", "it runs")
    agent.broken["math"] = "it needs either a `unit` or a `job`"
    await agent.start()
    try:
        page = await open_page(mission.link)
        await open_tab(page, "Power")
        coding = page.locator("#power li", has_text="coding")
        await expect(coding).to_contain_text("coding asleep since")
        await expect(coding).to_contain_text(f"no work for 600 s {MARKUP}")
        await expect(coding).to_contain_text("Sleeps after 10 min without use. Wakes in about 21 s.")
        await expect(coding).to_contain_text("Today awake 2.0 h: 13 Wh (estimated), 10 min of computing.")
        await expect(coding).to_contain_text("saved 4.2 Wh (estimated), 10 GB·h of memory")
        await expect(page.locator("#power .problem")).to_contain_text("math: it needs either")

        await page.get_by_role("button", name="Pin awake: coding").focus()
        await page.keyboard.press("Enter")
        await expect(coding).to_contain_text("coding pinned since")
        unpin = page.get_by_role("button", name="Unpin: coding")
        await expect(unpin).to_be_focused()
        await expect(page.locator("#power-said")).to_have_text("coding: pin was asked for; it is pinned now.")
        agent.services["prima-api-main"]["state"] = "waking"  # something changes meanwhile
        await expect(page.locator("#power li", has_text="main")).to_contain_text("main waking")
        await expect(unpin).to_be_focused()
        assert agent.asked == [{"do": "pin", "service": "prima-api-coding"}]
        assert await page.locator("#power img").count() == 0
    finally:
        await agent.stop()
