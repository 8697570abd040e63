"""Why did a llama-server end? From its status, the kernel's count of memory kills, and its last words."""

from __future__ import annotations

import signal
from pathlib import Path

_FILES = (Path("/proc/vmstat"), Path("/sys/fs/cgroup/memory.events"))


class Postmortem:
    """Made before the start, asked after the end."""

    def __init__(self, files: tuple[Path, ...] = _FILES) -> None:
        self._files = files
        self._kills = self._count()

    def describe(self, code: int | None, log: Path) -> str:
        """A sentence for a person."""
        if code is None or code >= 0:
            return f"the engine ended by itself (status {code}): {last_words(log)}"
        name = signal.Signals(-code).name
        if -code == signal.SIGKILL and self._count() > self._kills:
            return "the engine was ended because the PC ran out of memory; choose a smaller LLM_MODEL"
        if -code == signal.SIGILL:
            return "the engine uses instructions that this CPU does not have; run: pipecatapp engine build"
        if -code in (signal.SIGKILL, signal.SIGTERM):
            return f"the engine was ended from outside ({name})"
        return f"the engine crashed ({name}): {last_words(log)}"

    def _count(self) -> int:
        total = 0
        for file in self._files:
            try:
                lines = file.read_text().splitlines()
            except OSError:
                continue
            total += sum(int(line.split()[1]) for line in lines if line.startswith("oom_kill "))
        return total


def last_words(log: Path, size: int = 4000) -> str:
    """The last complaint in a log, or its last line."""
    try:
        with log.open("rb") as file:
            file.seek(0, 2)
            file.seek(max(0, file.tell() - size))
            lines = [line for line in file.read().decode("utf-8", "replace").splitlines() if line.strip()]
    except OSError:
        return "it left no log"
    complaints = [line for line in lines if any(word in line.lower() for word in ("error", "failed", "unable"))]
    return ((complaints or lines or ["it left no log"])[-1]).strip()[-300:]
