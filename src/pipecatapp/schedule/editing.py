"""What a person changes on the page: an entry by its id, in their own words."""

from __future__ import annotations

from dataclasses import replace

from pipecatapp.domain import ToolResult
from pipecatapp.errors import ToolError
from pipecatapp.languages import language
from pipecatapp.ports import ToolContext
from pipecatapp.schedule.entries import KINDS, Item
from pipecatapp.schedule.keeper import Keeper
from pipecatapp.schedule.naming import name_timer
from pipecatapp.schedule.plans import make_plan, say_item
from pipecatapp.schedule.timers import LONGEST_S, keep, load, made

_TIMES = language().times


class Editing:
    """Edits a schedule.

    Args:
        keeper: keeps it.
    """

    def __init__(self, keeper: Keeper) -> None:
        self._keeper = keeper

    async def remove(self, entry: str, context: ToolContext) -> ToolResult:
        """Take it away. Raises LookupError where it is not there, ToolError where that cannot be kept."""
        async with self._keeper.lock:
            item = await self._find(entry)
            text = f"The {_name(item, self._keeper)} is cancelled."
            await keep(self._keeper, drop=[item.id], made=made(text, context))
        return ToolResult(text)

    async def pause(self, entry: str, on: bool, context: ToolContext) -> ToolResult:
        """Let a timer stand still, or go on. Raises as ``remove``."""
        async with self._keeper.lock:
            item = await self._find(entry)
            if item.kind != "timer" or on == (item.left_s is not None):
                raise ToolError("Only a timer that runs can be paused, and one that is paused can go on")
            left = max(0.0, self._keeper.left(item.due)) if on else item.left_s or 0.0
            fresh = replace(item, left_s=left) if on else replace(item, left_s=None, due=self._keeper.after(left))
            text = f"The {name_timer(item)} {'is paused' if on else 'goes on'} with {_TIMES.say_duration(left)} left."
            await keep(self._keeper, [fresh], made=made(text, context))
        return ToolResult(text)

    async def amend(self, entry: str, what: str, when: str, context: ToolContext) -> ToolResult:
        """Let a timer last so long from now, an alarm or a reminder be at another time; ``what``: another text. What is
        empty stays. Raises as ``remove``, and ToolError where the time is not understood or missing."""
        async with self._keeper.lock:
            item = await self._find(entry)
            fresh = replace(item, label=what.strip()) if what.strip() and item.kind != "alarm" else item
            if when.strip():
                fresh = self._at(fresh, when, context)
            text = f"The {_name(fresh, self._keeper)} is set."
            await keep(self._keeper, [fresh], made=made(text, context))
        return ToolResult(text)

    def _at(self, item: Item, when: str, context: ToolContext) -> Item:
        if item.kind == "timer":
            seconds = _TIMES.duration(when)
            if seconds is None or not 1 <= seconds <= LONGEST_S:
                raise ToolError(f"I do not understand {when!r} as a length of time")
            still = item.left_s is not None
            changed = replace(item, length_s=seconds, left_s=seconds if still else None)
            return changed if still else replace(changed, due=self._keeper.after(seconds))
        plan = make_plan(when, self._keeper, context, wakes=item.kind == "alarm")
        if isinstance(plan, ToolResult):
            raise ToolError(plan.text.rstrip("?"))
        wall = plan.wall.isoformat()
        return replace(
            item, due=plan.due, wall=wall, zone=plan.zone, rule=plan.rule, start=wall if plan.rule else "", done=()
        )

    async def _find(self, entry: str) -> Item:
        await load(self._keeper)
        for item in self._keeper.items(*KINDS):
            if item.id == entry:
                return item
        raise LookupError(f"there is no {entry!r}")


def _name(item: Item, keeper: Keeper) -> str:
    if item.kind == "timer":
        return name_timer(item)
    when = say_item(item, keeper.clocks.now())
    return f"alarm {when}" if item.kind == "alarm" else f"reminder {when}, {_TIMES.address(item.label)},"
