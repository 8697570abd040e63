"""What outlives the agent: who sleeps since when, what was remembered, how long waking took, what happened."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

_VERSION = 1
_HISTORY_LIMIT = 512 * 1024
_WAKES_KEPT = 20


@dataclass(slots=True)
class Record:
    """One service.

    Attributes:
        asleep: the agent put it to sleep, or was about to.
        since: epoch seconds of the last change.
        pinned: a person wants it awake.
        wakes: how many seconds the last wakes took.
        slept_s: seconds asleep since the record began.
        remembered: answers to what may be asked while it sleeps, by path.
        days: what it took and saved, by date (``account.Day``).
    """

    asleep: bool = False
    since: float = 0.0
    pinned: bool = False
    wakes: list[float] = field(default_factory=list)
    slept_s: float = 0.0
    remembered: dict[str, str] = field(default_factory=dict)
    days: dict[str, Any] = field(default_factory=dict)

    def woke(self, seconds: float) -> None:
        """Note how long a wake took."""
        self.wakes = [*self.wakes, round(seconds, 3)][-_WAKES_KEPT:]

    @property
    def estimate_s(self) -> float | None:
        """How long the next wake will take, by the slower ones of the last; None: there was none."""
        if not self.wakes:
            return None
        return sorted(self.wakes)[int(0.75 * (len(self.wakes) - 1) + 0.5)]


class Records:
    """All services, in one file that is whole at any time; and the history beside it.

    Args:
        folder: the agent's own.
    """

    def __init__(self, folder: Path) -> None:
        self._file = folder / "state.json"
        self._history = folder / "history.jsonl"
        self._records = self._read()

    def of(self, service: str) -> Record:
        """The record of a service; changes count once ``save`` returned."""
        return self._records.setdefault(service, Record())

    def save(self) -> None:
        """Write them down.

        Raises:
            OSError: the disk does not take it.
        """
        text = json.dumps({"version": _VERSION, "services": {name: asdict(r) for name, r in self._records.items()}})
        descriptor, name = tempfile.mkstemp(dir=self._file.parent, prefix=".state-")
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            Path(name).replace(self._file)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise

    def note(self, at: float, service: str, what: str, why: str) -> None:
        """One line of the history; the older half goes when it grows too long.

        Raises:
            OSError: the disk does not take it.
        """
        line = json.dumps({"at": round(at, 3), "service": service, "what": what, "why": why}, ensure_ascii=False)
        if self._history.exists() and self._history.stat().st_size > _HISTORY_LIMIT:
            lines = self._history.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True)
            newer = self._history.with_suffix(".new")
            newer.write_text("".join(lines[len(lines) // 2 :]), encoding="utf-8")
            newer.replace(self._history)
        with self._history.open("a", encoding="utf-8") as file:
            file.write(f"{line}\n")

    def history(self, most: int = 50) -> list[dict[str, Any]]:
        """The last lines, the newest last."""
        try:
            lines = self._history.read_text(encoding="utf-8", errors="replace").splitlines()
        except FileNotFoundError:
            return []
        return [json.loads(line) for line in lines[-most:] if line.startswith("{") and line.endswith("}")]

    def _read(self) -> dict[str, Record]:
        try:
            read = json.loads(self._file.read_text(encoding="utf-8"))
            return {name: _record(entry) for name, entry in read["services"].items()}
        except FileNotFoundError:
            return {}
        except (ValueError, KeyError, TypeError, AttributeError):
            # Whoever sleeps is found by looking: nothing is lost but what was remembered.
            self._file.replace(self._file.with_suffix(".damaged"))
            return {}


def _record(entry: Mapping[str, Any]) -> Record:
    known = {each.name for each in fields(Record)}
    return Record(**{name: value for name, value in entry.items() if name in known})
