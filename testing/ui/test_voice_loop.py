"""The whole loop for real: a spoken question into Chromium's microphone, a spoken answer out of its loudspeaker.

Nothing is scripted: the page, the server, speech recognition, the brain, a real llama-server with the starter model,
a tool, speech synthesis. What the loudspeaker plays is recorded in the page and recognized again.
"""

from __future__ import annotations

import asyncio
import base64
import os
import sys
import wave
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from playwright.async_api import Page, async_playwright, expect

from testing.engine_node import link_engines
from testing.fakes.caller import recognized, spoken
from testing.ports import free_port
from testing.ui.conftest import FLAGS, Watch, chromium

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

REPOSITORY = Path(__file__).parents[2]

# Keeps what goes from the microphone into the page and from the page into the loudspeaker, with the page's clock.
RECORD = """
window.tape = {microphone: [], speaker: []};
const connect = AudioNode.prototype.connect;
const record = (node, name) => {
  const recorder = node.context.createScriptProcessor(1024, 1, 1);
  recorder.onaudioprocess = (event) => {
    const samples = Int16Array.from(event.inputBuffer.getChannelData(0), (value) => value * 32767);
    const bytes = new Uint8Array(samples.buffer);
    window.tape[name].push([performance.now(), btoa(String.fromCharCode(...bytes))]);
  };
  connect.call(node, recorder);
  connect.call(recorder, node.context.destination);
};
AudioNode.prototype.connect = function (target, ...rest) {
  if (target instanceof AudioDestinationNode) record(this, "speaker");
  if (this instanceof MediaStreamAudioSourceNode) record(this, "microphone");
  return connect.call(this, target, ...rest);
};
"""

# A microphone that speaks when the test says so: a barge-in comes in the middle of an answer, however long that took.
MOUTH = """
if (navigator.mediaDevices) navigator.mediaDevices.getUserMedia = async () => {
  const context = new AudioContext({sampleRate: 16000});
  const microphone = context.createMediaStreamDestination();
  window.say = (pcm) => {
    const bytes = Uint8Array.from(atob(pcm), (letter) => letter.charCodeAt(0));
    const samples = Float32Array.from(new Int16Array(bytes.buffer), (value) => value / 32768);
    const buffer = context.createBuffer(1, samples.length, 16000);
    buffer.copyToChannel(samples, 0);
    const source = context.createBufferSource();
    source.buffer = buffer;
    source.connect(microphone);
    source.start();
  };
  return microphone.stream;
};
"""


@dataclass(frozen=True)
class Program:
    """``pipecatapp serve`` with everything behind it."""

    url: str
    token_file: Path

    @property
    def token(self) -> str:
        """What opens the page; written at the first start."""
        return self.token_file.read_text().strip()

    async def can_answer(self) -> bool:
        """What it tells everybody of its health."""
        async with httpx.AsyncClient(trust_env=False) as client:
            return (await client.get(f"{self.url}/health")).is_success


@asynccontextmanager
async def program(state: Path) -> AsyncIterator[Program]:
    """Start it, wait until it says that it can answer, end it as a service manager would."""
    port = free_port()
    # The engine of scripts/setup, with a log and a status of its own.
    engines = state / "engine"
    link_engines(engines)
    environment = {
        **{name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG", "LLM_URL")},
        "PIPECATAPP_CONFIG": str(state / "none.env"),
        "STATE_DIR": str(state / "state"),
        "ENGINE_DIR": str(engines),
        "ENGINE_PORT": str(free_port()),
        "ENGINE_BUILD": "never",
        "WEB_HOST": "127.0.0.1",
        "WEB_PORT": str(port),
        "WEB_TLS_PORT": "0",
        # Smart Turn misjudges synthetic speech.
        "TURN_DETECTION": "timeout",
        # pocketsphinx, which checks what was said, understands this voice.
        "TTS_SERVICE": "flite",
        "TTS_VOICE": "slt",
    }
    log = state / "program.log"
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "pipecatapp", "serve", env=environment, cwd=REPOSITORY, stdout=output, stderr=output
        )
    running = Program(f"http://127.0.0.1:{port}", state / "state" / "token")
    try:
        async with asyncio.timeout(120):
            while True:
                assert process.returncode is None, log.read_text()
                try:
                    if await running.can_answer():
                        break
                except httpx.ConnectError:
                    pass  # not yet
                await asyncio.sleep(0.25)
        yield running
    except TimeoutError:
        pytest.fail(f"the program did not become ready: {log.read_text()}")
    finally:
        process.terminate()
        try:
            async with asyncio.timeout(60):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()


@pytest.fixture(scope="module")
def module_state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("loop")


