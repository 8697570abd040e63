"""What stands in a prompt for one request: what was prepared, remembered and seen."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from pipecatapp.domain import Fact, Message
from pipecatapp.errors import (
    ModelNotReadyError,
)
from testing.fakes.agent_harness import AgentHarness, ScriptedMemory
from testing.fakes.chat_model import Gate

pytestmark = pytest.mark.unit


async def test_what_was_prepared_is_not_evaluated_again(house: Callable[..., AgentHarness]) -> None:
    h = house("Hello.", "Fine.")
    await h.ask("hi")
    await h.agent.prepare("c", "tell me what the weather is")
    await h.ask("tell me what the weather is like today")
    cold = house("Hello.", "Fine.")
    await cold.ask("hi", "d")
    await cold.ask("tell me what the weather is like today", "d")
    assert h.model.evaluated[1] < cold.model.evaluated[1]
    assert h.model.prefilled[-1][-1] == Message("user", "tell me what the weather is")


async def test_newer_words_supersede_those_that_wait(house: Callable[..., AgentHarness]) -> None:
    h = house("Fine.")
    gate = h.model.prefill_gate = Gate()
    first = asyncio.create_task(h.agent.prepare("c", "what"))
    await gate.reached.wait()
    later = [asyncio.create_task(h.agent.prepare("c", words)) for words in ("what is", "what is the time")]
    await asyncio.sleep(0)
    gate.open()
    await asyncio.gather(first, *later)
    assert [m[-1].content for m in h.model.prefilled] == ["what", "what is the time"]


async def test_the_request_ends_the_preparation(house: Callable[..., AgentHarness]) -> None:
    h = house("Fine.")
    gate = h.model.prefill_gate = Gate()
    preparing = asyncio.create_task(h.agent.prepare("c", "what is"))
    await gate.reached.wait()
    assert await h.ask("what is it") == "Fine."
    await preparing


async def test_a_preparation_that_fails_costs_nothing(house: Callable[..., AgentHarness]) -> None:
    h = house("Fine.")
    h.model.prefill_error = RuntimeError("no such endpoint")
    await h.agent.prepare("c", "what is")
    h.model.prefill_error = ModelNotReadyError("loading")
    await h.agent.prepare("c", "what is it")
    assert await h.ask("what is it") == "Fine."


async def test_an_invalid_conversation_is_no_error_for_prepare(house: Callable[..., AgentHarness]) -> None:
    await house().agent.prepare("../etc", "what")


async def test_facts_stand_before_the_words_and_late_ones_behind(house: Callable[..., AgentHarness]) -> None:
    key, pot = Fact("1", "the key is under the pot"), Fact("2", "the pot is blue")
    h = house("Under the pot.", memory=ScriptedMemory({"where is the": [key], "spare key": [key, pot]}))
    await h.agent.prepare("c", "where is the")
    await h.ask("where is the spare key")
    front = "[remembered]\n- the key is under the pot\n[request]\nwhere is the"
    assert h.model.prefilled[-1][-1].content == front
    assert h.model.requests[0].messages[-1].content == f"{front} spare key\n[remembered]\n- the pot is blue"


async def test_without_preparation_all_facts_stand_before_the_words(house: Callable[..., AgentHarness]) -> None:
    memory = ScriptedMemory({"key": [Fact("1", "the key is under the pot")]})
    h = house("Under the pot.", memory=memory)
    await h.ask("where is the key")
    await h.agent.wait_kept()
    assert h.model.requests[0].messages[-1].content.startswith("[remembered]\n- the key is under the pot\n[request]\n")
    assert [turn.user_text for turn in memory.kept] == ["where is the key"]


async def test_what_the_camera_sees_stands_in_the_request_only_when_it_changed(
    house: Callable[..., AgentHarness],
) -> None:
    seen = ""
    h = house("Yes.", "Yes.", "Yes.", "Yes.", "Yes.", observe=lambda: seen)
    await h.ask("one")
    seen = "I see a cup."
    await h.ask("two")
    await h.ask("three")
    seen = "I see a person\nand a cup. <tool_call>"
    await h.ask("four")
    await h.ask("five")
    assert [request.messages[-1].content for request in h.model.requests] == [
        "one",
        "[camera]\n- I see a cup.\n[request]\ntwo",
        "three",
        "[camera]\n- I see a person and a cup. < tool_call>\n[request]\nfour",
        "five",
    ]


async def test_another_conversation_is_told_what_is_in_view_too(house: Callable[..., AgentHarness]) -> None:
    h = house("Yes.", "Yes.", observe=lambda: "I see a cup.")
    await h.ask("one", "a")
    await h.ask("one", "b")
    for request in h.model.requests:
        assert request.messages[-1].content == "[camera]\n- I see a cup.\n[request]\none"


async def test_a_conversation_that_is_cleared_is_told_again(house: Callable[..., AgentHarness]) -> None:
    h = house("Yes.", "Yes.", observe=lambda: "I see a cup.")
    await h.ask("one")
    await h.agent.clear("c")
    await h.ask("two")
    assert h.model.requests[-1].messages[-1].content == "[camera]\n- I see a cup.\n[request]\ntwo"


async def test_what_changed_after_the_prompt_was_prepared_stands_behind_the_words(
    house: Callable[..., AgentHarness],
) -> None:
    seen = "I see a cup."
    h = house("Yes.", "Yes.", observe=lambda: seen)
    await h.agent.prepare("c", "what do")
    front = h.model.prefilled[-1][-1].content
    assert front == "[camera]\n- I see a cup.\n[request]\nwhat do"
    seen = "I see a dog."
    await h.ask("what do you see")
    asked = h.model.requests[-1].messages[-1].content
    assert asked.startswith(front)
    assert asked == "[camera]\n- I see a cup.\n[request]\nwhat do you see\n[camera]\n- I see a dog."
    await h.ask("and now")
    assert h.model.requests[-1].messages[-1].content == "and now"


async def test_what_was_prepared_and_is_still_so_is_said_once(house: Callable[..., AgentHarness]) -> None:
    h = house("Yes.", "Yes.", observe=lambda: "I see a cup.")
    await h.agent.prepare("c", "what do")
    await h.ask("what do you see")
    await h.agent.prepare("c", "and")
    assert h.model.prefilled[-1][-1].content == "and"
    await h.ask("and now")
    contents = [request.messages[-1].content for request in h.model.requests]
    assert contents == ["[camera]\n- I see a cup.\n[request]\nwhat do you see", "and now"]
