"""How far a download of models is: ``pipecatapp models pull`` writes it down, the running agent shows it."""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pipecatapp.domain import ComponentHealth
from pipecatapp.llm.status import alive
from pipecatapp.storage.atomic import replace_file

# In the folder of models.
_FILE = ".fetching.json"
_EVERY_S = 0.5


class FetchReport:
    """``FileProgress`` of one model, for other processes.

    Args:
        models: the folder of models.
        model: its name.
        clock: seconds that go on.
    """

    def __init__(self, models: Path, model: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._file = models / _FILE
        self._model = model
        self._clock = clock
        self._next = 0.0

    def __call__(self, name: str, here: int, total: int | None) -> None:
        """Write down the bytes that are here, now and then."""
        if self._clock() < self._next:
            return
        self._next = self._clock() + _EVERY_S
        report = {"model": self._model, "file": name, "here": here, "total": total, "pid": os.getpid()}
        # A full disk is for the download to tell.
        with contextlib.suppress(OSError):
            replace_file(self._file, json.dumps(report), 0o644)

    def close(self) -> None:
        """It has ended, whether well or not."""
        with contextlib.suppress(OSError):
            self._file.unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class Fetching:
    """``ports.HealthSource``: getting ready while models are on their way."""

    models: Path

    async def health(self) -> ComponentHealth:
        """What is being fetched; nothing is, when its process has ended."""
        try:
            report = json.loads((self.models / _FILE).read_text())
            model, here, total = str(report["model"]), int(report["here"]), int(report["total"] or 0)
            running = alive(int(report["pid"]))
        except (OSError, ValueError, TypeError, KeyError):
            running = False
        if not running:
            return ComponentHealth("models", ok=True, vital=False)
        share = min(here / total, 1.0) if total > 0 else 0.0
        left = f"{share:.0%}, {max(total - here, 0) >> 20} MB left" if total > 0 else "begun"
        return ComponentHealth("models", ok=False, reason=f"{model} comes: {left}", progress=share, vital=False)
