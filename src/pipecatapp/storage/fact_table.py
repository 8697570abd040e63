"""The facts, as a read model of the journal: which there are, which say the same, what each corrected.

Its events are ``{"records": [...]}`` with the records of ``records.py``, ``{"all": [...]}`` with those that replace
all, ``{"next": number}`` before which no new fact is numbered, and ``{"erase": [...]}``. Vectors are no events: they
can be computed again, and lie beside the facts only so that this need not be.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from pipecatapp.storage.database import Database, Row
from pipecatapp.storage.records import (
    FactAdded,
    Forgotten,
    Merged,
    Record,
    StoredFact,
    Vector,
    from_body,
    said_again,
    to_body,
)

TOPIC = "facts"
_COLUMNS = "id, text, kind, turn, created_at, seen, last_seen, supersedes"
_BATCH = 512
_WORDS = re.compile(r"\w+")
_ARTICLES = frozenset({"a", "an", "the"})


def same_words(text: str) -> str:
    """What is left of a sentence without case, accents, punctuation and articles: equal for duplicates.

    Nothing more is ignored on purpose: "on Thursday" and "on Friday" are near to each other in any embedding and are
    two different facts.
    """
    plain = unicodedata.normalize("NFKD", text.casefold())
    kept = "".join(character for character in plain if not unicodedata.combining(character))
    return " ".join(word for word in _WORDS.findall(kept) if word not in _ARTICLES)


class FactTable:
    """``ReadModel`` of the facts. Tolerates records of facts that it does not know. ``live``: can be recalled."""

    topic = TOPIC
    tables: Mapping[str, str] = {
        # AUTOINCREMENT: an id is never given twice, even when the newest fact was forgotten.
        "facts": (
            "CREATE TABLE IF NOT EXISTS facts(id INTEGER PRIMARY KEY AUTOINCREMENT, text TEXT NOT NULL, "
            "kind TEXT NOT NULL, turn TEXT NOT NULL, created_at REAL NOT NULL, seen INTEGER NOT NULL, "
            "last_seen REAL NOT NULL, supersedes TEXT NOT NULL, same TEXT NOT NULL, live INTEGER NOT NULL)"
        ),
        # Also of facts that come later: a snapshot has them in the order of their ids.
        "superseded": "CREATE TABLE IF NOT EXISTS superseded(id INTEGER PRIMARY KEY)",
        "vectors": (
            "CREATE TABLE IF NOT EXISTS vectors(id INTEGER PRIMARY KEY, model TEXT NOT NULL, data BLOB NOT NULL)"
        ),
    }
    indexes: Sequence[str] = (
        "CREATE INDEX IF NOT EXISTS facts_by_words ON facts(same, live)",
        "CREATE INDEX IF NOT EXISTS facts_by_turn ON facts(turn, live)",
        "CREATE INDEX IF NOT EXISTS vectors_by_model ON vectors(model)",
    )

    def apply(self, database: Database, body: Mapping[str, Any]) -> None:
        """Let an event happen."""
        if "all" in body:
            for table in self.tables:
                database.execute(f"DELETE FROM {table}")  # noqa: S608  names of our own
        if "next" in body:
            last = int(body["next"]) - 1
            database.execute("DELETE FROM sqlite_sequence WHERE name = 'facts' AND seq < ?", (last,))
            database.execute(
                "INSERT INTO sqlite_sequence(name, seq) SELECT 'facts', ? "
                "WHERE NOT EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = 'facts')",
                (last,),
            )
        for each in (*body.get("all", ()), *body.get("records", ())):
            self._happen(database, from_body(each))
        if "erase" in body:
            self._forget(database, [int(gone) for gone in body["erase"]])

    def snapshot(self, database: Database) -> Iterator[Mapping[str, Any]]:
        """The events that make the tables."""
        records: list[Mapping[str, Any]] = []
        for fact in self.everything(database):
            records.append(to_body(FactAdded(fact)))
            if len(records) == _BATCH:
                yield {"records": records}
                records = []
        if records:
            yield {"records": records}
        yield {"next": self.next_id(database)}

    def next_id(self, database: Database) -> int:
        """The number of the next new fact."""
        row = database.one("SELECT seq FROM sqlite_sequence WHERE name = 'facts'")
        return int(row[0]) + 1 if row else 1

    def get(self, database: Database, fact_id: int) -> StoredFact | None:
        """The fact, when it can be recalled."""
        return _first(database.execute(f"SELECT {_COLUMNS} FROM facts WHERE id = ? AND live", (fact_id,)))  # noqa: S608

    def live(self, database: Database) -> Iterator[StoredFact]:
        """The facts that can be recalled, oldest first."""
        return map(_fact, database.rows(f"SELECT {_COLUMNS} FROM facts WHERE live ORDER BY id"))  # noqa: S608

    def everything(self, database: Database) -> Iterator[StoredFact]:
        """The facts and their history, oldest first."""
        return map(_fact, database.rows(f"SELECT {_COLUMNS} FROM facts ORDER BY id"))  # noqa: S608

    def same_as(self, database: Database, text: str) -> StoredFact | None:
        """The newest fact that says the same in the same words, if there is one."""
        return _first(
            database.execute(
                f"SELECT {_COLUMNS} FROM facts WHERE same = ? AND live ORDER BY id DESC LIMIT 1",  # noqa: S608
                (same_words(text),),
            )
        )

    def latest(self, database: Database, turns: Iterable[str]) -> StoredFact | None:
        """The newest fact that was kept from one of these turns."""
        named = list(turns)
        marks = ",".join("?" * len(named))
        return _first(
            database.execute(
                f"SELECT {_COLUMNS} FROM facts WHERE turn IN ({marks}) AND live ORDER BY id DESC LIMIT 1",  # noqa: S608
                named,
            )
        )

    def history(self, database: Database, fact_id: int) -> list[StoredFact]:
        """What the fact corrected or was merged with, the latest first."""
        found: dict[int, StoredFact] = {}
        ahead = [fact_id]
        while ahead:
            fact = self._known(database, ahead.pop())
            for old in fact.supersedes if fact else ():
                if old != fact_id and old not in found and (earlier := self._known(database, old)):
                    found[old] = earlier
                    ahead.append(old)
        return sorted(found.values(), key=lambda fact: fact.id, reverse=True)

    def vector(self, database: Database, fact_id: int, model: str) -> Vector | None:
        """The vector that this model made of the fact."""
        row = database.one("SELECT data FROM vectors WHERE id = ? AND model = ?", (fact_id, model))
        return Vector.of(model, row[0]) if row else None

    def with_vector(self, database: Database, model: str) -> list[int]:
        """The facts of which this model made a vector."""
        return [row[0] for row in database.execute("SELECT id FROM vectors WHERE model = ? ORDER BY id", (model,))]

    def put_vectors(self, database: Database, vectors: Mapping[int, Vector]) -> None:
        """Keep vectors, inside a transaction."""
        for fact_id, vector in vectors.items():
            database.execute("INSERT OR REPLACE INTO vectors VALUES (?, ?, ?)", (fact_id, vector.model, vector.raw))

    def drop_stray_vectors(self, database: Database) -> None:
        """Delete vectors of facts that are not there, inside a transaction."""
        database.execute("DELETE FROM vectors WHERE id NOT IN (SELECT id FROM facts)")

    def _happen(self, database: Database, record: Record) -> None:
        match record:
            case FactAdded(fact=fact):
                self._keep(database, fact)
            case Merged(into=into, dropped=dropped, at=at):
                target = self._known(database, into)
                if target is not None:
                    known = tuple(old for old in dropped if old != into and self.get(database, old))
                    self._write(database, said_again(target, known, at))
                    self._supersede(database, known, into)
            case Forgotten(ids=ids):
                self._forget(database, ids)
            case _:  # vectors are no events
                pass

    def _keep(self, database: Database, fact: StoredFact) -> None:
        self._write(database, fact)
        self._supersede(database, fact.supersedes, fact.id)

    def _write(self, database: Database, fact: StoredFact) -> None:
        database.execute(
            "INSERT OR REPLACE INTO facts VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, "
            "NOT EXISTS (SELECT 1 FROM superseded WHERE id = ?))",
            (
                fact.id, fact.text, fact.kind, fact.turn, fact.created_at, fact.seen, fact.last_seen,
                json.dumps(fact.supersedes) if fact.supersedes else "", same_words(fact.text), fact.id,
            ),
        )  # fmt: skip

    def _supersede(self, database: Database, olds: Sequence[int], by: int) -> None:
        for old in olds:
            if old != by:
                database.execute("INSERT OR IGNORE INTO superseded VALUES (?)", (old,))
                database.execute("UPDATE facts SET live = 0 WHERE id = ?", (old,))

    def _forget(self, database: Database, ids: Sequence[int]) -> None:
        for fact_id in ids:
            if self._known(database, fact_id) is None:
                continue
            for gone in [fact_id, *(fact.id for fact in self.history(database, fact_id))]:
                for table in self.tables:
                    database.execute(f"DELETE FROM {table} WHERE id = ?", (gone,))  # noqa: S608  names of our own

    def _known(self, database: Database, fact_id: int) -> StoredFact | None:
        return _first(database.execute(f"SELECT {_COLUMNS} FROM facts WHERE id = ?", (fact_id,)))  # noqa: S608


def _first(rows: Sequence[Row]) -> StoredFact | None:
    return _fact(rows[0]) if rows else None


def _fact(row: Row) -> StoredFact:
    fact_id, text, kind, turn, created_at, seen, last_seen, supersedes = row
    olds = tuple(json.loads(supersedes)) if supersedes else ()
    return StoredFact(fact_id, text, kind, turn, created_at, seen, last_seen, olds)
