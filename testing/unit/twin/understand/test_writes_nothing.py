"""Two hundred lines of talk write nothing, through the brain with the shipped reflex and the real tools."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from testing.fakes.everyday_house import EverydayHouse, shipped_reflex

pytestmark = pytest.mark.unit

LINES = [
    line
    for line in (Path(__file__).parents[3] / "data/writes_nothing.txt").read_text(encoding="utf-8").splitlines()
    if line and line[0] not in "#["
]


async def test_two_hundred_lines_of_talk_write_nothing(tmp_path: Path) -> None:
    assert len(set(LINES)) == 200
    shipped_reflex()
    house = EverydayHouse(tmp_path)
    began = time.process_time()
    wrote = []
    before: list[str] = []
    for number, line in enumerate(LINES):
        answer = await house.say(line, conversation=f"c{number}")
        if (now := await house.stored()) != before:
            wrote.append((line, answer, now))
            before = now
    assert wrote == []
    assert time.process_time() - began < 10
    await house.aclose()


async def test_what_is_meant_is_written(tmp_path: Path) -> None:
    house = EverydayHouse(tmp_path)
    await house.say("remember that the key is under the mat", "add milk to the shopping list", "wake me at seven")
    assert {line.split()[0] for line in await house.stored()} >= {"the", "shopping:", "alarm"}
    await house.aclose()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("clear the shopping list", "I took milk and eggs off the shopping list."),
        ("Empty my shopping list, please.", "I took milk and eggs off the shopping list."),
        ("take everything off the shopping list", "I took milk and eggs off the shopping list."),
        ("clear the camping list", "That did not work: there is no camping list; there are shopping and to do"),
    ],
)
async def test_a_list_is_cleared_unasked_and_comes_back(tmp_path: Path, words: str, said: str) -> None:
    house = EverydayHouse(tmp_path)
    await house.say("put milk and eggs on the shopping list")
    assert await house.say(words) == said
    assert not house.waiting
    if "camping" not in words:
        assert await house.say("undo that") == "I put milk and eggs back on the shopping list."
    await house.aclose()


async def test_which_list_is_asked_for_once_and_the_answer_is_carried(tmp_path: Path) -> None:
    house = EverydayHouse(tmp_path)
    await house.say("put milk on the shopping list")
    assert await house.say("clear the list") == "Which list: shopping or to do?"
    assert await house.say("the shopping list") == "I took milk off the shopping list."
    await house.aclose()
