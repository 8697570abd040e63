"""``clock.now``: the date and time here or in another place, as a sentence."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, tzinfo
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pipecatapp.domain import ToolResult, ToolSpec
from pipecatapp.errors import ToolError
from pipecatapp.languages import language
from pipecatapp.ports import Tool, ToolContext
from pipecatapp.tools.registry import ToolServices
from pipecatapp.tools.time_zones import Unclear, find_zone


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
        """Say the time, or ask which place is meant."""
        place = str(arguments.get("timezone", "")).strip()
        if place.casefold().strip(" .,?!") in language().places.here:
            return _tell(local_now(self._now, context.zone))
        # The table of places is read the first time.
        found = await asyncio.to_thread(find_zone, place, self._now(UTC))
        if found is None:
            raise ToolError(f"I do not know the time zone of {place}")
        if isinstance(found, Unclear):
            return ToolResult(_question(found))
        return _tell(self._now(found.zone), found.name or place)


def local_now(read: Callable[[tzinfo | None], datetime], zone: str) -> datetime:
    """The time of this PC; that of the person's device where this PC was never told its zone."""
    now = read(None)
    if zone and now.astimezone(now.tzinfo).tzname() == "UTC":
        try:
            return read(ZoneInfo(zone))
        except (ZoneInfoNotFoundError, ValueError):
            return now  # a name that somebody made up
    return now


def create(services: ToolServices) -> Tool:
    """The tool, for the registry."""
    return Clock()


def _tell(now: datetime, place: str = "") -> ToolResult:
    where = f" in {place}" if place else ""
    return ToolResult(f"It is {now:%H:%M} on {now:%A}, {now.day} {now:%B} {now:%Y}{where}.", detail=now.isoformat())


def _question(unclear: Unclear) -> str:
    *most, last = unclear.choices
    choices = f"{', '.join(most)} or {last}" if most else last
    if unclear.inside:
        return f"It is not the same time everywhere there. Which part of {unclear.place}: {choices}?"
    return f"Which {unclear.place}: {choices}?"
