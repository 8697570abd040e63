"""The background work of long-term memory: vectors for facts that have none, and the index file written anew.

It leaves the embedding model to a recall that waits for it, and tries again what did not work.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Protocol

import numpy as np

from pipecatapp.errors import PipecatAppError
from pipecatapp.memory.fact_index import FactIndex
from pipecatapp.memory.index import Floats
from pipecatapp.storage.journal import SqliteJournal

log = logging.getLogger(__name__)

# Sentences per step: few, because a recall may be waiting for the same model. One write for many.
_STEP = 4
_GROUP = 64
_RETRY_S = 60.0


class TextEmbedder(Protocol):
    """Turns sentences into vectors of length 1. Raises PipecatAppError when it cannot."""

    async def load(self) -> None:
        """Get ready, so that the first text is quick."""

    async def embed(self, texts: Sequence[str]) -> Floats:
        """One row for each text."""


class Upkeep:
    """The work, in a task of its own.

    Args:
        index: the facts.
        journal: in whose thread the index is changed.
        embedder: makes the vectors; None: there are none.
    """

    def __init__(self, index: FactIndex, journal: SqliteJournal, embedder: TextEmbedder | None) -> None:
        self._index = index
        self._journal = journal
        self._embedder = embedder
        self._task: asyncio.Task[None] | None = None
        self._work = asyncio.Event()
        self._settled = asyncio.Event()
        self._nobody_waits = asyncio.Event()
        self._nobody_waits.set()
        self._recalls = 0
        self._to_embed = 0
        self._saving_trouble = self._embedding_trouble = ""

    def start(self) -> None:
        """Begin."""
        self._task = asyncio.create_task(self._tend(), name="memory")
        self._task.add_done_callback(self._ended)
        self.wake()

    async def stop(self) -> None:
        """End it; what is not done yet is found again at the next start."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    def wake(self) -> None:
        """There is something to do."""
        self._settled.clear()
        self._work.set()

    async def settled(self) -> None:
        """Return when everything is done, or has been given up for now."""
        await self._settled.wait()

    @asynccontextmanager
    async def interrupted(self) -> AsyncIterator[None]:
        """Meanwhile the embedding model is somebody else's."""
        self._recalls += 1
        self._nobody_waits.clear()
        try:
            yield
        finally:
            self._recalls -= 1
            if not self._recalls:
                self._nobody_waits.set()

    @property
    def trouble(self) -> str:
        """What is wrong; empty when nothing is."""
        if self._saving_trouble:
            return self._saving_trouble
        if self._embedding_trouble:
            return f"facts are found by their words alone: {self._embedding_trouble}"
        return ""

    @property
    def progress(self) -> float:
        """Which part of the vectors that were to be made is made, 0 to 1."""
        waiting = self._index.without_vector
        return max(0, self._to_embed - waiting) / max(self._to_embed, waiting, 1)

    async def _tend(self) -> None:
        if self._embedder is not None:
            # The first recall need not wait for the model then. A problem is found again below.
            with suppress(PipecatAppError):
                await self._embedder.load()
        while True:
            await self._work.wait()
            self._work.clear()
            self._embedding_trouble = await self._attempt(self._embed_all())
            self._saving_trouble = await self._attempt(self._journal.run(self._index.maintain))
            if not self._work.is_set():
                self._settled.set()
            if self._saving_trouble or self._embedding_trouble:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._work.wait(), _RETRY_S)
                self._work.set()

    async def _attempt(self, work: Awaitable[None]) -> str:
        """Do it; what went wrong."""
        try:
            await work
        except (PipecatAppError, OSError) as error:
            trouble = f"{error}; tried again in {_RETRY_S:.0f} s"
            log.warning("memory: %s", trouble)
            return trouble
        return ""

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self._saving_trouble = f"the background work ended: {error!r}; facts are kept, and found by their words"
            log.error("memory: %s", self._saving_trouble, exc_info=error)
            self._settled.set()

    async def _embed_all(self) -> None:
        if self._embedder is None:
            return
        self._to_embed = self._index.without_vector
        while facts := await asyncio.to_thread(self._index.lacking_vectors, _GROUP):
            rows = []
            for start in range(0, len(facts), _STEP):
                await self._nobody_waits.wait()
                rows.append(await self._embedder.embed([fact.text for fact in facts[start : start + _STEP]]))
            await self._journal.run(self._index.embed, facts, np.concatenate(rows))
            self._to_embed = max(self._to_embed, self._index.without_vector)
