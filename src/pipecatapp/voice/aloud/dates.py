"""Dates and times of day in words."""

from __future__ import annotations

import calendar

from pipecatapp.languages import language
from pipecatapp.voice.aloud.numbers import number, ordinal, year

_MONTHS = language().numbers.months


def date(years: int, month: int, day: int) -> str | None:
    """``November twenty-ninth, twenty twenty-six``; None: there is no such day."""
    if not (1 <= month <= 12 and 1 <= day <= calendar.monthrange(2000, month)[1]):
        return None
    return f"{_MONTHS[month - 1].capitalize()} {ordinal(str(day))}, {year(f'{years:04}')}"


def date_of(parts: list[str]) -> str | None:
    """A date as numbers: with the year first, or as it is written in America, unless only the other order is a day."""
    first, second, third = (int(part) for part in parts)
    if len(parts[0]) == 4:
        return date(first, second, third)
    if len(parts[2]) == 2:
        third += 2000 if third < 70 else 1900
    return date(third, first, second) or date(third, second, first)


def time_of_day(hour: str, minute: str | None, second: str | None, half: str) -> str | None:
    """``10:30`` -> "ten thirty"; ``half``: "am", "p.m." or nothing. None: there is no such time."""
    hours, minutes = int(hour), int(minute or 0)
    if hours > 24 or minutes > 59 or int(second or 0) > 59 or (half and hours > 12):
        return None
    letters = " ".join(half.replace(".", "").upper())
    if minute is None or (minutes == 0 and half):
        said = number(str(hours))
    elif minutes == 0:
        said = f"{number(str(hours))} o'clock" if 0 < hours <= 12 else f"{number(str(hours))} hundred"
    elif minutes < 10:
        said = f"{number(str(hours))} oh {number(str(minutes))}"
    else:
        said = f"{number(str(hours))} {number(str(minutes))}"
    if second is not None:
        seconds = number(str(int(second)))
        said += f" and {seconds} second{'' if int(second) == 1 else 's'}"
    return f"{said} {letters}".strip()
