"""What every house asks for is decided by plain forms, whatever was trained."""

from __future__ import annotations

from pathlib import Path

import pytest

from testing.fakes.everyday_house import EverydayHouse

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("add milk to my shopping list", "I put milk on the shopping list."),
        ("Please put toilet paper on our grocery list.", "I put toilet paper on the shopping list."),
        (
            "add milk and two dozen eggs to my shopping list",
            "I put milk and two dozen eggs on the shopping list.",
        ),
        ("add salt to the list", "Which list: shopping or to do?"),
    ],
)
async def test_a_thing_is_put_on_a_list(tmp_path: Path, words: str, said: str) -> None:
    house = EverydayHouse(tmp_path)
    assert await house.say(words) == said
    await house.aclose()


async def test_what_is_remembered_is_told(tmp_path: Path) -> None:
    house = EverydayHouse(tmp_path)
    await house.say("remember that the bin goes out on Monday")
    for words in ("what did I ask you to remember?", "What do you know about me", "what do you remember"):
        assert (await house.say(words)).startswith("I remember 1 fact: the bin goes out on Monday.")
    await house.aclose()


async def test_a_day_is_named_not_the_hour(tmp_path: Path) -> None:
    house = EverydayHouse(tmp_path)
    assert "tomorrow is " in (await house.say("what day is it tomorrow?")).casefold()
    await house.aclose()
