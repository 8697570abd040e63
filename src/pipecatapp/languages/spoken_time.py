"""What people say of times, as a language's grammar finds it in their words: not yet a moment on a clock."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

DayPart = Literal["morning", "afternoon", "evening", "night"]
Frequency = Literal["daily", "weekly", "monthly", "yearly"]


@dataclass(frozen=True, slots=True)
class SpokenTime:
    """A time of day. ``bare``: an hour from 1 to 12 of which nobody said whether it is before or after noon."""

    hour: int
    minute: int = 0
    bare: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SpokenDay:
    """A day, in one of the ways in which one is named.

    Attributes:
        days: so many days from today.
        months: so many months from today; with ``day``: that day of the month.
        weekday: 0 for Monday; the first one from today on, ``weeks`` later.
        next_week: that weekday of the next week ("next Friday").
        day, month, year: of the calendar; without a month the next such day, without a year the next such date.
    """

    days: int | None = None
    months: int = 0
    weekday: int | None = None
    weeks: int = 0
    next_week: bool = False
    day: int | None = None
    month: int | None = None
    year: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SpokenRule:
    """How something comes again: every ``interval`` days, weeks, months or years; weekly perhaps on some weekdays
    (0: Monday)."""

    every: Frequency
    interval: int = 1
    weekdays: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SpokenWhen:
    """When something shall be. Nothing of it needs to be there.

    ``after_s``: so many seconds from now. ``part`` of the day, where it was named. ``too_often``: it shall come again
    more than once a day.
    """

    after_s: float | None = None
    time: SpokenTime | None = None
    part: DayPart | None = None
    day: SpokenDay | None = None
    rule: SpokenRule | None = None
    too_often: bool = False


@dataclass(frozen=True, slots=True)
class SpokenChange:
    """A change of a duration, in seconds: so much ``more``, ``less``, or ``to`` this."""

    how: Literal["more", "less", "to"]
    seconds: float


@dataclass(frozen=True, slots=True)
class SpokenChoice:
    """Which of several is meant, said by its place in their order: 0 the first, -1 the last; ``every``: all of them."""

    place: int = 0
    every: bool = False


@dataclass(frozen=True, slots=True)
class RingAnswer:
    """What somebody says to a ring: ``stop``, or ``snooze`` for so many seconds (0: as usual)."""

    what: Literal["stop", "snooze"]
    seconds: float = 0.0
