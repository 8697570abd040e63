"""Long-term memory: what people said that is worth knowing later, in ``long_term_memory.jsonl`` and ``.faiss``.

A fact is safe when ``add`` returns and found by its words at once; the vector that finds it by meaning is computed in
the background, as it is for all facts when the embedding model changes.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import Literal, Protocol

import numpy as np

from pipecatapp.domain import ComponentHealth, Fact, Turn
from pipecatapp.errors import PipecatAppError, StorageError
from pipecatapp.events import MemoryChanged
from pipecatapp.memory.fact_index import FactIndex, NewFact, clean
from pipecatapp.memory.index import Floats
from pipecatapp.memory.notes import Summarise
from pipecatapp.memory.records import FactAdded, StoredFact
from pipecatapp.memory.transfer import ImportReport, parse, to_line
from pipecatapp.ports import EventSink
from pipecatapp.storage.files import Files, RealFiles

log = logging.getLogger(__name__)

# Sentences per step in the background: few, because a recall may be waiting for the same model. One write for many.
_STEP = 4
_GROUP = 64
# How long a recall waits for the query's vector before words alone decide.
_EMBED_TIMEOUT_S = 0.25
_RETRY_S = 60.0
# A correction may be about what was kept so many turns ago.
_LOOK_BACK = 3


class TextEmbedder(Protocol):
    """Turns sentences into vectors of length 1. Raises PipecatAppError when it cannot."""

    async def load(self) -> None:
        """Get ready, so that the first text is quick."""

    async def embed(self, texts: Sequence[str]) -> Floats:
        """One row for each text."""


MemoryChange = Literal["added", "corrected", "forgotten", "imported", "loaded"]


class FaissMemory:
    """Long-term memory in one record file and one FAISS index file; implements ``ports.Memory`` and ``HealthSource``.

    Args:
        folder: where the files are (STATE_DIR).
        embedder: makes the vectors; None: facts are found by their words alone.
        embedding_model: its name; another name than that of the stored vectors makes all of them anew.
        summarise: says what to keep of a turn; None: ``keep`` keeps nothing.
        sink: where changes are told.
    """

    def __init__(
        self,
        folder: Path,
        embedder: TextEmbedder | None,
        *,
        embedding_model: str = "none",
        summarise: Summarise | None = None,
        sink: EventSink | None = None,
        files: Files | None = None,
        clock: Callable[[], float] = time.time,
        embed_timeout_s: float = _EMBED_TIMEOUT_S,
    ) -> None:
        self._book = FactIndex(folder, files or RealFiles(), model=embedding_model, clock=clock)
        self._embedder = embedder
        self._summarise = summarise
        self._sink = sink
        self._embed_timeout_s = embed_timeout_s
        self._worker: asyncio.Task[None] | None = None
        self._work = asyncio.Event()
        self._settled = asyncio.Event()
        self._nobody_waits = asyncio.Event()
        self._nobody_waits.set()
        self._recalls = 0
        self._to_embed = 0
        self._trouble = self._embedding_trouble = ""
        self._starting: asyncio.Task[None] | None = None
        self.notices: Sequence[str] = ()

    def start(self) -> None:
        """Open in the background; ``health`` says how it goes. Until then nothing is recalled, all else waits."""
        self._starting = asyncio.create_task(self._start(), name="open the memory")

    async def open(self) -> None:
        """Read the files; ``notices`` says what was set aside.

        Raises:
            StorageError: another process uses the memory, or it cannot be read or written.
        """
        self.notices = await asyncio.to_thread(self._book.open)
        self._worker = asyncio.create_task(self._tend(), name="memory")
        self._worker.add_done_callback(self._ended)
        self._wake()

    async def _start(self) -> None:
        try:
            await self.open()
        except StorageError as error:
            self._trouble = str(error)
            log.error("long-term memory does not work: %s", error)

    async def _ready(self) -> None:
        if self._starting is not None:
            await asyncio.wait([self._starting])

    async def close(self) -> None:
        """Stop the background work and save the index."""
        await self._ready()
        if self._worker is not None:
            self._worker.cancel()
            with suppress(asyncio.CancelledError):
                await self._worker
            self._worker = None
        await asyncio.to_thread(self._book.close)

    async def recall(self, query: str, limit: int = 3) -> list[Fact]:
        """The facts nearest to ``query``, best first; empty when nothing fits."""
        return await self._find(query, limit, all_that_match=False)

    async def search(self, query: str, limit: int = 50) -> list[Fact]:
        """Like ``recall`` for a person who looks through the memory: badly fitting facts too, at the end."""
        return await self._find(query, limit, all_that_match=True)

    async def keep(self, turn: Turn, before: Sequence[Turn] = ()) -> None:
        """Keep what the summariser finds worth it. Cancelled: notes that were written stay, the others are not made."""
        if self._summarise is None:
            return
        await self._ready()
        related = await self._related(turn, before)
        for note in await self._summarise(turn, before, related):
            if not clean(note.text):
                continue
            corrected = await self.replace(note.replaces, note.text, turn=turn.id) if note.replaces else None
            if corrected is None:
                await self.add(note.text, kind=note.kind, turn=turn.id)

    async def _related(self, turn: Turn, before: Sequence[Turn]) -> list[Fact]:
        """All that comes near, first what was just spoken of: whether the turn corrects it is for the summariser."""
        found: dict[str, Fact] = {}
        for earlier in reversed(before[-_LOOK_BACK:]):
            if (kept := await self.latest([earlier.id])) is not None:
                found[kept.id] = kept
        for words in (f"{turn.user_text} {turn.assistant_text}", *(t.assistant_text for t in before[-1:])):
            found |= {fact.id: fact for fact in await self.search(words, limit=5) if fact.id not in found}
        return list(found.values())

    async def add(self, text: str, *, kind: str = "note", turn: str = "") -> Fact:
        """Keep a fact; said before in the same words it is not kept twice. Returned: it survives a power cut.

        Raises:
            StorageError: it could not be written.
            ValueError: there is no text.
        """
        await self._ready()
        stored = await asyncio.to_thread(self._book.add, [NewFact(_sentence(text), clean(kind) or "note", turn)])
        self._changed("added", stored[0].text)
        return _fact(stored[0])

    async def replace(self, fact_id: str, text: str, *, turn: str = "") -> Fact | None:
        """Correct a fact; the old one becomes history. None when there is no such fact.

        Raises:
            StorageError: it could not be written.
            ValueError: there is no text.
        """
        number = _number(fact_id)
        await self._ready()
        stored = await asyncio.to_thread(self._book.correct, number, _sentence(text), turn)
        if stored:
            self._changed("corrected", stored.text)
        return _fact(stored) if stored else None

    async def merge(self, into: str, duplicates: Iterable[str]) -> Fact | None:
        """Let one fact stand for others that say the same; they become history. None when there is no such fact.

        Raises:
            StorageError: it could not be written.
        """
        dropped = [_number(fact_id) for fact_id in duplicates]
        stored = await asyncio.to_thread(self._book.merge, _number(into), dropped)
        if stored:
            self._changed("corrected", stored.text)
        return _fact(stored) if stored else None

    async def forget(self, fact_ids: Iterable[str]) -> list[Fact]:
        """Forget facts and their history; returns what was forgotten. Their text leaves the disk soon after.

        Raises:
            StorageError: it could not be written.
        """
        await self._ready()
        gone = await asyncio.to_thread(self._book.forget, [_number(fact_id) for fact_id in fact_ids])
        if gone:
            self._changed("forgotten", gone[0].text)
        return [_fact(fact) for fact in gone]

    async def facts(self, *, kind: str = "", offset: int = 0, limit: int = 100) -> list[StoredFact]:
        """A page of the facts, the newest first; of one kind when it is named."""
        await self._ready()

        def page() -> list[StoredFact]:
            chosen = (fact for fact in reversed(self._book.facts()) if not kind or fact.kind == kind)
            return list(islice(chosen, offset, offset + limit))

        return await asyncio.to_thread(page)

    async def count(self, kind: str = "") -> int:
        """How many facts there are, of one kind when it is named."""
        await self._ready()
        if not kind:
            return len(self)
        return await asyncio.to_thread(lambda: sum(fact.kind == kind for fact in self._book.facts()))

    async def latest(self, turns: Sequence[str]) -> Fact | None:
        """The newest fact that was kept from one of these turns."""
        await self._ready()
        found = await asyncio.to_thread(self._book.latest, frozenset(turns))
        return _fact(found) if found else None

    async def get(self, fact_id: str) -> StoredFact | None:
        """One fact with all that is known of it."""
        return await asyncio.to_thread(self._book.get, _number(fact_id))

    async def history(self, fact_id: str) -> Sequence[StoredFact]:
        """What the fact corrected or was merged with, the latest first."""
        return await asyncio.to_thread(self._book.history, _number(fact_id))

    async def export(self) -> AsyncIterator[str]:
        """All facts as JSON Lines, the oldest first, without their history."""
        await self._ready()
        for fact in await asyncio.to_thread(self._book.facts):
            yield to_line(fact)

    async def import_lines(self, lines: Iterable[str]) -> ImportReport:
        """Add the facts of an export. Lines that are no facts are refused one by one, the others are kept.

        Raises:
            StorageError: they could not be written; some may be kept already.
        """
        await self._ready()
        parsed = await asyncio.to_thread(parse, lines)
        before = len(self._book)
        await asyncio.to_thread(self._book.add, parsed.facts)
        added = len(self._book) - before
        if parsed.facts:
            self._changed("imported", "")
        return ImportReport(added, len(parsed.facts) - added, parsed.refused)

    async def everything(self) -> Iterator[FactAdded]:
        """The facts as they are and what they replaced, as records; reading on may block for a moment."""
        await self._ready()
        return self._book.everything()

    async def replace_all(self, kept: Iterable[FactAdded]) -> None:
        """Put the facts of ``everything``, then or elsewhere, in the place of all: all of them or none.

        Raises:
            StorageError: they could not be written; the old facts are still there.
        """
        await self._ready()
        await asyncio.to_thread(self._book.replace, kept)
        self._changed("loaded", "")

    def __len__(self) -> int:
        return len(self._book)

    async def settled(self) -> None:
        """Return when the background work is done, or has given up for now."""
        await self._settled.wait()

    async def health(self) -> ComponentHealth:
        """Whether facts are kept and found; ``progress`` while vectors are made. The agent answers without it too."""
        if trouble := self._what_is_wrong():
            return ComponentHealth("memory", ok=False, reason=trouble, vital=False)
        waiting = self._book.without_vector if self._embedder is not None else 0
        if not waiting:
            return ComponentHealth("memory", ok=True, reason="; ".join(self.notices) or self._how, vital=False)
        done = max(0, self._to_embed - waiting)
        return ComponentHealth(
            "memory",
            ok=True,
            reason=f"{waiting} facts are found by their words alone until their meaning is computed",
            progress=done / max(self._to_embed, waiting),
            vital=False,
        )

    def _what_is_wrong(self) -> str:
        if self._starting is not None and not self._starting.done():
            return "it is being read"
        if self._trouble:
            return self._trouble
        if self._worker is None:
            return "the memory is not open"
        if self._embedding_trouble:
            return f"facts are found by their words alone: {self._embedding_trouble}"
        return ""

    async def _find(self, query: str, limit: int, *, all_that_match: bool) -> list[Fact]:
        if not query.strip() or limit < 1 or self._worker is None:
            return []
        async with self._waiting():
            vector = await self._query_vector(query)
            found = await asyncio.to_thread(self._book.find, query, vector, limit, all_that_match=all_that_match)
        return [_fact(fact, score) for fact, score in found]

    async def _query_vector(self, query: str) -> Floats | None:
        if self._embedder is None or not self._book.any_vectors:
            return None
        try:
            async with asyncio.timeout(self._embed_timeout_s):
                rows: Floats = await self._embedder.embed([query])
        except TimeoutError:
            log.info("the query's vector took longer than %s s; words alone decide", self._embed_timeout_s)
            return None
        except PipecatAppError as error:
            log.warning("no vector for the query: %s", error)
            return None
        vector: Floats = rows[0]
        return vector

    @asynccontextmanager
    async def _waiting(self) -> AsyncIterator[None]:
        """While a recall is under way, the background work leaves the embedding model to it."""
        self._recalls += 1
        self._nobody_waits.clear()
        try:
            yield
        finally:
            self._recalls -= 1
            if not self._recalls:
                self._nobody_waits.set()

    @property
    def _how(self) -> str:
        return "" if self._embedder is not None else "facts are found by their words alone (no embedding model)"

    def _changed(self, change: MemoryChange, text: str) -> None:
        self._wake()
        if self._sink is not None:
            self._sink.emit(MemoryChanged(change=change, fact=text, total=len(self._book)))

    def _wake(self) -> None:
        self._settled.clear()
        self._work.set()

    async def _tend(self) -> None:
        """The background work: vectors for new facts, and files written anew."""
        if self._embedder is not None:
            # The first recall need not wait for the model then. A problem is found again below.
            with suppress(PipecatAppError):
                await self._embedder.load()
        while True:
            await self._work.wait()
            self._work.clear()
            self._embedding_trouble = await self._attempt(self._embed_all())
            self._trouble = await self._attempt(asyncio.to_thread(self._book.maintain))
            if not self._work.is_set():
                self._settled.set()
            if self._trouble or self._embedding_trouble:
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

    def _ended(self, worker: asyncio.Task[None]) -> None:
        if not worker.cancelled() and (error := worker.exception()) is not None:
            self._trouble = f"the background work ended: {error!r}; facts are kept, and found by their words"
            log.error("memory: %s", self._trouble, exc_info=error)
            self._settled.set()

    async def _embed_all(self) -> None:
        if self._embedder is None:
            return
        self._to_embed = self._book.without_vector
        while facts := await asyncio.to_thread(self._book.lacking_vectors, _GROUP):
            rows = []
            for start in range(0, len(facts), _STEP):
                await self._nobody_waits.wait()
                rows.append(await self._embedder.embed([fact.text for fact in facts[start : start + _STEP]]))
            await asyncio.to_thread(self._book.embed, facts, np.concatenate(rows))
            self._to_embed = max(self._to_embed, self._book.without_vector)


def _sentence(text: str) -> str:
    sentence = clean(text)
    if not sentence:
        raise ValueError("there is nothing to remember: the text is empty")
    return sentence


def _number(fact_id: str) -> int:
    """The number of a fact; 0, which no fact has, for what cannot be one."""
    return int(fact_id) if fact_id.isascii() and fact_id.isdigit() and len(fact_id) < 19 else 0


def _fact(stored: StoredFact, score: float = 0.0) -> Fact:
    return Fact(str(stored.id), stored.text, min(1.0, score), stored.kind, stored.created_at)
