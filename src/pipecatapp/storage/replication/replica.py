"""The journal's file on one of several PCs: what the brain reads. It follows the log, and what is written here is in
the log before it counts.

Where it stands (``Standing``) is kept in the file, in the transaction of what it has taken in.
"""

from __future__ import annotations

import json
import logging
import secrets
import sqlite3
import time
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from pipecatapp.errors import NotSavedError, StorageError
from pipecatapp.ports import JournalEntry, JournalEvent
from pipecatapp.storage.database import Connect, Database
from pipecatapp.storage.journal import _TAIL, ReadModel, SqliteJournal
from pipecatapp.storage.replication.stream import CHUNK, LogEntry, Snapshot
from pipecatapp.storage.salvage import free_name

log = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")
_STANDING = "log"


@dataclass(frozen=True, slots=True)
class Standing:
    """How far a file has followed which log. ``sequence``: its own last event then. ``erased``: since its beginning
    something was forgotten, which its earlier entries still say."""

    log: str = ""
    place: int = 0
    sequence: int = 0
    erased: bool = False


class ReplicatedJournal(SqliteJournal):
    """``SqliteJournal`` whose events others have before they count.

    Args:
        folder, models, older, connect, errors, clock: of ``SqliteJournal``.
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
        super().__init__(folder, models, older=older, connect=connect, errors=errors, clock=clock)
        self._save: Callable[[LogEntry], int] | None = None
        self.changed = self.replaced = False

    def save_with(self, save: Callable[[LogEntry], int]) -> None:
        """From now on ``save`` has each event written into the log; returns its place there, or raises StorageError."""
        self._save = save

    def submit(self, work: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> Future[T]:
        """Have something done in the journal's thread, from any thread."""
        if self._closed:
            raise StorageError(f"{self.path} is closed")
        return self._thread.submit(work, *arguments, **named)

    # For the thread.

    def standing_now(self) -> Standing:
        """How far it is."""
        kept = self.noted(_STANDING)
        return Standing(**json.loads(kept)) if kept else Standing()

    def head_now(self) -> int:
        """The sequence of its last event."""
        return self._head() if self._database is not None else 0

    def stand_now(self, standing: Standing, term: int | None = None) -> None:
        """Note how far it is, and which term that is."""
        with self._writing, self.database.transaction():
            self._stand(self.database, standing)
            if term is not None:
                self._term = term
                self._note(self.database, "term", term)

    def take_in_now(self, entries: Sequence[LogEntry]) -> Standing:
        """Let what others wrote happen here; in one transaction. How far it is then."""
        with self._writing:
            database, told = self.database, []
            with database.transaction():
                standing = self.standing_now()
                for entry in entries:
                    standing = self._take_in(database, standing, entry)
                    if entry.kind == "event":
                        told.append(_event(entry))
                self._stand(database, standing)
            for event in told:
                self.changed = True
                self._tell(event)
            if any("erase" in event.body for event in told):
                self._thread.submit(self._scrub_soon)
            return standing

    def replace_now(self, log_name: str, snapshot: Snapshot) -> Standing:
        """Let everything be as a snapshot says. What this file had that no log has is kept in another one."""
        with self._writing:
            standing, database = self.standing_now(), self.database
            if self._head() != standing.sequence:
                self._set_aside(database)
            begin = snapshot.begin
            with database.transaction():
                for table in (
                    "events",
                    "positions",
                    *(name for model in self._models.values() for name in model.tables),
                ):
                    database.execute(f"DELETE FROM {table}")  # noqa: S608  names of our own
                for event in unpacked(snapshot.parts):
                    self._models[event.topic].apply(database, event.body)
                for topic, sequence in begin.body["positions"].items():
                    database.execute("INSERT INTO positions VALUES (?, ?)", (topic, int(sequence)))
                self._note(database, "compacted", begin.sequence)
                self._note(database, "term", begin.term)
                self._note(database, "unscrubbed", 1)
                # Ids mean something else now: no index of before fits.
                self._note(database, "identity", secrets.token_hex(8))
                standing = Standing(log_name, begin.place, begin.sequence)
                self._stand(database, standing)
            self._term = begin.term
            self.changed = self.replaced = True
            self._thread.submit(self._scrub_soon)
            return standing

    def pack_now(self) -> tuple[Snapshot, Standing]:
        """What everything has led to, as a log begins with it; and where that is."""
        with self._writing:
            database, standing = self.database, self.standing_now()
            sequence = self._head()
            positions = {str(topic): int(at) for topic, at in database.execute("SELECT topic, sequence FROM positions")}
            events = (
                JournalEvent(topic, body) for topic, model in self._models.items() for body in model.snapshot(database)
            )
            parts = list(packed(events))
            body = {"positions": positions, "parts": len(parts), "follows": [standing.log, standing.place]}
            return Snapshot(parts, LogEntry("begin", sequence, self._term, body)), replace(standing, sequence=sequence)

    # What an agent of one PC does otherwise.

    def _take_over(self) -> None:
        """Who may write is decided in the log."""
        with self.database.transaction():
            self._term = int(self.noted("term") or 0)
            self._note(self.database, "term", self._term)
            if self.noted("identity") is None:
                self._note(self.database, "identity", secrets.token_hex(8))

    def _agree(self, database: Database, entry: JournalEntry) -> None:
        if self._save is None:
            raise NotSavedError("the other PCs of the house are not asked yet; try again in a moment")
        body = {"topic": entry.event.topic, "body": entry.event.body}
        standing = self.standing_now()
        place = self._save(LogEntry("event", entry.sequence, entry.term, body))
        erased = standing.erased or "erase" in entry.event.body
        self._stand(database, Standing(standing.log, place, entry.sequence, erased))

    def _stand(self, database: Database, standing: Standing) -> None:
        self._note(database, _STANDING, json.dumps(asdict(standing)))

    def _take_in(self, database: Database, standing: Standing, entry: LogEntry) -> Standing:
        match entry.kind:
            case "event":
                event = _event(entry)
                body = json.dumps(event.body, ensure_ascii=False, separators=(",", ":"))
                self._write(database, JournalEntry(entry.sequence, entry.term, event), body)
                if "erase" in event.body:
                    self._forget_events(database, entry.sequence - 1)
                    self._note(database, "unscrubbed", 1)
                elif entry.sequence % _TAIL == 0:
                    self._forget_events(database, entry.sequence - _TAIL)
                erased = standing.erased or "erase" in event.body
                return Standing(standing.log, entry.place, entry.sequence, erased)
            case "term":
                self._term = entry.term
                self._note(database, "term", entry.term)
                return replace(standing, place=entry.place)
            case "moved":
                return Standing(str(entry.body["to"]), int(entry.body["place"]), standing.sequence)
            case _:
                return replace(standing, place=entry.place)

    def _set_aside(self, database: Database) -> None:
        """Keep a copy of what this PC wrote alone."""
        target = free_name(self.path, "alone", self._clock())
        database.execute("VACUUM INTO ?", (str(target),))
        target.chmod(0o600)
        notice = f"this PC now has the memory of the house; what it had written alone is kept as {target.name}"
        log.warning("%s", notice)
        self.notices.append(notice)


