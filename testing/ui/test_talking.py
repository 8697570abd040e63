"""The microphone and the loudspeaker of the page; the voice behind it is scripted."""

from __future__ import annotations

import pytest
from playwright.async_api import expect

from testing.fakes.mission import Mission, tone
from testing.ui.conftest import REFUSE, OpenPage, Watch
from testing.ui.page import SIZES, conversation, page_says, until

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

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


# Hangs up as soon as the connection is asked for: before it can be open.
HASTY = """
const Real = WebSocket;
window.hung = [];
window.WebSocket = class extends Real {
  constructor(...all) {
    super(...all);
    if (String(all[0]).includes("/ws/voice")) setTimeout(() => {
      window.hung.push(this.readyState);
      document.querySelector("#talk").click();
    });
  }
};
"""


async def test_who_leaves_before_the_voice_is_connected_sees_no_complaint(
    mission: Mission, open_page: OpenPage
) -> None:
    page = await open_page(mission.link, script=HASTY)

    await page.locator("#talk").click()
    await page_says(page, "hung.length > 0")

    assert await page.evaluate("hung") == [0], "it was still connecting"
    await expect(page.locator("#state")).to_have_text("Ready")
    await until(lambda: mission.voice.socket is None)
