"""Gives finished turns to long-term memory while nobody needs the engine, and stops at once when somebody speaks.

A turn whose keeping was stopped waits for the next pause. Afterwards the conversation's prompt is evaluated again: on
an engine with one slot, what was kept has taken its place in the cache.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

from pipecatapp.domain import Turn
from pipecatapp.errors import ModelError
from pipecatapp.ports import ChatModel, Memory

logger = logging.getLogger(__name__)

# So long nobody has spoken before the engine is asked what to keep. A compact model is not asked: it costs nothing.
PAUSE_S = 4.0
# Turns that wait; in a house that never pauses the oldest are given up.
WAITING = 32


class MemoryConsolidator:
    """Keeps turns one after the other.

    Args:
        memory: what keeps them; None: nothing is kept.
        model: whose style says whether keeping needs the engine.
        after: called with the conversation whose prompt may have left the engine's cache.
        pause_s: how long a pause must be.
    """

    def __init__(
        self, memory: Memory | None, model: ChatModel, after: Callable[[str], None], *, pause_s: float = PAUSE_S
    ) -> None:
        self._memory = memory
        self._model = model
        self._after = after
        self._pause_s = pause_s
        self._waiting: deque[tuple[str, Turn, Sequence[Turn]]] = deque(maxlen=WAITING)
        self._busy = 0
        self._task: asyncio.Task[None] | None = None

    def add(self, conversation: str, turn: Turn, before: Sequence[Turn]) -> None:
        """Keep what is worth it of this turn, later, where a person spoke in it; ``before`` are those before it."""
        if self._memory is not None and turn.speaker == "person":
            self._waiting.append((conversation, turn, before))
            self._begin()

    def disturb(self) -> None:
        """Somebody speaks: what is being kept waits for the next pause."""
        self._stop()
        self._begin()

    @asynccontextmanager
    async def busy(self) -> AsyncIterator[None]:
        """While the engine is needed nothing is kept."""
        self._busy += 1
        self._stop()
        try:
            yield
        finally:
            self._busy -= 1
            self._begin()

    async def wait_kept(self) -> None:
        """Return when nothing waits any more."""
        while self._task is not None and not self._task.done():
            await asyncio.wait([self._task])

    async def aclose(self) -> None:
        """Stop. Turns that wait are given up, but for those that cost nothing."""
        self._pause_s = 0.0
        if self._task is not None and not self._task.done() and not await self._costs():
            await asyncio.wait([self._task], timeout=1.0)
        self._waiting.clear()
        task = self._task
        self._stop()
        if task is not None:
            await asyncio.wait([task])

    def _begin(self) -> None:
        if self._waiting and not self._busy and (self._task is None or self._task.done()):
            self._task = asyncio.create_task(self._work(), name="keep turns")

    def _stop(self) -> None:
        task, self._task = self._task, None
        if task is not None:
            task.cancel()

    async def _work(self) -> None:
        while self._waiting and self._memory is not None:
            costs = await self._costs()
            if costs:
                await asyncio.sleep(self._pause_s)
            conversation, turn, before = self._waiting[0]
            try:
                await self._memory.keep(turn, before)
            except Exception:
                logger.exception("a turn could not be kept in long-term memory")
            if self._waiting and self._waiting[0][1] is turn:
                self._waiting.popleft()
            if costs and not self._waiting:
                self._after(conversation)

    async def _costs(self) -> bool:
        """Whether keeping a turn needs the engine."""
        try:
            return (await self._model.profile()).summarises
        except ModelError:
            return True
