"""Takes over what version 0.2 left in the state folder, once: facts, conversations, waiting calls and the audit log.

The journal is made beside its place and moved there whole, so that a kill at any instant leaves either the old files or
the journal to start with. The old files are kept for thirty days in ``migrated.0.2-...``; what a person forgets
meanwhile is erased there too.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pipecatapp.ports import JournalEvent
from pipecatapp.storage.approvals import TOPIC as APPROVALS
from pipecatapp.storage.approvals import from_body as approval_of
from pipecatapp.storage.atomic import make_folder, move
from pipecatapp.storage.audit import TOPIC as AUDIT
from pipecatapp.storage.conversations import TOPIC as CONVERSATIONS
from pipecatapp.storage.conversations import fold, valid_id
from pipecatapp.storage.erasure import Erasure, erase_lines
from pipecatapp.storage.fact_table import TOPIC as FACTS
from pipecatapp.storage.fact_table import FactTable
from pipecatapp.storage.journal import SqliteJournal
from pipecatapp.storage.records import (
    VERSION,
    BadRecordError,
    Embedded,
    FactAdded,
    Vector,
    decode,
    decode_header,
    to_body,
)
from pipecatapp.storage.salvage import free_name

log = logging.getLogger(__name__)

KEPT_DAYS = 30
_OLD = ("long_term_memory.jsonl", "conversations", "approvals.json", "audit")
_FACTS, _CONVERSATIONS, _APPROVALS, _AUDIT = _OLD
_NEW = ".journal.new"
_COPY = "migrated"
_BATCH = 512


def take_over(
    folder: Path, path: Path, create: Callable[[Path], SqliteJournal], table: FactTable, now: float
) -> list[str]:
    """Make the journal ``path`` out of the old files, where it is missing and they are there.

    Args:
        folder: the state folder.
        path: the journal's file.
        create: makes a journal in another folder, with the same read models.
        table: that of the facts.
        now: seconds since 1970.

    Returns:
        What a person should know of what was found. Raises StorageError or OSError; the old files are as they were.
    """
    notices: list[str] = []
    drop_old_copies(folder, now)
    shutil.rmtree(folder / _NEW, ignore_errors=True)
    old = [each for name in _OLD if (each := folder / name).exists()]
    if not path.exists() and old:
        began = time.monotonic()
        notices = _make(folder, path, create(folder / _NEW), table, now)
        log.info("took over what version 0.2 left, in %.1f s", time.monotonic() - began)
    if old:
        _retire(folder, now)
    return notices


def drop_old_copies(folder: Path, now: float) -> None:
    """Delete what was kept for thirty days."""
    for copy in folder.glob(f"{_COPY}.*"):
        if now - copy.stat().st_mtime > KEPT_DAYS * 86_400:
            shutil.rmtree(copy)
            log.info("deleted %s, which was kept for %d days", copy, KEPT_DAYS)


def erase_in_copies(folder: Path, erasure: Erasure) -> None:
    """Take what concerns it out of the old files that are kept. Raises OSError."""
    for copy in folder.glob(f"{_COPY}.*"):
        at = copy.stat()
        for file in copy.rglob("*"):
            if file.is_file() and not file.is_symlink():
                erase_lines(file, erasure)
        # Its age is what counts.
        _set_time(copy, at.st_mtime)


def _make(folder: Path, path: Path, journal: SqliteJournal, table: FactTable, now: float) -> list[str]:
    notices: list[str] = []
    journal.open_now()
    try:
        journal.database.execute("PRAGMA synchronous=OFF")  # the whole file is synced before it gets its name
        notices += _facts(folder / _FACTS, journal, table, now)
        notices += _conversations(folder / _CONVERSATIONS, journal)
        notices += _approvals(folder / _APPROVALS, journal)
        notices += _audit(folder / _AUDIT / "audit.jsonl", journal)
        journal.compact_now()
        journal.database.empty_log()
    finally:
        journal.close_now()
    move(journal.path, path)
    shutil.rmtree(journal.path.parent)
    for notice in notices:
        log.warning("%s", notice)
    return notices


def _retire(folder: Path, now: float) -> None:
    """Put the old files aside. Done again at the next start where a kill comes between."""
    copy = free_name(folder / _COPY, "0.2", now)
    make_folder(copy)
    names = [*_OLD, *(path.name for path in folder.glob(f"{_FACTS}.*")), "long_term_memory.lock"]
    for name in names:
        if (folder / name).exists():
            move(folder / name, copy / name)
    _set_time(copy, now)


def _facts(path: Path, journal: SqliteJournal, table: FactTable, now: float) -> list[str]:
    if not path.is_file():
        return []
    bad: list[int] = []
    known = 0
    records: list[Mapping[str, Any]] = []
    vectors: dict[int, Vector] = {}
    for number, line in enumerate(_lines(path), start=1):
        if number == 1:
            try:
                header, version = decode_header(line)
            except BadRecordError:
                pass
            else:
                if version > VERSION:
                    return [_foreign(path)]
                journal.note("identity", header.book)
                journal.append_now(JournalEvent(FACTS, {"next": header.next_id}))
                continue
        try:
            record = decode(line)
        except BadRecordError:
            bad.append(number)
            continue
        known += 1
        match record:
            case FactAdded(fact=fact, vector=vector):
                records.append(to_body(FactAdded(fact)))
                if vector is not None:
                    vectors[fact.id] = vector
            case Embedded(id=fact_id, vector=vector):
                vectors[fact_id] = vector
            case _:
                records.append(to_body(record))
        if len(records) + len(vectors) >= _BATCH:
            _put(journal, table, records, vectors)
            records, vectors = [], {}
    if bad and not known and path.stat().st_size:
        return [_foreign(path)]
    _put(journal, table, records, vectors)
    if not bad:
        return []
    journal.note("identity", f"mended-{now:.0f}")  # ids may be given again: no index of before fits
    where = ", ".join(map(str, bad[:5]))
    return [f"{path.name} is damaged at line {where}: {known} records were saved; it is kept for {KEPT_DAYS} days"]


def _put(
    journal: SqliteJournal, table: FactTable, records: Sequence[Mapping[str, Any]], vectors: Mapping[int, Vector]
) -> None:
    if records:
        journal.append_now(JournalEvent(FACTS, {"records": list(records)}))
    with journal.database.transaction():
        table.put_vectors(journal.database, vectors)
        table.drop_stray_vectors(journal.database)


def _foreign(path: Path) -> str:
    return f"{path.name} is not a memory of this program; it is kept for {KEPT_DAYS} days"


def _conversations(folder: Path, journal: SqliteJournal) -> list[str]:
    notices = []
    for path in sorted(folder.glob("*.jsonl")) if folder.is_dir() else ():
        if not valid_id(path.stem):
            continue
        lines: list[Mapping[str, Any]] = []
        hidden: list[Mapping[str, Any]] = []
        bad = 0
        for line in _lines(path):
            try:
                value = _conversation_line(line)
            except (ValueError, KeyError, TypeError, RecursionError):
                bad += 1
                continue
            if "cleared" in value:
                hidden += lines
                lines = []
            else:
                lines.append(value)
        about = {"conversation": path.stem, "at": path.stat().st_mtime}
        if hidden:
            journal.append_now(JournalEvent(CONVERSATIONS, {**about, "put_back": fold(hidden)}))
        journal.append_now(JournalEvent(CONVERSATIONS, {**about, "put_back": fold(lines)}))
        if bad:
            notices.append(f"{path.name}: {bad} lines cannot be read; it is kept for {KEPT_DAYS} days")
    return notices


def _conversation_line(line: bytes) -> Mapping[str, Any]:
    """The line, which costs itself alone where it cannot be read: raises then."""
    value: Mapping[str, Any] = json.loads(line)
    if "heard" in value:
        return {"heard": str(value["heard"]), "text": str(value["text"])}
    fold([value])
    return value


def _approvals(path: Path, journal: SqliteJournal) -> list[str]:
    if not path.is_file():
        return []
    try:
        value = json.loads(path.read_bytes())
        if value["v"] != 1:
            raise ValueError(f"version {value['v']}")
        for request in value["requests"]:
            approval_of(request)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        return [f"{path.name} cannot be understood ({error}): what waited is lost; it is kept for {KEPT_DAYS} days"]
    journal.append_now(JournalEvent(APPROVALS, {"put": value["requests"]}))
    return []


def _audit(path: Path, journal: SqliteJournal) -> list[str]:
    if not path.is_file():
        return []
    lines: list[Mapping[str, Any]] = []
    bad = 0
    for line in _lines(path):
        try:
            value = json.loads(line)
            int(value["n"]), str(value["hash"])
        except (ValueError, KeyError, TypeError, RecursionError):
            bad += 1
            continue
        lines.append(value)
        if len(lines) == _BATCH:
            journal.append_now(JournalEvent(AUDIT, {"lines": lines}))
            lines = []
    journal.append_now(JournalEvent(AUDIT, {"lines": lines}))
    return [f"{path.name}: {bad} lines cannot be read; it is kept for {KEPT_DAYS} days"] if bad else []


def _lines(path: Path) -> Iterator[bytes]:
    """The whole lines: what a kill tore at the end was never acknowledged."""
    with path.open("rb", buffering=1 << 20) as file:
        for line in file:
            if line.endswith(b"\n") and line.strip():
                yield line


def _set_time(path: Path, at: float) -> None:
    os.utime(path, (at, at))
