"""The journal of one PC: everything that must survive, in one SQLite file, ``journal.db``.

An event and what it does to its read model are one transaction, so neither is ever there without the other. The read
models are what the program reads, and the snapshot too: of the events themselves the newest few thousand are kept, and
none that is older than the last erasure.

All calls of SQLite are made by one thread: the methods without ``_now`` are for the event loop, those with it block and
are for code that runs in that thread (``run``).
"""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
import sqlite3
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, ParamSpec, Protocol, TypeVar

from pipecatapp.errors import CompactedError, StaleAppendError, StorageError
from pipecatapp.ports import JournalEntry, JournalEvent, JournalSnapshot
from pipecatapp.storage.atomic import make_folder
from pipecatapp.storage.database import Connect, DamagedError, Database
from pipecatapp.storage.lock import FileLock
from pipecatapp.storage.salvage import set_aside_database, take_over_rows

log = logging.getLogger(__name__)

NAME = "journal.db"
FORMAT = 1
_TAIL = 4096  # events that are kept for whoever was away; trimmed when there are twice as many
_PAGE = 500
_TABLES = {
    "meta": "CREATE TABLE IF NOT EXISTS meta(name TEXT PRIMARY KEY, value) WITHOUT ROWID",
    "positions": (
        "CREATE TABLE IF NOT EXISTS positions(topic TEXT PRIMARY KEY, sequence INTEGER NOT NULL) WITHOUT ROWID"
    ),
    "events": (
        "CREATE TABLE IF NOT EXISTS events(sequence INTEGER PRIMARY KEY, term INTEGER NOT NULL, topic TEXT NOT NULL, "
        "body TEXT NOT NULL)"
    ),
}
P = ParamSpec("P")
T = TypeVar("T")
Body = Mapping[str, Any]
Listener = Callable[[Body], None]


class ReadModel(Protocol):
    """What the events of one topic add up to, in tables of its own."""

    topic: str
    tables: Mapping[str, str]  # name -> CREATE TABLE IF NOT EXISTS ...
    indexes: Sequence[str]

    def apply(self, database: Database, body: Body) -> None:
        """Let an event happen. It depends on nothing but the event and the tables."""

    def snapshot(self, database: Database) -> Iterator[Body]:
        """Events that make the tables what they are out of empty ones."""


