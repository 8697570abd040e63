"""From a person's words to a plan for an alarm or a reminder, and back into words; and which ones their words mean."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from pipecatapp.domain import ToolResult
from pipecatapp.errors import ToolError
from pipecatapp.languages import language
from pipecatapp.languages.days import days_of
from pipecatapp.languages.spoken_time import SpokenRule, SpokenWhen
from pipecatapp.ports import ToolContext
from pipecatapp.schedule.clock import find_zone, local
from pipecatapp.schedule.entries import Due, Item
from pipecatapp.schedule.keeper import Keeper
from pipecatapp.schedule.moments import epoch, is_skipped, occurrences, resolve, times_of

_TIMES = language().times


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """When something shall be: the wall time and its zone, the moment, and how it comes again."""

    wall: datetime
    zone: str
    due: Due
    rule: SpokenRule | None


def make_plan(words: str, keeper: Keeper, context: ToolContext, *, wakes: bool) -> Plan | ToolResult:
    """The plan that is meant, or the question for its time.

    Raises:
        ToolError: it is not understood, over, or cannot be.
    """
    name, zone = find_zone(keeper.clocks.zone(), context.zone)
    now = local(keeper.clocks.now(), zone)
    spoken = _TIMES.when(words)
    if spoken is None:
        raise ToolError(f"I do not understand {words!r} as a time, so nothing is set")
    found = resolve(spoken, now, wakes=wakes)
    if isinstance(found, str):
        return _explain(found, words, spoken, now)
    if spoken.after_s is not None:
        return Plan(wall=found.wall, zone=name, due=keeper.after(spoken.after_s), rule=None)
    return Plan(wall=found.wall, zone=name, due=Due(at=epoch(found.wall, zone)), rule=found.rule)


def say_plan(plan: Plan, now: float) -> str:
    """``tomorrow, Monday, 30 November at 7 in the morning``; ``every day at ..., first ...``."""
    zone = ZoneInfo(plan.zone)
    here = local(now, zone)
    wall = plan.wall.replace(tzinfo=zone)
    if plan.rule is None:
        return _TIMES.say_moment(wall, here)
    return f"{_say_rule(plan.rule, plan.wall)}, first {_TIMES.say_moment(wall, here)}"


def say_skipped(plan: Plan) -> str:
    """A sentence where the clocks never show that time; else nothing."""
    zone = ZoneInfo(plan.zone)
    if plan.due.boot or not is_skipped(plan.wall, zone):
        return ""
    shown = local(plan.due.at, zone)
    return (
        f" The clocks go forward over {_TIMES.say_time(plan.wall)} that night, so it will be {_TIMES.say_time(shown)}."
    )


def say_item(item: Item, now: float) -> str:
    """When an alarm or a reminder is due."""
    zone = ZoneInfo(item.zone)
    if item.rule is not None:
        return _say_rule(item.rule, datetime.fromisoformat(item.start))
    return _TIMES.say_moment(item.wall_time.replace(tzinfo=zone), local(now, zone))


def say_next_time(item: Item, now: float) -> str:
    """The next time of one that recurs."""
    zone = ZoneInfo(item.zone)
    return _TIMES.say_moment(item.wall_time.replace(tzinfo=zone), local(now, zone))


def match(items: Sequence[Item], words: str, keeper: Keeper) -> list[Item]:
    """Those whose time the words mean; empty: none, or they name no time."""
    spoken = _TIMES.when(words)
    if spoken is None:
        return []
    return [item for item in items if _matches(item, spoken, local(keeper.clocks.now(), ZoneInfo(item.zone)))]


def named_day(item: Item, words: str, keeper: Keeper) -> datetime | None:
    """The one time of an item that recurs which the words name by its day; None: they mean the whole of it."""
    spoken = _TIMES.when(words)
    if item.rule is None or spoken is None or spoken.day is None or spoken.rule is not None:
        return None
    return _on_day(item, spoken, local(keeper.clocks.now(), ZoneInfo(item.zone)))


def _say_rule(rule: SpokenRule, at: datetime) -> str:
    return _TIMES.say_rule(rule.every, rule.interval, rule.weekdays, at)


def _explain(trouble: str, words: str, spoken: SpokenWhen, now: datetime) -> ToolResult:
    if trouble == "no time":
        day = next(iter(days_of(spoken.day, now.date())), None) if spoken.day is not None else None
        on = f" {_TIMES.say_day(day, now.date())}" if day is not None else ""
        return ToolResult(f"At what time{on}?", missing="when")
    reason = {
        "past": f"{words!r} is over already",
        "no such day": f"There is no such day as {words!r}",
        "too often": "I can repeat things daily or less often, not by the hour or the minute",
    }[trouble]
    raise ToolError(f"{reason}, so nothing is set")


def _matches(item: Item, spoken: SpokenWhen, now: datetime) -> bool:
    if spoken.time is not None:
        possible = times_of(spoken, wakes=item.kind == "alarm")
        if item.wall_time.time().replace(second=0, microsecond=0) not in possible:
            return False
    elif spoken.part is not None and not _in_part(item.wall_time.hour, spoken.part):
        return False
    if spoken.rule is not None and (item.rule is None or not _same_rule(item.rule, spoken.rule)):
        return False
    if spoken.day is not None:
        days = list(days_of(spoken.day, now.date()))
        return _on_day(item, spoken, now) is not None if item.rule else item.wall_time.date() in days
    return spoken.after_s is None


def _on_day(item: Item, spoken: SpokenWhen, now: datetime) -> datetime | None:
    if spoken.day is None or item.rule is None:
        return None
    days = list(days_of(spoken.day, now.date()))
    border = now.replace(tzinfo=None) - timedelta(days=1)
    for wall in occurrences(datetime.fromisoformat(item.start), item.rule, border):
        if not days or wall.date() > days[-1]:
            return None
        if wall.date() in days and wall >= item.wall_time:
            return wall
    return None


def _same_rule(rule: SpokenRule, said: SpokenRule) -> bool:
    return rule.every == said.every and (not said.weekdays or said.weekdays == rule.weekdays)


def _in_part(hour: int, part: str) -> bool:
    first, last = {"morning": (0, 12), "afternoon": (12, 18), "evening": (17, 24), "night": (20, 29)}[part]
    return first <= hour < last or first <= hour + 24 < last
