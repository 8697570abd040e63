"""Timers as people ask for them, and what they hear."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipecatapp.errors import ToolError
from testing.fakes.schedule import HERE, ScheduledHouse

pytestmark = pytest.mark.unit


@pytest.fixture
def house() -> ScheduledHouse:
    return ScheduledHouse()


async def start(house: ScheduledHouse, *timers: tuple[str, str]) -> list[str]:
    return [(await house.service.set_timer(duration, label, HERE)).text for duration, label in timers]


async def test_the_length_is_read_back(house: ScheduledHouse) -> None:
    said = await start(house, ("an hour and a half", ""), ("ten minutes", "the pasta"), ("10 minutes", "eggs"))
    assert said == [
        "Your timer is set for 1 hour 30 minutes.",
        "Your pasta timer is set for 10 minutes.",
        "Your eggs timer is set for 10 minutes.",
    ]


async def test_a_timer_without_a_length_asks_for_it(house: ScheduledHouse) -> None:
    result = await house.service.set_timer("", "pasta", HERE)
    assert (result.text, result.missing) == ("For how long shall I set the timer?", "duration")


@pytest.mark.parametrize("words", ["ten bananas", "five thirty", "0 minutes", "half a second", "nine days", "tomorrow"])
async def test_what_is_no_length_sets_nothing_and_is_named(house: ScheduledHouse, words: str) -> None:
    with pytest.raises(ToolError) as refused:
        await house.service.set_timer(words, "", HERE)
    assert "set no" in str(refused.value) or words in str(refused.value) or "at least" in str(refused.value)
    assert house.keeper.items("timer") == []


async def test_two_equal_timers_are_told_apart_by_order_and_by_what_is_left(house: ScheduledHouse) -> None:
    assert await start(house, ("ten minutes", "")) == ["Your timer is set for 10 minutes."]
    house.clocks.advance(200)
    assert await start(house, ("ten minutes", "")) == ["A second 10-minute timer is set."]
    house.clocks.advance(10)
    assert (await house.service.list_timers()).text == (
        "There are 2 timers: the first 10-minute timer has 6 minutes 30 seconds left and "
        "the second 10-minute timer has 9 minutes 50 seconds left."
    )
    asked = await house.service.cancel_timer("", HERE)
    assert asked.text == (
        "Which timer shall I cancel: the first 10-minute timer with 6 minutes 30 seconds left or "
        "the second 10-minute timer with 9 minutes 50 seconds left?"
    )
    assert asked.missing == "label"
    assert len(house.keeper.items("timer")) == 2
    assert (await house.service.cancel_timer("the second one", HERE)).text == "The second 10-minute timer is cancelled."
    assert (await house.service.list_timers()).text == "The 10-minute timer has 6 minutes 30 seconds left."


@pytest.mark.parametrize(
    ("words", "gone"),
    [
        ("pasta", "pasta"), ("the pasta timer", "pasta"), ("Pasta", "pasta"), ("the first", "pasta"),
        ("the last one", ""),
        ("twenty minute", ""), ("the twenty minute timer", ""), ("eggs", "soft eggs"), ("soft eggs", "soft eggs"),
        ("the second", "soft eggs"), ("the ten minute timer", "pasta"), ("the one with five minutes left", "soft eggs"),
    ],
)  # fmt: skip
async def test_a_timer_is_found_by_what_people_call_it(house: ScheduledHouse, words: str, gone: str) -> None:
    await start(house, ("ten minutes", "pasta"), ("6 minutes", "soft eggs"), ("twenty minutes", ""))
    house.clocks.advance(60)
    before = house.keeper.items("timer")
    await house.service.cancel_timer(words, HERE)
    after = house.keeper.items("timer")
    assert [item.label for item in before if item not in after] == [gone]


async def test_an_unknown_timer_changes_nothing_and_is_named(house: ScheduledHouse) -> None:
    await start(house, ("ten minutes", "pasta"))
    for ask in (house.service.cancel_timer, house.service.pause_timer):
        with pytest.raises(ToolError, match="There is no tea timer, so nothing is changed; there is the pasta timer"):
            await ask("the tea timer", HERE)
    with pytest.raises(ToolError, match="no tea timer"):
        await house.service.change_timer("five minutes more", "tea", HERE)
    assert len(house.keeper.items("timer")) == 1


async def test_all_timers_go_at_once(house: ScheduledHouse) -> None:
    await start(house, ("ten minutes", ""), ("five minutes", "tea"))
    assert (
        await house.service.cancel_timer("all timers", HERE)
    ).text == "The 10-minute timer and the tea timer are cancelled."
    assert (await house.service.list_timers()).text == "There is no timer."
    with pytest.raises(ToolError, match="There is no timer"):
        await house.service.cancel_timer("", HERE)


async def test_a_paused_timer_stands_still_over_a_reboot(house: ScheduledHouse) -> None:
    await start(house, ("ten minutes", "pasta"))
    house.clocks.advance(60)
    assert (await house.service.pause_timer("", HERE)).text == "The pasta timer is paused with 9 minutes left."
    house.clocks.advance(5000)
    assert await house.run(10) == []
    house.reboot(off_s=5000)
    assert await house.run(10) == []
    assert (await house.service.list_timers()).text == "The pasta timer is paused with 9 minutes left."
    assert (await house.service.resume_timer("pasta", HERE)).text == "The pasta timer goes on with 9 minutes left."
    assert await house.run(539) == []
    assert len(await house.run(5)) == 1


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("five minutes more", "The pasta timer now has 14 minutes left."),
        ("five minutes less", "The pasta timer now has 4 minutes left."),
        ("to twenty minutes", "The pasta timer now has 20 minutes left."),
    ],
)
async def test_a_timer_is_changed(house: ScheduledHouse, change: str, said: str) -> None:
    await start(house, ("ten minutes", "pasta"), ("ten minutes", "tea"))
    house.clocks.advance(60)
    assert (await house.service.change_timer(change, "the pasta", HERE)).text == said


async def test_a_change_that_is_none_or_leaves_nothing_changes_nothing(house: ScheduledHouse) -> None:
    await start(house, ("ten minutes", "pasta"))
    before = house.keeper.items("timer")
    with pytest.raises(ToolError, match="has only 10 minutes left, so nothing is changed"):
        await house.service.change_timer("an hour less", "", HERE)
    with pytest.raises(ToolError, match="I do not understand 'a banana more'"):
        await house.service.change_timer("a banana more", "", HERE)
    with pytest.raises(ToolError, match="longer than a week"):
        await house.service.change_timer("nine days more", "", HERE)
    assert (await house.service.change_timer("", "", HERE)).missing == "change"
    assert house.keeper.items("timer") == before


async def test_a_full_disk_sets_nothing_and_says_so(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file where the folder should be")
    house = ScheduledHouse(folder=tmp_path / "state")
    with pytest.raises(ToolError, match="cannot be read"):
        await house.service.set_timer("ten minutes", "", HERE)
