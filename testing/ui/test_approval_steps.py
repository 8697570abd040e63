"""A call that is looked at before it runs, on the page: two cards, one after the other, each with a yes of its own."""

from __future__ import annotations

import pytest
from playwright.async_api import Locator, Page, expect

from testing.fakes.mission import Mission
from testing.ui.conftest import OpenPage, Watch
from testing.ui.saying import call, say

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]


async def ask_to_heal(mission: Mission, page: Page, playbook: str = "heal_cluster.yaml") -> Locator:
    """The model wants to run a playbook, which is dangerous and has to be looked at; the cards."""
    mission.ansible.known = set()
    mission.model.replies["heal"] = call("ansible.run_playbook", playbook=playbook)
    mission.model.replies["is through"] = "The cluster is well."
    await say(page, "heal the cluster")
    return page.locator(".approval")


async def test_one_yes_looks_and_another_runs(mission: Mission, open_page: OpenPage) -> None:
    page = await open_page(mission.link)
    cards = await ask_to_heal(mission, page)
    first, second = cards.first, cards.nth(1)

    await expect(first).to_contain_text("Step 1 of 2: may it look?")
    await expect(first).to_contain_text("Look what the playbook heal_cluster.yaml would change.")
    await expect(first).to_contain_text("Looking changes nothing.")
    await expect(first.get_by_role("button", name="Allow")).to_have_count(0)  # no word of running anything
    assert mission.ansible.looks == []
    await first.get_by_role("button", name="Let it look").click()

    await expect(page.get_by_role("dialog")).to_be_hidden()  # nothing can be destroyed by looking
    await expect(first).to_contain_text("Allowed to look on the page")
    await expect(second).to_contain_text("Step 2 of 2: may it run?")
    await expect(second.get_by_role("group", name="What it found")).to_contain_text("+new")
    await expect(page.locator("#announce-waiting")).to_contain_text("Run the playbook heal_cluster.yaml.")
    assert mission.ansible.calls == []
    await second.get_by_role("button", name="Allow once").click()
    await page.get_by_role("dialog").get_by_role("button", name="Yes, run it").click()

    await expect(page.locator(".answer").last).to_contain_text("The cluster is well.")
    await expect(second).to_contain_text("Allowed on the page")
    assert len(mission.ansible.looks) == len(mission.ansible.calls) == 1


async def test_the_keyboard_comes_from_the_first_card_to_the_second(mission: Mission, open_page: OpenPage) -> None:
    page = await open_page(mission.link)
    cards = await ask_to_heal(mission, page)
    await expect(cards.first).to_be_visible()
    await page.locator("#scroller").focus()
    await page.keyboard.press("a")
    await expect(cards.first).to_be_focused()
    look = cards.first.get_by_role("button", name="Let it look")
    for _ in range(4):
        if await look.evaluate("element => element === document.activeElement"):
            break
        await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")

    await expect(cards.nth(1)).to_be_focused()
    for key in ("Enter", "y", "Space"):  # what is left of the first yes says none to the second
        await page.keyboard.press(key)
    await expect(cards.nth(1).get_by_role("button", name="Allow once")).to_be_visible()
    assert mission.ansible.calls == []


async def test_who_writes_meanwhile_keeps_the_focus(mission: Mission, open_page: OpenPage) -> None:
    page = await open_page(mission.link)
    cards = await ask_to_heal(mission, page)
    await cards.first.get_by_role("button", name="Let it look").click()
    await page.locator("#words").focus()
    await expect(cards).to_have_count(2)
    await expect(page.locator("#words")).to_be_focused()


async def test_a_no_to_looking_ends_it(mission: Mission, open_page: OpenPage) -> None:
    page = await open_page(mission.link)
    cards = await ask_to_heal(mission, page)
    await cards.first.get_by_role("button", name="Refuse").click()
    await expect(cards.first).to_contain_text("Refused on the page")
    await expect(page.locator(".answer")).to_have_count(2)
    await expect(cards).to_have_count(1)
    assert mission.ansible.looks == []


async def test_looking_can_be_allowed_in_writing(mission: Mission, open_page: OpenPage) -> None:
    page = await open_page(mission.link)
    # Of "heal_cluster" nobody hears the underscore: a yes to that needs the page.
    cards = await ask_to_heal(mission, page, "playbook.yaml")
    await expect(page.locator(".answer").last).to_contain_text("May I look what the playbook playbook.yaml")
    await expect(cards.first).to_contain_text("You can also say or write")
    await say(page, "yes")
    await expect(cards.nth(1)).to_contain_text("Step 2 of 2")
    await expect(cards.first).to_contain_text("Allowed to look in writing")
    await say(page, "yes")
    await expect(page.locator(".answer").last).to_contain_text("Please confirm it on the page.")
    assert mission.ansible.calls == []


async def test_a_changed_call_is_looked_at_again(mission: Mission, open_page: OpenPage) -> None:
    page = await open_page(mission.link)
    cards = await ask_to_heal(mission, page)
    await cards.first.get_by_role("button", name="Edit").click()
    await cards.first.get_by_label("limit").fill("node3")
    await cards.first.get_by_role("button", name="Let it look with these arguments").click()
    await expect(cards.first).to_contain_text("Allowed to look on the page, with other arguments")
    second = cards.nth(1)
    await second.get_by_role("button", name="Edit").click()
    await second.get_by_label("limit").fill("node4")
    await second.get_by_role("button", name="Allow once with these arguments").click()
    await page.get_by_role("dialog").get_by_role("button", name="Yes, run it").click()

    await expect(second).to_contain_text("Allowed to look on the page, with other arguments")
    await expect(cards.nth(2)).to_contain_text("Step 2 of 2")
    assert [look.get("limit") for look in mission.ansible.looks] == ["node3", "node4"]
    assert mission.ansible.calls == []


async def test_both_steps_outlive_a_reload(mission: Mission, open_page: OpenPage, watch: Watch) -> None:
    page = await open_page(mission.link)
    cards = await ask_to_heal(mission, page)
    await cards.first.get_by_role("button", name="Let it look").click()
    await expect(cards.nth(1)).to_contain_text("Step 2 of 2")
    await page.reload()
    await expect(cards.first).to_contain_text("Allowed to look on the page")
    await expect(cards.nth(1)).to_contain_text("+new")
    await cards.nth(1).get_by_role("button", name="Refuse").click()
    await expect(cards.nth(1)).to_contain_text("Refused on the page")
    assert mission.ansible.calls == []
