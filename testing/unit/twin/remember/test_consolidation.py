"""Turns are given to long-term memory in pauses, one after the other, and never while somebody speaks."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from pipecatapp.domain import Source, Turn
from pipecatapp.twin.remember.consolidation import WAITING, MemoryConsolidator
from testing.fakes.chat_model import COMPACT, ScriptedChatModel

pytestmark = pytest.mark.unit


class SlowMemory:
    """``ports.Memory`` that keeps a turn when the test lets it."""

    def __init__(self, *, at_once: bool = False) -> None:
        self.begun: list[str] = []
        self.kept: list[str] = []
        self.started = asyncio.Event()
        self.go_on = asyncio.Event()
        if at_once:
            self.go_on.set()

    async def recall(self, query: str, limit: int = 3) -> list[object]:
        raise AssertionError

    async def finish_forgetting(self) -> None:
        """Nothing was repeated."""

    async def keep(self, turn: Turn, before: Sequence[Turn] = ()) -> None:
        self.begun.append(turn.id)
        self.started.set()
        await self.go_on.wait()
        if turn.id == "broken":
            raise RuntimeError("it cannot be kept")
        self.kept.append(turn.id)


def turn(name: str) -> Turn:
    return Turn(name, "words", "answer", "typed", 0.0)


def keeper(
    memory: SlowMemory, model: ScriptedChatModel | None = None, pause_s: float = 0.0
) -> tuple[MemoryConsolidator, list[str]]:
    again: list[str] = []
    return MemoryConsolidator(memory, model or ScriptedChatModel(), again.append, pause_s=pause_s), again  # type: ignore[arg-type]


@pytest.mark.parametrize("source", ["api", "approval"])
async def test_a_turn_in_which_no_person_spoke_is_not_kept(source: Source) -> None:
    memory = SlowMemory(at_once=True)
    keep, _ = keeper(memory)
    keep.add("c", Turn("1", "my dog is called Rex", "answer", source, 0.0), ())
    keep.add("c", turn("2"), ())
    await keep.wait_kept()
    assert memory.kept == ["2"]


async def test_a_turn_is_kept_in_a_pause_and_its_prompt_evaluated_again() -> None:
    memory = SlowMemory(at_once=True)
    keep, again = keeper(memory)
    keep.add("c", turn("1"), ())
    keep.add("d", turn("2"), ())
    await keep.wait_kept()
    assert memory.kept == ["1", "2"]
    assert again == ["d"]


async def test_who_speaks_stops_it_and_it_goes_on_in_the_next_pause() -> None:
    memory = SlowMemory()
    keep, _ = keeper(memory)
    keep.add("c", turn("1"), ())
    await memory.started.wait()
    async with keep.busy():
        await asyncio.sleep(0.01)
        assert memory.begun == ["1"]
        memory.go_on.set()
        await asyncio.sleep(0.01)
        assert memory.kept == []
    await keep.wait_kept()
    assert memory.begun == ["1", "1"]
    assert memory.kept == ["1"]


async def test_words_of_a_sentence_that_is_still_spoken_stop_it_too() -> None:
    memory = SlowMemory()
    keep, _ = keeper(memory)
    keep.add("c", turn("1"), ())
    await memory.started.wait()
    keep.disturb()
    await asyncio.sleep(0.01)
    assert memory.begun == ["1", "1"]
    memory.go_on.set()
    await keep.wait_kept()
    assert memory.kept == ["1"]


async def test_nothing_is_kept_while_another_conversation_has_its_turn() -> None:
    memory = SlowMemory(at_once=True)
    keep, _ = keeper(memory)
    async with keep.busy():
        async with keep.busy():
            keep.add("c", turn("1"), ())
        await asyncio.sleep(0.01)
        assert memory.begun == []
    await keep.wait_kept()
    assert memory.kept == ["1"]


async def test_what_cannot_be_kept_holds_nothing_up() -> None:
    memory = SlowMemory(at_once=True)
    keep, _ = keeper(memory)
    keep.add("c", turn("broken"), ())
    keep.add("c", turn("2"), ())
    await keep.wait_kept()
    assert memory.kept == ["2"]


async def test_where_it_costs_nothing_there_is_no_pause() -> None:
    memory = SlowMemory(at_once=True)
    keep, again = keeper(memory, ScriptedChatModel(profile=COMPACT), pause_s=3600.0)
    keep.add("c", turn("1"), ())
    await keep.wait_kept()
    assert memory.kept == ["1"]
    assert again == []


async def test_in_a_house_without_pauses_the_oldest_are_given_up() -> None:
    memory = SlowMemory(at_once=True)
    keep, _ = keeper(memory)
    async with keep.busy():
        for number in range(WAITING + 3):
            keep.add("c", turn(str(number)), ())
    await keep.wait_kept()
    assert memory.kept == [str(number) for number in range(3, WAITING + 3)]
