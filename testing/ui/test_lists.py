"""The lists on the page: read and edited with the keyboard, and what was changed is taken back."""

from __future__ import annotations

import pytest
from playwright.async_api import expect

from testing.fakes.mission import Mission
from testing.ui.conftest import MARKUP, OpenPage, open_tab

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]


async def test_a_list_is_kept_with_the_keyboard_alone(mission: Mission, open_page: OpenPage) -> None:
    page = await open_page(mission.link)
    await open_tab(page, "Lists")
    rows = page.locator(".list-text")
    field = page.get_by_label("Put on the shopping list", exact=True)
    await field.focus()
    for text in ("milk", f"eggs {MARKUP}", "bread"):
        await page.keyboard.type(text)
        await page.keyboard.press("Enter")
        await expect(field).to_have_value("")
        await expect(field).to_be_focused()
    await expect(rows).to_have_text(["milk", f"eggs {MARKUP}", "bread"])

    await page.get_by_role("button", name="Edit: milk").focus()
    await page.keyboard.press("Enter")
    await page.keyboard.type("oat milk")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("button", name="Edit: oat milk")).to_be_focused()
    await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    await expect(rows).to_have_text([f"eggs {MARKUP}", "bread"])
    await expect(page.get_by_role("button", name=f"Edit: eggs {MARKUP}")).to_be_focused()

    await page.get_by_role("button", name="Undo: I took oat milk off the shopping list.").focus()
    await page.keyboard.press("Enter")
    await expect(page.locator("#lists-said")).to_have_text("I put oat milk back on the shopping list.")
    await expect(rows).to_have_text(["oat milk", f"eggs {MARKUP}", "bread"])

    await page.get_by_label("Name of the list").fill("Hardware list")
    await page.keyboard.press("Enter")
    await expect(page.get_by_label("Put on the hardware list", exact=True)).to_be_visible()


async def test_what_is_said_shows_while_somebody_types(mission: Mission, open_page: OpenPage) -> None:
    page = await open_page(mission.link)
    await open_tab(page, "Lists")
    field = page.get_by_label("Put on the to do list", exact=True)
    await field.fill("call m")
    shopping = await mission.lists.find("shopping")
    assert shopping is not None
    await mission.lists.add(shopping, ["tea"], conversation="elsewhere")
    await expect(page.locator(".list-text")).to_have_text(["tea"])
    await expect(field).to_have_value("call m")
    await expect(field).to_be_focused()
