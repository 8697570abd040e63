"""Clocks that a test moves: time passes, somebody sets the wall clock, the machine is switched off."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo


class MovedClocks:
    """``schedule.clock.Clocks``.

    Args:
        at: the wall time, "2026-11-25 14:30".
        zone: of this PC; empty: it was never told.
    """

    def __init__(self, at: str, zone: str = "Europe/Berlin") -> None:
        self._zone = zone
        self._now = datetime.fromisoformat(at).replace(tzinfo=ZoneInfo(zone or "UTC")).timestamp()
        self._steady = 1000.0
        self._boots = 1

    @property
    def boot(self) -> str:
        """This run of the machine."""
        return f"boot {self._boots}"

    def now(self) -> float:
        """The wall clock."""
        return self._now

    def steady(self) -> float:
        """The clock that never jumps."""
        return self._steady

    def zone(self) -> str:
        """What the machine is set to."""
        return self._zone

    @property
    def here(self) -> datetime:
        """The wall clock as one reads it."""
        return datetime.fromtimestamp(self._now, ZoneInfo(self._zone or "UTC"))

    def advance(self, seconds: float) -> None:
        """Time passes."""
        self._now += seconds
        self._steady += seconds

    def set_wall(self, by: float) -> None:
        """Somebody sets the wall clock on, or back."""
        self._now += by

    def reboot(self, off_s: float = 60.0, wall_off: float = 0.0) -> None:
        """The machine is off for so long; ``wall_off``: its wall clock then is wrong by so much."""
        self._now += off_s + wall_off
        self._steady = 5.0
        self._boots += 1
