"""What a model claims to have done without a tool is not said; what a tool did, or a question asks for, is."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from pipecatapp.domain import Risk, ToolResult
from pipecatapp.languages import language
from pipecatapp.twin.speak.claim_guard import ClaimGuard
from testing.fakes.agent_harness import AgentHarness, PreviewedTool, ScriptedTool

pytestmark = pytest.mark.unit

PRETENCE = language().pretence
NOTHING_DONE = PRETENCE.no_deed


def claims(words: str, *, whole: bool = True) -> bool | None:
    return PRETENCE.claims_deed(words.casefold().replace(",", "").replace(".", "").replace("!", "").split(), whole)


@pytest.mark.parametrize(
    "sentence",
    [
        "All done", "Done", "It's done", "That is done", "Sure, I've set the timer", "I have added milk to your list",
        "I have moved the backup", "Will turn it on", "Your lamp will be switched on", "I fetched the paper",
        "Okay, done", "I just turned off the lights", "Your alarm has been set for seven", "I set a timer",
        "The lights are off now", "Got it. I've opened the garage", "Of course! I have sent the message",
    ],
)  # fmt: skip
def test_a_claim_is_known(sentence: str) -> None:
    words = sentence.split()
    assert claims(sentence)
    assert all(claims(" ".join(words[:count]), whole=False) is not False for count in range(len(words)))


@pytest.mark.parametrize(
    "sentence",
    [
        "Bees dance to tell the way", "I have no idea", "I have heard of it", "Sure, why not", "I can set timers",
        "I would set a timer", "Your name is Anna", "The capital is Lima", "Done by hand it takes an hour",
        "I am sorry, I cannot do that", "The sun is on its way",
    ],
)  # fmt: skip
def test_other_sentences_are_none(sentence: str) -> None:
    assert not claims(sentence)


@pytest.mark.parametrize(
    ("answer", "held"),
    [
        ("Bees dance to tell the way.", ""),
        ("I have no backup.", "I have"),
        ("I think so.", "I"),
        ("The kitchen light is on and the heating is low.", "The kitchen light is on"),
        ("The temperature in the living room was higher.", "The temperature in the living"),
        ("Your next appointment is with the dentist.", "Your next appointment is"),
    ],
)
def test_an_answer_is_held_no_longer_than_it_may_be_a_claim(answer: str, held: str) -> None:
    guard, said = ClaimGuard("hello"), []
    for word in answer.split():
        said.append(guard.feed(f"{word} "))
    said.append(guard.finish())
    assert "".join(said) == f"{answer} "
    assert said.index(next(filter(None, said))) == len(held.split())


def test_nearly_every_answer_passes_with_its_first_word() -> None:
    guard = ClaimGuard("hello")
    assert guard.feed("Bees") == "Bees"
    assert guard.feed(" dance.") == " dance."


@pytest.mark.parametrize(
    "answer",
    ["All done!", "Got it. I've opened the garage.", "Sure, I've turned on the lights for you. Enjoy!", "Done"],
)
async def test_a_deed_that_no_tool_did_is_not_said(house: Callable[..., AgentHarness], answer: str) -> None:
    h = house(answer, "Hello.")
    assert await h.ask("turn on the lights") == NOTHING_DONE
    await h.ask("hello")
    assert answer not in [message.content for message in h.last_prompt()]
    assert NOTHING_DONE in [message.content for message in h.last_prompt()]


async def test_a_deed_that_a_tool_did_is_said(house: Callable[..., AgentHarness]) -> None:
    call = '<tool_call>{"name": "lamp.on", "arguments": {}}</tool_call>'
    h = house(call, "All done.", "I've turned it on, gladly.", tools=[ScriptedTool("lamp.on")])
    assert await h.ask("turn on the lights") == "All done."
    assert await h.ask("thank you") == "I've turned it on, gladly."


async def test_who_asks_for_the_past_hears_of_what_is_known_alone(house: Callable[..., AgentHarness]) -> None:
    h = house("I have set it yesterday.", "Oh dear.", "You told me that it was broken.")
    assert await h.ask("did you set the timer?") == language().pretence.no_reading
    await h.ask("the radio is broken")
    assert await h.ask("what did I tell you?") == "You told me that it was broken."


async def test_a_call_behind_a_claim_is_made(house: Callable[..., AgentHarness]) -> None:
    lamp = ScriptedTool("lamp.on")
    call = 'I\'ve turned it on.\n<tool_call>{"name": "lamp.on", "arguments": {}}</tool_call>'
    h = house(call, "The lamp is on.", tools=[lamp])
    assert "The lamp is on." in await h.ask("turn on the lights")
    assert len(lamp.calls) == 1


async def test_of_a_call_that_took_too_long_nobody_knows_whether_it_worked(house: Callable[..., AgentHarness]) -> None:
    async def never(arguments: Mapping[str, Any]) -> ToolResult:
        await asyncio.Event().wait()
        return ToolResult("Done.")

    lamp = PreviewedTool("lamp.on", sentence="Turn the lamp on.", result=never, risk=Risk.ACT, timeout_s=0.0)
    call = '<tool_call>{"name": "lamp.on", "arguments": {}}</tool_call>'
    h = house(call, tools=[lamp], gated=True)
    await h.ask("lamp on")
    assert await h.ask("yes") == "I do not know whether that worked: lamp.on took longer than 0 seconds"
    assert len(lamp.calls) == 1
    assert len(h.model.requests) == 1


def test_a_long_beginning_is_looked_at_at_once() -> None:
    began = time.process_time()
    for words in ("okay " * 50_000, "i have " * 50_000, "the a b c d " * 20_000):
        claims(words)
        claims(words, whole=False)
    assert time.process_time() - began < 2
