"""What people report of such assistants, each with its right value: said to a house with the shipped reflex and the
real tools, on a Wednesday at half past two in the afternoon. Nothing of it asks the model."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from testing.fakes.everyday_house import EverydayHouse

pytestmark = pytest.mark.unit


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[EverydayHouse]:
    house = EverydayHouse(tmp_path)
    yield house
    await house.aclose()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        # Durations.
        ("set a timer for an hour and a half", "Your timer is set for 1 hour 30 minutes."),
        ("set a timer for three quarters of an hour", "Your timer is set for 45 minutes."),
        ("set a timer for 1 1/2 hours", "Your timer is set for 1 hour 30 minutes."),
        # What the recogniser makes of half past five.
        ("wake me at 5:30", "Your alarm is set for today at 5:30 in the afternoon."),
        ("wake me at 530", "Your alarm is set for today at 5:30 in the afternoon."),
        ("set an alarm for 5.30", "Your alarm is set for today at 5:30 in the afternoon."),
        ("set an alarm for five thirty", "Your alarm is set for today at 5:30 in the afternoon."),
        ("wake me at half past five", "Your alarm is set for today at 5:30 in the afternoon."),
        # The next occurrence; "today" stays today.
        ("set an alarm for seven", "Your alarm is set for today at 7 in the evening."),
        ("set an alarm for today at two", "That did not work: 'today at two' is over already, so nothing is set."),
        # Sums and measures say how they were read.
        ("what is 20 + 10 %", "20 plus 10 percent is 22, taking 10 percent of 20."),
        ("what is three point one four times two", "3.14 times 2 is 6.28."),
        ("what is seven hundred seventy seven thousand plus one", "777,000 plus 1 is 777,001."),
        ("how many millilitres are eight ounces of milk",
         "8 fluid ounces of milk is about 236.59 millilitres, taking US fluid ounces."),
        ("how many ounces are in a pint", "1 pint is 16 fluid ounces, taking US pints and US fluid ounces."),
        # A night that has an hour less.
        ("set an alarm for 2:30 on the 28th of march 2027",
         "Your alarm is set for Sunday, 28 March 2027 at 2:30 in the morning. The clocks go forward over 2:30 in the "
         "morning that night, so it will be 3:30 in the morning."),
        # What is not known is named, and nothing happens.
        ("take pears off the shopping list", "There are no pears on the shopping list."),
        ("cancel the pizza timer", "That did not work: There is no timer."),
        ("set a timer for ten bananas",
         "That did not work: I do not understand 'ten bananas' as a length of time, so I set no timer."),
        ("set an alarm for half past bananas",
         "That did not work: I do not understand 'half past bananas' as a time, so nothing is set."),
        # What is remembered, and what is not.
        ("remember I parked at the station", "I noted: I parked at the station."),
        ("remember that I parked at the station", "I noted: I parked at the station."),
        ("remember this", "What shall I remember?"),
        ("what do you know about me", "There is nothing in my memory yet."),
    ],
)  # fmt: skip
async def test_the_answer_is_the_right_one(house: EverydayHouse, words: str, said: str) -> None:
    assert await house.say(words) == said
    assert house.model.requests == []
    assert not house.waiting


@pytest.mark.parametrize(
    ("first", "question", "then", "said"),
    [
        ("remind me to call mum", "When shall I remind you?", "tomorrow at five",
         "I will remind you tomorrow, Thursday, 26 November at 5 in the afternoon: call mum."),
        ("remind me next friday to call mum", "At what time on Friday, 4 December?", "at noon",
         "I will remind you on Friday, 4 December at noon: call mum."),
        ("remind me in a fortnight to water the plants", "At what time on Wednesday, 9 December?", "at nine",
         "I will remind you on Wednesday, 9 December at 9 in the morning: water the plants."),
        ("set a timer", "For how long shall I set the timer?", "ten minutes", "Your timer is set for 10 minutes."),
        ("remember this", "What shall I remember?", "the key is under the mat", "I noted: the key is under the mat."),
    ],
)  # fmt: skip
async def test_what_is_missing_is_asked_once_and_nobody_elses_turn_comes_between(
    house: EverydayHouse, first: str, question: str, then: str, said: str
) -> None:
    assert await house.say(first) == question
    assert await house.stored() == []
    assert await house.say(then) == said
    assert house.model.requests == []
    assert not house.waiting


async def test_two_equal_timers_are_told_apart_by_their_order(house: EverydayHouse) -> None:
    said = await house.say("set a timer for ten minutes", "set a timer for ten minutes")
    assert said == "A second 10-minute timer is set."
    assert await house.say("cancel the second timer") == "The second 10-minute timer is cancelled."
    assert await house.say("how long is left") == "The 10-minute timer has 10 minutes left."
