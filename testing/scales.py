"""How much memory the kernel holds for somebody, its own share included: by a control group that limits nothing.

To make one needs root. Without it the machine's own counts must do, and everybody else's memory is in them too.
"""

from __future__ import annotations

from pathlib import Path

from pipecatapp.tools.sandbox import Limits
from pipecatapp.tools.sandbox_cgroup import Group, find_groups

_NO_LIMITS = Limits(memory_bytes=1 << 50, threads=10_000)
_PEAKS = ("memory.peak", "memory.max_usage_in_bytes")
_COUNTED = ("AnonPages:", "Shmem:", "SUnreclaim:", "PageTables:", "KernelStack:", "Percpu:")


class Scales:
    """Groups for a sandbox. ``peak`` is the most that the last program held, in bytes, caches included."""

    def __init__(self) -> None:
        self._groups = find_groups()
        self.peak = 0

    @property
    def here(self) -> bool:
        """Whether this machine lets us weigh."""
        return self._groups is not None

    def make(self, limits: Limits) -> Group:
        assert self._groups is not None
        return _Scale(self, self._groups.make(_NO_LIMITS))


class _Scale:
    def __init__(self, scales: Scales, group: Group) -> None:
        self._scales = scales
        self._group = group
        self.doors = group.doors
        folder = Path(f"/proc/self/fd/{group.doors[0]}").readlink().parent
        (self._peak,) = (folder / name for name in _PEAKS if (folder / name).exists())

    def shut(self) -> None:
        self._group.shut()

    def ran_out(self) -> bool:
        return self._group.ran_out()

    async def remove(self) -> None:
        self._scales.peak = int(self._peak.read_text())
        await self._group.remove()


def held_by_all() -> int:
    """Bytes that the kernel could not give back now."""
    lines = Path("/proc/meminfo").read_text().splitlines()
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith(_COUNTED))
