"""What the processor has used, where it counts that and lets us read it (RAPL)."""

from __future__ import annotations

from pathlib import Path

_ZONES = Path("/sys/class/powercap")


class Joules:
    """The energy between two looks.

    Args:
        zones: where the kernel shows the counters.
    """

    def __init__(self, zones: Path = _ZONES) -> None:
        # One for each package; what lies below it (cores, memory) is part of it.
        self._packages = [zone for zone in sorted(zones.glob("intel-rapl:*")) if zone.name.count(":") == 1]
        self._before = self._read()

    def used(self) -> float | None:
        """Joules since this was made; None where the processor does not say, or only root may know."""
        now = self._read()
        if now is None or self._before is None:
            return None
        total = 0
        for before, after, package in zip(self._before, now, self._packages, strict=True):
            # The counter begins anew at the end of its range.
            total += after - before if after >= before else after - before + _number(package / "max_energy_range_uj")
        return total / 1e6

    def _read(self) -> list[int] | None:
        try:
            return [_number(package / "energy_uj") for package in self._packages] or None
        except (OSError, ValueError):
            return None


def _number(file: Path) -> int:
    return int(file.read_text())
