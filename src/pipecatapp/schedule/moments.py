"""From what somebody said of a time to moments on the wall clock: the next occurrence, and those after it.

Wall time and zone decide. A time that the clocks skip in spring is the one that they show an hour later; one that they
show twice in autumn is the first of the two.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta, tzinfo
from typing import Literal

from dateutil import rrule
from dateutil.tz import resolve_imaginary

from pipecatapp.languages.days import days_of
from pipecatapp.languages.spoken_time import DayPart, SpokenDay, SpokenRule, SpokenWhen

Trouble = Literal["no time", "past", "no such day", "too often"]
# Where only the part of the day is said, for what is not meant to wake anybody.
_PARTS: dict[DayPart, int] = {"morning": 9, "afternoon": 15, "evening": 19, "night": 21}
_FREQUENCIES = {"daily": rrule.DAILY, "weekly": rrule.WEEKLY, "monthly": rrule.MONTHLY, "yearly": rrule.YEARLY}
_MOST = 400  # days ahead in which a day of a month or a weekday is found


@dataclass(frozen=True, slots=True)
class Moment:
    """When something is due: ``wall`` is what the clock shows then, without a zone. ``rule``: it comes again from then
    on."""

    wall: datetime
    rule: SpokenRule | None = None


def resolve(spoken: SpokenWhen, now: datetime, *, wakes: bool) -> Moment | Trouble:
    """The first moment after ``now`` (with a zone) that is meant.

    Args:
        spoken: what was said.
        now: the time there.
        wakes: it is an alarm: without a time it rings at none, and early hours are meant as they are said. Otherwise
            "tomorrow at five" is in the afternoon, and "tomorrow morning" has a time too.
    """
    if spoken.too_often:
        return "too often"
    zone = now.tzinfo
    if zone is None:
        raise ValueError("now has no zone")
    if spoken.after_s is not None:
        at = datetime.fromtimestamp(now.timestamp() + spoken.after_s, zone)
        return Moment(at.replace(tzinfo=None))
    times = times_of(spoken, wakes=wakes)
    if not times:
        return "no time"
    if spoken.rule is not None:
        return _first_of_rule(spoken.rule, spoken.day, times[0], now)
    return _once(spoken, times, now)


def epoch(wall: datetime, zone: tzinfo) -> float:
    """The moment at which the clock shows this, in seconds since 1970."""
    return float(resolve_imaginary(wall.replace(tzinfo=zone)).timestamp())


def is_skipped(wall: datetime, zone: tzinfo) -> bool:
    """Whether the clocks never show this time: they go forward over it."""
    return bool(resolve_imaginary(wall.replace(tzinfo=zone)).replace(tzinfo=None) != wall)


def occurrences(start: datetime, rule: SpokenRule, after: datetime) -> Iterator[datetime]:
    """The wall times of a rule that began at ``start``, later than ``after``."""
    yield from _rrule(start, rule).xafter(after)


def last_occurrence(start: datetime, rule: SpokenRule, until: datetime) -> datetime | None:
    """The latest wall time of the rule up to and with ``until``."""
    found: datetime | None = _rrule(start, rule).before(until, inc=True)
    return found


def _rrule(start: datetime, rule: SpokenRule) -> rrule.rrule:
    options: dict[str, object] = {}
    if rule.every == "weekly" and rule.weekdays:
        options["byweekday"] = rule.weekdays
    if rule.every in ("monthly", "yearly") and start.day > 28:
        # The 31st is the last day of a shorter month.
        options |= {"bymonthday": tuple(range(28, start.day + 1)), "bysetpos": -1}
        if rule.every == "yearly":
            options["bymonth"] = start.month
    return rrule.rrule(_FREQUENCIES[rule.every], dtstart=start, interval=rule.interval, **options)


# Times of day.


def times_of(spoken: SpokenWhen, *, wakes: bool) -> list[time]:
    """The times that may be meant, the likelier one first; two where nobody said whether before or after noon."""
    said, part = spoken.time, spoken.part
    if said is None:
        return [] if part is None or wakes else [time(_PARTS[part])]
    if not said.bare:
        return [time(said.hour, said.minute)]
    if part is not None:
        return [time(_hour_in(said.hour, part), said.minute)]
    early, late = time(said.hour % 12, said.minute), time(said.hour % 12 + 12, said.minute)
    afternoon = said.hour == 12 or (not wakes and said.hour < 7)
    return [late, early] if afternoon else [early, late]


def _hour_in(hour: int, part: DayPart) -> int:
    if part == "morning":
        return hour % 12
    if part == "night" and (hour == 12 or hour < 6):
        return hour % 12
    return hour % 12 + (0 if part == "evening" and hour == 12 else 12)


def _is_after_midnight(spoken: SpokenWhen, at: time) -> bool:
    """Whether a time belongs to the night that the day before began ("tonight at one", "Friday at midnight")."""
    midnight = at == time(0) and spoken.time is not None and not (spoken.time.bare and spoken.part is None)
    return midnight or (spoken.part in ("night", "evening") and at.hour < 6)


# Once.


def _once(spoken: SpokenWhen, times: Sequence[time], now: datetime) -> Moment | Trouble:
    if spoken.day is None:
        walls = [datetime.combine(now.date() + timedelta(days=days), at) for days in (0, 1) for at in times]
        return Moment(min(wall for wall in walls if _is_future(wall, now)))
    days = list(days_of(spoken.day, now.date()))
    if not days:
        return "no such day"
    for day in days:
        later = [time for time in times if _is_future(_at(day, time, spoken), now)]
        if day == now.date() and later:
            return Moment(min(_at(day, time, spoken) for time in later))
        if later and later[0] == times[0]:
            return Moment(_at(day, times[0], spoken))
    return "past"


def _at(day: date, at: time, spoken: SpokenWhen) -> datetime:
    return datetime.combine(day + timedelta(days=_is_after_midnight(spoken, at)), at)


def _is_future(wall: datetime, now: datetime) -> bool:
    zone = now.tzinfo
    return zone is not None and epoch(wall, zone) > now.timestamp()


# Again and again.


def _first_of_rule(rule: SpokenRule, said: SpokenDay | None, at: time, now: datetime) -> Moment | Trouble:
    today = now.date()
    start = today
    if said is not None:
        days = [day for day in days_of(said, today) if day >= today]
        if not days:
            return "no such day"
        start = days[0]
        if rule.every == "weekly" and not rule.weekdays:
            rule = replace(rule, weekdays=(start.weekday(),))
    elif rule.every == "weekly" and not rule.weekdays:
        rule = replace(rule, weekdays=(today.weekday(),))
    first = datetime.combine(start, at)
    # "every other Tuesday" begins with the next one.
    for wall in occurrences(first, replace(rule, interval=1), first - timedelta(seconds=1)):
        if wall.date() > today + timedelta(days=_MOST):
            break
        if _is_future(wall, now):
            return Moment(wall, rule)
    return "no such day"
