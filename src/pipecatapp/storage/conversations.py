"""Every finished turn of every conversation, as a read model of the journal.

Its events are::

    {"conversation": ..., "at": ..., "record": {"turn": {...}, "messages": [["user", "..."], ...]}}
    {"conversation": ..., "at": ..., "heard": "<turn id>", "text": "..."}     after barge-in
    {"conversation": ..., "at": ..., "cleared": true}                         what stands above is no longer loaded
    {"conversation": ..., "at": ..., "put_back": [<record>, ...]}             cleared, then these
    {"erase": ["<turn id>", ...]}
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any, cast

from pipecatapp.domain import ConversationInfo, Message, Role, Source, ToolCall, Turn, TurnCost, TurnRecord, Usage
from pipecatapp.errors import ConfigurationError
from pipecatapp.ports import JournalEvent
from pipecatapp.storage.database import Database
from pipecatapp.storage.erasure import Erasure
from pipecatapp.storage.journal import Body, SqliteJournal

TOPIC = "conversations"
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_DAY_S = 86_400.0
Record = Mapping[str, Any]


def valid_id(conversation: str) -> bool:
    """Whether this can be a conversation's id (it becomes a file name)."""
    return _ID.fullmatch(conversation) is not None


class ConversationTables:
    """``ReadModel`` of the turns. A cleared conversation hides its earlier turns; they go when they are erased."""

    topic = TOPIC
    tables: Mapping[str, str] = {
        # AUTOINCREMENT: a place is never given twice, so what `cleared` hides stays hidden.
        "turns": (
            "CREATE TABLE IF NOT EXISTS turns(place INTEGER PRIMARY KEY AUTOINCREMENT, conversation TEXT NOT NULL, "
            "id TEXT NOT NULL, at REAL NOT NULL, record TEXT NOT NULL)"
        ),
        "conversations": (
            "CREATE TABLE IF NOT EXISTS conversations(id TEXT PRIMARY KEY, updated_at REAL NOT NULL, "
            "cleared INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID"
        ),
    }
    indexes: Sequence[str] = (
        "CREATE INDEX IF NOT EXISTS turns_of ON turns(conversation, place)",
        "CREATE INDEX IF NOT EXISTS turns_by_id ON turns(id)",
    )

    def apply(self, database: Database, body: Body) -> None:
        """Let an event happen."""
        if "erase" in body:
            for turn in body["erase"]:
                database.execute("DELETE FROM turns WHERE id = ?", (turn,))
            database.execute(
                "DELETE FROM conversations WHERE NOT EXISTS (SELECT 1 FROM turns WHERE conversation = conversations.id)"
            )
            return
        conversation, at = body["conversation"], float(body["at"])
        database.execute(
            "INSERT INTO conversations(id, updated_at) VALUES (?, ?) "
            "ON CONFLICT(id) DO UPDATE SET updated_at = max(updated_at, excluded.updated_at)",
            (conversation, at),
        )
        if "record" in body:
            self._add(database, conversation, body["record"])
        elif "heard" in body:
            self._amend(database, conversation, body["heard"], body["text"])
        else:
            self._clear(database, conversation)
            for record in body.get("put_back", ()):
                self._add(database, conversation, record)

    def snapshot(self, database: Database) -> Iterator[Body]:
        """The events that make the tables, hidden turns included."""
        for conversation, updated_at, cleared in database.execute("SELECT * FROM conversations ORDER BY id"):
            about = {"conversation": conversation, "at": updated_at}
            turns = database.execute(
                "SELECT place, record FROM turns WHERE conversation = ? ORDER BY place", (conversation,)
            )
            hidden = [json.loads(record) for place, record in turns if place <= cleared]
            yield {**about, "put_back": hidden}
            if cleared:
                yield {**about, "cleared": True}
            for place, record in turns:
                if place > cleared:
                    yield {**about, "record": json.loads(record)}

    def records(self, database: Database, conversation: str) -> list[Record]:
        """The turns since the conversation was last cleared, as they are stored."""
        rows = database.execute(
            "SELECT record FROM turns WHERE conversation = ? AND place > "
            "coalesce((SELECT cleared FROM conversations WHERE id = ?), 0) ORDER BY place",
            (conversation, conversation),
        )
        return [json.loads(row[0]) for row in rows]

    def _add(self, database: Database, conversation: str, record: Record) -> None:
        database.execute(
            "INSERT INTO turns(conversation, id, at, record) VALUES (?, ?, ?, ?)",
            (conversation, record["turn"]["id"], record["turn"]["started_at"], _text(record)),
        )

    def _amend(self, database: Database, conversation: str, turn: str, text: str) -> None:
        for place, record in database.execute(
            "SELECT place, record FROM turns WHERE conversation = ? AND id = ?", (conversation, turn)
        ):
            heard = to_body(from_body(json.loads(record)).heard(text))
            database.execute("UPDATE turns SET record = ? WHERE place = ?", (_text(heard), place))

    def _clear(self, database: Database, conversation: str) -> None:
        database.execute(
            "UPDATE conversations SET cleared = coalesce((SELECT max(place) FROM turns WHERE conversation = ?), 0) "
            "WHERE id = ?",
            (conversation, conversation),
        )


