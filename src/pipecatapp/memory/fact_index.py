"""The facts with everything that finds them again: their table, the keyword index and the vector index, always in step.

Methods block. What changes or reads the table is for the journal's thread (``SqliteJournal.run``); ``find``, ``get``,
``facts`` and the counts look at what lies in memory and may be called from any thread at any time.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from pipecatapp.memory.index import Floats, VectorIndex, pack, unpack
from pipecatapp.memory.keywords import KeywordIndex
from pipecatapp.memory.ranking import rank
from pipecatapp.ports import JournalEvent
from pipecatapp.storage.fact_table import TOPIC, FactTable, same_words
from pipecatapp.storage.journal import SqliteJournal
from pipecatapp.storage.records import FactAdded, Merged, Record, StoredFact, Vector, from_body, said_again, to_body

log = logging.getLogger(__name__)

NAME = "long_term_memory"
_BATCH = 512
# A longer text is no fact; it would not fit the prompt either.
MAX_TEXT = 2000


@dataclass(frozen=True, slots=True)
class NewFact:
    """A fact that is not stored yet."""

    text: str
    kind: str = "note"
    turn: str = ""
    created_at: float | None = None
    seen: int = 1


def clean(text: str) -> str:
    """The text on one line, without characters that cannot be stored, no longer than a fact may be."""
    printable = "".join(character if character.isprintable() else " " for character in text)
    return " ".join(printable.encode("utf-8", "replace").decode().split())[:MAX_TEXT].rstrip()


class FactIndex:
    """All facts of a journal, for as long as it is open.

    Args:
        folder: where the FAISS file is.
        journal: one that was made with this table.
        table: the read model.
        model: the name of the embedding model.
        clock: seconds since 1970.
    """

    def __init__(
        self, folder: Path, journal: SqliteJournal, table: FactTable, *, model: str, clock: Callable[[], float]
    ) -> None:
        self.index_path = folder / f"{NAME}.faiss"
        self.vectors = VectorIndex(model)
        self._journal = journal
        self._table = table
        self._clock = clock
        # Those that can be recalled, oldest first.
        self._live: dict[int, StoredFact] = {}
        self._keywords = KeywordIndex()
        # In the order in which they should get one.
        self._without_vector: dict[int, None] = {}
        self._reading = threading.Lock()
        self._identity = ""
        self._stored: Sequence[int] = ()  # facts with a vector in the table
        self._unsaved = 0
        self._forgotten = False

    def open(self) -> list[str]:
        """Read everything; what a person should know of what was found.

        Raises:
            StorageError: another process uses it, or it cannot be read or written.
        """
        self.read()
        notices = self.build()
        self.complete()
        return notices

    def reread(self) -> None:
        """All facts are others now: read them as at the beginning. Raises StorageError."""
        self._read_table()
        self.build()
        self.complete()

    # ``open`` in three steps: with many facts the second takes seconds, and is for no thread that others wait for.

    def read(self) -> None:
        """Open the journal and read the table. Raises StorageError."""
        self._journal.open_now()
        self._journal.follow(TOPIC, self._follow)
        self._read_table()

    def build(self) -> list[str]:
        """Read the vectors and index what was read; nothing else may happen to the facts meanwhile."""
        notices = []
        try:
            notice = self.vectors.load(self.index_path, self._identity, self._clock())
        except OSError as error:
            notice = f"{self.index_path.name} cannot be read ({error}); it is built anew"
        if notice:
            log.warning("%s", notice)
            notices.append(notice)
        self._index_words()
        return [*self._journal.notices, *notices]

    def complete(self) -> None:
        """Add the vectors that the index file lacks and the table has."""
        with self._reading:
            before = len(self.vectors)
            self.vectors.remove([fact_id for fact_id in self.vectors.ids() if fact_id not in self._live])
            self._unsaved += before - len(self.vectors)
            lacking = [fact_id for fact_id in self._stored if fact_id in self._live and fact_id not in self.vectors]
            for start in range(0, len(lacking), _BATCH):
                self._add_stored(lacking[start : start + _BATCH])
            self._without_vector = dict.fromkeys(fact_id for fact_id in self._live if fact_id not in self.vectors)

    def close(self) -> None:
        """Save the index. Everything acknowledged is safe without it, only slower to open."""
        if self._unsaved:
            self._save_index()

    def __len__(self) -> int:
        return len(self._live)

    def get(self, fact_id: int) -> StoredFact | None:
        """The fact, if it can be recalled."""
        return self._live.get(fact_id)

    def facts(self) -> list[StoredFact]:
        """All that can be recalled, oldest first."""
        with self._reading:
            return list(self._live.values())

    def latest(self, turns: Collection[str]) -> StoredFact | None:
        """The newest fact that was kept from one of these turns."""
        return self._table.latest(self._journal.database, turns)

    def history(self, fact_id: int) -> list[StoredFact]:
        """What the fact corrected or was merged with, the latest first."""
        return self._table.history(self._journal.database, fact_id)

    def find(
        self, query: str, vector: Floats | None, limit: int, *, all_that_match: bool = False
    ) -> list[tuple[StoredFact, float]]:
        """The facts that fit the query best, with their scores."""
        with self._reading:
            ranked = rank(query, vector, self._keywords, self.vectors, limit, all_that_match=all_that_match)
            return [(fact, score) for fact_id, score in ranked if (fact := self._live.get(fact_id))]

    def add(self, new: Sequence[NewFact]) -> list[StoredFact]:
        """Keep facts. One that is there in the same words is not kept twice: its count goes up."""
        stored = []
        for start in range(0, len(new), _BATCH):
            stored += self._add_batch(new[start : start + _BATCH])
        return stored

    def correct(self, fact_id: int, text: str, turn: str) -> StoredFact | None:
        """Put a new text in place of a fact, which becomes history; None when there is no such fact."""
        database = self._journal.database
        old = self._table.get(database, fact_id)
        if old is None:
            return None
        same = self._table.same_as(database, text)
        if same is not None and same.text == text:
            return self._merge(same.id, (fact_id,))
        now = self._clock()
        olds = tuple(dict.fromkeys([old.id, *([same.id] if same else [])]))
        fact = StoredFact(self._table.next_id(database), text, old.kind, turn, now, last_seen=now, supersedes=olds)
        self._append([FactAdded(fact)])
        return fact

    def merge(self, into: int, dropped: Iterable[int]) -> StoredFact | None:
        """Let one fact stand for others that say the same; None when there is no such fact."""
        if self._table.get(self._journal.database, into) is None:
            return None
        return self._merge(into, tuple(dropped))

    def forget(self, ids: Iterable[int]) -> list[StoredFact]:
        """Erase facts with their history; those that were there."""
        found = [fact for fact_id in dict.fromkeys(ids) if (fact := self._table.get(self._journal.database, fact_id))]
        if found:
            self._journal.erase_now(TOPIC, [str(fact.id) for fact in found])
            self._forgotten = True
        return found

    def lacking_vectors(self, limit: int) -> list[StoredFact]:
        """Facts that are found by their words alone so far."""
        with self._reading:
            return [fact for fact_id in islice(self._without_vector, limit) if (fact := self._live.get(fact_id))]

    @property
    def without_vector(self) -> int:
        """How many facts are found by their words alone so far."""
        return len(self._without_vector)

    @property
    def any_vectors(self) -> bool:
        """Whether a fact can be found by its meaning."""
        return len(self.vectors) > 0

    def embed(self, facts: Sequence[StoredFact], vectors: Floats) -> None:
        """Keep the vectors of facts. A fact that is gone meanwhile is passed over."""
        places = [place for place, fact in enumerate(facts) if fact.id in self._live]
        if not places:
            return
        ids = [facts[place].id for place in places]
        packed = [Vector(self.vectors.model, pack(vectors[place])) for place in places]
        database = self._journal.database
        with database.transaction():
            self._table.put_vectors(database, dict(zip(ids, packed, strict=True)))
        with self._reading:
            self.vectors.add(ids, np.stack([unpack(vector.data) for vector in packed]))
            for fact_id in ids:
                self._without_vector.pop(fact_id, None)
        self._unsaved += len(ids)

    def everything(self) -> Iterator[FactAdded]:
        """The facts as they are and what they replaced, with their vectors: what ``replace`` takes.

        What it gives may be read in any thread; vectors are those that the facts have by then.
        """
        return map(self._with_vector, list(self._table.everything(self._journal.database)))

    def _with_vector(self, fact: StoredFact) -> FactAdded:
        with self._reading:
            return FactAdded(fact, self.vectors.vector(fact.id))

    def replace(self, kept: Iterable[FactAdded]) -> None:
        """Put other facts, from ``everything`` of whatever journal, in the place of all. They get new ids.

        Raises:
            StorageError: they could not be written; the old facts are still there.
        """
        others = list(kept)
        database = self._journal.database
        first = self._table.next_id(database)
        new_id = {record.fact.id: first + number for number, record in enumerate(others)}
        records, vectors = [], {}
        for record in others:
            olds = tuple(new_id[old] for old in record.fact.supersedes if old in new_id)
            fact = replace(record.fact, id=new_id[record.fact.id], supersedes=olds)
            records.append(to_body(FactAdded(fact)))
            if record.vector is not None and record.vector.model == self.vectors.model:
                vectors[fact.id] = record.vector
        self._journal.append_now(
            JournalEvent(TOPIC, {"all": records, "next": first + len(others)}), self._journal.position(TOPIC)
        )
        with database.transaction():
            self._table.put_vectors(database, vectors)
        self._read_table()
        self._index_words()
        self.complete()
        self._save_index()

    def maintain(self) -> None:
        """Write the FAISS file anew when much has changed, at once when it holds something forgotten."""
        if self._forgotten or self._unsaved > max(_BATCH, len(self.vectors) // 10):
            self._save_index()
        self._forgotten = False

    def _add_batch(self, new: Sequence[NewFact]) -> list[StoredFact]:
        now = self._clock()
        database = self._journal.database
        records: list[Record] = []
        ids: list[int] = []
        # Within one batch the table does not know the facts yet.
        fresh: dict[str, int] = {}
        next_id = self._table.next_id(database)
        for item in new:
            same = self._table.same_as(database, item.text)
            known = same.id if same is not None else fresh.get(same_words(item.text))
            if known is not None:
                records.append(Merged(known, (), now))
                ids.append(known)
                continue
            created = now if item.created_at is None else item.created_at
            fact = StoredFact(next_id, item.text, item.kind, item.turn, created, item.seen, created)
            records.append(FactAdded(fact))
            ids.append(fact.id)
            fresh[same_words(item.text)] = fact.id
            next_id += 1
        self._append(records)
        return [stored for fact_id in ids if (stored := self._table.get(database, fact_id))]

    def _merge(self, into: int, dropped: tuple[int, ...]) -> StoredFact | None:
        self._append([Merged(into, dropped, self._clock())])
        return self._table.get(self._journal.database, into)

    def _append(self, records: Sequence[Record]) -> None:
        event = JournalEvent(TOPIC, {"records": [to_body(record) for record in records]})
        # What was read to make them must still be so.
        self._journal.append_now(event, self._journal.position(TOPIC))

    def _follow(self, body: Mapping[str, Any]) -> None:
        """Do to what lies in memory what an event did to the table."""
        if "all" in body:
            return  # read whole afterwards
        with self._reading:
            for each in body.get("records", ()):
                match from_body(each):
                    case FactAdded(fact=fact):
                        self._drop(fact.supersedes)
                        self._live[fact.id] = fact
                        self._keywords.add(fact.id, fact.text)
                        self._without_vector[fact.id] = None
                    case Merged(into=into, dropped=dropped, at=at) if into in self._live:
                        known = tuple(old for old in dropped if old in self._live and old != into)
                        self._live[into] = said_again(self._live[into], known, at)
                        self._drop(known)
            self._drop([int(gone) for gone in body.get("erase", ())])

    def _drop(self, ids: Sequence[int]) -> None:
        for fact_id in ids:
            if self._live.pop(fact_id, None) is not None:
                self._keywords.remove(fact_id)
                self._without_vector.pop(fact_id, None)
        gone = [fact_id for fact_id in ids if fact_id in self.vectors]
        if gone:
            self.vectors.remove(gone)
            self._unsaved += len(gone)

    def _read_table(self) -> None:
        database = self._journal.database
        self._identity = self._journal.identity
        live = {fact.id: fact for fact in self._table.live(database)}
        self._stored = self._table.with_vector(database, self.vectors.model)
        with self._reading:
            self._live = live

    def _index_words(self) -> None:
        keywords = KeywordIndex()
        for fact in self._live.values():
            keywords.add(fact.id, fact.text)
        with self._reading:
            self._keywords = keywords

    def _add_stored(self, ids: Sequence[int]) -> None:
        found = [(i, v) for i in ids if (v := self._table.vector(self._journal.database, i, self.vectors.model))]
        self.vectors.add([fact_id for fact_id, _ in found], np.stack([unpack(vector.data) for _, vector in found]))
        self._unsaved += len(found)

    def _save_index(self) -> None:
        try:
            self.vectors.save(self.index_path, self._identity)
        except OSError as error:
            # It is only a copy. The table has everything.
            log.warning("cannot save %s: %s; the next start will be slower", self.index_path, error)
            return
        self._unsaved = 0