def packed(events: Iterator[JournalEvent]) -> Iterator[bytes]:
    """Events as lines of JSON, compressed, in parts that a server takes."""
    squeeze, ready = zlib.compressobj(6), bytearray()
    for event in events:
        line = json.dumps([event.topic, event.body], ensure_ascii=False, separators=(",", ":"))
        ready += squeeze.compress(f"{line}\n".encode())
        while len(ready) > CHUNK:
            yield bytes(ready[:CHUNK])
            del ready[:CHUNK]
    yield bytes(ready + squeeze.flush())


def unpacked(parts: Sequence[bytes]) -> Iterator[JournalEvent]:
    """The events of ``packed``. Raises StorageError when they cannot be read."""
    open_up, rest = zlib.decompressobj(), b""
    try:
        for part in parts:
            *lines, rest = (rest + open_up.decompress(part)).split(b"\n")
            for line in lines:
                topic, body = json.loads(line)
                yield JournalEvent(topic, body)
        if not open_up.eof:
            raise StorageError("a snapshot of the journal is not whole; it is asked for again")
    except (zlib.error, ValueError) as error:
        raise StorageError(f"a snapshot of the journal cannot be read: {error}; it is asked for again") from error


def _event(entry: LogEntry) -> JournalEvent:
    body: Mapping[str, Any] = entry.body["body"]
    return JournalEvent(str(entry.body["topic"]), body)
