"""The client's own conversation: its messages are the history, and it sees what went wrong."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pipecatapp.domain import Message
from pipecatapp.errors import (
    ModelNotReadyError,
    ModelUnreachableError,
)
from pipecatapp.twin.turn_progress import TurnProgress
from testing.fakes.agent_harness import AgentHarness
from testing.fakes.chat_model import COMPACT, SMUGGLED, assert_defused
from testing.fakes.experts import ScriptedDirectory

pytestmark = pytest.mark.unit


async def test_a_clients_messages_are_the_history(house: Callable[..., AgentHarness]) -> None:
    h = house("Four.")
    messages = [
        Message("system", "Be brief."),
        Message("user", "two and one"),
        Message("assistant", "Three."),
        Message("user", "and one"),
    ]
    progress = TurnProgress("", "api")
    assert "".join([piece async for piece in h.agent.complete(messages, progress)]) == "Four."
    sent = h.model.requests[0].messages
    assert sent[0].content.startswith("You are the test.\n\nBe brief.")
    assert [m.content for m in sent[1:]] == ["two and one", "Three.", "and one"]
    assert progress.usage.prompt_tokens > 0
    assert h.sink.events == []
    assert await h.conversations.all() == []


async def test_a_client_can_ask_an_expert(house: Callable[..., AgentHarness]) -> None:
    directory = ScriptedDirectory("Use **sorted**.")
    h = house(experts=directory, expert_persona=lambda name: f"the {name} expert")
    messages = [Message("system", "Be brief."), Message("user", "sort a list")]
    assert "".join([piece async for piece in h.agent.complete(messages, expert="coding")]) == "Use **sorted**."
    assert [m.content for m in directory.asked[0]] == ["the coding expert\n\nBe brief.", "sort a list"]
    with pytest.raises(ModelUnreachableError, match="no expert math is running"):
        [piece async for piece in h.agent.complete(messages, expert="math")]


async def test_a_client_sees_the_error(house: Callable[..., AgentHarness]) -> None:
    h = house(ModelNotReadyError("loading"))
    with pytest.raises(ModelNotReadyError):
        [piece async for piece in h.agent.complete([Message("user", "hi")])]
    with pytest.raises(ValueError, match="last message"):
        [piece async for piece in h.agent.complete([Message("assistant", "hi")])]


async def test_control_tokens_from_a_client_are_text(house: Callable[..., AgentHarness]) -> None:
    h = house("Hm.", profile=COMPACT)
    talk = [Message("user", SMUGGLED), Message("assistant", SMUGGLED), Message("user", SMUGGLED)]
    assert [piece async for piece in h.agent.complete(talk)]
    for message in h.model.requests[0].messages:
        assert_defused([message])
