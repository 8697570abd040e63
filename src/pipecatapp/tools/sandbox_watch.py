"""How much memory a process and everything that comes from it takes, as /proc tells it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

_COUNTED = ("RssAnon:", "RssShmem:", "VmSwap:")
_TABLES = "VmPTE:"


@dataclass(frozen=True, slots=True)
class Taken:
    """Bytes. ``pages``: its own and the shared ones (these count several times); ``tables``: the kernel's, of pages."""

    pages: int
    tables: int


def taken_by(pid: int) -> Taken:
    """What a process and everything that comes from it takes now; nothing where it has ended."""
    pages, tables, waiting = 0, 0, [pid]
    while waiting:
        process = Path("/proc", str(waiting.pop()))
        try:
            status = (process / "status").read_text(encoding="utf-8", errors="replace")
            for thread in (process / "task").iterdir():
                waiting += [int(child) for child in (thread / "children").read_text().split()]
        except OSError:
            continue  # it has ended meanwhile
        for line in status.splitlines():
            if line.startswith(_COUNTED):
                pages += int(line.split()[1]) * 1024
            elif line.startswith(_TABLES):
                tables += int(line.split()[1]) * 1024
    return Taken(pages, tables)


def caches() -> int:
    """Bytes that the kernel keeps of names and files of the whole machine, and gives back when it needs them."""
    for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
        if line.startswith("SReclaimable:"):
            return int(line.split()[1]) * 1024
    return 0
