"""``calendar.ask``: what is asked of days and dates is answered, always with the full date."""

from __future__ import annotations

from datetime import date, datetime, timedelta, tzinfo

import pytest
from dateutil.easter import easter

from pipecatapp.errors import ToolError
from pipecatapp.ports import ToolContext
from pipecatapp.tools.calendar import Calendar, answer

pytestmark = pytest.mark.unit

SUNDAY = date(2026, 11, 29)


@pytest.mark.parametrize(
    ("question", "said"),
    [
        ("How many days until Christmas?", "It is 26 days until Christmas, Friday, 25 December 2026."),
        ("how long until christmas", "It is 26 days until Christmas, Friday, 25 December 2026."),
        ("how many weeks until christmas", "It is 3 weeks and 5 days until Christmas, Friday, 25 December 2026."),
        ("how many days since christmas", "It is 339 days since Christmas, Thursday, 25 December 2025."),
        ("how many days until the 14th", "It is 15 days until Monday, 14 December 2026."),
        ("how many days until 29 february", "It is 457 days until Tuesday, 29 February 2028."),
        ("how many days from 1 march to 5 april", "It is 35 days from Monday, 1 March 2027 to Monday, 5 April 2027."),
        ("how many days left this year", "After today this year has 32 days left, until Thursday, 31 December 2026."),
        ("which day is the 14th", "The 14th is Monday, 14 December 2026."),
        ("what day of the week is the fourteenth", "The fourteenth is Monday, 14 December 2026."),
        ("what date is next Friday", "Next Friday is Friday, 4 December 2026."),
        ("what is the date in a fortnight", "In a fortnight it is Sunday, 13 December 2026."),
        ("what date is three weeks from today", "Three weeks from today is Sunday, 20 December 2026."),
        ("what date is three weeks before christmas", "Three weeks before Christmas is Friday, 4 December 2026."),
        ("what day will it be in 10 days", "In 10 days it is Wednesday, 9 December 2026."),
        ("what day was it two weeks ago", "Two weeks ago was Sunday, 15 November 2026."),
        ("what date was last friday", "Last Friday was Friday, 27 November 2026."),
        ("what day was 4 July 1976", "4 July 1976 was Sunday, 4 July 1976."),
        ("what day is christmas next year", "Christmas next year is Saturday, 25 December 2027."),
        ("what's today's date?", "Today is Sunday, 29 November 2026."),
        ("what day is it tomorrow", "Tomorrow is Monday, 30 November 2026."),
        ("is 2028 a leap year", "2028 is a leap year."),
        ("is 2027 a leap year", "2027 is not a leap year. The next one after it is 2028."),
        ("was 1900 a leap year", "1900 was not a leap year. The next one after it is 1904."),
        ("when is the next leap year", "The next leap year is 2028."),
        ("what week is it", "It is week 48 of 2026, with weeks that begin on Monday."),
        ("what week is 1 january 2027",
         "Friday, 1 January 2027 is in week 53 of 2026, with weeks that begin on Monday."),
        ("how many days are in february 2028", "February 2028 has 29 days."),
        ("when is easter", "Easter is Sunday, 28 March 2027."),
        ("when is good friday 2026", "Good Friday 2026 was Friday, 3 April 2026."),
        ("how long until easter monday", "It is 120 days until Easter Monday, Monday, 29 March 2027."),
        ("what day of the year is it", "Sunday, 29 November 2026 is day 333 of 2026."),
    ],
)  # fmt: skip
def test_what_is_asked_is_answered(question: str, said: str) -> None:
    assert answer(question, SUNDAY) == said


@pytest.mark.parametrize(
    ("question", "why"),
    [
        ("when is my birthday", "which day my birthday is"),
        ("what day is 31 april", "there is no 31 april"),
        ("who was the first president", "this is something else"),
        ("is 1200 a leap year", "begins in 1583"),
    ],
)
def test_a_day_that_is_not_known_is_named(question: str, why: str) -> None:
    with pytest.raises(ToolError, match=why):
        answer(question, SUNDAY)


@pytest.mark.parametrize("start", range(7))
def test_next_friday_is_the_one_of_next_week_from_each_day_of_this_one(start: int) -> None:
    today = date(2026, 11, 30) + timedelta(days=start)
    assert answer("what date is next friday", today) == "Next Friday is Friday, 11 December 2026."


@pytest.mark.parametrize("night", [date(2026, 3, 28), date(2026, 10, 24)])
def test_the_night_of_the_clock_change_is_one_day(night: date) -> None:
    assert answer("how many days until tomorrow", night).startswith("It is 1 day until Sunday, ")


def test_easter_is_where_the_church_has_it() -> None:
    assert [easter(year) for year in (2024, 2025, 2026, 2038)] == [
        date(2024, 3, 31), date(2025, 4, 20), date(2026, 4, 5), date(2038, 4, 25),
    ]  # fmt: skip


async def test_today_is_that_of_the_device_where_this_pc_knows_no_zone() -> None:
    def now(zone: tzinfo | None) -> datetime:
        late = datetime.fromisoformat("2026-11-29T23:30:00+00:00")
        return late if zone is None else late.astimezone(zone)

    context = ToolContext("c", "t", zone="Europe/Berlin")
    assert (
        await Calendar(now).run({"question": "what day is it"}, context)
    ).text == "Today is Monday, 30 November 2026."
