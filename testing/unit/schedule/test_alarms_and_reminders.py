"""Alarms and reminders as people ask for them, and what they hear. It is Wednesday, 25 November 2026, half past two."""

from __future__ import annotations

import pytest

from pipecatapp.errors import ToolError
from pipecatapp.ports import ToolContext
from testing.fakes.schedule import HERE, ScheduledHouse

pytestmark = pytest.mark.unit


@pytest.fixture
def house() -> ScheduledHouse:
    return ScheduledHouse()


async def alarm(house: ScheduledHouse, when: str) -> str:
    return (await house.service.set_alarm(when, HERE)).text


async def remind(house: ScheduledHouse, what: str, when: str) -> str:
    return (await house.service.set_reminder(what, when, HERE)).text


async def test_the_time_is_read_back_with_its_day_and_part(house: ScheduledHouse) -> None:
    assert await alarm(house, "seven") == "Your alarm is set for today at 7 in the evening."
    assert await alarm(house, "tomorrow at seven") == (
        "Your alarm is set for tomorrow, Thursday, 26 November at 7 in the morning."
    )
    assert await alarm(house, "every weekday at half past six") == (
        "Your alarm is set for every weekday at 6:30 in the morning, first tomorrow, Thursday, 26 November "
        "at 6:30 in the morning."
    )
    assert await remind(house, "to call my mum", "next friday at five") == (
        "I will remind you on Friday, 4 December at 5 in the afternoon: call your mum."
    )
    assert await remind(house, "take my pills", "every evening at nine") == (
        "I will remind you every day at 9 at night, first today at 9 at night: take your pills."
    )


async def test_a_missing_time_is_asked_for_once_with_the_day_that_is_known(house: ScheduledHouse) -> None:
    for when, question in (
        ("", "When shall I remind you?"),
        ("next friday", "At what time on Friday, 4 December?"),
        ("in a fortnight", "At what time on Wednesday, 9 December?"),
        ("every day", "At what time?"),
    ):
        result = await house.service.set_reminder("call mum", when, HERE)
        assert (result.text, result.missing) == (question, "when")
    assert (await house.service.set_reminder("", "at five", HERE)).missing == "what"
    assert (await house.service.set_alarm("", HERE)).missing == "when"
    assert (await house.service.set_alarm("tomorrow morning", HERE)).missing == "when"
    assert house.keeper.items("alarm", "reminder") == []
    # The answer stands behind what was said before.
    assert (
        await remind(house, "call mum", "next friday at noon")
        == "I will remind you on Friday, 4 December at noon: call mum."
    )


@pytest.mark.parametrize(
    ("when", "reason"),
    [("today at two", "is over already"), ("3 march 2020 at noon", "is over already"),
     ("30 february at 9", "no such day"),
     ("at bananas", "I do not understand 'at bananas'"), ("every hour", "not by the hour")],
)  # fmt: skip
async def test_a_time_that_cannot_be_sets_nothing_and_is_named(house: ScheduledHouse, when: str, reason: str) -> None:
    with pytest.raises(ToolError, match=reason):
        await house.service.set_reminder("call mum", when, HERE)
    with pytest.raises(ToolError, match=reason):
        await house.service.set_alarm(when, HERE)
    assert house.keeper.items("alarm", "reminder") == []


async def test_the_same_alarm_is_set_once(house: ScheduledHouse) -> None:
    await alarm(house, "tomorrow at seven")
    assert (
        await alarm(house, "7 am tomorrow")
        == "There is an alarm tomorrow, Thursday, 26 November at 7 in the morning already."
    )
    assert len(house.keeper.items("alarm")) == 1


async def test_alarms_are_listed_the_next_one_first(house: ScheduledHouse) -> None:
    assert (await house.service.list_alarms()).text == "No alarm is set."
    await alarm(house, "tomorrow at nine")
    await alarm(house, "every day at seven")
    assert (await house.service.list_alarms()).text == (
        "There are 2 alarms: every day at 7 in the morning and tomorrow, Thursday, 26 November at 9 in the morning."
    )


