"""The clocks of this PC: the one on the wall, which somebody may set, and one that only ever goes forward."""

from __future__ import annotations

import time
from datetime import datetime, tzinfo
from pathlib import Path
from typing import Protocol
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from tzlocal import get_localzone_name

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_UTC_NAMES = frozenset(
    {"", "UTC", "Etc/UTC", "Etc/UCT", "Etc/Universal", "Etc/Zulu", "Etc/Greenwich", "Universal", "Zulu"}
)


class Clocks(Protocol):
    """What the schedule asks for the time. Seconds throughout."""

    @property
    def boot(self) -> str:
        """Names this run of the machine: ``steady`` counts within it."""

    def now(self) -> float:
        """The wall clock, since 1970. It may be wrong, and jump."""

    def steady(self) -> float:
        """Counts up evenly as long as the machine runs or sleeps, whatever becomes of the wall clock."""

    def zone(self) -> str:
        """The name of the time zone of this PC; empty where nobody told it."""


class SystemClocks:
    """``Clocks`` of this machine."""

    def __init__(self) -> None:
        self.boot = _BOOT_ID.read_text(encoding="ascii").strip()

    def now(self) -> float:
        """The wall clock."""
        return time.time()

    def steady(self) -> float:
        """``CLOCK_BOOTTIME``: unlike ``time.monotonic()`` it counts while the PC sleeps."""
        return time.clock_gettime(time.CLOCK_BOOTTIME)

    def zone(self) -> str:
        """What the machine is set to."""
        return get_localzone_name() or ""


def find_zone(own: str, device: str) -> tuple[str, tzinfo]:
    """The zone that a person's words are meant in: this PC's, or that of their device where this PC was never told."""
    for name in (device if own in _UTC_NAMES else own, own, "UTC"):
        try:
            return name, ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError):
            continue  # a name that somebody made up
    raise LookupError("the time zones are not installed")


def local(at: float, zone: tzinfo) -> datetime:
    """A moment on a clock in that zone."""
    return datetime.fromtimestamp(at, zone)
