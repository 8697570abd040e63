"""Turns that go to an expert which sleeps: it is woken while the person speaks, announced, and stood in for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from pipecatapp.domain import Message
from pipecatapp.errors import ModelUnreachableError
from pipecatapp.twin.speak.sentences import waking
from pipecatapp.twin.understand.look_ahead import LookAhead
from pipecatapp.twin.understand.routing import Routing
from testing.fakes.agent_harness import AgentHarness
from testing.fakes.experts import ScriptedDirectory

pytestmark = pytest.mark.unit

ROUTED = '<tool_call>{"name": "route_to_expert", "arguments": {"expert": "coding", "query": "sort a list"}}</tool_call>'
WAKING = "The coding expert is waking, about twenty seconds.\n"
FRONT = Message("system", "the coding expert")


class Clear:
    """``ports.Classifier``: words about lists are for the coding expert."""

    async def classify(self, text: str) -> tuple[str | None, float]:
        return ("coding", 1.0) if "list" in text else (None, 0.0)


def persona(name: str) -> str:
    return f"the {name} expert"


async def test_an_expert_that_takes_a_while_to_wake_is_announced(house: Callable[..., AgentHarness]) -> None:
    directory = ScriptedDirectory("Use sorted.", sleeps_s=17.2)
    h = house(experts=directory, expert_persona=persona, classifier=Clear())

    assert await h.ask("sort a list") == f"{WAKING}Use sorted."
    assert directory.woken == [FRONT]


async def test_one_that_wakes_at_once_is_not(house: Callable[..., AgentHarness]) -> None:
    h = house(experts=ScriptedDirectory("Use sorted.", sleeps_s=3.0), expert_persona=persona, classifier=Clear())

    assert await h.ask("sort a list") == "Use sorted."


async def test_somebody_who_is_awake_answers_meanwhile(house: Callable[..., AgentHarness]) -> None:
    directory = ScriptedDirectory("Use ", "sorted.", sleeps_s=17.2, stand_in="general")
    h = house(experts=directory, expert_persona=persona, classifier=Clear())

    assert await h.ask("sort a list") == f"{WAKING}Meanwhile, without it: Use sorted."
    assert directory.woken == [FRONT]


@pytest.mark.parametrize("by_hand", [True, False])
async def test_who_wants_this_expert_waits_for_it(house: Callable[..., AgentHarness], by_hand: bool) -> None:
    directory = ScriptedDirectory("Use sorted.", sleeps_s=17.2, stand_in="general")
    h = house(experts=directory, expert_persona=persona, classifier=Clear())
    if by_hand:
        h.agent.choose("c", "coding")

    said = await h.ask("sort a list" if by_hand else "ask the coding expert to sort a list")

    assert said == f"{WAKING}Use sorted."


async def test_what_was_announced_is_in_the_talk_and_a_failure_behind_it_is_told(
    house: Callable[..., AgentHarness],
) -> None:
    directory = ScriptedDirectory("Use sorted.", sleeps_s=17.2)
    h = house(ROUTED, ROUTED, "It does not come up.", experts=directory, expert_persona=persona)

    await h.ask("sort a list")
    directory.pieces = (ModelUnreachableError("gone"),)
    said = await h.ask("sort it the other way round")

    assert said == f"{WAKING}It does not come up."
    assert f"{WAKING}Use sorted." in [m.content for m in h.model.requests[-1].messages]


def test_how_long_it_takes_is_said_roughly() -> None:
    assert waking("math", 3.1) == "The math expert is waking, about five seconds."
    assert waking("math", 41) == "The math expert is waking, about forty-five seconds."
    assert waking("math", 170) == "The math expert is waking, about three minutes."


async def test_words_that_will_go_to_it_wake_it_while_the_person_speaks(house: Callable[..., AgentHarness]) -> None:
    directory = ScriptedDirectory("Use sorted.", sleeps_s=17.2)
    look_ahead = LookAhead(Routing(directory, persona, Clear()), steady_s=0)

    await look_ahead.hear("c", "please sort")
    await look_ahead.hear("c", "please sort a list")
    await look_ahead.hear("c", "please sort a list of names")
    assert directory.woken == []
    await asyncio.sleep(0)
    await asyncio.sleep(0)

    assert directory.woken == [FRONT]


async def test_words_that_turn_out_otherwise_wake_nobody() -> None:
    directory = ScriptedDirectory(sleeps_s=17.2)
    look_ahead = LookAhead(Routing(directory, persona, Clear()), steady_s=0)

    await look_ahead.hear("c", "my list")
    await look_ahead.hear("c", "my")
    await look_ahead.hear("d", "my list")
    look_ahead.settle("d")
    directory.sleeps_s = None
    await look_ahead.hear("e", "my list")
    await asyncio.sleep(0)
    await asyncio.sleep(0)

    assert directory.woken == []


async def test_the_agent_looks_ahead(house: Callable[..., AgentHarness]) -> None:
    directory = ScriptedDirectory(sleeps_s=17.2)
    h = house(experts=directory, expert_persona=persona, classifier=Clear())

    await h.agent.prepare("c", "please sort a list")
    async with asyncio.timeout(60):
        while not directory.woken:
            await asyncio.sleep(0.01)

    assert directory.woken == [FRONT]
