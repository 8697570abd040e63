"""What a service took, and what it did not take because it slept, day by day."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from power_agent.energy import RAM_WATTS_PER_GB

_DAYS_KEPT = 31
_HOUR = 3600.0
_GB = 1e9


class Cost(Protocol):
    """``energy.Energy``."""

    @property
    def by_rapl(self) -> bool:
        """As there."""

    @property
    def joules_per_second(self) -> float:
        """As there."""


@dataclass(slots=True)
class Day:
    """One day of one service. Hours are wall time, ``cpu_s`` seconds of a core.

    Attributes:
        wh: what it took; its memory's part is always an estimate.
        estimated: so is that of the processor, for a part of the day at least.
        saved_cpu_s: what it would have computed without being asked; the saved memory and watt hours likewise.
    """

    awake_h: float = 0.0
    asleep_h: float = 0.0
    cpu_s: float = 0.0
    ram_gb_h: float = 0.0
    wh: float = 0.0
    saved_cpu_s: float = 0.0
    saved_ram_gb_h: float = 0.0
    saved_wh: float = 0.0
    estimated: bool = False


class Account:
    """Of one service.

    Args:
        days: by date (2026-11-29), as they are kept.
        cost: what a second of computing costs.
    """

    def __init__(self, days: dict[str, Any], cost: Cost) -> None:
        self._days, self._cost = days, cost
        self._at: float | None = None
        self._cpu_s: float | None = None
        self._ram_gb = 0.0
        self._idle_share = 0.0

    def awake(self, now: float, wall: float, cpu_s: float | None, ram_bytes: int | None, *, worked: bool) -> None:
        """It is awake, and was since the last time this was called.

        Args:
            now: the monotonic clock.
            wall: epoch seconds.
            cpu_s: of all its processes since they began; None: nobody says.
            ram_bytes: that they hold.
            worked: somebody asked something of it meanwhile.
        """
        seconds = self._pass(now)
        before, self._cpu_s = self._cpu_s, cpu_s
        if ram_bytes is not None:
            self._ram_gb = ram_bytes / _GB
        day = self._day(wall)
        day.awake_h += seconds / _HOUR
        day.ram_gb_h += self._ram_gb * seconds / _HOUR
        # Less than before: it was started anew.
        computed = 0.0 if cpu_s is None or before is None else cpu_s - before if cpu_s >= before else cpu_s
        day.cpu_s += computed
        if seconds and not worked and cpu_s is not None and before is not None:
            self._idle_share = computed / seconds
        day.wh += self._watt_hours(day, computed, seconds)
        self._keep(wall, day)

    def asleep(self, now: float, wall: float) -> None:
        """It sleeps, and did since the last time this was called."""
        seconds = self._pass(now)
        self._cpu_s = 0.0
        day = self._day(wall)
        day.asleep_h += seconds / _HOUR
        day.saved_cpu_s += self._idle_share * seconds
        day.saved_ram_gb_h += self._ram_gb * seconds / _HOUR
        day.saved_wh += self._watt_hours(day, self._idle_share * seconds, seconds)
        self._keep(wall, day)

    def elsewhere(self) -> None:
        """Nobody here knows what it takes."""
        self._at = self._cpu_s = None

    def _pass(self, now: float) -> float:
        before, self._at = self._at, now
        return 0.0 if before is None else max(0.0, now - before)

    def _watt_hours(self, day: Day, cpu_s: float, seconds: float) -> float:
        day.estimated = day.estimated or not self._cost.by_rapl
        joules = cpu_s * self._cost.joules_per_second + self._ram_gb * RAM_WATTS_PER_GB * seconds
        return joules / _HOUR

    def _day(self, wall: float) -> Day:
        kept = self._days.get(_date(wall)) or {}
        known = Day.__dataclass_fields__
        return Day(**{name: value for name, value in kept.items() if name in known})

    def _keep(self, wall: float, day: Day) -> None:
        rounded = {name: round(value, 9) if isinstance(value, float) else value for name, value in asdict(day).items()}
        self._days[_date(wall)] = rounded
        for old in sorted(self._days)[:-_DAYS_KEPT]:
            del self._days[old]


def _date(wall: float) -> str:
    return time.strftime("%Y-%m-%d", time.localtime(wall))
