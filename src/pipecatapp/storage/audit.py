"""The audit log, as a read model of the journal: everything that was asked, decided or done, only ever added to.

Each line has a number ``n``, the ``hash`` of the line before it as ``prev``, and the SHA-256 of its own other fields as
``hash``: a line that was changed, removed or put in between breaks the chain, and ``verify`` says where. What a person
has forgotten is taken out of a line's ``arguments``; the line says so (``erased``) and keeps its place in the chain.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from pipecatapp.domain import AuditEntry
from pipecatapp.ports import JournalEvent
from pipecatapp.storage.database import Database
from pipecatapp.storage.erasure import Erasure
from pipecatapp.storage.journal import Body, SqliteJournal

TOPIC = "audit"
START = "0" * 64  # in place of the hash before the first line
_PAGE = 1000
_LAST = (1 << 63) - 1  # the largest number that SQLite has


class AuditTable:
    """``ReadModel`` of the lines. Its events: an ``entry``, ``lines`` as they are, numbers to ``erase``."""

    topic = TOPIC
    tables: Mapping[str, str] = {"audit": "CREATE TABLE IF NOT EXISTS audit(n INTEGER PRIMARY KEY, line TEXT NOT NULL)"}
    indexes: Sequence[str] = ()

    def apply(self, database: Database, body: Body) -> None:
        """Let an event happen."""
        if "entry" in body:
            self._put(database, self._next(database, body["entry"]))
        for line in body.get("lines", ()):
            self._put(database, line)
        for number in body.get("erase", ()):
            for line in self.lines(database, "WHERE n = ?", int(number)):
                self._put(database, {**line, "arguments": {}, "erased": True})

    def snapshot(self, database: Database) -> Iterator[Body]:
        """Every line as it is."""
        number = 0
        while lines := self.lines(database, "WHERE n > ? ORDER BY n LIMIT ?", number, _PAGE):
            yield {"lines": lines}
            number = lines[-1]["n"]

    def lines(self, database: Database, where: str = "", *values: int) -> list[dict[str, Any]]:
        """The lines that fit, in the order that ``where`` asks for."""
        rows = database.execute(f"SELECT line FROM audit {where}", values)  # noqa: S608  a constant of this file
        return [json.loads(row[0]) for row in rows]

    def _next(self, database: Database, entry: Mapping[str, Any]) -> Mapping[str, Any]:
        last = self.lines(database, "ORDER BY n DESC LIMIT 1")
        number, prev = (last[0]["n"], last[0]["hash"]) if last else (0, START)
        line = {"n": number + 1, **entry, "prev": prev}
        return {**line, "hash": hash_of(line)}

    def _put(self, database: Database, line: Mapping[str, Any]) -> None:
        database.execute("INSERT OR REPLACE INTO audit VALUES (?, ?)", (line["n"], _encoded(line).decode()))


class Audit:
    """``ports.AuditLog`` in the journal.

    Args:
        journal: one that was made with this table.
        table: the read model.
    """

    def __init__(self, journal: SqliteJournal, table: AuditTable) -> None:
        self._journal = journal
        self._table = table

    async def record(self, entry: AuditEntry) -> Mapping[str, Any]:
        """Add a line; when it returns, it lies on the disk."""
        return await self._journal.run(self._record, json.loads(_encoded(asdict(entry))))

    async def entries(self, before: int | None = None, limit: int = 50) -> tuple[list[Mapping[str, Any]], bool]:
        """The newest lines (older than number ``before``), newest first, and whether there are older ones."""
        return await self._journal.run(self._entries, before, limit)

    async def verify(self) -> str:
        """Where the chain is broken first, as a sentence; empty when it is whole."""
        number, prev = 0, START
        while lines := await self._journal.run(self._after, number):
            for line in lines:
                if trouble := broken(line, number, prev):
                    return trouble
                number, prev = line["n"], line["hash"]
        return ""

    def erase_now(self, erasure: Erasure) -> None:
        """Take the arguments out of the lines that concern it. For code in the journal's thread."""
        pages = self._table.snapshot(self._journal.database)
        found = [str(line["n"]) for page in pages for line in page["lines"] if erasure.concerns(line)]
        if found:
            self._journal.erase_now(TOPIC, found)

    def _record(self, entry: Mapping[str, Any]) -> Mapping[str, Any]:
        self._journal.append_now(JournalEvent(TOPIC, {"entry": entry}))
        return self._table.lines(self._journal.database, "ORDER BY n DESC LIMIT 1")[0]

    def _entries(self, before: int | None, limit: int) -> tuple[list[Mapping[str, Any]], bool]:
        where = "WHERE n < ? ORDER BY n DESC LIMIT ?"
        found = self._table.lines(
            self._journal.database, where, _LAST if before is None else min(before, _LAST), limit + 1
        )
        return list(found[:limit]), len(found) > limit

    def _after(self, number: int) -> list[dict[str, Any]]:
        return self._table.lines(self._journal.database, "WHERE n > ? ORDER BY n LIMIT ?", number, _PAGE)


def broken(line: Mapping[str, Any], number: int, prev: str) -> str:
    """What is wrong with the line that follows the one of this number and hash; empty when nothing is."""
    try:
        links = line["n"] == number + 1, line["prev"] == prev, bool(line.get("erased")) or line["hash"] == hash_of(line)
    except (KeyError, TypeError):
        return f"the line after number {number} cannot be read"
    return "" if all(links) else f"the line after number {number} is not the one that was written there"


def hash_of(record: Mapping[str, Any]) -> str:
    """The SHA-256 of a line's fields but its own hash."""
    return hashlib.sha256(_encoded({key: value for key, value in record.items() if key != "hash"})).hexdigest()


def _encoded(record: Mapping[str, Any]) -> bytes:
    return json.dumps(record, separators=(",", ":"), default=_plain).encode()


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"cannot store {type(value).__name__}")
