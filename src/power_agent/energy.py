"""What a second of computing costs: by the processor's own counter (RAPL) where it has one, else by an estimate."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from power_agent.errors import DriverError

logger = logging.getLogger(__name__)

# A core of a desktop processor of the last fifteen years at work, its share of the mainboard's losses included.
ESTIMATED_WATTS = 15.0
# A gigabyte of memory that is refreshed and now and then read.
RAM_WATTS_PER_GB = 0.38
_EVERY_S = 60.0
_ZONES = Path("/sys/class/powercap")
_STAT = Path("/proc/stat")


class Energy:
    """Joules for each second that a core computes.

    Args:
        ask: reads the counters of all packages, in microjoules: only root may.
        zones: where the kernel shows them.
        stat: the kernel's account of the processors' time.
        now: the monotonic clock.
    """

    def __init__(
        self,
        ask: Callable[[], Awaitable[int]],
        zones: Path = _ZONES,
        stat: Path = _STAT,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ask, self._zones, self._stat, self._now = ask, zones, stat, now
        self._before: tuple[float, int, float] | None = None
        self._least_watts: float | None = None
        self._joules: float | None = None

    @property
    def by_rapl(self) -> bool:
        """Whether RAPL says it; else it is an estimate."""
        return self._joules is not None

    @property
    def joules_per_second(self) -> float:
        """For each second of a core, beyond what the processor takes when it does nothing."""
        return ESTIMATED_WATTS if self._joules is None else self._joules

    async def run(self) -> None:
        """Measure until it is cancelled; ends at once where there is nothing to measure with."""
        if not any(self._zones.glob("intel-rapl:*")):
            return
        while True:
            try:
                await self.measure()
            except (DriverError, OSError, ValueError) as error:
                logger.info("energy is estimated from now on: %s", error)
                self._joules = None
                return
            await asyncio.sleep(_EVERY_S)

    async def measure(self) -> None:
        """One look at the counter; two looks make a number.

        Raises:
            DriverError, OSError, ValueError: nobody says.
        """
        now, spent, busy = self._now(), await self._ask(), _busy_s(self._stat)
        before, self._before = self._before, (now, spent, busy)
        # The counter begins anew after an hour or so: that stretch counts for nothing.
        if before is None or spent < before[1] or now <= before[0]:
            return
        seconds, joules, computed = now - before[0], (spent - before[1]) / 1e6, busy - before[2]
        watts = joules / seconds
        self._least_watts = min(watts, self._least_watts if self._least_watts is not None else watts)
        if computed >= 0.5:
            self._joules = max(0.0, joules - self._least_watts * seconds) / computed


def _busy_s(stat: Path) -> float:
    """Seconds that all cores have computed since the PC was started."""
    user, nice, system, _, _, interrupts, soft = map(int, stat.read_text(encoding="ascii").split()[1:8])
    return (user + nice + system + interrupts + soft) / os.sysconf("SC_CLK_TCK")
