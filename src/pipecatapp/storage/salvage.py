"""Saving what can be read of a damaged database, and names for files that are set aside."""

from __future__ import annotations

import contextlib
import logging
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from pipecatapp.storage.atomic import move
from pipecatapp.storage.database import Database, Row

log = logging.getLogger(__name__)

_LOGS = ("-wal", "-shm", "-journal")


def free_name(path: Path, why: str, now: float) -> Path:
    """A name beside the file that says why and when, and that nothing has."""
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now))
    target = path.with_name(f"{path.name}.{why}-{stamp}")
    number = 1
    while target.is_symlink() or target.exists():
        number += 1
        target = path.with_name(f"{path.name}.{why}-{stamp}-{number}")
    return target


def set_aside(path: Path, why: str, now: float) -> Path:
    """Give the file a name that says why and when, so that nothing overwrites it. Raises OSError."""
    target = free_name(path, why, now)
    move(path, target)
    return target


def set_aside_database(path: Path, now: float) -> Path:
    """Set a database aside with its log, which belongs to it. Raises OSError."""
    target = free_name(path, "damaged", now)
    # The log first: a log without its database is never taken for another one's.
    for ending in _LOGS:
        beside = path.with_name(f"{path.name}{ending}")
        if beside.exists():
            move(beside, target.with_name(f"{target.name}{ending}"))
    move(path, target)
    return target


def take_over_rows(damaged: Path, database: Database, tables: Sequence[str]) -> int:
    """Copy the rows of these tables that can be read, from both ends of each; returns how many there were."""
    count = 0
    with (
        tempfile.TemporaryDirectory(dir=damaged.parent, prefix=".salvage-") as name,
        _copied(damaged, Path(name)) as source,
    ):
        for table in tables:
            for order in ("", " ORDER BY rowid DESC"):
                for row in _readable(source, f"SELECT * FROM {table}{order}"):  # noqa: S608  names of our own
                    marks = ",".join("?" * len(row))
                    database.execute(f"INSERT OR IGNORE INTO {table} VALUES ({marks})", row)  # noqa: S608
                    row_count = database.one("SELECT changes()")
                    count += row_count[0] if row_count else 0
    return count


@contextlib.contextmanager
def _copied(path: Path, folder: Path) -> Iterator[sqlite3.Connection]:
    """A copy to read from: opening a database changes it."""
    for ending in ("", *_LOGS):
        beside = path.with_name(f"{path.name}{ending}")
        if beside.is_file():
            shutil.copyfile(beside, folder / f"copy{ending}")
    connection = sqlite3.connect(folder / "copy", isolation_level=None)
    connection.text_factory = lambda data: data.decode("utf-8", "replace")
    with contextlib.suppress(sqlite3.Error):
        connection.execute("PRAGMA writable_schema=ON")  # a damaged schema must not keep the rest from being read
    with contextlib.closing(connection):
        yield connection


def _readable(source: sqlite3.Connection, sql: str) -> Iterator[Row]:
    try:
        yield from source.execute(sql)
    except (sqlite3.Error, OverflowError) as error:
        log.warning("a damaged database is read no further: %s", error)
