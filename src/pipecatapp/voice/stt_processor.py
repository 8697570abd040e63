"""The processor that turns speech into words: a shared recognizer, an utterance from VAD start to VAD stop."""

from __future__ import annotations

import asyncio
import logging

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
from pipecatapp.voice.frames import HearingFailedFrame, NothingHeardFrame
from pipecatapp.voice.recognition import BYTES_PER_SECOND, Recognizer, Utterance

logger = logging.getLogger(__name__)

# The VAD believes in speech only after a while: what was said until then is kept.
_PREROLL = int(0.6 * BYTES_PER_SECOND)
# Recognition that takes this much longer than its usual worst case has failed.
_TOO_LATE = 20.0


class SttProcessor(FrameProcessor):
    """Feeds the recognizer while the person speaks and pushes what it heard.

    Interim words travel as ``InterimTranscriptionFrame``, the final ones as a finalized ``TranscriptionFrame``; where
    there were none ``NothingHeardFrame``, where the recognizer failed ``HearingFailedFrame``.
    """

    def __init__(self, recognizer: Recognizer) -> None:
        super().__init__(name="SttProcessor")
        self._recognizer = recognizer
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
            self._utterance.feed(sound)
        else:
            self._ring += sound
            if len(self._ring) > 2 * _PREROLL:
                del self._ring[:-_PREROLL]

    def _begin(self) -> None:
        if self._utterance is not None:
            return
        self._utterance = self._recognizer.open(self._partials.put_nowait)
        self._utterance.feed(bytes(self._ring[-_PREROLL:]))
        self._ring.clear()

    def _end(self) -> None:
        if self._utterance is None:
            return
        utterance, self._utterance = self._utterance, None
        self._finishing = self.create_task(self._finish(utterance, self._finishing), "finish")

    def _drop(self) -> None:
        if self._utterance is not None:
            self._utterance.abandon()
            self._utterance = None

    async def _finish(self, utterance: Utterance, before: asyncio.Task[None] | None) -> None:
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
        if words:
            frame = TranscriptionFrame(words, "", time_now_iso8601(), finalized=True)
            await self.push_frame(frame)
        else:
            await self.push_frame(NothingHeardFrame())

    async def _tell_partials(self) -> None:
        while True:
            words = await self._partials.get()
            if self._utterance is not None:
                await self.push_frame(InterimTranscriptionFrame(words, "", time_now_iso8601()))
