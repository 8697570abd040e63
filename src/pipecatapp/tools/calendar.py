"""``calendar.ask``: days, dates, weeks and years; the full date is always spoken."""

from __future__ import annotations

import calendar
from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta, tzinfo
from typing import Any

from dateutil.easter import easter
from dateutil.relativedelta import relativedelta

from pipecatapp.domain import ToolResult, ToolSpec
from pipecatapp.errors import ToolError
from pipecatapp.languages import language
from pipecatapp.languages.calendar_question import CalendarQuestion
from pipecatapp.languages.days import days_of
from pipecatapp.ports import Tool, ToolContext
from pipecatapp.tools.clock import local_now
from pipecatapp.tools.registry import ToolServices

_WORDS = language().calendar
_YEARS = range(1583, 10000)  # of the Gregorian calendar, as far as dates go here


class Calendar:
    """Answers questions about days.

    Args:
        now: the time in a zone, or here for None.
    """

    spec = ToolSpec(
        name="calendar.ask",
        description="Days and dates: how many days until one, which weekday or date it is, leap years, weeks.",
        parameters={
            "type": "object",
            "properties": {
                "question": {"type": "string", "minLength": 1, "maxLength": 300, "description": "The whole question."}
            },
            "required": ["question"],
        },
        copied=("question",),
        asks=("how many days until christmas", "which day is the 14th", "what date is next friday", "when is easter"),
    )

    def __init__(self, now: Callable[[tzinfo | None], datetime] = datetime.now) -> None:
        self._now = now

    async def run(self, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        """Say what the calendar says."""
        return ToolResult(answer(str(arguments["question"]), local_now(self._now, context.zone).date()))


def answer(question: str, today: date) -> str:
    """The answer in a sentence, seen from that day.

    Raises:
        ToolError: it is no question of the calendar, or a day in it is not known.
    """
    asked = _WORDS.read(question)
    if asked is None:
        raise ToolError("I can tell days, dates, weeks and leap years, and this is something else")
    try:
        return _ANSWERS[asked.kind](asked, today)
    except (OverflowError, ValueError) as error:
        raise ToolError("that is outside of my calendar") from error


def _until(asked: CalendarQuestion, today: date) -> str:
    day = find_day(asked.first, today)
    if day < today:
        return _since(asked, today, day)
    if day == today:
        return f"{_up(asked.first)} is today, {_full(day)}."
    return f"It is {_span(today, day, asked.unit)} until {_named(asked.first, day)}."


def _since(asked: CalendarQuestion, today: date, day: date | None = None) -> str:
    day = day or find_day(asked.first, today, past=True)
    if day > today:
        return f"{_up(_named(asked.first, day))} is still to come, in {_span(today, day, asked.unit)}."
    return f"It is {_span(day, today, asked.unit)} since {_named(asked.first, day)}."


def _between(asked: CalendarQuestion, today: date) -> str:
    first = find_day(asked.first, today)
    second = find_day(asked.second, first)
    first, second = min(first, second), max(first, second)
    return f"It is {_span(first, second, asked.unit)} from {_full(first)} to {_full(second)}."


def _date(asked: CalendarQuestion, today: date) -> str:
    if not asked.first or asked.first == "today":
        return f"Today is {_full(today)}."
    day = find_day(asked.first, today)
    be = "was" if day < today else "it is" if _WORDS.is_distance(asked.first) else "is"
    return f"{_up(asked.first)} {be} {_full(day)}."


def _leap(asked: CalendarQuestion, today: date) -> str:
    said = asked.second or asked.first
    year = int(said) if said.isdigit() else today.year + {"next": 1, "last": -1}.get(said.split(" ")[0], 0)
    _check(year)
    be = "was" if year < today.year else "is"
    if calendar.isleap(year):
        return f"{year} {be} a leap year."
    return f"{year} {be} not a leap year. The next one after it is {_next_leap_year(year)}."


def _next_leap(asked: CalendarQuestion, today: date) -> str:
    this = f"{today.year} is one. " if calendar.isleap(today.year) else ""
    return f"{this}The next leap year is {_next_leap_year(today.year)}."


def _week(asked: CalendarQuestion, today: date) -> str:
    day = find_day(asked.first, today) if asked.first else today
    year, week, _ = day.isocalendar()
    what = f"{_up(_named(asked.first, day))} is in" if asked.first else "It is"
    return f"{what} week {week} of {year}, with weeks that begin on Monday."


def _length(asked: CalendarQuestion, today: date) -> str:
    words, year = _year_of(asked.first, today)
    if asked.first in ("this month", "next month"):
        first = today.replace(day=1) + relativedelta(months=asked.first == "next month")
        return _month_length(first.year, first.month)
    if not words or words.isdigit():
        year = int(words) if words.isdigit() else year
        _check(year)
        return f"{year} has {366 if calendar.isleap(year) else 365} days."
    month = _WORDS.month(words)
    if month is None:
        raise ToolError(f"I know no month called {words}")
    _check(year)
    return _month_length(year, month)


def _month_length(year: int, month: int) -> str:
    return f"{_WORDS.months[month - 1]} {year} has {calendar.monthrange(year, month)[1]} days."


def _left(asked: CalendarQuestion, today: date) -> str:
    end = {
        "year": date(today.year, 12, 31),
        "month": today.replace(day=calendar.monthrange(today.year, today.month)[1]),
        "week": today + timedelta(days=6 - today.weekday()),
    }[asked.first]
    return f"After today this {asked.first} has {_span(today, end, asked.unit)} left, until {_full(end)}."


def _day_of_year(asked: CalendarQuestion, today: date) -> str:
    day = find_day(asked.first, today) if asked.first and asked.first != "today" else today
    return f"{_full(day)} is day {day.timetuple().tm_yday} of {day.year}."


_ANSWERS: Mapping[str, Callable[[CalendarQuestion, date], str]] = {
    "until": _until, "since": _since, "between": _between, "date": _date, "leap": _leap, "next leap": _next_leap,
    "week": _week, "length": _length, "left": _left, "day of year": _day_of_year,
}  # fmt: skip


def find_day(words: str, today: date, *, past: bool = False) -> date:
    """The day that is meant, seen from ``today``: the next one, or with ``past`` the last one.

    Raises:
        ToolError: it is not known.
    """
    if (moved := _WORDS.shifted(words)) is not None:
        base, count, unit = moved
        away: date = find_day(base, today) + relativedelta(**{unit: count})
        return away
    if (weekday := _WORDS.last_weekday(words)) is not None:
        return today - timedelta(days=(today.weekday() - weekday - 1) % 7 + 1)
    named, year = _WORDS.split_year(words)
    if (offset := _WORDS.feast(named)) is not None:
        return _feast(offset, year, today, past=past)
    spoken = language().times.when(words if isinstance(year, int) else named)
    if spoken is None or spoken.day is None or spoken.rule is not None:
        raise ToolError(f"I do not know which day {words} is")
    said_year = _relative_year(year, today) if isinstance(year, str) and year else None
    days = days_of(spoken.day, date(said_year, 1, 1) if said_year else today)
    if said_year or spoken.day.month is None or spoken.day.year is not None:
        day = next(days, None)
        if day is None:
            raise ToolError(f"there is no {words}")
        return day
    found = [day for day, _ in zip(days, range(9), strict=False)]
    if past:
        found = [earlier for day in found[:1] if (earlier := _last(day, today))]
    day = next((day for day in found if past or day >= today), None)
    if day is None:
        raise ToolError(f"there is no {words}")
    return day


def _last(day: date, today: date) -> date | None:
    """The last day of this name, which comes every year, up to today."""
    for year in range(today.year, today.year - 9, -1):
        if (day.month, day.day) == (2, 29) and not calendar.isleap(year):
            continue
        if (found := day.replace(year=year)) <= today:
            return found
    return None


def _feast(offset: int, year: int | str, today: date, *, past: bool) -> date:
    aside = timedelta(days=offset)
    if year:
        that: date = easter(year if isinstance(year, int) else _relative_year(year, today)) + aside
        return that
    days: list[date] = [easter(each) + aside for each in range(today.year - 1, today.year + 2)]
    return max(day for day in days if day <= today) if past else min(day for day in days if day >= today)


def _relative_year(word: str, today: date) -> int:
    return today.year + {"next": 1, "last": -1}.get(word, 0)


def _year_of(words: str, today: date) -> tuple[str, int]:
    named, year = _WORDS.split_year(words)
    return named, year if isinstance(year, int) else _relative_year(year, today)


def _check(year: int) -> None:
    if year not in _YEARS:
        raise ToolError(f"my calendar begins in {_YEARS.start}")


def _next_leap_year(year: int) -> int:
    return next(later for later in range(year + 1, year + 9) if calendar.isleap(later))


def _span(first: date, last: date, unit: str) -> str:
    days = (last - first).days
    if unit == "months":
        apart = relativedelta(last, first)
        parts = [_count(apart.years * 12 + apart.months, "month"), _count(apart.days, "day")]
        return " and ".join(part for part in parts if not part.startswith("0 ")) or "no time"
    if unit == "weeks" and days >= 7:
        parts = [_count(days // 7, "week"), _count(days % 7, "day")]
        return " and ".join(part for part in parts if not part.startswith("0 "))
    return _count(days, "day")


def _count(number: int, unit: str) -> str:
    return f"{number:,} {unit}" if number == 1 else f"{number:,} {unit}s"


def _full(day: date) -> str:
    return f"{_WORDS.weekdays[day.weekday()]}, {day.day} {_WORDS.months[day.month - 1]} {day.year}"


def _named(words: str, day: date) -> str:
    return f"{_WORDS.capitals(words)}, {_full(day)}" if _WORDS.is_name(words) else _full(day)


def _up(text: str) -> str:
    return _WORDS.title(text)


def create(services: ToolServices) -> Tool:
    """The tool, for the registry."""
    return Calendar()
