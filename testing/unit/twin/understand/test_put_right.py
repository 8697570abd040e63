"""What was just done is put right: "no, twenty minutes"; with the shipped reflex and the real tools."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from testing.fakes.everyday_house import MIND, EverydayHouse

pytestmark = pytest.mark.unit


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[EverydayHouse]:
    """On a Wednesday, half past two in the afternoon."""
    house = EverydayHouse(tmp_path)
    yield house
    await house.aclose()


@pytest.mark.parametrize(
    ("first", "then", "look", "said"),
    [
        ("set a timer for ten minutes", "no, twenty minutes", "how long is left",
         "The 20-minute timer has 20 minutes left."),
        ("set a timer for fifty minutes", "I said fifteen", "how long is left",
         "The 15-minute timer has 15 minutes left."),
        ("set a timer for ten seconds for the eggs", "no, twenty", "how long is left",
         "The eggs timer has 20 seconds left."),
        ("set an alarm for wednesday at seven", "no, Thursday", "what alarms are set",
         "There is one alarm: tomorrow, Thursday, 26 November at 7 in the morning."),
        ("wake me tomorrow at seven", "sorry, I meant eight", "what alarms are set",
         "There is one alarm: tomorrow, Thursday, 26 November at 8 in the morning."),
        ("remind me tomorrow at five to call mum", "no, at six", "what reminders are there",
         "There is one reminder: tomorrow, Thursday, 26 November at 6 in the evening, call mum."),
    ],
)  # fmt: skip
async def test_the_other_value_replaces_the_one_that_was_set(
    house: EverydayHouse, first: str, then: str, look: str, said: str
) -> None:
    await house.say(first)
    told = await house.say(then)
    assert told.startswith("I took that back.\n")
    assert await house.say(look) == said
    assert not house.waiting


async def test_the_new_value_is_read_back_and_can_be_taken_back(house: EverydayHouse) -> None:
    await house.say("set a timer for ten minutes")
    assert await house.say("no, twenty minutes") == "I took that back.\nYour timer is set for 20 minutes."
    assert await house.say("no, thirty") == "I took that back.\nYour timer is set for 30 minutes."
    assert await house.say("undo that") == "I took that back: your timer is set for 30 minutes."
    assert await house.stored() == []


async def test_a_change_of_a_timer_is_put_right(house: EverydayHouse) -> None:
    said = await house.say("set a timer for ten minutes", "five minutes more", "no, ten minutes more")
    assert said == "I took that back.\nThe 10-minute timer now has 20 minutes left."


@pytest.mark.parametrize("between", ["why do bees dance", "what time is it in Tokyo"])
async def test_only_the_last_deed_is_put_right(house: EverydayHouse, between: str) -> None:
    await house.say("set a timer for ten minutes", between, "no, twenty minutes")
    assert await house.say("how long is left") == "The 10-minute timer has 10 minutes left."


async def test_another_conversation_does_not_reach_it(house: EverydayHouse) -> None:
    await house.say("set a timer for ten minutes")
    await house.say("no, twenty minutes", conversation="bedroom")
    assert await house.say("how long is left") == "The 10-minute timer has 10 minutes left."


async def test_where_a_turn_changed_two_things_it_says_so_and_changes_none(house: EverydayHouse) -> None:
    await house.say("set a timer for ten minutes and add milk to the shopping list")
    assert (await house.say("no, twenty minutes")).startswith("I changed nothing.")
    assert await house.say("what is on the shopping list") == "On the shopping list is milk."
    assert await house.say("how long is left") == "The 10-minute timer has 10 minutes left."


@pytest.mark.parametrize("words", ["no, that is wrong", "no", "nothing else"])
async def test_other_words_change_nothing(house: EverydayHouse, words: str) -> None:
    await house.say("set a timer for ten minutes")
    assert await house.say(words) == MIND
    assert await house.say("how long is left") == "The 10-minute timer has 10 minutes left."


async def test_a_reading_is_given_again_without_anything_being_taken_back(house: EverydayHouse) -> None:
    assert await house.say("what is 20 plus 30", "no, 20 times 30") == "20 times 30 is 600."
