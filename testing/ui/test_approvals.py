"""A person's yes on the page: the cards, by mouse, by keyboard and on a phone, over reloads, windows and restarts."""

from __future__ import annotations

import asyncio
import re

import pytest
from playwright.async_api import Locator, Page, Route, expect

from testing.fakes.mission import Mission
from testing.ui.conftest import PHONE, OpenPage, Watch
from testing.ui.saying import call, say

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]


async def ask_for_sleep(mission: Mission, page: Page) -> Locator:
    """The model wants to set when a service sleeps, which acts; the card."""
    mission.model.replies["sleep"] = call("power.set_idle_threshold", service="nas", seconds=600)
    mission.model.replies["It is set"] = "It sleeps now when nobody needs it."
    await say(page, "let the nas sleep")
    return page.locator(".approval")


async def ask_for_disks(mission: Mission, page: Page, command: str = "df -h", host: str = "node3") -> Locator:
    """The model wants to run a command on a host, which is dangerous; the card."""
    mission.model.replies["how full"] = call("ssh.run_command", host=host, command=command)
    mission.model.replies["half full"] = "There is room enough."
    await say(page, "how full are the disks")
    return page.locator(".approval")


async def test_an_action_waits_on_a_card_and_runs_when_it_is_allowed(mission: Mission, open_page: OpenPage) -> None:
    page = await open_page(mission.link)
    card = await ask_for_sleep(mission, page)

    await expect(card).to_contain_text("Let nas sleep after 600 seconds.")
    await expect(card.locator(".risk")).to_have_text("Acts")
    await expect(card.locator(".arguments")).to_have_text("servicenasseconds600")
    await expect(card.locator(".approval-call summary")).to_have_text("power.set_idle_threshold")
    await expect(card.get_by_role("timer")).to_contain_text("left")
    await expect(page.locator("#announce-waiting")).to_contain_text("Let nas sleep after 600 seconds.")
    await expect(page.get_by_role("button", name="1 action waits for your answer")).to_be_visible()
    await expect(page).to_have_title("(1) Mission Control")
    assert mission.power.calls == []
    await card.get_by_role("button", name="Allow once").click()

    await expect(card).to_contain_text("Allowed on the page")
    await expect(card.get_by_role("button")).to_have_count(0)
    await expect(page.locator(".answer").last).to_contain_text("It sleeps now")
    await expect(page.locator("#waiting")).to_be_hidden()
    await expect(page).to_have_title("Mission Control")
    assert [arguments for arguments, _ in mission.power.calls] == [{"service": "nas", "seconds": 600}]


async def test_what_is_refused_does_not_run(mission: Mission, open_page: OpenPage) -> None:
    page = await open_page(mission.link)
    card = await ask_for_disks(mission, page)

    await card.get_by_role("button", name="Refuse").click()

    await expect(card).to_contain_text("Refused on the page")
    await expect(page.locator(".answer")).to_have_count(2)
    assert mission.ssh.calls == []


async def test_a_keyboard_is_enough_and_no_key_says_yes_by_accident(mission: Mission, open_page: OpenPage) -> None:
    page = await open_page(mission.link)
    card = await ask_for_sleep(mission, page)
    await expect(card).to_be_visible()
    await page.locator("#scroller").focus()

    await page.keyboard.press("a")
    await expect(card).to_be_focused()
    for key in ("Enter", "y", "a", "Escape"):
        await page.keyboard.press(key)
    await expect(card.get_by_role("button", name="Allow once")).to_be_visible()
    allow = card.get_by_role("button", name="Allow once")
    for _ in range(4):
        if await allow.evaluate("element => element === document.activeElement"):
            break
        await page.keyboard.press("Tab")
    await expect(allow).to_be_focused()
    await page.keyboard.press("Enter")

    await expect(card).to_contain_text("Allowed on the page")
    await expect(card).to_be_focused()
    await expect(page.locator(".answer").last).to_contain_text("It sleeps now")
    assert len(mission.power.calls) == 1


