"""From what somebody said of a day to days of the calendar."""

from __future__ import annotations

import calendar
from collections.abc import Iterator
from datetime import date, timedelta

from dateutil.relativedelta import relativedelta

from pipecatapp.languages.spoken_time import SpokenDay


def days_of(said: SpokenDay, today: date) -> Iterator[date]:
    """The days that may be meant, the first one first: another one only counts where the first is over."""
    if said.weekday is not None:
        ahead = (said.weekday - today.weekday()) % 7
        if said.next_week:
            yield today + timedelta(days=7 - today.weekday() + said.weekday)
            return
        yield today + timedelta(days=ahead + 7 * said.weeks)
        yield today + timedelta(days=ahead + 7 * said.weeks + 7)
    elif said.days is not None:
        yield today + timedelta(days=said.days)
    elif said.day is None:
        yield today + relativedelta(months=said.months)
    elif said.month is None:
        yield from _days_of_month(said, today)
    else:
        for year in (said.year,) if said.year is not None else range(today.year, today.year + 9):
            if said.day <= calendar.monthrange(year, said.month)[1]:
                yield date(year, said.month, said.day)


def _days_of_month(said: SpokenDay, today: date) -> Iterator[date]:
    if said.day is None or not 1 <= said.day <= 31:
        return
    month = (today + relativedelta(months=said.months)).replace(day=1)
    for _ in range(1 if said.months else 13):
        if said.day <= calendar.monthrange(month.year, month.month)[1]:
            found = month.replace(day=said.day)
            if found >= today:
                yield found
        month += relativedelta(months=1)