@pytest.mark.parametrize(
    ("when", "said"),
    [
        ("the nine o'clock alarm", "The alarm tomorrow, Thursday, 26 November at 9 in the morning is cancelled."),
        ("tomorrow at nine", "The alarm tomorrow, Thursday, 26 November at 9 in the morning is cancelled."),
        ("half past six", "The alarm every weekday at 6:30 in the morning is cancelled."),
        ("friday", "The alarm on Friday, 27 November at noon is cancelled."),
        ("the last one", "The alarm on Friday, 27 November at noon is cancelled."),
        ("next", "The alarm every weekday at 6:30 in the morning is cancelled."),
    ],
)
async def test_an_alarm_is_found_by_its_time(house: ScheduledHouse, when: str, said: str) -> None:
    await alarm(house, "tomorrow at nine")
    await alarm(house, "every weekday at half past six")
    await alarm(house, "friday at noon")
    if when == "friday":
        await house.service.cancel_alarm("half past six", HERE)
    assert (await house.service.cancel_alarm(when, HERE)).text == said


async def test_an_alarm_that_is_not_clear_is_asked_for_and_an_unknown_one_is_named(house: ScheduledHouse) -> None:
    with pytest.raises(ToolError, match="No alarm is set"):
        await house.service.cancel_alarm("", HERE)
    await alarm(house, "tomorrow at nine")
    await alarm(house, "friday at noon")
    asked = await house.service.cancel_alarm("", HERE)
    assert asked.missing == "when"
    assert asked.text.startswith("Which alarm: tomorrow, Thursday, 26 November at 9 in the morning or ")
    with pytest.raises(ToolError, match="There is no alarm at four, so nothing is changed"):
        await house.service.cancel_alarm("at four", HERE)
    assert len(house.keeper.items("alarm")) == 2
    assert (await house.service.cancel_alarm("all", HERE)).text.startswith("2 alarms are cancelled: ")


async def test_one_day_of_an_alarm_that_recurs_can_be_left_out(house: ScheduledHouse) -> None:
    await alarm(house, "every day at seven")
    assert (await house.service.cancel_alarm("tomorrow", HERE)).text == (
        "The alarm tomorrow, Thursday, 26 November at 7 in the morning is left out; the next one is "
        "on Friday, 27 November at 7 in the morning."
    )
    assert await house.run(20 * 3600) == []
    assert len(await house.run(24 * 3600)) == 1


async def test_reminders_are_listed_and_found_by_their_words_or_their_time(house: ScheduledHouse) -> None:
    assert (await house.service.list_reminders()).text == "There is no reminder."
    await remind(house, "call my mum", "tomorrow at five")
    await remind(house, "go to the dentist", "friday at nine")
    assert (await house.service.list_reminders()).text == (
        "There are 2 reminders: tomorrow, Thursday, 26 November at 5 in the afternoon, call your mum; "
        "on Friday, 27 November at 9 in the morning, go to the dentist."
    )
    with pytest.raises(ToolError, match="There is no reminder about cake, so nothing is changed"):
        await house.service.cancel_reminder("the cake", HERE)
    assert (await house.service.cancel_reminder("", HERE)).missing == "what"
    assert (
        await house.service.cancel_reminder("the dentist", HERE)
    ).text == "The reminder is cancelled: go to the dentist."
    assert (
        await house.service.cancel_reminder("tomorrow at five", HERE)
    ).text == "The reminder is cancelled: call your mum."


async def test_a_pc_that_was_never_told_its_zone_goes_by_the_persons_device() -> None:
    house = ScheduledHouse("2026-11-25 13:30", zone="UTC")
    await house.service.set_alarm("seven", ToolContext("kitchen", "t", zone="Europe/Berlin"))
    (item,) = house.keeper.items("alarm")
    assert (item.zone, item.wall) == ("Europe/Berlin", "2026-11-25T19:00:00")
    assert item.due.at - house.clocks.now() == 4.5 * 3600


async def test_an_alarm_in_the_hour_that_the_clocks_skip_says_when_it_will_be() -> None:
    house = ScheduledHouse("2026-03-28 20:00")
    assert await alarm(house, "2:30 am") == (
        "Your alarm is set for tomorrow, Sunday, 29 March at 2:30 in the morning. "
        "The clocks go forward over 2:30 in the morning that night, so it will be 3:30 in the morning."
    )
    rings = await house.run(7 * 3600)
    assert len(rings) == 1


async def test_an_alarm_in_the_hour_that_the_clocks_show_twice_rings_once() -> None:
    house = ScheduledHouse("2026-10-24 20:00")
    await alarm(house, "every day at 2:30")
    rings = await house.run(7 * 3600)
    assert len(rings) == 1
    assert await house.service.stop([rings[0].id]) == "The alarm is off."
    assert await house.run(3600) == []
    (item,) = house.keeper.items("alarm")
    assert item.wall == "2026-10-26T02:30:00"
