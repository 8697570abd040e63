"""``clock.now``: the date and time here or in another place, as a sentence."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, tzinfo
from functools import cache
from pathlib import Path
from typing import Any
from zoneinfo import TZPATH, ZoneInfo, available_timezones

from pipecatapp.domain import ToolResult, ToolSpec
from pipecatapp.errors import ToolError
from pipecatapp.ports import Tool, ToolContext
from pipecatapp.tools.registry import ToolServices

_ABBREVIATIONS = {
    "cet": "Europe/Paris",
    "eastern": "America/New_York",
    "est": "America/New_York",
    "gmt": "Etc/GMT",
    "pacific": "America/Los_Angeles",
    "pst": "America/Los_Angeles",
    "utc": "Etc/UTC",
}
_HERE = frozenset({"", "here", "local", "now"})


class Clock:
    """Tells the time.

    Args:
        now: the time in a zone, or here for None.
    """

    spec = ToolSpec(
        name="clock.now",
        description="The date and time, here or in the named place.",
        parameters={
            "type": "object",
            "properties": {"timezone": {"type": "string", "description": "A city, country or zone; empty: here."}},
        },
        copied=("timezone",),
    )

    def __init__(self, now: Callable[[tzinfo | None], datetime] = datetime.now) -> None:
        self._now = now

    async def run(self, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        """Say the time."""
        place = str(arguments.get("timezone", "")).strip()
        zone = None if place.lower() in _HERE else find_zone(place)
        now = self._now(zone)
        where = f" in {place}" if zone else ""
        return ToolResult(f"It is {now:%H:%M} on {now:%A}, {now.day} {now:%B} {now:%Y}{where}.", detail=now.isoformat())


def create(services: ToolServices) -> Tool:
    """The tool, for the registry."""
    return Clock()


def find_zone(place: str) -> ZoneInfo:
    """The zone that a person means: a zone's name, a city, or a country that has one zone.

    Raises:
        ToolError: nobody knows the place, or its country has several zones.
    """
    key = _key(place)
    name = _ABBREVIATIONS.get(key) or _zones().get(key)
    if name is not None:
        return ZoneInfo(name)
    zones = _countries().get(key, ())
    if len(zones) == 1:
        return ZoneInfo(zones[0])
    if zones:
        raise ToolError(f"{place} has several time zones; name a city")
    raise ToolError(f"I do not know the time zone of {place}")


@cache
def _zones() -> dict[str, str]:
    """Zone names and cities -> zone."""
    known: dict[str, str] = {}
    for name in sorted(available_timezones()):
        known.setdefault(_key(name), name)
        if "/" in name and not name.startswith("Etc/"):
            known.setdefault(_key(name.rpartition("/")[2]), name)
    return known


@cache
def _countries() -> dict[str, tuple[str, ...]]:
    """Country names -> their zones, from the tables beside the zone files."""
    folder = next((Path(path) for path in TZPATH if (Path(path) / "iso3166.tab").is_file()), None)
    if folder is None:
        return {}
    zones: dict[str, list[str]] = {}
    for code, _, name, *_ in _rows(folder / "zone.tab", 3):
        zones.setdefault(code, []).append(name)
    return {_key(name): tuple(zones.get(code, ())) for code, name in _rows(folder / "iso3166.tab", 2)}


def _rows(table: Path, columns: int) -> list[list[str]]:
    if not table.is_file():
        return []
    lines = table.read_text(encoding="utf-8").splitlines()
    rows = [line.split("\t") for line in lines if line and not line.startswith("#")]
    return [row for row in rows if len(row) >= columns]


def _key(place: str) -> str:
    words = place.lower().replace("_", " ").replace("-", " ").strip(" .,?!")
    return words.removeprefix("the ").removesuffix(" time").strip()
