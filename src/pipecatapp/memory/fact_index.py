"""The facts with everything that finds them again: records, keyword index and vector index, always in step.

Methods block; they may be called from several threads at once.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np

from pipecatapp.memory.index import Floats, VectorIndex, pack, unpack
from pipecatapp.memory.keywords import KeywordIndex
from pipecatapp.memory.ledger import Change, Ledger, same_words
from pipecatapp.memory.ranking import rank
from pipecatapp.memory.records import Embedded, FactAdded, Forgotten, Merged, Record, StoredFact, Vector
from pipecatapp.memory.store import NAME, RecordStore
from pipecatapp.storage.files import Files, set_aside

log = logging.getLogger(__name__)

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
    """All facts of one folder, for as long as it is open."""

    def __init__(self, folder: Path, files: Files, *, model: str, clock: Callable[[], float]) -> None:
        self.index_path = folder / f"{NAME}.faiss"
        self._files = files
        self._clock = clock
        self._keywords = KeywordIndex()
        self.vectors = VectorIndex(model)
        # In the order in which they should get one.
        self._without_vector: dict[int, None] = {}
        self._store = RecordStore(folder, files, clock=clock, vector_of=self._vector_of)
        self._collected: dict[int, Vector] = {}
        self._loaded_book = ""
        self._notices: list[str] = []
        self._unsaved = 0
        self._forgotten = False

    def open(self) -> list[str]:
        """Read everything; what a person should know of what was found.

        Raises:
            StorageError: another process uses it, or it cannot be read or written.
        """
        self._store.open(self._load_vectors, self._collect)
        self._add_collected()
        if self._loaded_book != self._store.book:
            # The records were damaged and go on under a new name.
            self._save_index()
        self.vectors.remove([fact_id for fact_id in self.vectors.ids() if self._store.ledger.get(fact_id) is None])
        for fact in self._store.ledger.facts():
            self._keywords.add(fact.id, fact.text)
            if fact.id not in self.vectors:
                self._without_vector[fact.id] = None
        return [*self._store.notices, *self._notices]

    def close(self) -> None:
        """Save the index and let go. Everything acknowledged is safe without it, only slower to open."""
        with self._store.writing:
            try:
                if self._unsaved:
                    self._save_index()
            finally:
                self._store.close()

    def __len__(self) -> int:
        return len(self._store.ledger)

    def get(self, fact_id: int) -> StoredFact | None:
        """The fact, if it can be recalled."""
        with self._store.reading:
            return self._store.ledger.get(fact_id)

    def facts(self) -> list[StoredFact]:
        """All that can be recalled, oldest first."""
        with self._store.reading:
            return list(self._store.ledger.facts())

    def latest(self, turns: Collection[str]) -> StoredFact | None:
        """The newest fact that was kept from one of these turns."""
        with self._store.reading:
            return max(
                (fact for fact in self._store.ledger.facts() if fact.turn in turns),
                key=lambda fact: fact.id,
                default=None,
            )

    def history(self, fact_id: int) -> list[StoredFact]:
        """What the fact corrected or was merged with, the latest first."""
        with self._store.reading:
            return self._store.ledger.history(fact_id)

    def find(
        self, query: str, vector: Floats | None, limit: int, *, all_that_match: bool = False
    ) -> list[tuple[StoredFact, float]]:
        """The facts that fit the query best, with their scores."""
        with self._store.reading:
            ranked = rank(query, vector, self._keywords, self.vectors, limit, all_that_match=all_that_match)
            return [(fact, score) for fact_id, score in ranked if (fact := self._store.ledger.get(fact_id))]

    def add(self, new: Sequence[NewFact]) -> list[StoredFact]:
        """Keep facts. One that is there in the same words is not kept twice: its count goes up."""
        stored = []
        with self._store.writing:
            for start in range(0, len(new), _BATCH):
                stored += self._add_batch(new[start : start + _BATCH])
        return stored

    def correct(self, fact_id: int, text: str, turn: str) -> StoredFact | None:
        """Put a new text in place of a fact, which becomes history; None when there is no such fact."""
        with self._store.writing:
            old = self._store.ledger.get(fact_id)
            if old is None:
                return None
            same = self._store.ledger.same_as(text)
            if same is not None and same.text == text:
                return self._merge(same.id, (fact_id,))
            fact = StoredFact(
                id=self._store.ledger.next_id,
                text=text,
                kind=old.kind,
                turn=turn,
                created_at=self._clock(),
                last_seen=self._clock(),
                supersedes=tuple(dict.fromkeys([old.id, *([same.id] if same else [])])),
            )
            self._commit([FactAdded(fact)])
            return fact

    def merge(self, into: int, dropped: Iterable[int]) -> StoredFact | None:
        """Let one fact stand for others that say the same; None when there is no such fact."""
        with self._store.writing:
            if self._store.ledger.get(into) is None:
                return None
            return self._merge(into, tuple(dropped))

    def forget(self, ids: Iterable[int]) -> list[StoredFact]:
        """Remove facts with their history; those that were there."""
        with self._store.writing:
            found = [fact for fact_id in dict.fromkeys(ids) if (fact := self._store.ledger.get(fact_id))]
            if found:
                self._commit([Forgotten(tuple(fact.id for fact in found), self._clock())])
                self._forgotten = True
            return found

    def lacking_vectors(self, limit: int) -> list[StoredFact]:
        """Facts that are found by their words alone so far."""
        with self._store.reading:
            return [
                fact for fact_id in islice(self._without_vector, limit) if (fact := self._store.ledger.get(fact_id))
            ]

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
        with self._store.writing:
            places = [place for place, fact in enumerate(facts) if self._store.ledger.get(fact.id)]
            if not places:
                return
            ids = [facts[place].id for place in places]
            packed = [pack(vectors[place]) for place in places]
            self._commit(
                [Embedded(fact_id, Vector(self.vectors.model, data)) for fact_id, data in zip(ids, packed, strict=True)]
            )
            with self._store.reading:
                self.vectors.add(ids, np.stack([unpack(data) for data in packed]))
                for fact_id in ids:
                    self._without_vector.pop(fact_id, None)
            self._unsaved += len(ids)

    def everything(self) -> Iterator[FactAdded]:
        """The facts as they are and what they replaced, with their vectors: what ``replace`` takes."""
        with self._store.reading:
            facts = list(self._store.ledger.everything())
        for fact in facts:
            with self._store.reading:
                vector = self._vector_of(fact.id)
            yield FactAdded(fact, vector)

    def replace(self, kept: Iterable[FactAdded]) -> None:
        """Put other facts, from ``everything`` of whatever book, in the place of all. They get new ids.

        Raises:
            StorageError: they could not be written; the old facts are still there.
        """
        with self._store.writing:
            others = list(kept)
            first = self._store.ledger.next_id
            new_id = {record.fact.id: first + number for number, record in enumerate(others)}
            ledger = Ledger()
            ledger.next_id = first + len(others)
            vectors: dict[int, Vector] = {}
            for record in others:
                olds = tuple(new_id[old] for old in record.fact.supersedes if old in new_id)
                fact = replace(record.fact, id=new_id[record.fact.id], supersedes=olds)
                ledger.apply(FactAdded(fact))
                if record.vector is not None and record.vector.model == self.vectors.model:
                    vectors[fact.id] = record.vector
            self._collected = vectors
            try:
                self._store.replace(ledger)
                with self._store.reading:
                    self._take_in(ledger)
            finally:
                self._collected = {}
            self._save_index()

    def _take_in(self, ledger: Ledger) -> None:
        """Begin the indexes afresh with these facts and the vectors that were collected for them."""
        self._keywords = KeywordIndex()
        self._without_vector = {}
        self.vectors.remove(list(self.vectors.ids()))
        self._collected = {fact_id: vector for fact_id, vector in self._collected.items() if ledger.get(fact_id)}
        self._add_collected()
        for fact in ledger.facts():
            self._keywords.add(fact.id, fact.text)
            if fact.id not in self.vectors:
                self._without_vector[fact.id] = None

    def maintain(self) -> None:
        """Write anew what has become wasteful, at once what still holds something forgotten. Searches go on meanwhile.

        Raises:
            StorageError: the disk refused; the old files are still in use.
        """
        with self._store.writing:
            if self._forgotten or self._store.wasteful:
                self._store.compact()
            if self._forgotten or self._unsaved > max(_BATCH, len(self.vectors) // 10):
                self._save_index()
            self._forgotten = False

    def _add_batch(self, new: Sequence[NewFact]) -> list[StoredFact]:
        now = self._clock()
        ledger = self._store.ledger
        records: list[Record] = []
        ids: list[int] = []
        # Within one batch the ledger does not know the facts yet.
        fresh: dict[str, int] = {}
        next_id = ledger.next_id
        for item in new:
            same = ledger.same_as(item.text)
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
        self._commit(records)
        return [stored for fact_id in ids if (stored := ledger.get(fact_id))]

    def _merge(self, into: int, dropped: tuple[int, ...]) -> StoredFact | None:
        self._commit([Merged(into, dropped, self._clock())])
        return self._store.ledger.get(into)

    def _commit(self, records: Sequence[Record]) -> None:
        self._store.commit(records, self._follow)

    def _follow(self, change: Change) -> None:
        for fact_id in change.removed:
            self._keywords.remove(fact_id)
            self._without_vector.pop(fact_id, None)
        gone = [fact_id for fact_id in change.removed if fact_id in self.vectors]
        if gone:
            self.vectors.remove(gone)
            self._unsaved += len(gone)
        if change.added is not None:
            self._keywords.add(change.added.id, change.added.text)
            self._without_vector[change.added.id] = None

    def _save_index(self) -> None:
        try:
            self.vectors.save(self.index_path, self._files, self._store.book)
        except OSError as error:
            # It is only a copy. The records have everything.
            log.warning("cannot save %s: %s; the next start will be slower", self.index_path, error)
            return
        self._unsaved = 0

    def _load_vectors(self, book: str) -> None:
        self._loaded_book = book
        try:
            notice = self.vectors.load(self.index_path, self._files, book, self._clock())
        except OSError as error:
            aside = set_aside(self._files, self.index_path, "unreadable", self._clock())
            notice = f"{self.index_path.name} cannot be read ({error}); it is kept as {aside.name} and built anew"
        if notice:
            log.warning("%s", notice)
            self._notices.append(notice)

    def _collect(self, fact_id: int, vector: Vector) -> None:
        if vector.model == self.vectors.model and fact_id not in self.vectors:
            self._collected[fact_id] = vector
            if len(self._collected) >= _BATCH:
                self._add_collected()

    def _add_collected(self) -> None:
        if self._collected:
            rows = np.stack([unpack(vector.data) for vector in self._collected.values()])
            self.vectors.add(list(self._collected), rows)
            self._unsaved += len(self._collected)
            self._collected = {}

    def _vector_of(self, fact_id: int) -> Vector | None:
        return self._collected.get(fact_id) or self.vectors.vector(fact_id)
