"""What tools changed of the agent's own, and how it is taken back, as a read model of the journal."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from pipecatapp.domain import Change
from pipecatapp.ports import JournalEvent
from pipecatapp.storage.database import Database, Row
from pipecatapp.storage.erasure import Erasure
from pipecatapp.storage.journal import Body, SqliteJournal

TOPIC = "changes"
_KEPT = 200  # changes; nobody takes back what was done so long ago


class ChangeTable:
    """``ReadModel`` of what can be taken back. Its events: ``{"made": change}``, and ids to ``drop`` or ``erase``."""

    topic = TOPIC
    tables: Mapping[str, str] = {
        "changes": (
            # AUTOINCREMENT: the id of what was taken back never becomes another one's.
            "CREATE TABLE IF NOT EXISTS changes(id INTEGER PRIMARY KEY AUTOINCREMENT, conversation TEXT NOT NULL, "
            "change TEXT NOT NULL)"
        )
    }
    indexes: Sequence[str] = ("CREATE INDEX IF NOT EXISTS changes_by_conversation ON changes(conversation, id)",)

    def apply(self, database: Database, body: Body) -> None:
        """Let an event happen."""
        if "made" in body:
            made = dict(body["made"])
            known = made.pop("id", 0) or None
            text = json.dumps(made, ensure_ascii=False)
            database.execute("INSERT INTO changes VALUES (?, ?, ?)", (known, made["conversation"], text))
            database.execute("DELETE FROM changes WHERE id <= (SELECT max(id) FROM changes) - ?", (_KEPT,))
        for gone in (*body.get("drop", ()), *body.get("erase", ())):
            database.execute("DELETE FROM changes WHERE id = ?", (int(gone),))

    def snapshot(self, database: Database) -> Iterator[Body]:
        """One event for each."""
        for change in self.rows(database, "ORDER BY id"):
            yield {"made": asdict(change)}

    def rows(self, database: Database, where: str, *values: str | int) -> list[Change]:
        """Those that fit, in the order that ``where`` asks for."""
        return [_change(row) for row in database.execute(f"SELECT id, change FROM changes {where}", values)]  # noqa: S608


class Changes:
    """``ports.ChangeLog`` in the journal.

    Args:
        journal: one that was made with this table.
        table: the read model.
        clock: seconds since 1970.
    """

    def __init__(self, journal: SqliteJournal, table: ChangeTable, clock: Callable[[], float] = time.time) -> None:
        self._journal = journal
        self._table = table
        self._clock = clock

    async def make(self, change: Change, *events: JournalEvent) -> Change:
        """Let the events happen and keep how they are taken back (``ports.ChangeLog.make``)."""
        return await self._journal.run(self._make, replace(change, at=change.at or self._clock()), events)

    async def take_back(self, change: Change, *events: JournalEvent) -> None:
        """Let the events happen and keep the change no longer (``ports.ChangeLog.take_back``)."""
        await self._journal.run(self._take_back, change.id, events)

    async def latest(self, conversation: str | None = None, limit: int = 20) -> list[Change]:
        """The latest changes (``ports.ChangeLog.latest``)."""
        return await self._journal.run(self._latest, conversation, limit)

    async def get(self, change: int) -> Change | None:
        """The change of this id, as long as it is kept."""
        return await self._journal.run(self._get, change)

    def erase_now(self, erasure: Erasure) -> None:
        """Erase the changes that concern it. For code in the journal's thread."""
        changes = self._table.rows(self._journal.database, "ORDER BY id")
        if found := [str(change.id) for change in changes if erasure.concerns(asdict(change))]:
            self._journal.erase_now(TOPIC, found)

    def _make(self, change: Change, events: Sequence[JournalEvent]) -> Change:
        made = {name: value for name, value in _plain(asdict(change)).items() if name != "id"}
        self._journal.append_all_now([*events, JournalEvent(TOPIC, {"made": made})])
        return self._latest(None, 1)[0]

    def _take_back(self, change: int, events: Sequence[JournalEvent]) -> None:
        if self._get(change) is None:
            raise LookupError(f"change {change} is kept no longer")
        self._journal.append_all_now([*events, JournalEvent(TOPIC, {"drop": [change]})])

    def _latest(self, conversation: str | None, limit: int) -> list[Change]:
        where, values = ("", ()) if conversation is None else ("WHERE conversation = ?", (conversation,))
        return self._table.rows(self._journal.database, f"{where} ORDER BY id DESC LIMIT ?", *values, limit)

    def _get(self, change: int) -> Change | None:
        found = self._table.rows(self._journal.database, "WHERE id = ?", change)
        return found[0] if found else None


def _change(row: Row) -> Change:
    return Change(**json.loads(row[1]), id=row[0])


def _plain(value: Mapping[str, Any]) -> dict[str, Any]:
    """As JSON holds it."""
    found: dict[str, Any] = json.loads(json.dumps(value, ensure_ascii=False).encode("utf-8", "replace"))
    return found
