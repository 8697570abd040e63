"""What survives a kill: the approvals that were used, and how far the last run came."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

from node_admin import files
from node_admin.errors import RefusedError
from node_admin.requests import Request

_KEPT = 10_000  # used ids; an approval is older than its two minutes long before it falls out


class State:
    """The unit's folder.

    Args:
        folder: for the unit's user alone.
        clock: seconds since 1970.
    """

    def __init__(self, folder: Path, clock: Callable[[], float] = time.time) -> None:
        self.folder = folder
        self._used = folder / "used"
        self._run = folder / "run.json"
        self._clock = clock
        self._began = 0.0

    def use(self, approval: str) -> None:
        """Note that an approval is used; it lies on the disk when this returns.

        Raises:
            RefusedError: it was used before.
        """
        used = self._used.read_text(encoding="ascii").split() if self._used.exists() else []
        if approval in used:
            raise RefusedError("this approval was used before")
        if len(used) > 2 * _KEPT:
            new = self.folder / ".used.new"
            new.write_text("".join(f"{old}\n" for old in used[-_KEPT:]), encoding="ascii")
            new.replace(self._used)
        file = os.open(self._used, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            os.write(file, f"{approval}\n".encode())
            os.fsync(file)
        finally:
            os.close(file)

    def begin(self, request: Request) -> None:
        """A run begins."""
        self._began = self._clock()
        self._note(request, "running", "")

    def end(self, request: Request, ok: bool, text: str) -> None:
        """It has ended."""
        self._note(request, "done" if ok else "failed", text)

    def after_a_kill(self) -> str:
        """A sentence where the last run did not end; it is noted that it was cut off."""
        last = files.read(self._run)
        if not isinstance(last, dict) or last.get("state") != "running":
            return ""
        files.write(self._run, {**last, "state": "cut off"})
        return f"{last.get('verb')} {last.get('node')} was cut off; asked for again, it goes on where it was"

    def _note(self, request: Request, state: str, text: str) -> None:
        files.write(
            self._run,
            {
                "verb": request.verb,
                "node": request.node,
                "approval": request.approval,
                "began": self._began,
                "changed": self._clock(),
                "state": state,
                "text": text,
            },
        )
