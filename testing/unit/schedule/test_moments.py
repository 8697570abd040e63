"""What people say of a time, as a moment: seen from Wednesday, 25 November 2026, half past two in Berlin."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from pipecatapp.languages import language
from pipecatapp.schedule.moments import Moment, Trouble, epoch, is_skipped, occurrences, resolve

pytestmark = pytest.mark.unit

BERLIN = ZoneInfo("Europe/Berlin")
NOW = datetime(2026, 11, 25, 14, 30, tzinfo=BERLIN)
TIMES = language().times


def moment(words: str, now: datetime = NOW, *, wakes: bool = False) -> Moment | Trouble:
    spoken = TIMES.when(words)
    assert spoken is not None, words
    return resolve(spoken, now, wakes=wakes)


def wall(words: str, now: datetime = NOW, *, wakes: bool = False) -> str:
    found = moment(words, now, wakes=wakes)
    assert isinstance(found, Moment), found
    return f"{found.wall:%Y-%m-%d %H:%M}"


@pytest.mark.parametrize(
    "words",
    ["5:30", "530", "5.30", "five thirty", "half past five", "at half past 5", "half five", "5 30", "17:30", "1730",
     "5:30 pm", "five thirty p.m.", "5.30 in the afternoon", "half past five in the afternoon", "30 minutes past five"],
)  # fmt: skip
def test_half_past_five_however_it_was_heard(words: str) -> None:
    assert wall(words) == "2026-11-25 17:30"


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        # A bare hour is its next occurrence.
        ("at seven", "2026-11-25 19:00"), ("at two", "2026-11-26 02:00"), ("seven o'clock", "2026-11-25 19:00"),
        ("twelve", "2026-11-26 00:00"), ("2:30", "2026-11-26 02:30"), ("2:31", "2026-11-25 14:31"),
        ("07:00", "2026-11-26 07:00"), ("noon", "2026-11-26 12:00"), ("midnight", "2026-11-26 00:00"),
        ("quarter past five", "2026-11-25 17:15"), ("quarter to six", "2026-11-25 17:45"),
        ("twenty-five to six", "2026-11-25 17:35"), ("ten past three", "2026-11-25 15:10"),
        ("seven oh five", "2026-11-25 19:05"), ("quarter to midnight", "2026-11-25 23:45"),
        # "today" stays today, a day is that day.
        ("today at five", "2026-11-25 17:00"), ("tonight at eight", "2026-11-25 20:00"),
        ("tonight at one", "2026-11-26 01:00"), ("this evening at 7", "2026-11-25 19:00"),
        ("tomorrow at five", "2026-11-26 17:00"), ("tomorrow at nine", "2026-11-26 09:00"),
        ("five tomorrow morning", "2026-11-26 05:00"), ("tomorrow at 12", "2026-11-26 12:00"),
        ("the day after tomorrow at noon", "2026-11-27 12:00"), ("wednesday at 2", "2026-12-02 14:00"),
        ("wednesday at 3", "2026-11-25 15:00"), ("friday at noon", "2026-11-27 12:00"),
        ("friday week at noon", "2026-12-04 12:00"), ("a week on friday at noon", "2026-12-04 12:00"),
        ("in a fortnight at nine", "2026-12-09 09:00"), ("in two weeks at nine", "2026-12-09 09:00"),
        ("in three days at noon", "2026-11-28 12:00"), ("a week from tomorrow at noon", "2026-12-03 12:00"),
        ("the 14th at 9", "2026-12-14 09:00"), ("the 25th at 9", "2026-11-25 21:00"),
        ("on the 30th at 9", "2026-11-30 09:00"),
        ("3rd of december at 10 am", "2026-12-03 10:00"), ("december 3 at 10 am", "2026-12-03 10:00"),
        ("3 march at noon", "2027-03-03 12:00"), ("3 march 2028 at noon", "2028-03-03 12:00"),
        ("2027-03-04 at 10:00 am", "2027-03-04 10:00"), ("february 29 at noon", "2028-02-29 12:00"),
        ("christmas eve at 6", "2026-12-24 18:00"), ("the first of next month at nine", "2026-12-01 09:00"),
        ("in a month at 10", "2026-12-25 10:00"), ("saturday night at 11", "2026-11-28 23:00"),
        ("friday at midnight", "2026-11-28 00:00"), ("tomorrow morning", "2026-11-26 09:00"),
        ("tonight", "2026-11-25 21:00"), ("at the weekend at 10", "2026-11-28 10:00"),
        # A length of time from now.
        ("in ten minutes", "2026-11-25 14:40"), ("in an hour and a half", "2026-11-25 16:00"),
        ("in three quarters of an hour", "2026-11-25 15:15"), ("twenty minutes from now", "2026-11-25 14:50"),
        ("in 2 hours' time", "2026-11-25 16:30"),
    ],
)  # fmt: skip
def test_a_time_is_the_one_that_is_meant(words: str, expected: str) -> None:
    assert wall(words) == expected


@pytest.mark.parametrize(
    ("words", "expected"),
    [("tomorrow at five", "2026-11-26 05:00"), ("every day at five", "2026-11-26 05:00"), ("six", "2026-11-25 18:00"),
     ("six tomorrow evening", "2026-11-26 18:00"), ("tomorrow at 12", "2026-11-26 12:00")],
)  # fmt: skip
def test_an_alarm_wakes_early(words: str, expected: str) -> None:
    assert wall(words, wakes=True) == expected


@pytest.mark.parametrize(
    ("words", "trouble"),
    [("today at two", "past"), ("3 march 2020 at noon", "past"), ("30 february at noon", "no such day"),
     ("next friday", "no time"), ("in a fortnight", "no time"), ("every day", "no time"), ("every hour", "too often"),
     ("every ten minutes", "too often")],
)  # fmt: skip
def test_what_cannot_be_is_named(words: str, trouble: str) -> None:
    assert moment(words) == trouble


def test_an_alarm_needs_its_time_also_in_the_morning() -> None:
    assert moment("tomorrow morning", wakes=True) == "no time"


@pytest.mark.parametrize(
    "words",
    [
        "",
        "at bananas",
        "seven bananas",
        "25:00",
        "5/6",
        "on monday at 9 and tuesday at 10",
        "march",
        "later",
        "at 7 at 8",
    ],
)
def test_what_is_no_time_is_none(words: str) -> None:
    assert TIMES.when(words) is None


@pytest.mark.parametrize("day", range(7))
@pytest.mark.parametrize("name", ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"])
def test_weekdays_are_ahead_from_each_day_of_the_week(day: int, name: str) -> None:
    now = datetime(2026, 11, 23 + day, 10, 0, tzinfo=BERLIN)
    plain, following = moment(f"{name} at noon", now), moment(f"next {name} at noon", now)
    assert isinstance(plain, Moment)
    assert isinstance(following, Moment)
    assert f"{plain.wall:%A}".lower() == f"{following.wall:%A}".lower() == name
    assert 0 <= (plain.wall.date() - now.date()).days <= 6
    # Of the next week, which begins on Monday.
    monday = now.date() + timedelta(days=7 - day)
    assert 0 <= (following.wall.date() - monday).days <= 6


def test_today_counts_until_its_time_is_over() -> None:
    now = datetime(2026, 11, 27, 13, 0, tzinfo=BERLIN)
    assert wall("friday at 2 pm", now) == "2026-11-27 14:00"
    assert wall("friday at noon", now) == "2026-12-04 12:00"


@pytest.mark.parametrize(
    ("words", "first", "then"),
    [
        ("every day at seven", "2026-11-26 07:00", "2026-11-27 07:00"),
        ("daily at 6 pm", "2026-11-25 18:00", "2026-11-26 18:00"),
        ("every evening at nine", "2026-11-25 21:00", "2026-11-26 21:00"),
        ("every weekday at seven", "2026-11-26 07:00", "2026-11-27 07:00"),
        ("monday to friday at 7", "2026-11-26 07:00", "2026-11-27 07:00"),
        ("at weekends at nine", "2026-11-28 09:00", "2026-11-29 09:00"),
        ("every monday and thursday at 7:30", "2026-11-26 07:30", "2026-11-30 07:30"),
        ("mondays at half past six pm", "2026-11-30 18:30", "2026-12-07 18:30"),
        ("every other tuesday at 7", "2026-12-01 07:00", "2026-12-15 07:00"),
        ("every two weeks on friday at 8", "2026-11-27 08:00", "2026-12-11 08:00"),
        ("every three days at noon", "2026-11-26 12:00", "2026-11-29 12:00"),
        ("every month on the 31st at 8", "2026-12-31 08:00", "2027-01-31 08:00"),
        ("on the first of every month at 9", "2026-12-01 09:00", "2027-01-01 09:00"),
        ("every year on 3 march at noon", "2027-03-03 12:00", "2028-03-03 12:00"),
    ],
)  # fmt: skip
def test_what_recurs(words: str, first: str, then: str) -> None:
    found = moment(words)
    assert isinstance(found, Moment)
    assert found.rule is not None
    assert f"{found.wall:%Y-%m-%d %H:%M}" == first
    assert f"{next(iter(occurrences(found.wall, found.rule, found.wall))):%Y-%m-%d %H:%M}" == then


def test_the_thirty_first_is_the_last_day_of_a_shorter_month() -> None:
    found = moment("every month on the 31st at 8")
    assert isinstance(found, Moment)
    assert found.rule is not None
    days = [wall.day for wall, _ in zip(occurrences(found.wall, found.rule, found.wall), range(4), strict=False)]
    assert days == [31, 28, 31, 30]


def test_the_night_in_spring_has_an_hour_less() -> None:
    night = datetime(2026, 3, 29, 0, 0, tzinfo=BERLIN)
    skipped = moment("2:30", night)
    assert isinstance(skipped, Moment)
    assert is_skipped(skipped.wall, BERLIN)
    assert datetime.fromtimestamp(epoch(skipped.wall, BERLIN), BERLIN).strftime("%H:%M") == "03:30"
    assert wall("in three hours", night) == "2026-03-29 04:00"
    assert wall("at six", night) == "2026-03-29 06:00"


def test_the_night_in_autumn_has_an_hour_more() -> None:
    night = datetime(2026, 10, 25, 0, 0, tzinfo=BERLIN)
    twice = moment("2:30", night)
    assert isinstance(twice, Moment)
    assert not is_skipped(twice.wall, BERLIN)
    assert epoch(twice.wall, BERLIN) - night.timestamp() == 2.5 * 3600  # the first of the two
    assert wall("in four hours", night) == "2026-10-25 03:00"
    assert epoch(twice.wall + timedelta(hours=2), BERLIN) - night.timestamp() == 5.5 * 3600


@pytest.mark.parametrize(
    ("at", "said"),
    [
        ("2026-11-25 17:30", "today at 5:30 in the afternoon"), ("2026-11-25 20:00", "today at 8 in the evening"),
        ("2026-11-26 00:00", "tomorrow, Thursday, 26 November at midnight"),
        ("2026-12-04 12:00", "on Friday, 4 December at noon"),
        ("2026-11-27 23:05", "on Friday, 27 November at 11:05 at night"),
        ("2027-01-04 00:15", "on Monday, 4 January 2027 at 12:15 in the morning"),
    ],
)  # fmt: skip
def test_a_moment_is_said_with_its_date_and_its_part_of_the_day(at: str, said: str) -> None:
    assert TIMES.say_moment(datetime.fromisoformat(at).replace(tzinfo=BERLIN), NOW) == said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("every weekday at seven", "every weekday at 7 in the morning"),
        ("every monday and thursday at 7:30", "every Monday and Thursday at 7:30 in the morning"),
        ("every other tuesday at noon", "every other Tuesday at noon"),
        ("every month on the 3rd at 9", "every month on the 3rd at 9 in the morning"),
        ("every year on 3 march at noon", "every year on 3 March at noon"),
        ("every three days at noon", "every 3 days at noon"),
    ],
)
def test_a_rule_is_said(words: str, said: str) -> None:
    found = moment(words)
    assert isinstance(found, Moment)
    assert found.rule is not None
    assert TIMES.say_rule(found.rule.every, found.rule.interval, found.rule.weekdays, found.wall) == said
