"""A microphone and a speaker on this node (``AUDIO_TRANSPORT=local``), through PortAudio (extra ``local-audio``).

pipecat's own local transport needs PyAudio, which is built from source; sounddevice brings or finds PortAudio. Nothing
here cancels echo: use a headset or a device that does, or the agent may hear itself (it then tells its own words apart,
voice/false_alarms.py, but is silenced by them for moments).
"""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

from pipecat.frames.frames import (
    Frame,
    InputAudioRawFrame,
    InputTransportMessageFrame,
    InterruptionFrame,
    OutputAudioRawFrame,
    OutputTransportMessageFrame,
    OutputTransportMessageUrgentFrame,
    StartFrame,
)
from pipecat.processors.frame_processor import FrameDirection
from pipecat.transports.base_input import BaseInputTransport
from pipecat.transports.base_output import BaseOutputTransport
from pipecat.transports.base_transport import BaseTransport, TransportParams

from pipecatapp.background import BackgroundTasks
from pipecatapp.errors import MissingExtraError, SpeechError
from pipecatapp.events import HealthChanged
from pipecatapp.ports import EventSink
from pipecatapp.voice.recognition import SAMPLE_RATE as RATE_IN
from pipecatapp.voice.synthesis import SAMPLE_RATE as RATE_OUT

logger = logging.getLogger(__name__)

RETRY_AFTER_S = 10.0
_FRAMES_IN = RATE_IN // 50


class SoundCard(Protocol):
    """What is used of the ``sounddevice`` module."""

    PortAudioError: type[Exception]
    RawInputStream: Callable[..., Any]
    RawOutputStream: Callable[..., Any]


def sound_card() -> SoundCard:
    """The ``sounddevice`` module. Raises MissingExtraError, or SpeechError where PortAudio itself is absent."""
    if importlib.util.find_spec("sounddevice") is None:
        raise MissingExtraError("AUDIO_TRANSPORT=local", "local-audio")
    try:
        card: Any = importlib.import_module("sounddevice")
    except OSError as error:
        raise SpeechError("PortAudio is not installed; run: apt install libportaudio2") from error
    return card  # type: ignore[no-any-return]


class _Input(BaseInputTransport):
    """The microphone: PortAudio calls from a thread of its own."""

    def __init__(self, card: SoundCard, params: TransportParams, listening: Callable[[], bool]) -> None:
        super().__init__(params, name="Microphone")
        self._card = card
        self._listening = listening
        self._stream: Any = None

    async def start(self, frame: StartFrame) -> None:
        """Open the device and listen."""
        await super().start(frame)
        await self.set_transport_ready(frame)
        loop = self.get_event_loop()

        def heard(data: Any, *_: object) -> None:
            loop.call_soon_threadsafe(self._take, bytes(data))

        self._stream = self._card.RawInputStream(
            samplerate=RATE_IN, blocksize=_FRAMES_IN, channels=1, dtype="int16", callback=heard
        )
        self._stream.start()

    async def cleanup(self) -> None:
        """Close the device."""
        if self._stream is not None:
            self._stream.close()
            self._stream = None
        await super().cleanup()

    def _take(self, sound: bytes) -> None:
        if self._stream is not None and self._listening():
            self._audio_in_queue.put_nowait(InputAudioRawFrame(sound, RATE_IN, 1))


class _Output(BaseOutputTransport):
    """The speaker: writing blocks until the device takes the sound, in a thread."""

    def __init__(self, card: SoundCard, params: TransportParams, played: Callable[[Any], None]) -> None:
        super().__init__(params, name="Loudspeaker")
        self._card = card
        self._on_played = played
        self._thread = ThreadPoolExecutor(1, "loudspeaker")
        self._stream: Any = None

    async def start(self, frame: StartFrame) -> None:
        """Open the device."""
        await super().start(frame)
        self._stream = self._card.RawOutputStream(samplerate=RATE_OUT, channels=1, dtype="int16", latency="low")
        self._stream.start()
        await self.set_transport_ready(frame)

    async def cleanup(self) -> None:
        """Close the device once the thread has written its last piece."""
        await super().cleanup()
        await asyncio.to_thread(self._thread.shutdown)
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """An interruption also throws away what the device holds."""
        await super().process_frame(frame, direction)
        if isinstance(frame, InterruptionFrame):
            await self.get_event_loop().run_in_executor(self._thread, self._flush)

    async def write_audio_frame(self, frame: OutputAudioRawFrame) -> bool:
        """Play 40 ms."""
        return await self.get_event_loop().run_in_executor(self._thread, self._write, frame.audio)

    async def send_message(self, frame: OutputTransportMessageFrame | OutputTransportMessageUrgentFrame) -> None:
        """A mark has been reached: it is heard once the device's own buffer has played."""
        if frame.message.get("type") == "mark" and self._stream is not None:
            played = {"type": "played", "id": frame.message["id"]}
            self.get_event_loop().call_later(float(self._stream.latency), self._on_played, played)

    def _write(self, sound: bytes) -> bool:
        try:
            self._stream.write(sound)
        except self._card.PortAudioError as error:
            logger.warning("the loudspeaker failed: %s", error)
            return False
        return True

    def _flush(self) -> None:
        try:
            self._stream.abort()
            self._stream.start()
        except self._card.PortAudioError as error:
            logger.warning("the loudspeaker failed: %s", error)


class LocalAudioTransport(BaseTransport):
    """This node's microphone and speaker.

    Args:
        card: PortAudio.
        listening: while it says no (paused), the microphone is ignored.
    """

    def __init__(self, card: SoundCard, listening: Callable[[], bool]) -> None:
        super().__init__()
        params = TransportParams(
            audio_in_enabled=True,
            audio_out_enabled=True,
            audio_in_sample_rate=RATE_IN,
            audio_out_sample_rate=RATE_OUT,
        )
        self._register_event_handler("on_client_disconnected")
        self._in = _Input(card, params, listening)
        self._out = _Output(card, params, self._played)
        self._telling = BackgroundTasks("what was played could not be told")

    def input(self) -> BaseInputTransport:
        """The microphone."""
        return self._in

    def output(self) -> BaseOutputTransport:
        """The speaker."""
        return self._out

    def _played(self, message: Any) -> None:
        self._telling.start(self._in.push_frame(InputTransportMessageFrame(message=message)))


class Sessions(Protocol):
    """What is needed of ``voice.sessions.VoiceSessions``."""

    async def run(self, transport: BaseTransport, conversation: str) -> None:
        """Run a pipeline until it ends."""


async def talk_locally(
    sessions: Sessions,
    sink: EventSink,
    conversation: str,
    listening: Callable[[], bool],
    open_card: Callable[[], SoundCard] = sound_card,
    retry_after_s: float = RETRY_AFTER_S,
) -> None:
    """Keep a session on this node's sound card, until cancelled. Without a card it says so and tries again."""
    while True:
        try:
            card = open_card()
            failures: tuple[type[Exception], ...] = (card.PortAudioError, OSError, SpeechError)
        except SpeechError as error:
            reason = str(error)
        else:
            try:
                sink.emit(HealthChanged(component="sound card", ok=True, reason=""))
                await sessions.run(LocalAudioTransport(card, listening), conversation)
                reason = "the session on the sound card ended"
            except failures as error:
                reason = f"the sound card cannot be used: {error}"
        logger.warning("%s", reason)
        sink.emit(HealthChanged(component="sound card", ok=False, reason=reason))
        await asyncio.sleep(retry_after_s)
