"""What comes due and what rings, as a read model of the journal.

An event is one step, whole or not at all: a timer that ends is taken away and rings in the same one.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pipecatapp.domain import Change
from pipecatapp.ports import JournalEvent
from pipecatapp.storage.changes import Changes
from pipecatapp.storage.database import Database
from pipecatapp.storage.erasure import Erasure
from pipecatapp.storage.journal import Body, SqliteJournal

TOPIC = "schedule"


class ScheduleTable:
    """``ReadModel`` of it. Its events: ``{"put": [entry, ...], "drop": [id, ...]}``; an entry is JSON with an id."""

    topic = TOPIC
    tables: Mapping[str, str] = {
        "schedule": (
            "CREATE TABLE IF NOT EXISTS schedule(place INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, "
            "entry TEXT NOT NULL)"
        )
    }
    indexes: Sequence[str] = ()

    def apply(self, database: Database, body: Body) -> None:
        """Let an event happen."""
        for gone in (*body.get("drop", ()), *body.get("erase", ())):
            database.execute("DELETE FROM schedule WHERE id = ?", (gone,))
        for entry in body.get("put", ()):
            database.execute(
                "INSERT INTO schedule(id, entry) VALUES (?, ?) ON CONFLICT(id) DO UPDATE SET entry = excluded.entry",
                (entry["id"], json.dumps(entry, ensure_ascii=False)),
            )

    def snapshot(self, database: Database) -> Iterator[Body]:
        """One event with all of it."""
        if rows := self.rows(database):
            yield {"put": rows}

    def rows(self, database: Database) -> list[Mapping[str, Any]]:
        """The entries, oldest first."""
        return [json.loads(row[0]) for row in database.execute("SELECT entry FROM schedule ORDER BY place")]


class ScheduleStore:
    """``ports.ScheduleStore`` in the journal.

    Args:
        journal: one that was made with this table.
        table: the read model.
        changes: what can be taken back.
    """

    def __init__(self, journal: SqliteJournal, table: ScheduleTable, changes: Changes) -> None:
        self._journal = journal
        self._table = table
        self._changes = changes

    async def load(self) -> list[Mapping[str, Any]]:
        """All entries, oldest first."""
        return await self._journal.run(lambda: self._table.rows(self._journal.database))

    async def change(
        self, put: Sequence[Mapping[str, Any]], drop: Sequence[str] = (), made: Change | None = None
    ) -> None:
        """Put these in (in place of those with their ids) and take those away, in one step; ``made``: and keep how that
        is taken back."""
        event = JournalEvent(TOPIC, {"put": list(put), "drop": list(drop)})
        await (self._journal.append(event) if made is None else self._changes.make(made, event))

    def erase_now(self, erasure: Erasure) -> list[str]:
        """Take out the entries that say or tell what is to be erased; in the journal's thread. Returns their ids."""
        rows = self._table.rows(self._journal.database)
        gone = [str(row["id"]) for row in rows if erasure.concerns(row)]
        if gone:
            self._journal.erase_now(TOPIC, gone)
        return gone
