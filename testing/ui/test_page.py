"""Mission Control in a real browser against the real server and brain; the model and the voice are scripted."""

from __future__ import annotations

import pytest
from playwright.async_api import expect

from pipecatapp.domain import ComponentHealth
from pipecatapp.events import LogLine
from testing.fakes.mission import Mission
from testing.ui.conftest import PHONE, OpenPage, Watch
from testing.ui.page import SIZES, type_and_send

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]


async def test_a_server_restart_is_said_and_survived_without_a_refresh(
    mission: Mission, open_page: OpenPage, watch: Watch
) -> None:
    watch.tolerate("ERR_CONNECTION_REFUSED|WebSocket connection|ERR_EMPTY_RESPONSE|ERR_CONNECTION_RESET|1012")
    page = await open_page(mission.link)
    await type_and_send(page, "before the restart")
    await expect(page.locator(".answer")).to_have_count(1)

    await mission.stop()
    await expect(page.locator("#state")).to_have_text("Disconnected")
    await expect(page.locator("#banner-connection")).to_be_visible()
    await mission.start()

    await expect(page.locator("#state")).to_have_text("Ready")
    await expect(page.locator("#banner-connection")).to_be_hidden()
    await expect(page.locator(".said")).to_have_count(1)
    await type_and_send(page, "after the restart")
    await expect(page.locator(".answer").nth(1)).to_have_text("You said: after the restart")
    await expect(page.locator(".said")).to_have_count(2)


async def test_an_engine_that_wakes_up_shows_its_progress(mission: Mission, open_page: OpenPage) -> None:
    engine = mission.health["engine"]
    engine.state = ComponentHealth("engine", ok=False, reason="Building the engine for this CPU.", progress=0.4)
    page = await open_page(mission.link)

    await expect(page.locator("#state")).to_have_text("Waking up")
    await expect(page.locator("#banner-wake")).to_contain_text("Building the engine")
    assert await page.locator("#banner-wake-progress").evaluate("bar => bar.value") == pytest.approx(0.4)
    engine.state = ComponentHealth("engine", ok=True)

    await expect(page.locator("#state")).to_have_text("Ready")
    await expect(page.locator("#banner-wake")).to_be_hidden()


async def test_the_keyboard_is_enough(mission: Mission, open_page: OpenPage) -> None:
    page = await open_page(mission.link)
    await expect(page.locator("#state")).to_have_text("Ready")

    await page.keyboard.press("/")
    await expect(page.locator("#words")).to_be_focused()
    await page.keyboard.type("with / and space")
    await expect(page.locator("#words")).to_have_value("with / and space")
    await page.keyboard.press("Shift+Enter")
    await page.keyboard.type("two lines")
    await page.keyboard.press("Enter")
    await expect(page.locator(".answer")).to_contain_text("two lines")
    await page.locator("#scroller").focus()
    await page.keyboard.press("Space")
    await expect(page.locator("#state")).to_have_text("Listening")
    await page.keyboard.press("Space")
    await expect(page.locator("#state")).to_have_text("Ready")


async def test_the_drawer_on_a_phone_opens_closes_and_gives_the_focus_back(
    mission: Mission, open_page: OpenPage
) -> None:
    page = await open_page(mission.link, viewport=PHONE)
    toggle = page.locator("#panel-toggle")
    await expect(page.locator("#panel")).to_be_hidden()

    await toggle.click()
    await expect(page.locator("#panel")).to_be_visible()
    await expect(page.locator("#panel-close")).to_be_focused()
    await page.keyboard.press("Escape")

    await expect(page.locator("#panel")).to_be_hidden()
    await expect(toggle).to_be_focused()


async def test_the_log_is_filtered_by_level_and_words(mission: Mission, open_page: OpenPage) -> None:

    page = await open_page(mission.link)
    for level, text in (("info", "engine ready"), ("warning", "slow disk"), ("info", "voice ready")):
        mission.hub.emit(LogLine(level=level, logger="x", message=text))
    await page.get_by_role("tab", name="Log").click()
    lines = page.locator("#log li:visible")
    await expect(lines).to_have_count(3)

    await page.get_by_label("Filter the log").fill("ready")
    await expect(lines).to_have_count(2)
    await page.get_by_label("Filter the log").fill("")
    await page.get_by_label("Lowest level").select_option("warning")
    await expect(lines).to_have_count(1)
    await expect(lines).to_contain_text("slow disk")


async def test_the_appearance_is_kept(mission: Mission, open_page: OpenPage) -> None:
    page = await open_page(mission.link)
    await page.get_by_role("button", name="Dark appearance").click()

    await page.reload()

    assert await page.evaluate("document.documentElement.dataset.theme") == "dark"


@SIZES
async def test_nothing_is_wider_than_the_screen(
    mission: Mission, open_page: OpenPage, viewport: dict[str, int]
) -> None:
    page = await open_page(mission.link, viewport=viewport)
    await type_and_send(page, "w" * 400)
    await expect(page.locator(".answer")).to_have_count(1)

    assert await page.evaluate("document.documentElement.scrollWidth") <= viewport["width"]
    assert await page.evaluate("document.querySelector('#scroller').scrollWidth") <= viewport["width"]
