"""The microphone and speaker of the node, with a PortAudio made of lists."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from pipecat.frames.frames import (
    CancelFrame,
    Frame,
    InputAudioRawFrame,
    InputTransportMessageFrame,
    InterruptionFrame,
    OutputTransportMessageFrame,
    TTSAudioRawFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.transports.base_transport import BaseTransport
from pipecat.workers.runner import WorkerRunner

from pipecatapp.errors import SpeechError
from pipecatapp.events import HealthChanged
from pipecatapp.voice.local_audio import LocalAudioTransport, SoundCard, talk_locally
from testing.fakes.agent_harness import RecordingSink

pytestmark = pytest.mark.unit


class FakeCard:
    """A sound card whose sounds are lists."""

    PortAudioError = type("PortAudioError", (Exception,), {})

    def __init__(self) -> None:
        self.done: list[str] = []
        self.written = bytearray()
        self.speak: Callable[..., None] | None = None
        self.broken = False

    def RawInputStream(self, *, callback: Callable[..., None], **options: Any) -> FakeStream:  # noqa: N802
        self.done.append(f"microphone {options['samplerate']} {options['blocksize']}")
        self.speak = callback
        return FakeStream(self, "microphone")

    def RawOutputStream(self, **options: Any) -> FakeStream:  # noqa: N802
        if self.broken:
            raise self.PortAudioError("no such device")
        self.done.append(f"speaker {options['samplerate']}")
        return FakeStream(self, "speaker")


class FakeStream:
    latency = 0.01

    def __init__(self, card: FakeCard, name: str) -> None:
        self._card = card
        self._name = name

    def start(self) -> None:
        self._card.done.append(f"{self._name} start")

    def abort(self) -> None:
        self._card.done.append(f"{self._name} abort")

    def close(self) -> None:
        self._card.done.append(f"{self._name} close")

    def write(self, sound: bytes) -> None:
        self._card.written += sound


class Tap(FrameProcessor):
    """Remembers what passes and wakes who waits."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: asyncio.Queue[Frame] = asyncio.Queue()

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        self.seen.put_nowait(frame)
        await self.push_frame(frame, direction)

    async def next(self, kind: type[Frame]) -> Any:
        while not isinstance(frame := await self.seen.get(), kind):
            pass
        return frame


async def test_sound_marks_and_interruptions_reach_the_card() -> None:
    card, tap, listening = FakeCard(), Tap(), [True]
    transport = LocalAudioTransport(card, lambda: listening[0])
    worker = PipelineWorker(
        Pipeline([transport.input(), tap, transport.output()]),
        params=PipelineParams(audio_in_sample_rate=16000, audio_out_sample_rate=24000),
        idle_timeout_secs=None,
        enable_rtvi=False,
    )
    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)
    running = asyncio.create_task(runner.run())
    async with asyncio.timeout(60):
        while card.speak is None or "microphone start" not in card.done:
            await asyncio.sleep(0)

        card.speak(memoryview(b"\1\0" * 320), 320, None, None)
        assert (await tap.next(InputAudioRawFrame)).audio == b"\1\0" * 320

        await tap.push_frame(TTSAudioRawFrame(b"\2\0" * 960, 24000, 1))
        await tap.push_frame(OutputTransportMessageFrame(message={"type": "mark", "id": 4}))
        assert (await tap.next(InputTransportMessageFrame)).message == {"type": "played", "id": 4}
        assert bytes(card.written) == b"\2\0" * 960

        await tap.push_frame(InterruptionFrame())
        while "speaker abort" not in card.done:
            await asyncio.sleep(0)

        listening[0] = False
        card.speak(memoryview(b"\3\0" * 320), 320, None, None)
        await tap.push_frame(CancelFrame())
        await worker.cancel()
        await running
    heard = [frame for frame in list(tap.seen._queue) if isinstance(frame, InputAudioRawFrame)]  # type: ignore[attr-defined]
    assert heard == []
    assert "microphone close" in card.done
    assert "speaker close" in card.done


class Once:
    """Sessions that end with what the test gave."""

    def __init__(self, error: Exception | None) -> None:
        self.error = error
        self.conversations: list[str] = []

    async def run(self, transport: BaseTransport, conversation: str) -> None:
        self.conversations.append(conversation)
        if self.error is not None:
            raise self.error


@pytest.mark.parametrize("trouble", ["no card", "broken card", "session ended"])
async def test_without_a_card_it_says_so_and_tries_again(trouble: str) -> None:
    sink, card = RecordingSink(), FakeCard()
    sessions = Once(FakeCard.PortAudioError("unplugged") if trouble == "broken card" else None)

    def open_card() -> SoundCard:
        if trouble == "no card":
            raise SpeechError("PortAudio is not installed")
        return card

    talking = asyncio.create_task(talk_locally(sessions, sink, "local", lambda: True, open_card, 0.0))
    async with asyncio.timeout(60):
        while len([event for event in sink.of(HealthChanged) if not event.ok]) < 2:
            await asyncio.sleep(0)
    talking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await talking
    reason = next(event.reason for event in sink.of(HealthChanged) if not event.ok)
    assert {"no card": "not installed", "broken card": "unplugged", "session ended": "ended"}[trouble] in reason
