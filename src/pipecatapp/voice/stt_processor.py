"""The processor that turns speech into words: a shared recognizer, an utterance from VAD start to VAD stop."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass

from pipecat.frames.frames import (
    CancelFrame,
    EndFrame,
    Frame,
    InputAudioRawFrame,
    InterimTranscriptionFrame,
    StartFrame,
    STTMetadataFrame,
    TranscriptionFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.utils.time import time_now_iso8601

from pipecatapp.errors import SpeechError
from pipecatapp.voice.certainty import LEAST_VOICED_S, VoicedSound, is_believable
from pipecatapp.voice.frames import HearingFailedFrame, NothingHeardFrame, PauseTranscriptionFrame
from pipecatapp.voice.recognition import BYTES_PER_SECOND, Recognizer, Utterance

logger = logging.getLogger(__name__)

# The VAD believes in speech only after a while: what was said until then is kept.
_PREROLL = int(0.6 * BYTES_PER_SECOND)
# A pause in which a recognizer that hears everything at once may look at what there is so far.
FIRST_PAUSE_S = 0.15
# Recognition that takes this much longer than its usual worst case has failed.
_TOO_LATE = 20.0


@dataclass(frozen=True, slots=True)
class _Sound:
    """What is known of the sound of an utterance."""

    voiced: VoicedSound
    seconds: float


class SttProcessor(FrameProcessor):
    """Feeds the recognizer while the person speaks and pushes what it heard.

    Interim words travel as ``InterimTranscriptionFrame``, the final ones as a finalized ``TranscriptionFrame``; where
    there were none, or none that fit the sound, ``NothingHeardFrame``, where the recognizer failed
    ``HearingFailedFrame``.

    Args:
        recognizer: the engine.
        pause_s: for how many seconds the person has been silent; 0 while there is sound of speech.
    """

    def __init__(self, recognizer: Recognizer, pause_s: Callable[[], float] = lambda: 0.0) -> None:
        super().__init__(name="SttProcessor")
        self._recognizer = recognizer
        self._pause_s = pause_s
        self._paused = False
        self._voiced = VoicedSound()
        self._taken = 0
        self._ring = bytearray()
        self._utterance: Utterance | None = None
        self._partials: asyncio.Queue[str] = asyncio.Queue()
        self._teller: asyncio.Task[None] | None = None
        self._finishing: asyncio.Task[None] | None = None

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Sound and VAD frames do the work; everything passes on."""
        await super().process_frame(frame, direction)
        await self.push_frame(frame, direction)
        if isinstance(frame, InputAudioRawFrame):
            self._hear(frame.audio)
        elif isinstance(frame, StartFrame):
            self._teller = self.create_task(self._tell_partials(), "partials")
            await self.broadcast_frame(
                STTMetadataFrame, service_name=self._recognizer.name, ttfs_p99_latency=self._recognizer.final_p99_s
            )
        elif isinstance(frame, VADUserStartedSpeakingFrame):
            self._begin()
        elif isinstance(frame, VADUserStoppedSpeakingFrame):
            self._end()
        elif isinstance(frame, EndFrame | CancelFrame):
            self._drop()

    async def cleanup(self) -> None:
        """Give back what was borrowed."""
        self._drop()
        for task in (self._teller, self._finishing):
            if task is not None and not task.done():
                await self.cancel_task(task)
        self._teller = self._finishing = None
        await super().cleanup()

    def _hear(self, sound: bytes) -> None:
        if self._utterance is not None:
            self._feed(self._utterance, sound)
            self._mind_pause(self._utterance)
        else:
            self._ring += sound
            if len(self._ring) > 2 * _PREROLL:
                del self._ring[:-_PREROLL]

    def _feed(self, utterance: Utterance, sound: bytes) -> None:
        utterance.feed(sound)
        self._voiced.feed(sound)
        self._taken += len(sound)

    def _mind_pause(self, utterance: Utterance) -> None:
        """At the first pause the recognizer may look at what there is; it learns when speech goes on."""
        pause = self._pause_s()
        if not self._paused and pause >= FIRST_PAUSE_S:
            self._paused = True
            utterance.pause()
        elif self._paused and not pause:
            self._paused = False
            utterance.resume()

    def _begin(self) -> None:
        if self._utterance is not None:
            return
        self._voiced, self._taken, self._paused = VoicedSound(), 0, False
        self._utterance = self._recognizer.open(self._partials.put_nowait)
        self._feed(self._utterance, bytes(self._ring[-_PREROLL:]))
        self._ring.clear()

    def _end(self) -> None:
        if self._utterance is None:
            return
        utterance, self._utterance = self._utterance, None
        sound = _Sound(self._voiced, self._taken / BYTES_PER_SECOND)
        self._finishing = self.create_task(self._finish(utterance, sound, self._finishing), "finish")

    def _drop(self) -> None:
        if self._utterance is not None:
            self._utterance.abandon()
            self._utterance = None

    async def _finish(self, utterance: Utterance, sound: _Sound, before: asyncio.Task[None] | None) -> None:
        try:
            async with asyncio.timeout(self._recognizer.final_p99_s * _TOO_LATE):
                words = await utterance.finish()
        except (SpeechError, TimeoutError) as error:
            reason = str(error) or f"{self._recognizer.name} gave no answer in time"
            logger.warning("speech recognition failed: %s", reason)
            await self.push_frame(HearingFailedFrame(reason=reason))
            return
        if before is not None and not before.done():
            await asyncio.wait([before])
        if is_believable(words, sound.voiced.seconds, sound.seconds):
            frame = TranscriptionFrame(words, "", time_now_iso8601(), finalized=True)
            await self.push_frame(frame)
        else:
            await self.push_frame(NothingHeardFrame())

    async def _tell_partials(self) -> None:
        kind = PauseTranscriptionFrame if self._recognizer.at_pauses else InterimTranscriptionFrame
        while True:
            words = await self._partials.get()
            if self._utterance is not None and self._voiced.seconds >= LEAST_VOICED_S:
                await self.push_frame(kind(words, "", time_now_iso8601()))
