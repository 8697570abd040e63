"""The details of Mission Control in a real browser: the tabs, and the tools."""

from __future__ import annotations

import pytest
from playwright.async_api import Page, expect

from pipecatapp.events import ToolFinished, ToolProgress, ToolStarted
from pipecatapp.tools.web_browser.pictures import Pictures
from testing.fakes.mission import Mission
from testing.ui.conftest import MARKUP, OpenPage, open_tab

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]


async def conversation(page: Page) -> str:
    return str(await page.evaluate("localStorage.getItem('conversation')"))


async def test_the_tabs_are_moved_through_by_keyboard_and_remembered(mission: Mission, open_page: OpenPage) -> None:
    page = await open_page(mission.link)
    await expect(page.get_by_role("tab", name="Overview")).to_have_attribute("aria-selected", "true")

    await page.get_by_role("tab", name="Overview").focus()
    await page.keyboard.press("ArrowRight")
    await expect(page.get_by_role("tab", name="Tools")).to_be_focused()
    await page.keyboard.press("End")
    await expect(page.get_by_role("tab", name="Log")).to_be_focused()
    await page.keyboard.press("ArrowRight")
    await expect(page.get_by_role("tab", name="Overview")).to_be_focused()
    await page.keyboard.press("ArrowRight")
    await expect(page.get_by_role("tabpanel")).to_have_count(1)
    await page.reload()

    await expect(page.get_by_role("tabpanel", name="Tools")).to_be_visible()
    await expect(page.get_by_role("tab", name="Experts")).to_have_count(0)


async def test_the_lines_of_a_long_work_appear_while_it_runs(mission: Mission, open_page: OpenPage) -> None:
    page = await open_page(mission.link)
    await expect(page.locator("#state")).to_have_text("Ready")
    name = await conversation(page)
    await open_tab(page, "Tools")

    call = {"conversation": name, "turn": "t1", "call_id": "c1"}
    mission.hub.emit(ToolStarted(**call, tool="ansible.run_playbook", arguments={"playbook": "site.yaml"}))
    for line in ("TASK [common: install]", MARKUP):
        mission.hub.emit(ToolProgress(**call, text=line))

    await expect(page.locator("#tools .progress")).to_contain_text("TASK [common: install]")
    await expect(page.locator("#tools .progress")).to_contain_text(MARKUP)
    mission.hub.emit(
        ToolFinished(**call, tool="ansible.run_playbook", ok=True, text="Done.", detail="all of it", seconds=2.0)
    )
    await expect(page.locator("#tools .result")).to_have_text("done, 2.00 s")
    await expect(page.locator("#tools")).to_contain_text("all of it")


async def test_a_picture_that_a_tool_took_is_shown(mission: Mission, open_page: OpenPage) -> None:
    page = await open_page(mission.link)
    await expect(page.locator("#state")).to_have_text("Ready")
    name = await conversation(page)
    await open_tab(page, "Tools")
    path = Pictures(mission.state_dir / "pictures").add(await page.screenshot())

    call = {"conversation": name, "turn": "t1", "call_id": "c1", "tool": "web_browser.get_screenshot"}
    mission.hub.emit(ToolStarted(**call, arguments={}))
    mission.hub.emit(ToolFinished(**call, ok=True, text="The picture is on the screen.", detail=path, seconds=1.0))
    await page.locator("#tools summary").click()

    picture = page.get_by_role("img", name="The picture is on the screen.")
    await expect(picture).to_be_visible()
    await expect(picture).to_have_js_property("naturalWidth", 1280)


async def test_every_tool_is_listed_with_what_it_may_do_and_those_that_are_off_with_the_reason(
    mission: Mission, open_page: OpenPage
) -> None:
    page = await open_page(mission.link)

    await open_tab(page, "Tools")

    status = page.locator("#tool-list li", has_text="mcp.get_status")
    await expect(status.locator(".risk")).to_have_text("Reads")
    await status.locator("summary").click()
    await expect(status).to_contain_text("does mcp.get_status")
    off = page.locator("#tool-list li.off")
    await expect(off).to_contain_text("lamp.on")
    await expect(off).to_contain_text("it is broken")
