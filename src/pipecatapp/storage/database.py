"""One SQLite file: how it is opened, how it is written so that an acknowledged commit survives a power cut, and how
what was deleted leaves it.

Write-ahead log with ``synchronous=EXTRA``: a commit is one sync of the log. ``secure_delete`` overwrites what is
deleted; ``scrub`` also removes the copies that a tree of pages leaves behind when it is balanced, and empties the log.
The file belongs to one process alone (``locking_mode=EXCLUSIVE``), so it needs no shared memory.

Everything here blocks and belongs to one thread at a time.
"""

from __future__ import annotations

import contextlib
import logging
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

from pipecatapp.errors import StorageError
from pipecatapp.storage.atomic import create_file

log = logging.getLogger(__name__)

Row = tuple[Any, ...]
Value = str | int | float | bytes | None

_PRAGMAS = (
    "locking_mode=EXCLUSIVE",  # before the log is first used: then its index lies in memory
    # FULL, and the folder is synced when the rollback journal of a new file is removed: come back after a power cut, it
    # would undo everything.
    "synchronous=EXTRA",
    "journal_mode=WAL",
    "secure_delete=ON",
    "temp_store=MEMORY",  # what people said goes to no other folder
    "trusted_schema=OFF",
    "cell_size_check=ON",
)


class Connection(Protocol):
    """What is used of a connection in autocommit mode; ``sqlite3``'s, or in tests one over a disk that crashes."""

    def execute(self, sql: str, parameters: Sequence[Value], /) -> Iterable[Row]:
        """Run one statement."""

    def close(self) -> None:
        """Let go of the file."""


Connect = Callable[[Path], Connection]


class DamagedError(StorageError):
    """The file is no database, or parts of it cannot be read."""


class Database:
    """An open file.

    Args:
        path: its name; created, for its owner alone, where it is missing.
        connect: opens it.
        errors: what a connection raises.

    Raises:
        DamagedError: it is no database.
        StorageError: it cannot be opened.
    """

    def __init__(
        self,
        path: Path,
        connect: Connect | None = None,
        errors: tuple[type[Exception], ...] = (sqlite3.Error,),
    ) -> None:
        self.path = path
        self._errors: tuple[type[Exception], ...] = (*errors, OverflowError)  # a number with more than 64 bits
        opening: tuple[type[Exception], ...] = (OSError, *errors)
        try:
            if connect is None:
                create_file(path, b"")
                connect = _connect
            self._connection = connect(path)
        except opening as error:
            raise StorageError(f"cannot open {path}: {error}; check the folder and its owner") from error
        try:
            for pragma in _PRAGMAS:
                self.execute(f"PRAGMA {pragma}")
            # What the log has may lie in the page cache alone, in pages that a failed sync has given up: written anew
            # into the file itself it is synced once more, before anything is acknowledged behind it.
            self.execute("SELECT count(*) FROM sqlite_schema")
            self.empty_log()
        except BaseException:
            self.close()
            raise

    def execute(self, sql: str, parameters: Sequence[Value] = ()) -> list[Row]:
        """Run a statement; its rows.

        Raises:
            StorageError: it could not be run; DamagedError where the file is to blame.
        """
        try:
            return list(self._connection.execute(sql, parameters))
        except self._errors as error:
            raise self._explained(error) from error

    def one(self, sql: str, parameters: Sequence[Value] = ()) -> Row | None:
        """The first row, if there is one."""
        rows = self.execute(sql, parameters)
        return rows[0] if rows else None

    def rows(self, sql: str, parameters: Sequence[Value] = ()) -> Iterator[Row]:
        """The rows one after the other, for more than should lie in memory at once."""
        try:
            yield from self._connection.execute(sql, parameters)
        except self._errors as error:
            raise self._explained(error) from error

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """All statements of the block happen, and survive a power cut when it ends; or none does.

        Raises:
            StorageError: nothing happened.
        """
        self.execute("BEGIN IMMEDIATE")
        try:
            yield
            self.execute("COMMIT")
        except BaseException:
            # A full disk has rolled it back already.
            with contextlib.suppress(StorageError):
                self.execute("ROLLBACK")
            raise

    def check(self) -> str:
        """What is wrong with the file's structure; empty when nothing is. Reads all of it."""
        found = [" ".join(str(row[0]).split()) for row in self.execute("PRAGMA quick_check(3)")]
        return "" if found == ["ok"] else "; ".join(found)

    def empty_log(self) -> None:
        """Bring everything into the file itself and cut the log to nothing."""
        busy = self.one("PRAGMA wal_checkpoint(TRUNCATE)")
        if busy is not None and busy[0]:
            raise StorageError(f"the log of {self.path} could not be emptied")

    def scrub(self) -> None:
        """Write the file anew from what is still in it: nothing that was deleted before is left in any byte."""
        self.execute("VACUUM")
        self.empty_log()

    def close(self) -> None:
        """Let go of the file. Everything committed is safe already."""
        try:
            self._connection.close()
        except self._errors as error:
            log.warning("%s was not closed well: %s", self.path, error)

    def _explained(self, error: Exception) -> StorageError:
        text = str(error)
        damaged = any(word in text.lower() for word in ("malformed", "not a database", "corrupt"))
        if damaged:
            return DamagedError(f"{self.path} is damaged: {text}")
        if "locked" in text.lower():
            return StorageError(f"{self.path} is used by another program: {text}; stop that one first")
        return StorageError(f"cannot use {self.path}: {text}; free some disk space, or check its owner")


def _connect(path: Path) -> Connection:
    # One thread at a time uses it, not always the same one: the journal sees to that.
    return sqlite3.connect(path, timeout=0.0, isolation_level=None, check_same_thread=False)