async def test_what_is_dangerous_is_asked_once_more_by_name(mission: Mission, open_page: OpenPage) -> None:
    page = await open_page(mission.link)
    card = await ask_for_disks(mission, page, "rm -rf /srv/old")
    await expect(card.locator(".risk")).to_have_text("Danger")
    await expect(card).to_contain_text("The key of this host is SHA256:scripted.")
    allow = card.get_by_role("button", name="Allow once")
    dialog = page.get_by_role("dialog", name="Run rm -rf /srv/old on node3?")

    await allow.click()
    await expect(dialog).to_be_visible()
    await expect(dialog.get_by_role("button", name="No")).to_be_focused()
    await page.keyboard.press("Escape")
    await expect(dialog).to_be_hidden()
    await expect(allow).to_be_focused()
    assert mission.ssh.calls == []
    await allow.click()
    await dialog.get_by_role("button", name="Yes, run it").click()

    await expect(page.locator(".answer").last).to_contain_text("room enough")
    assert [arguments for arguments, _ in mission.ssh.calls] == [{"host": "node3", "command": "rm -rf /srv/old"}]


async def test_allowed_for_the_session_the_same_is_not_asked_again(mission: Mission, open_page: OpenPage) -> None:
    page = await open_page(mission.link)
    card = await ask_for_sleep(mission, page)

    await card.get_by_role("button", name="Allow for this session: nas").click()
    await expect(page.locator(".answer").last).to_contain_text("It sleeps now")
    await say(page, "sleep again")

    await expect(page.locator(".answer")).to_have_count(3)
    await expect(card).to_have_count(1)
    assert len(mission.power.calls) == 2


async def test_arguments_are_edited_and_a_wrong_one_is_said_at_its_field(
    mission: Mission, open_page: OpenPage, watch: Watch
) -> None:
    watch.tolerate("400")
    page = await open_page(mission.link)
    card = await ask_for_sleep(mission, page)
    await card.get_by_role("button", name="Edit").click()
    seconds = card.get_by_label("seconds")
    send = card.get_by_role("button", name="Allow once with these arguments")

    await seconds.fill("soon")
    await send.click()
    await expect(seconds).to_have_accessible_description("soon is not a number.")
    await expect(seconds).to_be_focused()
    await seconds.fill("0")
    await send.click()
    await expect(seconds).to_have_attribute("aria-invalid", "true")
    await expect(card.locator(".field-problem:visible")).to_have_count(1)
    assert mission.power.calls == []
    await seconds.fill("60")
    await send.click()

    await expect(card).to_contain_text("Allowed on the page, with other arguments")
    await expect(page.locator(".answer").last).to_contain_text("It sleeps now")
    assert [arguments for arguments, _ in mission.power.calls] == [{"service": "nas", "seconds": 60}]
    await card.locator(".approval-call summary").click()
    await expect(card.locator(".arguments")).to_have_text("servicenasseconds60")


async def test_an_edit_that_has_something_new_to_see_is_shown_before_it_runs(
    mission: Mission, open_page: OpenPage, watch: Watch
) -> None:
    watch.tolerate("409")
    mission.ssh.found = "the key of {host}"  # each host has one that a person must have seen
    page = await open_page(mission.link)
    card = await ask_for_disks(mission, page, "df -h")
    await card.get_by_role("button", name="Edit").click()
    await card.get_by_label("host").fill("node4")
    await card.get_by_role("button", name="Allow once with these arguments").click()
    await page.get_by_role("dialog").get_by_role("button", name="Yes, run it").click()

    await expect(card).to_contain_text("Run df -h on node4.")
    await expect(card).to_have_count(1)
    assert mission.ssh.calls == []
    await card.get_by_role("button", name="Allow once").click()
    await page.get_by_role("dialog", name="Run df -h on node4?").get_by_role("button", name="Yes, run it").click()
    await expect(page.locator(".answer").last).to_contain_text("room enough")
    assert [arguments["host"] for arguments, _ in mission.ssh.calls] == ["node4"]