class Conversations:
    """``ports.ConversationStore`` in the journal.

    Args:
        journal: one that was made with these tables.
        tables: the read model.
        clock: seconds since 1970.
    """

    def __init__(
        self, journal: SqliteJournal, tables: ConversationTables, clock: Callable[[], float] = time.time
    ) -> None:
        self._journal = journal
        self._tables = tables
        self._clock = clock

    async def load(self, conversation: str) -> list[TurnRecord]:
        """All turns since the conversation was last cleared, oldest first; empty for a new one."""
        _check(conversation)
        return await self._journal.run(self._load, conversation)

    async def append(self, conversation: str, record: TurnRecord) -> None:
        """Keep a finished turn. When it returns, it lies on the disk."""
        await self._add(conversation, {"record": to_body(record)})

    async def amend(self, conversation: str, turn_id: str, assistant_text: str) -> None:
        """What was really heard of a turn replaces its answer."""
        await self._add(conversation, {"heard": turn_id, "text": assistant_text})

    async def clear(self, conversation: str) -> None:
        """Earlier turns are no longer loaded. They stay until they are too old: nothing spoken can destroy them."""
        await self._add(conversation, {"cleared": True})

    async def all(self) -> list[ConversationInfo]:
        """All stored conversations, the latest first."""
        return await self._journal.run(self._all)

    async def stored(self) -> Iterator[tuple[str, Record]]:
        """The turns of all conversations since each was cleared, as ``put_back`` takes them."""
        return iter(await self._journal.run(self._stored))

    async def put_back(self, conversation: str, records: Sequence[Record]) -> bool:
        """Let these be the conversation, as if it had been cleared and they had followed. False: it was just so."""
        _check(conversation)
        return await self._journal.run(self._put_back, conversation, fold(records))

    async def expire(self, days: int) -> int:
        """Erase turns that are older than so many days, also from the disk; how many there were."""
        return await self._journal.run(self._expire, self._clock() - days * _DAY_S)

    def erase_now(self, erasure: Erasure) -> None:
        """Erase the turns that concern it, and have what else belongs to them concern it. For code in the journal's
        thread."""
        rows = self._journal.database.rows("SELECT id, record FROM turns")
        if found := {str(turn) for turn, record in rows if erasure.concerns(json.loads(record))}:
            self._journal.erase_now(TOPIC, sorted(found))
            erasure.add_turns(found)

    async def _add(self, conversation: str, what: Body) -> None:
        _check(conversation)
        body = {"conversation": conversation, "at": self._clock(), **what}
        await self._journal.append(JournalEvent(TOPIC, json.loads(_text(body))))

    def _load(self, conversation: str) -> list[TurnRecord]:
        return [from_body(record) for record in self._tables.records(self._journal.database, conversation)]

    def _all(self) -> list[ConversationInfo]:
        rows = self._journal.database.execute(
            "SELECT c.id, (SELECT count(*) FROM turns WHERE conversation = c.id AND place > c.cleared), c.updated_at "
            "FROM conversations c ORDER BY c.updated_at DESC, c.id"
        )
        return [ConversationInfo(*row) for row in rows]

    def _stored(self) -> list[tuple[str, Record]]:
        rows = self._journal.database.execute(
            "SELECT t.conversation, t.record FROM turns t JOIN conversations c ON c.id = t.conversation "
            "WHERE t.place > c.cleared ORDER BY t.conversation, t.place"
        )
        return [(row[0], json.loads(row[1])) for row in rows]

    def _put_back(self, conversation: str, records: Sequence[Record]) -> bool:
        if self._tables.records(self._journal.database, conversation) == records:
            return False
        body = {"conversation": conversation, "at": self._clock(), "put_back": records}
        self._journal.append_now(JournalEvent(TOPIC, body))
        return True

    def _expire(self, before: float) -> int:
        rows = self._journal.database.execute("SELECT DISTINCT id FROM turns WHERE at < ?", (before,))
        if rows:
            self._journal.erase_now(TOPIC, [str(row[0]) for row in rows])
        return len(rows)


def to_body(record: TurnRecord) -> Record:
    """The record as JSON holds it."""
    body: Record = {
        "turn": asdict(record.turn),
        "messages": [[message.role, message.content] for message in record.messages],
    }
    return cast("Record", json.loads(_text(body)))


def from_body(body: Record) -> TurnRecord:
    """The record that ``to_body`` made. Raises ValueError, KeyError or TypeError for anything else."""
    turn = body["turn"]
    cost = turn["cost"]
    return TurnRecord(
        Turn(
            id=turn["id"],
            user_text=turn["user_text"],
            assistant_text=turn["assistant_text"],
            source=cast("Source", turn["source"]),
            started_at=turn["started_at"],
            interrupted=turn["interrupted"],
            tool_calls=tuple(ToolCall(call["id"], call["name"], call["arguments"]) for call in turn["tool_calls"]),
            cost=TurnCost(**{**cost, "usage": Usage(**cost["usage"])}),
            expert=turn.get("expert", ""),
        ),
        tuple(Message(cast("Role", role), content) for role, content in body["messages"]),
    )


def fold(lines: Sequence[Record]) -> list[Record]:
    """The turns that the lines of an earlier version's file, or of a state, add up to.

    Raises ValueError, KeyError or TypeError for a line that is none.
    """
    records: list[TurnRecord] = []
    for line in lines:
        if "cleared" in line:
            records.clear()
        elif "heard" in line:
            records = [record.heard(line["text"]) if record.turn.id == line["heard"] else record for record in records]
        else:
            records.append(from_body(line))
    return [to_body(record) for record in records]


def _check(conversation: str) -> None:
    if not valid_id(conversation):
        raise ConfigurationError(
            f"{conversation!r} is no conversation id: up to 64 letters, digits, hyphens and underscores"
        )


def _text(body: Body) -> str:
    # A lone surrogate, half of a character, is text to Python and no text to a disk.
    return json.dumps(body, ensure_ascii=False, default=_plain).encode("utf-8", "replace").decode()


def _plain(value: object) -> object:
    """Mappings that are no dict, in tool arguments."""
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"cannot store {type(value).__name__}")
