"""One conversation on the page, from the first click to the last; the model is scripted."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator

import pytest
from playwright.async_api import expect

from pipecatapp.domain import ComponentHealth
from pipecatapp.errors import ModelNotReadyError
from testing.fakes.mission import Mission
from testing.ui.conftest import OpenPage
from testing.ui.page import SIZES, conversation, type_and_send

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]


@SIZES
async def test_a_newcomer_can_begin_with_one_click(
    mission: Mission, open_page: OpenPage, viewport: dict[str, int]
) -> None:
    mission.model.replies["What can you do"] = "I can tell you the time."
    page = await open_page(mission.link, viewport=viewport)

    await page.get_by_role("button", name="What can you do?").click()

    await expect(page.locator(".said")).to_contain_text("What can you do?")
    await expect(page.locator(".answer")).to_have_text("I can tell you the time.")
    await expect(page.locator("#welcome")).to_be_hidden()
    await expect(page.locator(".turn-foot")).to_contain_text("41 tokens read, 371 from cache")


async def test_the_answer_appears_while_it_is_written_and_is_announced_once_whole(
    mission: Mission, open_page: OpenPage
) -> None:
    async def slowly(go_on: asyncio.Event) -> AsyncIterator[str]:
        yield "First part, "
        await go_on.wait()
        yield "second part."

    mission.model.replies["story"] = slowly
    page = await open_page(mission.link)

    await type_and_send(page, "a story")
    await expect(page.locator(".answer")).to_have_text("First part,")
    await expect(page.locator("#state")).to_have_text("Thinking")
    await expect(page.locator("#announce")).to_have_text("")
    mission.model.go_on.set()

    await expect(page.locator(".answer")).to_have_text("First part, second part.")
    await expect(page.locator("#announce")).to_have_text("First part, second part.")
    await expect(page.locator("#state")).to_have_text("Ready")


async def test_a_tool_is_shown_with_its_arguments_and_result(mission: Mission, open_page: OpenPage) -> None:
    mission.model.replies = {
        "tool_response": "All is well.",
        "status": '<tool_call>\n{"name": "mcp.get_status", "arguments": {}}\n</tool_call>',
    }
    page = await open_page(mission.link)

    await type_and_send(page, "what is your status")

    await expect(page.locator(".answer")).to_have_text("All is well.")
    await expect(page.locator(".steps-taken")).to_contain_text("mcp.get_status")
    await page.get_by_role("tab", name="Tools").click()
    await page.locator("#tools summary").click()
    await expect(page.locator("#tools")).to_contain_text("Everything is well.")


@pytest.mark.parametrize(
    "attack", ["<img src=x onerror=alert(1)>", "</p><script>alert(1)</script>", "{{7+7}} &lt;b&gt; <b>bold</b>"]
)
async def test_markup_from_people_models_and_tools_is_text(mission: Mission, open_page: OpenPage, attack: str) -> None:
    page = await open_page(mission.link)
    dialogs: list[str] = []
    page.on("dialog", lambda dialog: dialogs.append(dialog.message))
    name = await conversation(page)

    await type_and_send(page, attack)
    await expect(page.locator(".said")).to_contain_text(attack)
    await expect(page.locator(".answer")).to_contain_text(attack)
    mission.partial(name, attack)
    await expect(page.locator("#partial")).to_have_text(attack)
    mission.health["engine"].state = ComponentHealth("engine", ok=False, reason=attack)
    await expect(page.locator("#components")).to_contain_text(attack)
    await page.reload()
    await expect(page.locator(".said")).to_contain_text(attack)

    assert dialogs == []
    assert await page.locator("main img, main b, main script, aside img:not(#camera-picture)").count() == 0


async def test_a_refresh_keeps_the_conversation(mission: Mission, open_page: OpenPage) -> None:
    page = await open_page(mission.link)
    await type_and_send(page, "remember me")
    await expect(page.locator(".turn-foot")).to_contain_text("tokens")
    before = await page.locator("#turns").inner_text()

    await page.reload()

    await expect(page.locator(".answer")).to_have_text("You said: remember me")
    assert await page.locator("#turns").inner_text() == before
    await expect(page.locator("#cost")).to_contain_text("Tokens evaluated")


async def test_a_refresh_in_the_middle_of_an_answer_goes_on_with_it(mission: Mission, open_page: OpenPage) -> None:
    async def slowly(go_on: asyncio.Event) -> AsyncIterator[str]:
        yield "Before, "
        await go_on.wait()
        yield "after."

    mission.model.replies["long"] = slowly
    page = await open_page(mission.link)
    await type_and_send(page, "long answer")
    await expect(page.locator(".answer")).to_have_text("Before,")

    await page.reload()

    await expect(page.locator(".answer")).to_have_text("Before,")
    mission.model.go_on.set()
    await expect(page.locator(".answer")).to_have_text("Before, after.")
    await expect(page.locator(".answer")).to_have_count(1)


async def test_two_windows_show_the_same_conversation_and_other_browsers_their_own(
    mission: Mission, open_page: OpenPage
) -> None:
    page = await open_page(mission.link)
    twin = await page.context.new_page()
    await twin.goto(mission.url)
    other = await open_page(mission.link)

    await type_and_send(page, "only for us")

    await expect(twin.locator(".answer")).to_have_text("You said: only for us")
    await expect(other.locator("#state")).to_have_text("Ready")
    await expect(other.locator(".turn")).to_have_count(0)


async def test_a_new_conversation_is_empty_and_the_old_one_can_be_reopened(
    mission: Mission, open_page: OpenPage
) -> None:
    page = await open_page(mission.link)
    await type_and_send(page, "the first talk")
    await expect(page.locator(".answer")).to_have_count(1)

    await page.get_by_role("button", name="New conversation").click()
    await expect(page.locator("#welcome")).to_be_visible()
    await expect(page.locator(".turn")).to_have_count(0)
    await page.locator("#recent").get_by_role("button", name=re.compile("the first talk")).click()

    await expect(page.locator(".answer")).to_have_text("You said: the first talk")


async def test_a_failed_answer_is_one_sentence_not_two(mission: Mission, open_page: OpenPage) -> None:
    mission.model.replies["early"] = ModelNotReadyError("loading the model", 0.3)
    page = await open_page(mission.link)

    await type_and_send(page, "too early")

    await expect(page.locator(".turn.failed .answer")).to_contain_text("waking up")
    await expect(page.locator(".notice")).to_have_count(0)
    await page.reload()
    await expect(page.locator(".turn.failed .answer")).to_contain_text("waking up")
    await expect(page.locator(".notice")).to_have_count(0)


async def test_interrupting_stops_the_answer(mission: Mission, open_page: OpenPage) -> None:
    async def endless(go_on: asyncio.Event) -> AsyncIterator[str]:
        yield "Words go on "
        await go_on.wait()

    mission.model.replies["endless"] = endless
    page = await open_page(mission.link)
    await type_and_send(page, "endless")
    await expect(page.locator(".answer")).to_have_text("Words go on")

    await page.locator("#scroller").focus()
    await page.keyboard.press("Escape")

    await expect(page.locator(".interrupted")).to_be_visible()
    await expect(page.locator("#state")).to_have_text("Ready")
    assert mission.model.cancelled == 1


async def test_pausing_holds_requests_until_it_goes_on(mission: Mission, open_page: OpenPage) -> None:
    page = await open_page(mission.link)
    pause = page.get_by_role("button", name="Pause the assistant")
    await pause.click()
    await expect(page.locator("#state")).to_have_text("Paused")

    await type_and_send(page, "wait for me")
    await expect(page.locator(".turn.waiting")).to_have_count(1)
    await expect(page.locator(".answer")).to_have_count(0)
    await pause.click()

    await expect(page.locator(".answer")).to_have_text("You said: wait for me")
    await expect(page.locator(".turn.waiting")).to_have_count(0)


async def test_the_page_tells_the_time_zone_of_its_device(mission: Mission, open_page: OpenPage) -> None:
    mission.model.replies = {
        "tool_response": "All is well.",
        "status": '<tool_call>\n{"name": "mcp.get_status", "arguments": {}}\n</tool_call>',
    }
    page = await open_page(mission.link)
    zone = await page.evaluate("Intl.DateTimeFormat().resolvedOptions().timeZone")

    await type_and_send(page, "what is your status")

    await expect(page.locator(".answer")).to_have_text("All is well.")
    assert zone
    assert mission.tool.calls[-1][1].zone == zone