async def test_every_kind_of_argument_can_be_edited(mission: Mission, open_page: OpenPage) -> None:
    mission.model.replies["heal"] = call("ansible.run_playbook", playbook="playbook.yaml", extra_vars={"a": 1})
    mission.model.replies["is through"] = "Done."
    page = await open_page(mission.link)
    await say(page, "heal the cluster")
    card = page.locator(".approval")
    edit, send = card.get_by_role("button", name="Edit"), card.get_by_role("button", name="Allow once with these")
    await expect(card.get_by_role("button", name="Allow for this session")).to_have_count(0)
    await edit.click()
    await expect(card.get_by_label("playbook")).to_be_focused()
    await page.keyboard.press("Escape")
    await expect(edit).to_be_focused()

    await edit.click()
    await card.get_by_label("playbook").select_option("heal_cluster.yaml")
    await expect(card.get_by_label("limit")).to_have_accessible_description("The hosts, or all.")
    await card.get_by_label("check").select_option("yes")
    variables = card.get_by_label("extra_vars")
    await variables.fill('{"a": ')
    await send.click()
    await expect(variables).to_have_accessible_description(re.compile("This is not JSON"))
    await variables.fill('{"a": [2, "x"]}')
    await send.click()
    dialog = page.get_by_role("dialog", name="Run ansible.run_playbook with these arguments?")
    await expect(dialog).to_contain_text("heal_cluster.yaml")
    await dialog.get_by_role("button", name="Yes, run it").click()

    await expect(page.locator(".answer").last).to_have_text("Done.")
    wanted = {"playbook": "heal_cluster.yaml", "check": True, "extra_vars": {"a": [2, "x"]}}
    assert [arguments for arguments, _ in mission.ansible.calls] == [wanted]


async def test_a_reload_keeps_what_waits(mission: Mission, open_page: OpenPage) -> None:
    page = await open_page(mission.link)
    await expect(await ask_for_sleep(mission, page)).to_be_visible()

    await page.reload()

    card = page.locator(".approval")
    await expect(page.locator("#announce-waiting")).to_have_text("")
    await card.get_by_role("button", name="Allow once").click()
    await expect(card).to_contain_text("Allowed on the page")
    await page.reload()
    await expect(card).to_contain_text("Allowed on the page")
    await expect(card.get_by_role("button")).to_have_count(0)
    await expect(page.locator(".answer").last).to_contain_text("It sleeps now")
    assert len(mission.power.calls) == 1


async def test_a_restart_of_the_server_keeps_what_waits(mission: Mission, open_page: OpenPage, watch: Watch) -> None:
    watch.tolerate("ERR_|WebSocket connection|1012")
    page = await open_page(mission.link)
    card = await ask_for_sleep(mission, page)
    await expect(card).to_be_visible()

    await mission.stop()
    await mission.start()

    await expect(page.locator("#state")).to_have_text("Ready")
    await card.get_by_role("button", name="Allow once").click()
    await expect(card).to_contain_text("Allowed on the page")
    await expect(page.locator(".answer").last).to_contain_text("It sleeps now")
    assert len(mission.power.calls) == 1


async def test_what_another_window_decided_closes_the_card_and_an_answer_too_late_is_told_so(
    mission: Mission, open_page: OpenPage, watch: Watch
) -> None:
    watch.tolerate("409")
    page = await open_page(mission.link)
    await expect(await ask_for_disks(mission, page)).to_be_visible()
    twin = await page.context.new_page()
    await twin.goto(mission.url)
    card, other = page.locator(".approval"), twin.locator(".approval")
    await other.get_by_role("button", name="Allow once").click()
    await expect(twin.get_by_role("dialog")).to_be_visible()

    async def refused_meanwhile(route: Route) -> None:
        await card.get_by_role("button", name="Refuse").click()
        await expect(card).to_contain_text("Refused on the page")
        await route.continue_()

    await twin.route("**/api/approvals/*", refused_meanwhile)
    await twin.get_by_role("button", name="Yes, run it").click()

    await expect(other).to_contain_text("Nothing was done by this answer: this request")
    await expect(other).to_contain_text("Refused on the page")
    assert mission.ssh.calls == []


async def test_a_question_that_is_open_closes_when_another_window_answers(
    mission: Mission, open_page: OpenPage
) -> None:
    page = await open_page(mission.link)
    card = await ask_for_disks(mission, page)
    twin = await page.context.new_page()
    await twin.goto(mission.url)
    await twin.locator(".approval").get_by_role("button", name="Allow once").click()
    await expect(twin.get_by_role("dialog")).to_be_visible()

    await card.get_by_role("button", name="Refuse").click()

    await expect(twin.get_by_role("dialog")).to_be_hidden()
    await expect(twin.locator(".approval")).to_contain_text("Refused on the page")
    assert mission.ssh.calls == []


