"""Has a person said yes to this? Asked of the agent's own record, which is read and never written.

The agent keeps its journal (SQLite, with a write-ahead log) open for itself alone, so the two files are copied and the
copy is read. The log is only ever added to until it begins anew with another salt: where that is the same before and
after, the copies belong together.

Both lie in the agent's folder, and what is in them is the agent's: neither a link, a pipe, an endless file nor a table
that never ends may keep the unit, fill its disk or lead it to what the agent may not read.
"""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import stat
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from pathlib import Path
from typing import IO, Any

from node_admin.errors import RefusedError
from node_admin.requests import Request

_HEADER = 32  # bytes of a log's beginning, the salts among them
_TRIES = 5
_CHUNK = 1 << 20
_LARGEST = 2 << 30  # bytes of a journal, and of its log
_LONGEST = 8 << 20  # bytes of one record
_LATEST_S = 60.0  # after the yes has run out: the agent begins before it does, and asks at once
_DECIDERS = frozenset({"page", "terminal", "voice", "typed"})


class Decisions:
    """The agent's record of what people said.

    Args:
        journal: the agent's ``journal.db``.
        folder: where a copy may lie for a moment; nobody else may read it.
        agent: the user id whose record it is.
        clock: seconds since 1970.
        answer_s: how long the database may take.
    """

    def __init__(
        self,
        journal: Path,
        folder: Path,
        agent: int,
        clock: Callable[[], float] = time.time,
        answer_s: float = 10.0,
    ) -> None:
        self._journal = journal
        self._folder = folder
        self._agent = agent
        self._answer_s = answer_s
        self._clock = clock

    def agreed(self, request: Request) -> Mapping[str, Any]:
        """The arguments that the person saw and said yes to.

        Raises:
            RefusedError: there is no such yes that is being carried out now.
        """
        record = self._read(request.approval)
        if record is None:
            raise RefusedError("there is no such approval")
        arguments = record.get("arguments")
        preview = record.get("preview")
        if not isinstance(arguments, dict) or not isinstance(preview, dict):
            raise RefusedError("the approval cannot be understood; do agent and unit have the same version?")
        if record.get("tool") != f"nodes.{request.verb}" or arguments.get("node", "") != request.node:
            raise RefusedError("the approval is for something else")
        if record.get("state") != "started" or preview.get("look") or record.get("by") not in _DECIDERS:
            raise RefusedError("nobody has said yes to this")
        until = record.get("expires_at")
        if not isinstance(until, int | float) or self._clock() > until + _LATEST_S:
            raise RefusedError("the yes was given too long ago")
        return arguments

    def _read(self, approval: str) -> Mapping[str, Any] | None:
        with tempfile.TemporaryDirectory(dir=self._folder) as folder:
            copy = Path(folder, "journal.db")
            try:
                self._copy(copy)
                with closing(sqlite3.connect(copy)) as database:
                    database.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LONGEST)
                    end = time.monotonic() + self._answer_s
                    database.set_progress_handler(lambda: time.monotonic() > end, 10_000)
                    row = database.execute("SELECT request FROM approvals WHERE id = ?", (approval,)).fetchone()
                record = json.loads(row[0]) if row else None
            except (OSError, sqlite3.Error, ValueError, TypeError, RecursionError) as error:
                raise RefusedError(f"the agent's record cannot be read: {error}") from error
        return record if isinstance(record, dict) else None

    def _copy(self, copy: Path) -> None:
        log, log_copy = self._journal.with_name("journal.db-wal"), copy.with_name("journal.db-wal")
        for _ in range(_TRIES):
            before = self._beginning(log)
            self._take(self._journal, copy)
            log_copy.unlink(missing_ok=True)
            with suppress(FileNotFoundError):
                self._take(log, log_copy)
            if self._beginning(log) == before:
                return
        raise OSError("it changes all the time")

    def _take(self, source: Path, target: Path) -> None:
        # Half of the disk stays for what the unit itself writes.
        most = min(_LARGEST, shutil.disk_usage(self._folder).free // 2)
        with self._opened(source) as file, target.open("wb") as copy:
            size = os.fstat(file.fileno()).st_size
            while (chunk := file.read(_CHUNK)) and size <= most:
                copy.write(chunk)
                size = max(size, copy.tell())
            if size > most:
                raise OSError(f"{source.name} is longer than {most >> 20} MB")

    def _beginning(self, log: Path) -> bytes:
        try:
            with self._opened(log) as file:
                return file.read(_HEADER)
        except FileNotFoundError:
            return b""

    def _opened(self, path: Path) -> IO[bytes]:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or found.st_uid != self._agent:
            os.close(descriptor)
            raise OSError(f"{path.name} is no file of the agent's")
        return os.fdopen(descriptor, "rb")
