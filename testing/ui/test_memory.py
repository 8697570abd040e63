"""Long-term memory on the page, with the real memory: search, corrections, files and named states."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from testing.fakes.mission import Mission
from testing.ui.conftest import MARKUP, OpenPage, Watch, open_tab

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]


async def fact_texts(page: Page) -> list[str]:
    return await page.locator("#memory-list .fact-text").all_inner_texts()


async def test_facts_are_added_searched_corrected_and_forgotten(mission: Mission, open_page: OpenPage) -> None:
    await mission.memory.add("The cat is called Minka.")
    page = await open_page(mission.link)
    await open_tab(page, "Memory")
    await expect(page.locator("#memory-list")).to_contain_text("The cat is called Minka.")

    await page.get_by_label("Fact", exact=True).fill(f"The bin is emptied on Monday {MARKUP}")
    await page.get_by_role("button", name="Remember").click()
    await expect(page.locator("#memory-list li")).to_have_count(2)
    await expect(page.locator("#memory-total")).to_have_text("2 facts")
    assert f"The bin is emptied on Monday {MARKUP}" in await fact_texts(page)

    await page.get_by_label("Search memory").fill("cat Minka")
    await expect(page.locator("#memory-list li").first).to_contain_text("Minka")
    await expect(page.locator("#memory-list li").first).to_contain_text("match")
    await page.get_by_label("Search memory").fill("")
    await expect(page.locator("#memory-list li")).to_have_count(2)

    await page.get_by_role("button", name="Edit: The cat is called Minka.").click()
    await page.get_by_label("The fact").fill("The cat is called Mia.")
    await page.get_by_role("button", name="Save", exact=True).first.click()
    edit = page.get_by_role("button", name="Edit: The cat is called Mia.")
    await edit.click()
    await expect(page.locator(".past")).to_contain_text("The cat is called Minka.")
    await page.get_by_role("button", name="Cancel").click()
    await expect(edit).to_be_focused()

    await page.get_by_role("button", name="Forget: The cat is called Mia.").click()
    undo = page.get_by_role("button", name="Undo")
    await expect(undo).to_be_focused()
    await expect(page.locator("#memory-list li")).to_have_count(1)
    await undo.click()
    await expect(page.locator("#memory-list")).to_contain_text("The cat is called Mia.")
    assert await page.locator("#panel img:not(#camera-picture)").count() == 0


async def test_a_fact_that_cannot_be_kept_is_said_where_it_was_written(
    mission: Mission, open_page: OpenPage, watch: Watch
) -> None:
    watch.tolerate("400")
    await mission.memory.add("The cat is called Minka.")
    page = await open_page(mission.link)
    await open_tab(page, "Memory")

    await page.get_by_label("Fact", exact=True).fill("   ")
    await page.get_by_role("button", name="Remember").click()
    await expect(page.locator("#memory-problem")).to_contain_text("text")
    await page.get_by_role("button", name="Edit: The cat is called Minka.").click()
    await page.get_by_label("The fact").fill(" ")
    await page.get_by_role("button", name="Save", exact=True).first.click()

    await expect(page.locator("#memory-list .field-problem")).to_contain_text("text")
    await expect(page.get_by_label("The fact")).to_be_focused()
    assert len(mission.memory) == 1


async def test_many_facts_come_a_page_at_a_time_by_kind_and_what_others_add_appears(
    mission: Mission, open_page: OpenPage
) -> None:
    for number in range(30):
        await mission.memory.add(f"Number {number} lives in house {number * 7}.", kind="even" if number % 2 else "odd")
    page = await open_page(mission.link)
    await open_tab(page, "Memory")
    facts = page.locator("#memory-list li")
    await expect(facts).to_have_count(25)

    await page.get_by_role("button", name="Show more").click()
    await expect(facts).to_have_count(30)
    await expect(page.get_by_role("button", name="Show more")).to_be_hidden()
    await mission.memory.add("The stove is new.", kind="told")
    await expect(page.locator("#memory-list")).to_contain_text("The stove is new.")
    await page.get_by_role("region", name="Remembered").get_by_label("Kind").select_option("odd")

    await expect(facts).to_have_count(15)


async def test_memory_is_exported_and_imported_with_the_lines_that_are_refused(
    mission: Mission, open_page: OpenPage, tmp_path: Path
) -> None:
    await mission.memory.add("The cat is called Minka.")
    page = await open_page(mission.link)
    await open_tab(page, "Memory")

    async with page.expect_download() as started:
        await page.get_by_role("link", name="Export").click()
    exported = (await (await started.value).path()).read_text(encoding="utf-8")
    assert json.loads(exported)["text"] == "The cat is called Minka."
    file = tmp_path / "facts.jsonl"
    file.write_text(exported + '{"text": "The stove is new."}\nnot a fact\n', encoding="utf-8")
    async with page.expect_file_chooser() as chosen:
        await page.get_by_role("button", name="Import").click()
    await (await chosen.value).set_files(file)

    await expect(page.locator("#memory-state-result")).to_have_text(
        "facts.jsonl: 1 fact added, 1 known already, 1 line refused."
    )
    await expect(page.locator("#import-refused")).to_contain_text("Line 3")
    await expect(page.locator("#memory-list")).to_contain_text("The stove is new.")


async def test_states_are_saved_loaded_and_deleted_by_name(mission: Mission, open_page: OpenPage, watch: Watch) -> None:
    watch.tolerate("400")
    await mission.memory.add("The cat is called Minka.")
    await mission.memory.add("The bin is emptied on Monday.")
    page = await open_page(mission.link)
    await open_tab(page, "Memory")
    name, save = page.get_by_label("Name of the state"), page.locator("#state-save button")
    result = page.locator("#memory-state-result")

    await name.fill("../escape")
    await save.click()
    await expect(result).to_contain_text("../escape")
    await name.fill("with cat")
    await save.click()
    await expect(result).to_have_text("Saved as “with cat”.")
    await page.get_by_role("button", name="Forget: The bin is emptied on Monday.").click()
    await expect(page.locator("#memory-list li")).to_have_count(1)
    await mission.memory.add("The stove is new.")
    await expect(page.locator("#memory-list li")).to_have_count(2)

    await page.get_by_role("button", name="Load with cat").click()
    dialog = page.get_by_role("dialog", name="Load the state “with cat”?")
    await expect(dialog).to_contain_text("there is a way back")
    await dialog.get_by_role("button", name="Load it").click()
    await expect(result).to_contain_text("The way back is “before-load-")
    # As it was when it was saved, but for what was forgotten since: that is gone from saved states too.
    await expect(page.locator("#memory-list li")).to_have_count(1)
    await expect(page.locator("#memory-list")).to_contain_text("The cat is called Minka.")

    await page.get_by_role("button", name="Delete with cat").click()
    dialog = page.get_by_role("dialog", name="Delete the state “with cat”?")
    await page.keyboard.press("Escape")
    await expect(page.locator("#states li")).to_have_count(2)
    await page.get_by_role("button", name="Delete with cat").click()
    await dialog.get_by_role("button", name="Delete it").click()
    await expect(page.locator("#states li")).to_have_count(1)
