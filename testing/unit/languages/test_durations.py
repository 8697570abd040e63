"""Durations in words, and what becomes of one."""

from __future__ import annotations

import pytest

from pipecatapp.languages import language
from pipecatapp.languages.spoken_time import SpokenChange

pytestmark = pytest.mark.unit

TIMES = language().times


@pytest.mark.parametrize(
    ("words", "seconds"),
    [
        ("ten minutes", 600), ("10 minutes", 600), ("ten minute", 600), ("for ten minutes", 600),
        ("an hour and a half", 5400), ("one and a half hours", 5400), ("1 1/2 hours", 5400), ("1\u00bd hours", 5400),
        ("1.5 hours", 5400), ("one point five hours", 5400), ("1 hour and a half", 5400), ("an hour and thirty", 5400),
        ("three quarters of an hour", 2700), ("3/4 of an hour", 2700), ("an hour and three quarters", 6300),
        ("half an hour", 1800), ("half hour", 1800), ("a quarter of an hour", 900), ("quarter hour", 900),
        ("two and a half minutes", 150), ("a minute and a half", 90), ("1 minute 30", 90), ("1:30", 90),
        ("5 min 30 sec", 330), ("5m30s", 330), ("ninety seconds", 90), ("a hundred and twenty seconds", 120),
        ("an hour and fifteen minutes", 4500), ("two hours fifteen", 8100), ("1:05:00", 3900), ("1:30 hours", 5400),
        ("one hour, two minutes and three seconds", 3723), ("a couple of minutes", 120), ("a week", 604_800),
        ("ten-minute timer", 600), ("ten", 600), ("twenty five", 1500), ("an hour and half a minute", 3630),
        ("a fortnight", 1_209_600), ("0 minutes", 0),
    ],
)  # fmt: skip
def test_a_duration_is_understood(words: str, seconds: float) -> None:
    assert TIMES.duration(words) == seconds


@pytest.mark.parametrize(
    "words",
    ["", "tea", "ten bananas", "a few minutes", "five thirty", "ten minutes ten minutes", "ten minutes tomorrow",
     "half", "minutes", "an", "seven o'clock", "minus five minutes", "1/0 hours and tea"],
)  # fmt: skip
def test_what_is_no_duration_is_none(words: str) -> None:
    assert TIMES.duration(words) is None


@pytest.mark.parametrize(
    ("words", "how", "seconds"),
    [
        ("five minutes more", "more", 300), ("add five minutes", "more", 300), ("another minute", "more", 60),
        ("five more minutes", "more", 300), ("ten minutes longer", "more", 600), ("extend it by a minute", "more", 60),
        ("five minutes less", "less", 300), ("take two minutes off", "less", 120),
        ("reduce it by 90 seconds", "less", 90),
        ("to twenty minutes", "to", 1200), ("make it an hour and a half", "to", 5400), ("ten minutes", "to", 600),
    ],
)  # fmt: skip
def test_a_change_is_understood(words: str, how: str, seconds: float) -> None:
    assert TIMES.change(words) == SpokenChange(how, seconds)  # type: ignore[arg-type]


@pytest.mark.parametrize("words", ["", "more", "five bananas more", "five minutes more or less", "faster"])
def test_what_is_no_change_is_none(words: str) -> None:
    assert TIMES.change(words) is None


@pytest.mark.parametrize(
    ("seconds", "said", "named"),
    [(600, "10 minutes", "10-minute"), (5400, "1 hour 30 minutes", "90-minute"), (60, "1 minute", "1-minute"),
     (86_400, "1 day", "1-day"), (45, "45 seconds", "45-second"), (0, "0 seconds", "0-seconds"),
     (100_000, "1 day 3 hours 46 minutes", "100000-second")],
)  # fmt: skip
def test_a_duration_is_said(seconds: float, said: str, named: str) -> None:
    assert TIMES.say_duration(seconds) == said
    assert TIMES.name_by_duration(seconds) == named