async def test_what_is_decided_while_the_page_compares_keeps_its_outcome(mission: Mission, open_page: OpenPage) -> None:
    page = await open_page(mission.link)
    card = await ask_for_disks(mission, page)
    await expect(card).to_be_visible()
    compared = asyncio.Event()

    async def answered_late(route: Route) -> None:
        await expect(card).to_contain_text("Refused on the page")
        await route.fulfill(json={"approvals": []})  # the server knows it no longer
        compared.set()

    await page.route("**/api/approvals", answered_late)
    compare = "async () => (await import('/static/js/bus.js')).tell('page:approvals')"
    async with page.expect_request("**/api/approvals"):
        await page.evaluate(compare)
    await card.get_by_role("button", name="Refuse").click()

    async with asyncio.timeout(30):
        await compared.wait()
    async with page.expect_response("**/api/approvals"):  # by then the first answer is read
        await page.evaluate(compare)
    await expect(card).to_contain_text("Refused on the page")


async def test_what_nobody_answers_expires(mission: Mission, open_page: OpenPage) -> None:
    await mission.stop()
    mission.lifetime_s = 2.0
    await mission.start()
    page = await open_page(mission.link)
    card = await ask_for_sleep(mission, page)

    await expect(card).to_contain_text("Expired: nobody answered in time")
    await expect(card.get_by_role("button")).to_have_count(0)
    await expect(page.locator("#waiting")).to_be_hidden()
    assert mission.power.calls == []


async def test_what_waits_in_another_conversation_is_counted_and_one_click_away(
    mission: Mission, open_page: OpenPage
) -> None:
    page = await open_page(mission.link)
    await expect(await ask_for_sleep(mission, page)).to_be_visible()

    await page.get_by_role("button", name="New conversation").click()
    await expect(page.locator(".approval")).to_have_count(0)
    await page.get_by_role("button", name="1 action waits for your answer").click()

    await expect(page.locator(".approval")).to_contain_text("Let nas sleep after 600 seconds.")


async def test_markup_and_hidden_characters_in_a_call_are_shown_as_they_are(
    mission: Mission, open_page: OpenPage
) -> None:
    page = await open_page(mission.link)
    dialogs: list[str] = []
    page.on("dialog", lambda dialog: dialogs.append(dialog.message))
    mission.ssh.detail = "</pre><img src=x onerror=alert(1)>"
    card = await ask_for_disks(mission, page, "echo <img src=x onerror=alert(1)> \u202etxt.sh\u200b", "<b>node3</b>")

    await expect(card.locator(".arguments")).to_contain_text("<img src=x onerror=alert(1)> ⟨U+202E⟩txt.sh⟨U+200B⟩")
    await expect(card.locator(".arguments")).to_contain_text("<b>node3</b>")
    await expect(card.locator("pre")).to_contain_text("</pre><img")
    await card.get_by_role("button", name="Allow once").click()
    await expect(page.get_by_role("dialog")).to_contain_text("<img src=x onerror=alert(1)> ⟨U+202E⟩txt.sh⟨U+200B⟩")
    await page.get_by_role("button", name="No", exact=True).click()
    await card.get_by_role("button", name="Edit").click()
    await expect(card.get_by_label("host")).to_have_value("<b>node3</b>")

    assert dialogs == []
    assert await page.locator("main img, main b, dialog img, dialog b").count() == 0


async def test_on_a_phone_the_way_to_a_card_out_of_sight_stands_over_the_dock(
    mission: Mission, open_page: OpenPage
) -> None:
    page = await open_page(mission.link, viewport=PHONE)
    for number in range(6):
        await say(page, f"a long line {number} " + "of words " * 30)
    await expect(page.locator(".turn-foot .cost")).to_have_count(6)
    card = await ask_for_sleep(mission, page)
    await expect(card.get_by_role("button", name="Allow once")).to_be_in_viewport()
    way = page.get_by_role("button", name="1 action waits for you", exact=True)
    await expect(way).to_be_hidden()

    await page.locator("#scroller").evaluate("area => area.scrollTo({ top: 0, behavior: 'instant' })")
    await expect(way).to_be_visible()
    await way.tap()

    await expect(card.get_by_role("button", name="Allow once")).to_be_in_viewport(ratio=1)
    await expect(way).to_be_hidden()
    assert await page.evaluate("document.querySelector('#scroller').scrollWidth") <= PHONE["width"]
    for button in await card.get_by_role("button").all():
        box = await button.bounding_box()
        assert box is not None
        assert min(box["height"], box["width"]) >= 24
