"""What long-term memory keeps of a turn."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from pipecatapp.domain import Fact, Turn
from pipecatapp.memory.fact_candidates import FactCandidate
from pipecatapp.storage.records import FactAdded, StoredFact
from testing.integration.memory.conftest import Open

pytestmark = pytest.mark.integration


def texts(facts: Sequence[Fact]) -> list[str]:
    return [fact.text for fact in facts]


def turn(user: str, assistant: str = "All right.") -> Turn:
    return Turn("t-1", user, assistant, "typed", 0.0)


async def test_keep_writes_what_the_summariser_finds_worth_it(opened: Open) -> None:
    shown: list[tuple[str, ...]] = []

    async def summarise(turn: Turn, before: Sequence[Turn], related: Sequence[Fact]) -> Sequence[FactCandidate]:
        shown.append(tuple(texts(related)))
        if "Thursday" in turn.user_text:
            return [FactCandidate("The meeting is on Thursday", kind="date", replaces=related[0].id)]
        if "hello" in turn.user_text:
            return []
        return [FactCandidate("The meeting is on Wednesday", replaces="404"), FactCandidate("  ")]

    memory = await opened(summarise=summarise)
    await memory.keep(turn("the meeting is on Wednesday"))
    await memory.settled()
    await memory.keep(turn("no, the meeting is on Thursday"))
    await memory.keep(turn("hello"))

    assert [fact.text for fact in await memory.facts()] == ["The meeting is on Thursday"]
    assert shown[:2] == [(), ("The meeting is on Wednesday",)]
    assert (await memory.facts())[0].turn == "t-1"


async def test_a_note_corrects_only_the_fact_that_was_meant(opened: Open) -> None:
    # While the summariser thinks a state is loaded, in which another fact has this number.
    other = FactAdded(StoredFact(1, "The cat is called Tom", "told", "t-0", 1.0))

    async def summarise(turn: Turn, before: Sequence[Turn], related: Sequence[Fact]) -> Sequence[FactCandidate]:
        await memory.replace_all([other])
        return [FactCandidate("The meeting is on Thursday", replaces=related[0].id)]

    memory = await opened(summarise=summarise)
    assert (await memory.add("The meeting is on Wednesday")).id == "1"
    await memory.settled()
    await memory.keep(turn("no, the meeting is on Thursday"))
    assert sorted(fact.text for fact in await memory.facts()) == ["The cat is called Tom", "The meeting is on Thursday"]


async def test_keep_is_cancelled_when_the_person_speaks_again(opened: Open) -> None:
    started = asyncio.Event()

    async def summarise(turn: Turn, before: Sequence[Turn], related: Sequence[Fact]) -> Sequence[FactCandidate]:
        started.set()
        await asyncio.Event().wait()
        raise AssertionError

    memory = await opened(summarise=summarise)
    keeping = asyncio.create_task(memory.keep(turn("something")))
    await started.wait()
    keeping.cancel()

    with pytest.raises(asyncio.CancelledError):
        await keeping
    assert len(memory) == 0
    await memory.add("still works")
    assert len(memory) == 1


async def test_without_a_summariser_nothing_is_kept(opened: Open) -> None:
    memory = await opened()

    await memory.keep(turn("the meeting is on Wednesday"))

    assert len(memory) == 0
