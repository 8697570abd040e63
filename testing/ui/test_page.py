"""Mission Control in a real browser against the real server and brain; the model and the voice are scripted."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Page, expect

from pipecatapp.domain import ComponentHealth
from pipecatapp.errors import ModelNotReadyError
from testing.fakes.mission import Mission, tone
from testing.ui.conftest import DESKTOP, PHONE, REFUSE, OpenPage, Watch

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

SIZES = pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])

# Counts what reaches the loudspeaker: the page itself has no hook for tests.
LISTEN = """
window.loud = [];
const connect = AudioNode.prototype.connect;
AudioNode.prototype.connect = function (target, ...rest) {
  if (target instanceof AudioDestinationNode) {
    const ear = this.context.createAnalyser();
    ear.fftSize = 256;
    connect.call(this, ear);
    const samples = new Float32Array(ear.fftSize);
    setInterval(() => {
      ear.getFloatTimeDomainData(samples);
      window.loud.push(Math.max(...samples.map(Math.abs)) > 0.02);
    }, 10);
  }
  return connect.call(this, target, ...rest);
};
"""


async def conversation(page: Page) -> str:
    return str(await page.evaluate("localStorage.getItem('conversation')"))


async def type_and_send(page: Page, words: str) -> None:
    await page.locator("#words").fill(words)
    await page.locator("#words").press("Enter")


async def until(check: object, seconds: float = 30.0) -> None:
    assert callable(check)
    async with asyncio.timeout(seconds):
        while not check():
            await asyncio.sleep(0.02)


async def page_says(page: Page, expression: str, seconds: float = 30.0) -> None:
    """Wait until it is true. (Playwright's own wait needs eval, which the page's policy forbids.)"""
    async with asyncio.timeout(seconds):
        while not await page.evaluate(expression):
            await asyncio.sleep(0.02)


async def test_the_printed_link_signs_in_and_leaves_no_token_in_the_address(
    mission: Mission, open_page: OpenPage
) -> None:
    page = await open_page(mission.link)

    await expect(page.locator("#state")).to_have_text("Ready")
    assert page.url == f"{mission.url}/"
    cookie = (await page.context.cookies())[0]
    assert cookie["httpOnly"]
    assert cookie["sameSite"] == "Strict"
    assert mission.token not in cookie["value"]


async def test_the_login_page_takes_a_token_and_says_when_it_is_wrong(
    mission: Mission, open_page: OpenPage, watch: Watch
) -> None:
    watch.tolerate("401")
    page = await open_page(mission.url)

    await page.get_by_label("Token").fill("not the token")
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.get_by_role("alert")).to_contain_text("pipecatapp link")

    await page.get_by_label("Token").fill(mission.token)
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.locator("#state")).to_have_text("Ready")


async def test_signing_out_ends_at_the_login_page(mission: Mission, open_page: OpenPage, watch: Watch) -> None:
    watch.tolerate("401")
    page = await open_page(mission.link)

    await page.get_by_role("button", name="Sign out").click()

    await expect(page.get_by_label("Token")).to_be_visible()
    await page.goto(mission.url)
    await expect(page.get_by_label("Token")).to_be_visible()


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
        yield "I could go on "
        await go_on.wait()

    mission.model.replies["endless"] = endless
    page = await open_page(mission.link)
    await type_and_send(page, "endless")
    await expect(page.locator(".answer")).to_have_text("I could go on")

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


@SIZES
async def test_the_microphone_reaches_the_server_as_16_khz_pcm(
    mission: Mission, open_page: OpenPage, viewport: dict[str, int]
) -> None:
    page = await open_page(mission.link, viewport=viewport)

    await page.locator("#talk").click()
    await expect(page.locator("#state")).to_have_text("Listening")
    await until(lambda: len(mission.voice.heard) > 64_000)
    await page.locator("#talk").click()
    await expect(page.locator("#state")).to_have_text("Ready")

    assert mission.voice.conversations == [await conversation(page)]
    samples = memoryview(bytes(mission.voice.heard[: len(mission.voice.heard) // 2 * 2])).cast("h")
    # Chromium's fake microphone beeps: sound and silence are both there.
    assert max(samples) > 1000
    assert sum(abs(sample) < 50 for sample in samples) > len(samples) / 10


async def test_muting_sends_silence_and_says_so(mission: Mission, open_page: OpenPage) -> None:
    page = await open_page(mission.link)
    await page.locator("#talk").click()
    await expect(page.locator("#state")).to_have_text("Listening")

    await page.keyboard.press("m")
    await expect(page.locator("#state")).to_have_text("Muted")
    await until(lambda: {"type": "mute", "on": True} in mission.voice.messages)
    mission.voice.heard.clear()
    await until(lambda: len(mission.voice.heard) > 96_000)

    assert not any(mission.voice.heard[32_000:])
    await page.get_by_role("button", name="Mute").click()
    await expect(page.locator("#state")).to_have_text("Listening")


async def test_the_voice_is_heard_marks_come_back_and_an_interruption_is_silence_at_once(
    mission: Mission, open_page: OpenPage
) -> None:
    page = await open_page(mission.link, script=LISTEN)
    await page.locator("#talk").click()
    await mission.voice.connected.wait()

    await mission.voice.say(tone(0.4), mark=1)
    await until(lambda: {"type": "played", "id": 1} in mission.voice.messages)
    assert sum(await page.evaluate("loud")) >= 20

    await page.evaluate("loud.length = 0")
    await mission.voice.say(tone(5.0), mark=2)
    await page_says(page, "loud.filter(Boolean).length > 20")
    await mission.voice.interrupt()
    await page.evaluate("loud.length = 0")
    await page_says(page, "loud.length > 60")

    heard = await page.evaluate("loud")
    assert not any(heard[20:])
    assert {"type": "played", "id": 2} not in mission.voice.messages


async def test_a_voice_session_survives_a_server_restart(mission: Mission, open_page: OpenPage, watch: Watch) -> None:
    watch.tolerate("ERR_CONNECTION_REFUSED|WebSocket connection|ERR_EMPTY_RESPONSE|ERR_CONNECTION_RESET|1012")
    page = await open_page(mission.link)
    await page.locator("#talk").click()
    await mission.voice.connected.wait()

    await mission.stop()
    await mission.start()

    await mission.voice.connected.wait()
    mission.voice.heard.clear()
    await until(lambda: len(mission.voice.heard) > 16_000)
    assert len(set(mission.voice.conversations)) == 1
    await expect(page.locator("#state")).to_have_text("Listening")


async def test_a_browser_that_refuses_the_microphone_is_told_what_to_do(mission: Mission, open_page: OpenPage) -> None:
    page = await open_page(mission.link, script=REFUSE)

    await page.locator("#talk").click()

    await expect(page.locator("#banner-notice")).to_contain_text("did not allow the microphone")
    await expect(page.locator("#state")).to_have_text("Ready")


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
    from pipecatapp.events import LogLine

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
