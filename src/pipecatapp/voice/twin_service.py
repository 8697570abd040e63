"""TwinService: the processor between hearing and speaking. Frames become requests, answers become clauses.

While the person speaks, the stable part of the words goes to ``Agent.prepare``. When the turn ends, ``Agent.respond``
writes the answer, which is spoken clause by clause. When the person speaks over it, the speaker is silent at once;
recognized words then end the turn, anything else lets it go on (voice/false_alarms.py).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
import time
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass

from pipecat.frames.frames import (
    CancelFrame,
    EndFrame,
    Frame,
    InterimTranscriptionFrame,
    TranscriptionFrame,
    UserStoppedSpeakingFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor

from pipecatapp.background import BackgroundTasks
from pipecatapp.ports import EventSink
from pipecatapp.twin.turn_progress import TurnProgress, benchmark_block
from pipecatapp.twin.turn_queue import QueuedTurn
from pipecatapp.voice.aloud.pieces import Clause
from pipecatapp.voice.aloud.spoken_clauses import SpokenClauses, clauses_of
from pipecatapp.voice.brain import Brain
from pipecatapp.voice.dialogue_events import HEARING_FAILED, DialogueEvents
from pipecatapp.voice.echo import is_asking
from pipecatapp.voice.false_alarms import ALARMS_TOLERATED, means_interruption
from pipecatapp.voice.frames import HearingFailedFrame, NothingHeardFrame, PauseTranscriptionFrame, TurnEndedFrame
from pipecatapp.voice.request_words import RequestWords
from pipecatapp.voice.ringing import Ringer, means_ring, ring_sound
from pipecatapp.voice.synthesis import Synthesizer
from pipecatapp.voice.tts_processor import TtsProcessor
from pipecatapp.voice.vad import START_SECS

logger = logging.getLogger(__name__)

# A clause that the model is slow to finish is spoken as far as it is known after this long, if the speaker is dry.
HURRY_AFTER_S = 0.3
# Sound without words holds the answer back no longer than this (a television, music).
HOLD_AT_MOST_S = 2.5
# Who goes on speaking this soon after the end of a turn that nobody answered yet goes on with the same request.
CONTINUES_WITHIN_S = 4.0
# What was decided on the page waits this long for a pause of the person.
LET_SPEAK_S = 10.0


@dataclass(slots=True)
class _Turn:
    """The answer that is being thought or spoken. ``unasked``: what it tells, where no words asked for it."""

    text: str
    progress: TurnProgress
    task: asyncio.Task[None]
    unasked: str = ""
    false_alarms: int = 0
    written: bool = False


class TwinService(FrameProcessor):
    """One conversation's dialogue.

    Args:
        agent: the brain.
        conversation: its id.
        sink: where states, partial transcripts and errors go.
        synthesizer: the voice.
        benchmark: print the latency block after each turn.
    """

    def __init__(
        self, agent: Brain, conversation: str, sink: EventSink, synthesizer: Synthesizer, *, benchmark: bool = False
    ) -> None:
        super().__init__(name="TwinService")
        self._agent = agent
        self._conversation = conversation
        self._events = DialogueEvents(sink, conversation)
        self._benchmark = benchmark
        self.tts = TtsProcessor(synthesizer, self._events.silent, self._tell_heard)
        self._words = RequestWords()
        self._user_speaking = False
        self._speech_began = 0.0
        self._request_began = 0.0
        self._last_sample = 0.0
        self._final_at: float | None = None
        self._failed_hearing = False
        self._turn: _Turn | None = None
        self._held = False
        self._hold_ends: asyncio.TimerHandle | None = None
        self._one_at_a_time = asyncio.Lock()
        self._person_done = asyncio.Event()
        self._preparing = BackgroundTasks("preparing a turn failed; it only costs time")
        self._ringer = Ringer(self._ring_once, lambda: self._turn is None and not self._hears)
        self.ring = self._ringer.ring

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Turns and words do the work; everything passes on."""
        await super().process_frame(frame, direction)
        await self.push_frame(frame, direction)
        if direction != FrameDirection.DOWNSTREAM:
            return
        match frame:
            case VADUserStartedSpeakingFrame():
                await self._start_listening()
            case VADUserStoppedSpeakingFrame():
                self._stop_listening(frame.stop_secs)
            case InterimTranscriptionFrame():
                await self._take_partial(frame.text, whole=isinstance(frame, PauseTranscriptionFrame))
            case TranscriptionFrame():
                await self._take_words(frame.text)
            case NothingHeardFrame():
                await self._take_nothing()
            case HearingFailedFrame():
                await self._apologize(frame.reason)
            case UserStoppedSpeakingFrame():
                await self.queue_frame(TurnEndedFrame())
            case TurnEndedFrame():
                await self._end_turn()
            case EndFrame() | CancelFrame():
                await self._interrupt()

    async def cleanup(self) -> None:
        """End what runs."""
        await self._ringer.aclose()
        await self._interrupt()
        await self._preparing.cancel()
        await super().cleanup()

    # A turn that was not spoken, through twin/turn_queue.py.

    async def request(self, turn: QueuedTurn) -> None:
        """Answer aloud what was typed or decided; returns when it was spoken or interrupted."""
        async with self._one_at_a_time:
            if turn.approval or turn.notice:
                await self._wait_for_pause()
            while self._turn is not None:
                await asyncio.wait([self._turn.task])
            progress = turn.progress(self._conversation, spoken=True)
            answer = turn.answered_by(self._agent, progress)
            running = self._start_turn(turn.text, progress, answer, turn.approval or turn.notice)
        try:
            await asyncio.wait([running.task])
        except asyncio.CancelledError:
            await self._interrupt(running)
            raise

    async def interrupt(self) -> None:
        """Stop speaking and thinking now."""
        self._words.take()
        self._person_done.set()
        await self._interrupt()

    # Hearing.

    async def _start_listening(self) -> None:
        self._user_speaking = True
        self._speech_began = time.monotonic()
        turn = self._turn
        if turn is None:
            self._events.state("listening")
            if not self._words.begun:
                self._request_began = self._speech_began
                self._words.begin()
                self._prepare("")
        elif turn.false_alarms < ALARMS_TOLERATED and not self._held:
            self._held = True
            self._words.begin()
            await self.tts.hold()
            self._events.state("listening")
            self._hold_ends = asyncio.get_running_loop().call_later(HOLD_AT_MOST_S, self._go_on)

    def _stop_listening(self, silence: float) -> None:
        self._user_speaking = False
        self._last_sample = time.monotonic() - silence
        if self._turn is None and self._words.growing:
            # The recognizer's final pass seldom changes the words, so do not wait for it.
            self._prepare(self._words.text)

    async def _take_partial(self, words: str, *, whole: bool) -> None:
        if self._turn is not None:
            if not self._interrupts(words):
                return
            await self._take_over()
        elif self._is_own_voice(words):
            return
        stable = self._words.hear(words, whole=whole)
        self._events.partial(self._words.text)
        if stable is not None:
            self._prepare(stable)

    async def _take_words(self, words: str) -> None:
        if self._turn is not None:
            if not self._interrupts(words, final=True):
                self._go_on()
                return
            await self._take_over()
        elif self._is_own_voice(words):
            await self._take_nothing()
            return
        self._failed_hearing = False
        self._final_at = time.monotonic()
        self._words.complete(words)
        self._events.partial(self._words.text)
        self._prepare(self._words.text)

    def _interrupts(self, words: str, *, final: bool = False) -> bool:
        """Whether words that come while an answer is made or spoken end it."""
        turn = self._turn
        asked = turn is not None and turn.written and is_asking(turn.progress.text, self.tts.heard_text)
        played = self.tts.own_voice.words_at(self._speech_began)
        if self._ringer.rings and means_ring(words, played):
            return True
        return means_interruption(words, played, final=final, asked=asked)

    def _is_own_voice(self, words: str) -> bool:
        """Whether words that come after an answer are its echo."""
        return self.tts.own_voice.may_be(words, self._speech_began - START_SECS)

    async def _take_nothing(self) -> None:
        self._words.lose()
        if self._turn is not None:
            self._go_on()
        elif not self._words:
            self._person_done.set()
            self._events.state("idle")

    async def _apologize(self, reason: str) -> None:
        if self._turn is not None or self._failed_hearing:
            # Said once; a second failure in a row must not talk over itself.
            self._go_on()
            return
        self._failed_hearing = True
        logger.warning("speech recognition failed: %s", reason)
        self._words.forget()
        self._events.hearing_failed()
        progress = TurnProgress(self._conversation, "voice", spoken=True)
        task = self.create_task(self._say_only(HEARING_FAILED), "apology")
        self._turn = _Turn("", progress, task)

    async def _end_turn(self) -> None:
        self._person_done.set()
        if self._turn is not None or not self._words:
            return
        text = self._words.take()
        progress = TurnProgress(self._conversation, "voice", started=self._last_sample, spoken=True)
        progress.began = self._request_began
        if self._final_at is not None:
            progress.stt_s = max(0.0, self._final_at - self._last_sample)
        self._start_turn(text, progress, self._agent.respond(self._conversation, text, progress.source, progress))

    def _prepare(self, words: str) -> None:
        self._preparing.start(self._agent.prepare(self._conversation, words), "prepare")

    # Answering.

    def _start_turn(
        self, text: str, progress: TurnProgress, answer: AsyncGenerator[str, None], unasked: str = ""
    ) -> _Turn:
        self._events.state("thinking")
        self.tts.begin()
        task = self.create_task(self._answer(answer, progress), "answer")
        turn = self._turn = _Turn(text, progress, task, unasked)
        turn.task.add_done_callback(lambda _: self._finish_turn(turn))
        return turn

    def _finish_turn(self, turn: _Turn) -> None:
        if self._turn is turn:
            self._turn = None
            self._unhold()
            self._events.state("listening" if self._user_speaking else "idle")

    async def _wait_for_pause(self) -> None:
        """What nobody asked for just now does not begin while the person speaks, unless they never stop."""
        if self._hears:
            self._person_done.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LET_SPEAK_S):
                    await self._person_done.wait()

    async def _answer(self, answer: AsyncGenerator[str, None], progress: TurnProgress) -> None:
        splitter = SpokenClauses()
        waiting_since = time.monotonic()
        async with contextlib.aclosing(answer) as pieces:
            async for piece in pieces:
                if not splitter.waiting:
                    waiting_since = time.monotonic()
                clauses = splitter.feed(piece)
                slow = time.monotonic() - waiting_since > HURRY_AFTER_S
                if not clauses and slow and self.tts.idle and self.tts.dry_s < HURRY_AFTER_S:
                    clauses = splitter.hurry()
                if clauses:
                    waiting_since = time.monotonic()
                for clause in clauses:
                    self._say(clause)
        for clause in splitter.finish():
            self._say(clause)
        if self._turn is not None and self._turn.progress is progress:
            self._turn.written = True
        await self.tts.finish()
        self._report(progress)

    def _say(self, clause: Clause) -> None:
        self.tts.say(clause)
        self._events.state("listening" if self._held else "speaking")

    @property
    def _hears(self) -> bool:
        return self._user_speaking or bool(self._words)

    async def _ring_once(self, sentences: Sequence[str]) -> None:
        task = self.create_task(self._say_only(" ".join(sentences), ring_sound()), "ring")
        turn = self._turn = _Turn("", TurnProgress(self._conversation, "notice", spoken=True), task)
        try:
            await asyncio.wait([turn.task])
        except asyncio.CancelledError:
            await self._interrupt(turn)
            raise

    async def _say_only(self, text: str, sound: bytes = b"") -> None:
        self.tts.begin()
        if sound:
            self.tts.sound(sound)
        for clause in clauses_of(text):
            self._say(clause)
        try:
            await self.tts.finish()
        finally:
            self._turn = None
            self._events.state("idle")

    def _report(self, progress: TurnProgress) -> None:
        tts = self.tts
        if tts.first_audio_at is not None and tts.first_clause_at is not None:
            progress.first_audio_s = tts.first_audio_at - tts.first_clause_at
            progress.total_s = tts.first_audio_at - progress.started
        self._agent.finish(progress)
        if self._benchmark:
            sys.stdout.write(benchmark_block(progress) + "\n")
            sys.stdout.flush()

    # Interruption.

    async def _take_over(self) -> None:
        """The person really speaks: end the answer. Nothing of it heard yet: they go on with the same request."""
        turn = self._turn
        if turn is None:
            return
        self._request_began = self._speech_began
        heard = await self._interrupt(turn)
        recent = self._speech_began - turn.progress.started < CONTINUES_WITHIN_S
        if not heard and recent and turn.progress.source == "voice":
            self._words.go_on_with(turn.text)
        self._events.state("listening")

    async def _interrupt(self, turn: _Turn | None = None) -> str:
        """End the turn that runs (only this one, if given); returns what was heard of its answer."""
        running = self._turn
        if running is None or (turn is not None and turn is not running):
            return ""
        self._turn = None
        self._unhold()
        heard = await self.tts.silence()
        if not running.task.done():
            running.task.cancel()
            await asyncio.wait([running.task])
        if running.text or running.unasked:
            await self._agent.record_heard(self._conversation, running.progress.id, heard)
            self._report(running.progress)
        self._events.state("idle")
        return heard

    def _go_on(self) -> None:
        """It was nothing: go on where the sound stopped."""
        if self._turn is None or not self._held:
            return
        self._unhold()
        self._turn.false_alarms += 1
        self.tts.resume()
        self._events.state("speaking")

    def _unhold(self) -> None:
        self._held = False
        if self._hold_ends is not None:
            self._hold_ends.cancel()
            self._hold_ends = None

    def _tell_heard(self, text: str) -> None:
        if self._turn is not None:
            self._events.spoke(self._turn.progress.id, text)
