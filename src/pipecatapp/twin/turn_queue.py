"""Typed requests, and what goes on after a person's decision: one turn after the other in each conversation, aloud when
a voice session is attached."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from pipecatapp.domain import ApprovalRequest, Source
from pipecatapp.events import State, StateChanged
from pipecatapp.ports import EventSink
from pipecatapp.twin.agent import Agent
from pipecatapp.twin.turn_progress import TurnProgress, benchmark_block, new_turn_id

logger = logging.getLogger(__name__)


class Answering(Protocol):
    """What of ``Agent`` answers a queued turn."""

    def respond(
        self, conversation: str, text: str, source: Source, progress: TurnProgress | None = None
    ) -> AsyncGenerator[str, None]:
        """The answer, piece by piece."""

    def resume(
        self, conversation: str, approval: str, progress: TurnProgress | None = None
    ) -> AsyncGenerator[str, None]:
        """What came of a call that a person decided, piece by piece."""

    def tell(self, conversation: str, notice: str, progress: TurnProgress | None = None) -> AsyncGenerator[str, None]:
        """What nobody asked for, piece by piece."""


@dataclass(frozen=True, slots=True)
class QueuedTurn:
    """A turn that waits: the words of a request, (``approval``) the id of a decided call that it goes on with, or
    (``notice``) what the agent tells by itself; then ``told`` is called once it was told."""

    text: str
    source: Source
    id: str
    queued_at: float
    approval: str = ""
    notice: str = ""
    told: Callable[[], None] | None = None

    def progress(self, conversation: str, *, spoken: bool = False) -> TurnProgress:
        """The record of this turn."""
        return TurnProgress(conversation, self.source, self.id, self.queued_at, spoken=spoken)

    def answered_by(self, agent: Answering, progress: TurnProgress) -> AsyncGenerator[str, None]:
        """What is said in this turn, piece by piece."""
        if self.approval:
            return agent.resume(progress.conversation, self.approval, progress)
        if self.notice:
            return agent.tell(progress.conversation, self.notice, progress)
        return agent.respond(progress.conversation, self.text, self.source, progress)


class Speaker(Protocol):
    """A voice session that answers aloud what was typed into the same conversation, and rings."""

    async def request(self, turn: QueuedTurn) -> None:
        """Take the turn into the voice pipeline, which runs ``Agent.respond`` or ``Agent.resume``."""

    async def interrupt(self) -> None:
        """Stop speaking now, as if the person had spoken."""

    def ring(self, sentences: Sequence[str]) -> None:
        """Ring from now on, and say these; with none: ring no more."""


@dataclass(slots=True)
class _Lane:
    """The turns of one conversation that were not spoken."""

    waiting: deque[QueuedTurn] = field(default_factory=deque)
    worker: asyncio.Task[None] | None = None
    running: asyncio.Task[None] | None = None
    speaker: Speaker | None = None
    paused: bool = False

    @property
    def idle(self) -> bool:
        """Whether nothing would be lost with it."""
        return not (self.waiting or self.paused or self.speaker) and (self.worker is None or self.worker.done())


class TurnRunner:
    """Runs typed and API requests through the agent.

    Args:
        agent: the brain.
        sink: where state changes go.
        benchmark: print the latency block after each turn that is not spoken (voice prints its own).
    """

    def __init__(self, agent: Agent, sink: EventSink, *, benchmark: bool = False) -> None:
        self._agent = agent
        self._sink = sink
        self._benchmark = benchmark
        self._lanes: dict[str, _Lane] = {}
        agent.on_settled(self.resume)

    async def submit(self, conversation: str, text: str, source: Source = "typed") -> str:
        """Queue a request behind those that wait already; returns the id of its turn at once."""
        return self._queue(conversation, QueuedTurn(text, source, new_turn_id(), time.monotonic()))

    def resume(self, request: ApprovalRequest) -> None:
        """Queue the turn that goes on with a call which was decided, or was not in time."""
        turn = QueuedTurn("", "approval", new_turn_id(), time.monotonic(), request.id)
        self._queue(request.conversation, turn)

    def tell(self, conversation: str, notice: str, told: Callable[[], None]) -> None:
        """Queue what the agent tells by itself; ``told`` is called once it was told, to its end."""
        turn = QueuedTurn("", "notice", new_turn_id(), time.monotonic(), notice=notice, told=told)
        self._queue(conversation, turn)

    def ring(self, sounding: Callable[[str], Sequence[str]]) -> None:
        """Let each voice session ring with the sentences that ``sounding`` says of its conversation."""
        for conversation, lane in self._lanes.items():
            if lane.speaker is not None:
                lane.speaker.ring(sounding(conversation))

    def is_listening(self, conversation: str) -> bool:
        """Whether a voice session is attached to it."""
        lane = self._lanes.get(conversation)
        return lane is not None and lane.speaker is not None

    async def interrupt(self, conversation: str) -> None:
        """Stop what is being said or thought, and forget what waits behind it."""
        lane = self._lane(conversation)
        forgotten = [turn.approval for turn in lane.waiting if turn.approval]
        lane.waiting.clear()
        await self._stop(lane)
        for approval in forgotten:
            await self._agent.abandon(conversation, approval)

    async def pause(self, conversation: str, on: bool) -> None:
        """Paused: quiet at once, and requests wait until resumed."""
        lane = self._lane(conversation)
        if lane.paused == on:
            return
        lane.paused = on
        if on:
            await self._stop(lane)
        self._state(conversation, "paused" if on else "idle")
        if not on:
            self._work(conversation, lane)

    def paused(self, conversation: str) -> bool:
        """Whether the person paused this conversation (voice then does not listen)."""
        lane = self._lanes.get(conversation)
        return lane is not None and lane.paused

    def attach(self, conversation: str, speaker: Speaker) -> None:
        """From now on typed requests of this conversation are answered aloud by ``speaker``."""
        self._lane(conversation).speaker = speaker

    def detach(self, conversation: str, speaker: Speaker) -> None:
        """The voice session ended (another one that was attached since stays)."""
        lane = self._lane(conversation)
        if lane.speaker is speaker:
            lane.speaker = None

    async def aclose(self) -> None:
        """Stop everything that runs; for the end of the program."""
        tasks = [lane.worker for lane in self._lanes.values() if lane.worker]
        for lane in self._lanes.values():
            lane.waiting.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _queue(self, conversation: str, turn: QueuedTurn) -> str:
        lane = self._lane(conversation)
        lane.waiting.append(turn)
        self._work(conversation, lane)
        return turn.id

    def _lane(self, conversation: str) -> _Lane:
        if conversation not in self._lanes:
            self._lanes = {name: lane for name, lane in self._lanes.items() if not lane.idle}
        return self._lanes.setdefault(conversation, _Lane())

    def _work(self, conversation: str, lane: _Lane) -> None:
        if lane.waiting and not lane.paused and (lane.worker is None or lane.worker.done()):
            lane.worker = asyncio.create_task(self._drain(conversation, lane), name=f"turns {conversation}")

    async def _drain(self, conversation: str, lane: _Lane) -> None:
        while lane.waiting and not lane.paused:
            turn = lane.waiting.popleft()
            lane.running = asyncio.create_task(self._run(conversation, lane.speaker, turn))
            try:
                await asyncio.wait([lane.running])
            finally:
                if not lane.running.done():  # we are being ended: only once its turn has ended too
                    lane.running.cancel()
                    await asyncio.wait([lane.running])
            if not lane.running.cancelled() and (error := lane.running.exception()) is not None:
                logger.error("a turn ended with an error that nobody spoke", exc_info=error)
            elif not lane.running.cancelled() and turn.told is not None:
                turn.told()
            if turn.approval:  # nothing is left of it, unless the turn ended before it began
                await self._agent.abandon(conversation, turn.approval)

    async def _run(self, conversation: str, speaker: Speaker | None, turn: QueuedTurn) -> None:
        if speaker is not None:
            await speaker.request(turn)
            return
        progress = turn.progress(conversation)
        self._state(conversation, "thinking")
        try:
            async with contextlib.aclosing(turn.answered_by(self._agent, progress)) as pieces:
                async for _ in pieces:
                    pass
        finally:
            self._state(conversation, "paused" if self.paused(conversation) else "idle")
        if self._benchmark:
            sys.stdout.write(benchmark_block(progress) + "\n")
            sys.stdout.flush()

    async def _stop(self, lane: _Lane) -> None:
        if lane.speaker is not None:
            await lane.speaker.interrupt()
        if lane.running is not None and not lane.running.done():
            lane.running.cancel()
            await asyncio.wait([lane.running])

    def _state(self, conversation: str, state: State) -> None:
        self._sink.emit(StateChanged(conversation=conversation, state=state))
