"""The processor that speaks: clauses become sound and marks; it can hold its tongue, go on, or fall silent."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

from pipecat.frames.frames import (
    Frame,
    InputTransportMessageFrame,
    InterruptionFrame,
    OutputTransportMessageFrame,
    StartFrame,
    TTSAudioRawFrame,
    TTSStartedFrame,
    TTSStoppedFrame,
)
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor

from pipecatapp.errors import SpeechError
from pipecatapp.tools.volume import USUAL
from pipecatapp.voice.aloud.pieces import Clause
from pipecatapp.voice.aloud.pieces import Piece as Words
from pipecatapp.voice.echo import OwnVoice, asks
from pipecatapp.voice.loudness import set_loudness
from pipecatapp.voice.playback import Piece, Playback
from pipecatapp.voice.synthesis import SAMPLE_RATE, Synthesizer, speakable

logger = logging.getLogger(__name__)

# The transport sends 40 ms at a time; a clause ends on such a border, or its last words would wait for the next.
_CHUNK = SAMPLE_RATE // 25 * 2
# How much longer than its sound an answer may take to be acknowledged, by a player that acknowledges at all.
_GRACE_S = 2.0


class TtsProcessor(FrameProcessor):
    """Speaks one answer at a time, driven by ``TwinService``.

    Args:
        synthesizer: makes the sound.
        on_failure: told once per answer when a clause could not be spoken.
        on_heard: told the text heard so far, whenever the player acknowledges more.
    """

    def __init__(
        self, synthesizer: Synthesizer, on_failure: Callable[[str], None], on_heard: Callable[[str], None]
    ) -> None:
        super().__init__(name="TtsProcessor")
        self._synthesizer = synthesizer
        self._on_failure = on_failure
        self._on_heard = on_heard
        self._percent: Callable[[], int] = lambda: USUAL
        self._playback = Playback(SAMPLE_RATE, 1, time.monotonic)
        self._clauses: asyncio.Queue[Clause | bytes | None] = asyncio.Queue()
        self._worker: asyncio.Task[None] | None = None
        self._sender: asyncio.Task[None] | None = None
        self._more = asyncio.Event()
        self._progressed = asyncio.Event()
        self._sending = asyncio.Lock()
        self._held = False
        self._speaking = False
        self._whole = True
        self._failed = False
        self._acknowledges = False
        self._said = OwnVoice()
        self._live = False
        self.first_clause_at: float | None = None
        self.first_audio_at: float | None = None

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Marks come from the player; everything passes on."""
        await super().process_frame(frame, direction)
        if isinstance(frame, InputTransportMessageFrame):
            if direction == FrameDirection.DOWNSTREAM and frame.message.get("type") == "played":
                self._played(frame.message.get("id"))
            return
        await self.push_frame(frame, direction)
        if isinstance(frame, StartFrame):
            self._sender = self.create_task(self._send(), "send")

    async def cleanup(self) -> None:
        """End the tasks."""
        for task in (self._worker, self._sender):
            if task is not None and not task.done():
                await self.cancel_task(task)
        self._worker = self._sender = None
        await super().cleanup()

    # What TwinService asks for.

    @property
    def dry_s(self) -> float:
        """Seconds of sound that the player still has; 0 while there is nothing to hear."""
        return self._playback.remaining_s()

    @property
    def idle(self) -> bool:
        """Whether nothing waits to be synthesized."""
        return self._clauses.empty() and not self._speaking

    @property
    def heard_text(self) -> str:
        """What was heard of the answer so far, as it was written."""
        return self._playback.heard_text()

    @property
    def own_voice(self) -> OwnVoice:
        """What was said lately: of this answer, or of the last one while nothing of this one sounds."""
        words = self._playback.lately() if self._live else ""
        return OwnVoice(words, time.monotonic(), asks(words)) if words else self._said

    def speak_at(self, percent: Callable[[], int]) -> None:
        """Speak so loud, asked for each piece of sound."""
        self._percent = percent

    def begin(self) -> None:
        """A new answer begins; the last one must be over."""
        self._live = True
        self._playback = Playback(SAMPLE_RATE, self._playback.next_mark, time.monotonic)
        self._whole = self._failed = self._held = False
        self.first_clause_at = self.first_audio_at = None
        self._clauses = asyncio.Queue()
        self._worker = self.create_task(self._synthesize(self._clauses, self._playback), "synthesize")

    def say(self, clause: Clause) -> None:
        """Speak this after what was said before."""
        if self.first_clause_at is None:
            self.first_clause_at = time.monotonic()
        self._clauses.put_nowait(clause)

    def sound(self, pcm: bytes) -> None:
        """Play this after what was said before."""
        self._clauses.put_nowait(pcm + bytes(-len(pcm) % _CHUNK))

    async def finish(self) -> None:
        """The answer is complete; returns when all of it was played."""
        self._clauses.put_nowait(None)
        while not self._over():
            self._progressed.clear()
            grace = _GRACE_S if self._acknowledges else 0.05
            timeout = None if self._held or not self._whole else self._playback.remaining_s() + grace
            try:
                async with asyncio.timeout(timeout):
                    await self._progressed.wait()
            except TimeoutError:
                break
        self._remember()

    async def hold(self) -> None:
        """Silence now, but nothing is forgotten: ``resume`` goes on where the sound stopped."""
        async with self._sending:
            self._held = True
            self._playback.stop()
            await self.push_frame(InterruptionFrame())
        self._progressed.set()

    def resume(self) -> None:
        """Go on speaking after ``hold``."""
        self._held = False
        self._more.set()
        self._progressed.set()

    async def silence(self) -> str:
        """Silence now and forget the rest; returns what was heard of the answer."""
        if self._worker is not None and not self._worker.done():
            await self.cancel_task(self._worker)
        self._worker = None
        if not self._held:
            await self.hold()
        heard = self._playback.heard_text()
        self._remember()
        self._playback = Playback(SAMPLE_RATE, self._playback.next_mark, time.monotonic)
        self._whole, self._held, self._speaking = True, False, False
        self._progressed.set()
        return heard

    # The work.

    def _remember(self) -> None:
        """The sound of an answer has ended: its echo may still come."""
        self._live = False
        if words := self._playback.lately():
            self._said = OwnVoice(words, time.monotonic(), asks(words))

    def _over(self) -> bool:
        return self._whole and not self._held and not self._playback.unheard()

    def _played(self, mark: object) -> None:
        self._acknowledges = True
        if isinstance(mark, int) and self._playback.played(mark):
            self._on_heard(self._playback.heard_text())
            self._progressed.set()

    async def _synthesize(self, clauses: asyncio.Queue[Clause | bytes | None], playback: Playback) -> None:
        silent: tuple[Words, ...] = ()
        while (clause := await clauses.get()) is not None:
            if isinstance(clause, bytes):
                playback.add((Words("", ""),), clause)
                self._more.set()
                continue
            self._speaking = True
            try:
                text = speakable(clause.spoken)
                sound = await self._synthesizer.say(text) if text else b""
                if sound:
                    # What is heard is written down as it was written, signs without a sound included.
                    playback.add(silent + clause.pieces, sound + bytes(-len(sound) % _CHUNK))
                    silent = ()
                    self._more.set()
                else:
                    silent += (Words("", clause.written),)
            except SpeechError as error:
                logger.warning("speech synthesis failed: %s", error)
                if not self._failed:
                    self._failed = True
                    self._on_failure(str(error))
            finally:
                self._speaking = False
        playback.add_silent("".join(words.written for words in silent))
        self._whole = True
        self._more.set()
        self._progressed.set()

    async def _send(self) -> None:
        started = False
        while True:
            await self._more.wait()
            self._more.clear()
            while not self._held and (piece := self._playback.next_unsent()) is not None:
                async with self._sending:
                    # Held or silenced while waiting for the lock?
                    if self._held or self._playback.next_unsent() is not piece:
                        break
                    if not started:
                        await self.push_frame(TTSStartedFrame())
                        started = True
                    await self._send_piece(piece)
            if started and self._whole and not self._held and self._playback.next_unsent() is None:
                await self.push_frame(TTSStoppedFrame())
                started = False

    async def _send_piece(self, piece: Piece) -> None:
        self._playback.sent(piece)
        if self.first_audio_at is None:
            self.first_audio_at = time.monotonic()
            self._progressed.set()
        await self.push_frame(TTSAudioRawFrame(set_loudness(piece.pcm, self._percent()), SAMPLE_RATE, 1))
        await self.push_frame(OutputTransportMessageFrame(message={"type": "mark", "id": piece.mark}))
