"""Long-term memory: what people said that is worth knowing later, in the journal and ``long_term_memory.faiss``.

A fact is safe when ``add`` returns and found by its words at once; the vector that finds it by meaning is computed in
the background (upkeep.py).
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Literal

from pipecatapp.domain import ComponentHealth, Fact, Turn
from pipecatapp.errors import PipecatAppError, StorageError
from pipecatapp.events import MemoryChanged
from pipecatapp.memory.fact_candidates import Summarise
from pipecatapp.memory.fact_index import FactIndex, NewFact, clean
from pipecatapp.memory.index import Floats
from pipecatapp.memory.telling import Telling
from pipecatapp.memory.transfer import ImportReport, parse, to_line
from pipecatapp.memory.upkeep import TextEmbedder, Upkeep
from pipecatapp.ports import EventSink
from pipecatapp.storage.erasure import Eraser, Erasure
from pipecatapp.storage.fact_table import FactTable
from pipecatapp.storage.journal import SqliteJournal
from pipecatapp.storage.records import FactAdded, StoredFact

log = logging.getLogger(__name__)

# How long a recall waits for the query's vector before words alone decide.
_EMBED_TIMEOUT_S = 0.25
# A correction may be about what was kept so many turns ago.
_LOOK_BACK = 3


MemoryChange = Literal["added", "corrected", "forgotten", "imported", "loaded"]


class FaissMemory:
    """Long-term memory in the journal and one FAISS index file; implements ``ports.FactStore`` and ``HealthSource``.

    Args:
        folder: where the index file is (STATE_DIR).
        journal: where the facts are.
        table: its read model of the facts.
        embedder: makes the vectors; None: facts are found by their words alone.
        embedding_model: its name; another name than that of the stored vectors makes all of them anew.
        summarise: says what to keep of a turn; None: ``keep`` keeps nothing.
        sink: where changes are told.
    """

    def __init__(
        self,
        folder: Path,
        journal: SqliteJournal,
        table: FactTable,
        embedder: TextEmbedder | None,
        *,
        embedding_model: str = "none",
        summarise: Summarise | None = None,
        sink: EventSink | None = None,
        clock: Callable[[], float] = time.time,
        embed_timeout_s: float = _EMBED_TIMEOUT_S,
    ) -> None:
        self._journal = journal
        self._index = FactIndex(folder, journal, table, model=embedding_model, clock=clock)
        self._embedder = embedder
        self._upkeep = Upkeep(self._index, journal, embedder)
        self._summarise = summarise
        self._sink = sink
        self._embed_timeout_s = embed_timeout_s
        self._erasers: list[Eraser] = []
        self._forgotten: list[Erasure] = []  # by the turns that are not stored yet
        self._trouble = ""
        self._open = False
        self._starting: asyncio.Task[None] | None = None
        self.notices: Sequence[str] = ()

    def erase_also(self, eraser: Eraser) -> None:
        """Before facts are forgotten, have copies of them erased here."""
        self._erasers.append(eraser)

    def start(self) -> None:
        """Open in the background; ``health`` says how it goes. Until then nothing is recalled, all else waits."""
        self._starting = asyncio.create_task(self._start(), name="open the memory")

    async def open(self) -> None:
        """Read the files; ``notices`` says what was set aside.

        Raises:
            StorageError: another process uses the memory, or it cannot be read or written.
        """
        await self._journal.run(self._index.read)
        self.notices = await asyncio.to_thread(self._index.build)
        await self._journal.run(self._index.complete)
        self._open = True
        self._upkeep.start()

    async def _start(self) -> None:
        try:
            await self.open()
        except StorageError as error:
            self._trouble = str(error)
            log.error("long-term memory does not work: %s", error)

    async def _ready(self) -> None:
        if self._starting is not None:
            await asyncio.wait([self._starting])

    async def reread(self) -> None:
        """All facts are others now: go on with those that are stored. Raises StorageError."""
        await self._ready()
        await self._journal.run(self._index.reread)
        self._changed("loaded", "")

    async def close(self) -> None:
        """Stop the background work and save the index. The journal stays open."""
        await self._ready()
        await self._upkeep.stop()
        if self._open:
            await self._journal.run(self._index.close)
        self._open = False

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
        stored = await self._journal.run(self._index.add, [NewFact(_sentence(text), clean(kind) or "note", turn)])
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
        stored = await self._journal.run(self._index.correct, number, _sentence(text), turn)
        if stored:
            self._changed("corrected", stored.text)
        return _fact(stored) if stored else None

    async def merge(self, into: str, duplicates: Iterable[str]) -> Fact | None:
        """Let one fact stand for others that say the same; they become history. None when there is no such fact.

        Raises:
            StorageError: it could not be written.
        """
        dropped = [_number(fact_id) for fact_id in duplicates]
        stored = await self._journal.run(self._index.merge, _number(into), dropped)
        if stored:
            self._changed("corrected", stored.text)
        return _fact(stored) if stored else None

    async def forget(self, fact_ids: Iterable[str]) -> list[Fact]:
        """Forget facts and their history; returns what was forgotten. Nothing finds them again, and soon no byte of
        them is left on the disk, nor of the turns in which they were said.

        Raises:
            StorageError: it could not be written; the facts are still there, though perhaps in fewer copies.
        """
        await self._ready()
        numbers = [_number(fact_id) for fact_id in fact_ids]
        if erasure := await self._journal.run(self._to_erase, numbers):
            await self._erase(erasure)
            self._forgotten.append(erasure)
        gone = await self._journal.run(self._index.forget, numbers)
        if gone:
            self._changed("forgotten", gone[0].text)
        return [_fact(fact) for fact in gone]

    async def finish_forgetting(self) -> None:
        """A turn is stored now: where it had facts forgotten, what it repeats of them goes too.

        Raises:
            StorageError: it could not be written.
        """
        forgotten, self._forgotten = self._forgotten, []
        for erasure in forgotten:
            await self._erase(erasure)

    async def _erase(self, erasure: Erasure) -> None:
        try:
            for erase in self._erasers:
                await erase(erasure)
        except OSError as error:
            raise StorageError(f"a copy of what should be forgotten cannot be erased: {error}") from error

    def _to_erase(self, numbers: Sequence[int]) -> Erasure | None:
        known = [fact for number in numbers if (fact := self._index.get(number))]
        said = [*known, *(earlier for fact in known for earlier in self._index.history(fact.id))]
        texts = [fact.text for fact in said]
        return Erasure(texts, [fact.turn for fact in said], Telling(texts)) if said else None

    async def facts(self, *, kind: str = "", offset: int = 0, limit: int = 100) -> list[StoredFact]:
        """A page of the facts, the newest first; of one kind when it is named."""
        await self._ready()

        def page() -> list[StoredFact]:
            chosen = (fact for fact in reversed(self._index.facts()) if not kind or fact.kind == kind)
            return list(islice(chosen, offset, offset + limit))

        return await asyncio.to_thread(page)

    async def newest(self, limit: int) -> list[str]:
        """What the facts say that were kept last, the newest first."""
        return [fact.text for fact in await self.facts(limit=limit)]

    async def count(self, kind: str = "") -> int:
        """How many facts there are, of one kind when it is named."""
        await self._ready()
        if not kind:
            return len(self)
        return await asyncio.to_thread(lambda: sum(fact.kind == kind for fact in self._index.facts()))

    async def latest(self, turns: Sequence[str]) -> Fact | None:
        """The newest fact that was kept from one of these turns."""
        await self._ready()
        found = await self._journal.run(self._index.latest, frozenset(turns))
        return _fact(found) if found else None

    async def get(self, fact_id: str) -> StoredFact | None:
        """One fact with all that is known of it."""
        return self._index.get(_number(fact_id))

    async def history(self, fact_id: str) -> Sequence[StoredFact]:
        """What the fact corrected or was merged with, the latest first."""
        return await self._journal.run(self._index.history, _number(fact_id))

    async def export(self) -> AsyncIterator[str]:
        """All facts as JSON Lines, the oldest first, without their history."""
        await self._ready()
        for fact in await asyncio.to_thread(self._index.facts):
            yield to_line(fact)

    async def import_lines(self, lines: Iterable[str]) -> ImportReport:
        """Add the facts of an export. Lines that are no facts are refused one by one, the others are kept.

        Raises:
            StorageError: they could not be written; some may be kept already.
        """
        await self._ready()
        parsed = await asyncio.to_thread(parse, lines)
        before = len(self._index)
        await self._journal.run(self._index.add, parsed.facts)
        added = len(self._index) - before
        if parsed.facts:
            self._changed("imported", "")
        return ImportReport(added, len(parsed.facts) - added, parsed.refused)

    async def everything(self) -> Iterator[FactAdded]:
        """The facts as they are and what they replaced, as records; reading on may block for a moment."""
        await self._ready()
        return await self._journal.run(self._index.everything)

    async def replace_all(self, kept: Iterable[FactAdded]) -> None:
        """Put the facts of ``everything``, then or elsewhere, in the place of all: all of them or none.

        Raises:
            StorageError: they could not be written; the old facts are still there.
        """
        await self._ready()
        await self._journal.run(self._index.replace, kept)
        self._changed("loaded", "")

    def __len__(self) -> int:
        return len(self._index)

    async def settled(self) -> None:
        """Return when the background work is done, or has given up for now."""
        await self._upkeep.settled()

    async def health(self) -> ComponentHealth:
        """Whether facts are kept and found; ``progress`` while vectors are made. The agent answers without it too."""
        if trouble := self._what_is_wrong():
            return ComponentHealth("memory", ok=False, reason=trouble, vital=False)
        waiting = self._index.without_vector if self._embedder is not None else 0
        if not waiting:
            return ComponentHealth("memory", ok=True, reason="; ".join(self.notices) or self._how, vital=False)
        return ComponentHealth(
            "memory",
            ok=True,
            reason=f"{waiting} facts are found by their words alone until their meaning is computed",
            progress=self._upkeep.progress,
            vital=False,
        )

    def _what_is_wrong(self) -> str:
        if self._starting is not None and not self._starting.done():
            return "it is being read"
        if self._trouble:
            return self._trouble
        return self._upkeep.trouble if self._open else "the memory is not open"

    async def _find(self, query: str, limit: int, *, all_that_match: bool) -> list[Fact]:
        if not query.strip() or limit < 1 or not self._open:
            return []
        async with self._upkeep.interrupted():
            vector = await self._query_vector(query)
            found = await asyncio.to_thread(self._index.find, query, vector, limit, all_that_match=all_that_match)
        return [_fact(fact, score) for fact, score in found]

    async def _query_vector(self, query: str) -> Floats | None:
        if self._embedder is None or not self._index.any_vectors:
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

    @property
    def _how(self) -> str:
        return "" if self._embedder is not None else "facts are found by their words alone (no embedding model)"

    def _changed(self, change: MemoryChange, text: str) -> None:
        self._upkeep.wake()
        if self._sink is not None:
            self._sink.emit(MemoryChanged(change=change, fact=text, total=len(self._index)))


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