def microphone_file(path: Path, parts: Sequence[str | float]) -> Path:
    """A wav file of spoken sentences and silences (seconds)."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16000)
        for part in parts:
            file.writeframes(spoken(part) if isinstance(part, str) else bytes(2 * int(16000 * part)))
    return path


@asynccontextmanager
async def person(running: Program, watch: Watch, microphone: Path | None = None) -> AsyncIterator[Page]:
    """A browser whose microphone plays the file once, from the moment that it is opened, or speaks by ``say``."""
    watch.tolerate("ScriptProcessorNode is deprecated")
    flags = [*FLAGS, f"--use-file-for-fake-audio-capture={microphone}%noloop"] if microphone else FLAGS
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium(), args=flags)
        context = await browser.new_context(permissions=["microphone"], viewport={"width": 1280, "height": 800})
        watch.context(context)
        await context.add_init_script(RECORD if microphone else RECORD + MOUTH)
        page = await context.new_page()
        await page.goto(f"{running.url}/?token={running.token}")
        await expect(page.locator("#state")).to_have_text("Ready")
        await page.locator("#talk").click()
        await expect(page.locator("#state")).to_have_text("Listening")
        yield page
        await browser.close()


async def say(page: Page, words: str) -> None:
    await page.evaluate("pcm => say(pcm)", base64.b64encode(spoken(words)).decode())


@dataclass(frozen=True)
class Tape:
    """A recording: samples and the page's time (ms) of each block's end."""

    samples: np.ndarray[Any, np.dtype[np.int16]]
    times: list[float]
    loud: list[bool]

    @classmethod
    async def of(cls, page: Page, name: str) -> Tape:
        blocks = await page.evaluate(f"tape.{name}")
        parts = [np.frombuffer(base64.b64decode(data), dtype=np.int16) for _, data in blocks]
        loud = [bool(np.abs(part.astype(np.int32)).max() > 600) for part in parts]
        return cls(np.concatenate(parts), [at for at, _ in blocks], loud)

    def onsets(self, quiet_ms: float = 400) -> list[float]:
        """When sound began after at least so much silence."""
        found, last = [], -1e9
        for at, loud in zip(self.times, self.loud, strict=True):
            if loud:
                if at - last > quiet_ms:
                    found.append(at)
                last = at
        return found

    def last_loud(self, after: float, before: float) -> float:
        return max(
            (at for at, loud in zip(self.times, self.loud, strict=True) if loud and after < at < before), default=0
        )


async def test_a_spoken_question_is_answered_aloud_through_a_tool(
    module_state: Path, tmp_path: Path, watch: Watch
) -> None:
    microphone = microphone_file(tmp_path / "question.wav", [1.0, "what is your status", 1.0])
    async with program(module_state) as running, person(running, watch, microphone) as page:
        await expect(page.locator("#partial, .said").first).to_contain_text("status", timeout=30_000)
        await expect(page.locator(".steps-taken")).to_contain_text("mcp.get_status", timeout=30_000)
        await expect(page.locator(".turn-foot .cost")).to_contain_text("to the first sound", timeout=30_000)
        await expect(page.locator("#state")).to_have_text("Listening", timeout=30_000)
        answer = await page.locator(".answer").inner_text()
        heard = recognized((await Tape.of(page, "speaker")).samples.tobytes())

        # The same program, the same conversation, after a refresh: still there.
        await page.reload()
        await expect(page.locator(".answer")).to_have_text(answer)

    print(f"\nanswer: {answer}\nheard:  {heard}")
    words = set(answer.lower().replace(".", "").replace(",", "").split())
    understood = words & set(heard.split())
    assert len(understood) >= 0.5 * len(words), f"said {sorted(words)}, recognized {heard!r}"


async def test_speaking_over_the_answer_stops_the_loudspeaker(module_state: Path, watch: Watch) -> None:
    async with program(module_state) as running, person(running, watch) as page:
        await page.wait_for_timeout(1000)
        await say(page, "what is your status")
        await expect(page.locator("#state")).to_have_text("Speaking", timeout=60_000)
        await page.wait_for_timeout(700)
        await say(page, "please stop talking now")
        await expect(page.locator(".interrupted")).to_be_visible(timeout=30_000)
        await page.wait_for_timeout(700)
        speaker, mouth = await Tape.of(page, "speaker"), await Tape.of(page, "microphone")
        kept = await page.locator(".answer").first.inner_text()

    barge = mouth.onsets()[1]
    silent = speaker.last_loud(after=barge - 700, before=barge + 1000)
    print(f"\nspeech onset to silence: {silent - barge:.0f} ms\nkept: {kept}")
    assert any(loud for at, loud in zip(speaker.times, speaker.loud, strict=True) if barge - 500 < at < barge)
    assert silent - barge < 600
