"""Has a person said yes to this? Asked of the agent's own record, which is read and never written.

The agent keeps its journal (SQLite, with a write-ahead log) open for itself alone, so the two files are copied and the
copy is read. The log is only ever added to until it begins anew with another salt: where that is the same before and
after, the copies belong together.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from node_admin.errors import RefusedError
from node_admin.requests import Request

_HEADER = 32  # bytes of a log's beginning, the salts among them
_TRIES = 5
_LATEST_S = 60.0  # after the yes has run out: the agent begins before it does, and asks at once
_DECIDERS = frozenset({"page", "terminal", "voice", "typed"})


class Decisions:
    """The agent's record of what people said.

    Args:
        journal: the agent's ``journal.db``.
        folder: where a copy may lie for a moment; nobody else may read it.
        clock: seconds since 1970.
    """

    def __init__(self, journal: Path, folder: Path, clock: Callable[[], float] = time.time) -> None:
        self._journal = journal
        self._folder = folder
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
                    row = database.execute("SELECT request FROM approvals WHERE id = ?", (approval,)).fetchone()
                record = json.loads(row[0]) if row else None
            except (OSError, sqlite3.Error, ValueError, TypeError) as error:
                raise RefusedError(f"the agent's record cannot be read: {error}") from error
        return record if isinstance(record, dict) else None

    def _copy(self, copy: Path) -> None:
        log, log_copy = self._journal.with_name("journal.db-wal"), copy.with_name("journal.db-wal")
        for _ in range(_TRIES):
            before = _beginning(log)
            shutil.copyfile(self._journal, copy)
            log_copy.unlink(missing_ok=True)
            if log.exists():
                shutil.copyfile(log, log_copy)
            if _beginning(log) == before:
                return
        raise OSError("it changes all the time")


def _beginning(log: Path) -> bytes:
    try:
        with log.open("rb") as file:
            return file.read(_HEADER)
    except FileNotFoundError:
        return b""