class SqliteJournal:
    """``ports.Journal`` in one file, with the read models that are kept in it. Opened by its first use.

    Args:
        folder: where the file is (STATE_DIR); one process at a time may use it.
        models: what the events add up to; one for each topic.
        older: called before the file is made for the first time, with the folder and a function that gives the new
            file events: takes over what earlier versions left. Returns what a person should know.
        connect, errors: how the file is opened; tests put a disk there that crashes.
        clock: seconds since 1970.
    """

    def __init__(
        self,
        folder: Path,
        models: Sequence[ReadModel],
        *,
        older: Callable[[Path, SqliteJournal], Sequence[str]] | None = None,
        connect: Connect | None = None,
        errors: tuple[type[Exception], ...] = (sqlite3.Error,),
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.path = folder / NAME
        self.notices: list[str] = []
        self._models = {model.topic: model for model in models}
        self._older = older
        self._connect, self._errors = connect, errors
        self._clock = clock
        self._listeners: dict[str, list[Listener]] = {}
        self._writing = threading.RLock()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="journal")
        self._lock: FileLock | None = None
        self._database: Database | None = None
        self._term = 0
        self._closed = False

    # For the event loop.

    @property
    def term(self) -> int:
        """Ours; 0 before the first use."""
        return self._term

    async def open(self) -> None:
        """Open the file now.

        Raises:
            StorageError: another process uses it, or it cannot be read or written.
        """
        await self.run(self.open_now)

    async def close(self) -> None:
        """Finish what was begun and let go of the file."""
        if not self._closed:
            await self.run(self.close_now)

    async def append(self, event: JournalEvent, expected: int | None = None) -> int:
        """Add the event; returns its sequence once it survives a power cut (``ports.Journal.append``)."""
        return await self.run(self.append_now, event, expected)

    async def replay(self, start: int = 1) -> AsyncIterator[JournalEntry]:
        """The events from ``start`` on (``ports.Journal.replay``)."""
        while page := await self.run(self._page, start):
            for entry in page:
                yield entry
            start = page[-1].sequence + 1

    async def snapshot(self) -> JournalSnapshot:
        """What everything up to now has led to."""
        return await self.run(self.snapshot_now)

    async def erase(self, topic: str, ids: Sequence[str]) -> int:
        """Take out what these ids stand for (``ports.Journal.erase``)."""
        return await self.run(self.erase_now, topic, ids)

    async def run(self, work: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
        """Do something that blocks on the database, in its thread. Once begun it is done, cancelled or not."""
        if self._closed:
            raise StorageError(f"{self.path} is closed")
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, partial(work, *arguments, **named))

    # For the thread.

    def follow(self, topic: str, listener: Listener) -> None:
        """From now on ``listener`` hears of each event of the topic that is safe, in the thread that wrote it."""
        self._listeners.setdefault(topic, []).append(listener)

    @property
    def database(self) -> Database:
        """The open file, for reading. Raises StorageError."""
        with self._writing:
            self.open_now()
            assert self._database is not None  # noqa: S101
            return self._database

    def open_now(self) -> None:
        """Open the file unless it is open. Raises StorageError."""
        with self._writing:
            if self._closed:
                raise StorageError(f"{self.path} is closed")
            if self._database is None:
                try:
                    self._open()
                except BaseException:
                    self._release()
                    raise

    def close_now(self) -> None:
        """Let go of the file. Everything acknowledged is safe already."""
        with self._writing:
            self._closed = True
            self._release()
        self._thread.shutdown(wait=False)

    def append_now(self, event: JournalEvent, expected: int | None = None) -> int:
        """``append`` for code in the thread."""
        return self._append([event], expected)

    def append_all_now(self, events: Sequence[JournalEvent]) -> int:
        """Add several events, all or none of them; returns the sequence of the last. For code in the thread."""
        return self._append(events)

    def erase_now(self, topic: str, ids: Sequence[str]) -> int:
        """``erase`` for code in the thread."""
        event = JournalEvent(topic, {"erase": list(ids)})
        with self._writing:
            database = self.database
            with database.transaction():
                sequence = self._add(database, event, None)
                self._forget_events(database, sequence - 1)
                self._note(database, "unscrubbed", 1)
            self._tell(event)
            if self._connect is None:  # a disk that crashes is no place for a second thread
                self._thread.submit(self._scrub_soon)
            return sequence

    def scrub_now(self) -> None:
        """Let what was erased leave every byte of the disk. Until it has, each start does it again."""
        with self._writing:
            if self._database is not None and self.noted("unscrubbed"):
                self._database.scrub()
                self.note("unscrubbed", 0)

    def compact_now(self) -> None:
        """Keep no event: from now on what they led to is only there as a snapshot."""
        with self._writing, self.database.transaction():
            self._forget_events(self.database, self._head())

    def position(self, topic: str) -> int:
        """The sequence of the topic's last event; 0 before the first."""
        row = self.database.one("SELECT sequence FROM positions WHERE topic = ?", (topic,))
        return int(row[0]) if row else 0

    @property
    def identity(self) -> str:
        """The name of this set of ids: another one with a new file, and after damage, when ids may be given again."""
        return str(self.noted("identity"))

    def note(self, name: str, value: str | int) -> None:
        """Keep a small thing that is no event, under a name of its own."""
        with self._writing, self.database.transaction():
            self._note(self.database, name, value)

    def noted(self, name: str) -> Any:
        """What ``note`` kept; None where there is nothing."""
        row = self.database.one("SELECT value FROM meta WHERE name = ?", (name,))
        return row[0] if row else None

    # Opening.

    def _open(self) -> None:
        try:
            make_folder(self.path.parent)
            if self._connect is None:
                self._lock = FileLock(self.path.with_suffix(".lock"))
        except OSError as error:
            raise StorageError(f"cannot open {self.path}: {error}; check the folder and its owner") from error
        if self._older is not None:
            self.notices += self._older(self.path.parent, self)
        try:
            self._database = Database(self.path, self._connect, self._errors)
            if trouble := self._database.check():
                raise DamagedError(f"{self.path} is damaged: {trouble}")
            self._prepare(self._database)
        except DamagedError as error:
            if self._connect is not None:
                raise
            self._mend(str(error))
        self._take_over()
        self._scrub_soon()

    def _prepare(self, database: Database) -> None:
        """Make the tables that are missing."""
        version = database.one("PRAGMA user_version")
        if version and version[0] > FORMAT:
            raise StorageError(f"{self.path} was written by a newer version of this program; run that one")
        with database.transaction():
            for sql in self._schema():
                database.execute(sql)
            database.execute(f"PRAGMA user_version={FORMAT}")

    def _schema(self) -> Iterator[str]:
        yield from _TABLES.values()
        for model in self._models.values():
            yield from model.tables.values()
            yield from model.indexes

    def _take_over(self) -> None:
        database = self.database
        with database.transaction():
            self._term = int(self.noted("term") or 0) + 1
            self._note(database, "term", self._term)
            if self.noted("identity") is None:
                self._note(database, "identity", secrets.token_hex(8))

    def _mend(self, why: str) -> None:
        """Put the damaged file aside and go on with what of it can be read."""
        if self._database is not None:
            self._database.close()
        aside = set_aside_database(self.path, self._clock())
        database = self._database = Database(self.path)
        self._prepare(database)
        names = ["meta", "positions", *(name for model in self._models.values() for name in model.tables)]
        with database.transaction():
            count = take_over_rows(aside, database, names)
            database.execute("DELETE FROM meta WHERE name = 'identity'")
            last = database.one("SELECT coalesce(max(sequence), 0) FROM positions")
            self._note(database, "compacted", max(int(last[0]) if last else 0, int(self.noted("compacted") or 0)))
        notice = f"{why}: {count} records were saved; the file as it was is kept as {aside.name}"
        log.error("%s", notice)
        self.notices.append(notice)

    def _release(self) -> None:
        database, self._database = self._database, None
        if database is not None:
            database.close()
        lock, self._lock = self._lock, None
        if lock is not None:
            lock.release()

    def _append(self, events: Sequence[JournalEvent], expected: int | None = None) -> int:
        with self._writing:
            database = self.database
            with database.transaction():
                sequences = [self._add(database, event, expected) for event in events]
                for sequence in sequences:
                    if sequence % _TAIL == 0:
                        self._forget_events(database, sequence - _TAIL)
            for event in events:
                self._tell(event)
            return sequences[-1]

    # Inside a transaction.

    def _add(self, database: Database, event: JournalEvent, expected: int | None) -> int:
        if event.topic not in self._models:
            raise ValueError(f"no read model takes events about {event.topic!r}")
        if self.noted("term") != self._term:
            raise StaleAppendError(f"another agent has taken over {self.path}; this one may no longer write")
        last = self.position(event.topic)
        if expected is not None and expected != last:
            raise StaleAppendError(f"the last event about {event.topic} is {last}, not {expected}: read it first")
        sequence = self._head() + 1
        body = json.dumps(event.body, ensure_ascii=False, separators=(",", ":"))
        # A lone surrogate is text to Python, and no text to SQLite.
        body = body.encode("utf-8", "replace").decode()
        entry = JournalEntry(sequence, self._term, JournalEvent(event.topic, json.loads(body)))
        self._write(database, entry, body)
        self._agree(database, entry)
        return sequence

    def _write(self, database: Database, entry: JournalEntry, body: str) -> None:
        topic = entry.event.topic
        database.execute("INSERT INTO events VALUES (?, ?, ?, ?)", (entry.sequence, entry.term, topic, body))
        self._models[topic].apply(database, entry.event.body)
        database.execute("INSERT OR REPLACE INTO positions VALUES (?, ?)", (topic, entry.sequence))

    def _agree(self, database: Database, entry: JournalEntry) -> None:
        """Where others have to have the event before it counts: raises, and nothing happened, when they have not."""

    def _head(self) -> int:
        row = self.database.one("SELECT coalesce(max(sequence), 0) FROM events")
        return max(int(row[0]) if row else 0, int(self.noted("compacted") or 0))

    def _forget_events(self, database: Database, until: int) -> None:
        database.execute("DELETE FROM events WHERE sequence <= ?", (until,))
        self._note(database, "compacted", until)

    @staticmethod
    def _note(database: Database, name: str, value: str | int) -> None:
        database.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (name, value))

    def _tell(self, event: JournalEvent) -> None:
        for listener in self._listeners.get(event.topic, ()):
            listener(event.body)

    def _scrub_soon(self) -> None:
        try:
            self.scrub_now()
        except StorageError as error:
            log.error("what was erased may still have bytes on the disk; tried again at the next start: %s", error)

    def _page(self, start: int) -> list[JournalEntry]:
        if start <= int(self.noted("compacted") or 0):
            raise CompactedError(f"the events before {int(self.noted('compacted')) + 1} are only there as a snapshot")
        rows = self.database.execute(
            "SELECT sequence, term, topic, body FROM events WHERE sequence >= ? ORDER BY sequence LIMIT ?",
            (start, _PAGE),
        )
        return [JournalEntry(row[0], row[1], JournalEvent(row[2], json.loads(row[3]))) for row in rows]

    def snapshot_now(self) -> JournalSnapshot:
        """``snapshot`` for code in the thread."""
        with self._writing:
            database = self.database
            events = [
                JournalEvent(topic, body) for topic, model in self._models.items() for body in model.snapshot(database)
            ]
            return JournalSnapshot(self._head(), events)
