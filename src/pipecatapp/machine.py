"""What this PC has: CPU class, physical cores, memory. Containers count: their limits are what there is."""

from __future__ import annotations

import os
from dataclasses import dataclass
from enum import StrEnum
from math import ceil
from pathlib import Path

# An emulator shows the host's /proc/cpuinfo to its guest; the tests name the emulated class here.
CPU_CLASS_VARIABLE = "PIPECATAPP_CPU_CLASS"


class CpuClass(StrEnum):
    """Steps of x86-64 that change which engine, model and wheels a PC can use, oldest first."""

    CORE2 = "core2"
    PENRYN = "penryn"
    NEHALEM = "nehalem"
    AVX = "avx"
    AVX2 = "avx2"
    AVX512 = "avx512"

    def at_least(self, other: CpuClass) -> bool:
        """Whether this class has all that ``other`` has."""
        order = list(CpuClass)
        return order.index(self) >= order.index(other)


_NEEDS: tuple[tuple[CpuClass, frozenset[str]], ...] = (
    (CpuClass.AVX512, frozenset({"avx512f", "avx512bw", "avx512vl", "avx2", "fma", "f16c"})),
    (CpuClass.AVX2, frozenset({"avx2", "fma", "f16c"})),
    (CpuClass.AVX, frozenset({"avx"})),
    (CpuClass.NEHALEM, frozenset({"sse4_2"})),
    (CpuClass.PENRYN, frozenset({"sse4_1"})),
)


@dataclass(frozen=True, slots=True)
class Machine:
    """One PC as an engine sees it."""

    cpu: CpuClass
    flags: frozenset[str]
    cores: int
    ram_mb: int


def detect(root: Path = Path("/")) -> Machine:
    """Look at this PC; ``root`` is where ``proc`` and ``sys`` are (another place in tests)."""
    cpuinfo = _read(root / "proc/cpuinfo")
    flags = frozenset(_first(cpuinfo, "flags").split())
    named = os.environ.get(CPU_CLASS_VARIABLE, "")
    return Machine(
        cpu=CpuClass(named) if named else classify(flags),
        flags=flags,
        cores=_cores(cpuinfo, _read(root / "sys/fs/cgroup/cpu.max")),
        ram_mb=_ram_mb(_read(root / "proc/meminfo"), _read(root / "sys/fs/cgroup/memory.max")),
    )


def classify(flags: frozenset[str]) -> CpuClass:
    """The class of a CPU with these flags."""
    return next((cpu for cpu, needs in _NEEDS if needs <= flags), CpuClass.CORE2)


def free_mb(root: Path = Path("/")) -> int:
    """Memory that a new process could have now, in MB."""
    words = _first(_read(root / "proc/meminfo"), "MemAvailable").split()
    return int(words[0]) // 1024 if words else 0


def available_mb(root: Path = Path("/")) -> int:
    """As ``free_mb``, within what the control groups that this process is in allow it, in MB."""
    return max(0, min([free_mb(root), *(room >> 20 for room in _group_rooms(root))]))


def _group_rooms(root: Path) -> list[int]:
    """Bytes that each control group above this process still allows. Its file cache counts as free."""
    rooms = []
    for line in _read(root / "proc/self/cgroup").splitlines():
        number, controllers, path = line.split(":", 2)
        if number == "0":
            top, limit, used, reclaimable = root / "sys/fs/cgroup", "memory.max", "memory.current", "inactive_file"
        elif "memory" in controllers.split(","):
            top, limit = root / "sys/fs/cgroup/memory", "memory.limit_in_bytes"
            used, reclaimable = "memory.usage_in_bytes", "total_inactive_file"
        else:
            continue
        folder = top / path.lstrip("/")
        for group in (folder, *folder.parents):
            if group != top and top not in group.parents:
                break
            allowed, taken = _read(group / limit).strip(), _read(group / used).strip()
            if allowed.isdigit() and taken.isdigit():
                rooms.append(int(allowed) - int(taken) + _counted(_read(group / "memory.stat"), reclaimable))
    return rooms


def _counted(statistics: str, name: str) -> int:
    words = (line.split() for line in statistics.splitlines())
    return next((int(line[1]) for line in words if len(line) == 2 and line[0] == name and line[1].isdigit()), 0)


def _cores(cpuinfo: str, quota: str) -> int:
    cores: set[tuple[str, str]] = set()
    for block in cpuinfo.split("\n\n"):
        if _first(block, "processor"):
            core = _first(block, "core id") or _first(block, "processor")
            cores.add((_first(block, "physical id"), core))
    count = min(len(cores) or 1, len(os.sched_getaffinity(0)))
    allowed, _, period = quota.partition(" ")
    if allowed.isdigit() and period.strip().isdigit():
        count = min(count, ceil(int(allowed) / int(period)))
    return max(1, count)


def _ram_mb(meminfo: str, limit: str) -> int:
    words = _first(meminfo, "MemTotal").split()
    total = int(words[0]) // 1024 if words else 0
    limit = limit.strip()
    return min(total, int(limit) >> 20) if limit.isdigit() else total


def _first(text: str, name: str) -> str:
    for line in text.splitlines():
        key, colon, value = line.partition(":")
        if colon and key.strip() == name:
            return value.strip()
    return ""


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
