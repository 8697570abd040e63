"""The calls that wait for a person, as a read model of the journal."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from pipecatapp.domain import ApprovalRequest, ApprovalState, Preview, Risk
from pipecatapp.errors import StorageError
from pipecatapp.ports import JournalEvent
from pipecatapp.storage.database import Database
from pipecatapp.storage.journal import Body, SqliteJournal

TOPIC = "approvals"


class ApprovalTable:
    """``ReadModel`` of what waits. Its events: ``{"put": [request, ...], "drop": [id, ...]}``."""

    topic = TOPIC
    tables: Mapping[str, str] = {
        "approvals": (
            "CREATE TABLE IF NOT EXISTS approvals(place INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, "
            "request TEXT NOT NULL)"
        )
    }
    indexes: Sequence[str] = ()

    def apply(self, database: Database, body: Body) -> None:
        """Let an event happen."""
        for request in body.get("put", ()):
            text = json.dumps(request, ensure_ascii=False)
            database.execute(
                "INSERT INTO approvals(id, request) VALUES (?, ?) "
                "ON CONFLICT(id) DO UPDATE SET request = excluded.request",
                (request["id"], text),
            )
        for gone in (*body.get("drop", ()), *body.get("erase", ())):
            database.execute("DELETE FROM approvals WHERE id = ?", (gone,))

    def snapshot(self, database: Database) -> Iterator[Body]:
        """One event with all of it."""
        if rows := self.rows(database):
            yield {"put": rows}

    def rows(self, database: Database) -> list[Mapping[str, Any]]:
        """The requests as they are stored, oldest first."""
        return [json.loads(row[0]) for row in database.execute("SELECT request FROM approvals ORDER BY place")]


class Approvals:
    """``ports.ApprovalStore`` in the journal.

    Args:
        journal: one that was made with this table.
        table: the read model.
    """

    def __init__(self, journal: SqliteJournal, table: ApprovalTable) -> None:
        self._journal = journal
        self._table = table

    async def load(self) -> list[ApprovalRequest]:
        """What was saved last; empty at first."""
        rows = await self._journal.run(lambda: self._table.rows(self._journal.database))
        try:
            return [from_body(row) for row in rows]
        except (ValueError, KeyError, TypeError) as error:
            raise StorageError(
                f"a call that waits cannot be understood ({error}); run the version that wrote it"
            ) from error

    async def save(self, requests: Sequence[ApprovalRequest]) -> None:
        """Let these be all of them; when it returns, they lie on the disk."""
        await self._journal.run(self._save, [to_body(request) for request in requests])

    def _save(self, requests: Sequence[Mapping[str, Any]]) -> None:
        stored = {row["id"]: row for row in self._table.rows(self._journal.database)}
        put = [request for request in requests if stored.get(request["id"]) != request]
        drop = sorted(stored.keys() - {request["id"] for request in requests})
        if put or drop:
            self._journal.append_now(JournalEvent(TOPIC, {"put": put, "drop": drop}))


def to_body(request: ApprovalRequest) -> Mapping[str, Any]:
    """The request as JSON holds it."""
    text = json.dumps(asdict(request), default=_plain, ensure_ascii=False).encode("utf-8", "replace")
    body: Mapping[str, Any] = json.loads(text)
    return body


def from_body(value: Mapping[str, Any]) -> ApprovalRequest:
    """The request that ``to_body`` made. Raises ValueError, KeyError or TypeError for anything else."""
    return ApprovalRequest(
        **{
            **value,
            "risk": Risk(value["risk"]),
            "preview": Preview(**{**value["preview"], "loose": tuple(value["preview"].get("loose", ()))}),
            "state": ApprovalState(value["state"]),
        }
    )


def _plain(value: object) -> object:
    """Mappings that are no dict, in tool arguments."""
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"cannot store {type(value).__name__}")
