"""The real agent with its long-term memory on a real llama-server: told in one conversation, known in the next."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Literal

import pytest

from pipecatapp.app import Node
from pipecatapp.events import MemoryChanged, TurnFinished
from pipecatapp.memory.long_term import FaissMemory
from pipecatapp.ports import ChatModel
from pipecatapp.twin.agent import Agent
from testing.engine_node import STARTER, engine_settings, running, starter_or_random
from testing.fakes.agent_harness import RecordingSink
from testing.fakes.storage import storage_in

pytestmark = pytest.mark.integration


class AgentHarness:
    def __init__(self, agent: Agent, memory: FaissMemory, sink: RecordingSink, chat: ChatModel) -> None:
        self.agent, self.memory, self.sink, self.chat = agent, memory, sink, chat

    async def ask(self, text: str, conversation: str) -> str:
        said = "".join([piece async for piece in self.agent.respond(conversation, text, "typed")])
        await self.agent.wait_kept()
        return said.strip()

    async def texts(self) -> list[str]:
        return [fact.text for fact in await self.memory.facts()]


@pytest.fixture
def style() -> str:
    """How the model is asked; `full`: as a real one, which writes what to keep."""
    return "auto"


@pytest.fixture
async def house(tmp_path: Path, style: Literal["auto", "full"]) -> AsyncIterator[AgentHarness]:
    sink = RecordingSink()
    settings = engine_settings(tmp_path / "state", starter_or_random(tmp_path), llm_prompt_style=style)
    async with running(Node(settings)) as node:
        node.hub.add_listener(sink.emit)
        yield AgentHarness(node.twin.agent, node.memory.facts, sink, node.engine.model)


@pytest.mark.skipif(not STARTER.is_file(), reason="a model that was never trained cannot answer")
async def test_what_was_told_is_known_in_another_conversation(house: AgentHarness) -> None:
    await house.ask("remember that the spare key is under the blue pot", "monday")
    assert await house.texts() == ["the spare key is under the blue pot"]
    assert "under the blue pot" in await house.ask("where is the spare key", "tuesday")


async def test_what_is_stated_is_kept_and_a_correction_replaces_it(house: AgentHarness) -> None:
    await house.ask("my dentist appointment is on wednesday", "monday")
    await house.ask("no, it is on thursday", "monday")
    assert await house.texts() == ["my dentist appointment is on thursday"]
    (fact,) = await house.memory.facts()
    assert [old.text for old in await house.memory.history(str(fact.id))] == ["my dentist appointment is on wednesday"]
    assert [event.change for event in house.sink.of(MemoryChanged)] == ["added", "corrected"]


async def test_questions_and_small_talk_leave_nothing(house: AgentHarness) -> None:
    for words in ("hello", "what is your status", "where is the spare key", "thank you"):
        await house.ask(words, "monday")
    assert await house.texts() == []


@pytest.mark.parametrize("style", ["full"])
async def test_asking_what_to_keep_costs_no_conversation_its_cache(house: AgentHarness, tmp_path: Path) -> None:
    # Without tools: the full prompt with all of them does not fit the starter model.
    store = storage_in(tmp_path / "few").conversations
    house.agent = Agent(
        house.chat, [], house.sink, store, memory=house.memory, persona=lambda: "You are a test. " * 30, pause_s=0.0
    )
    for words in ("my sister lives in Bergen", "thank you", "my brother lives in Oslo"):
        await house.ask(words, "monday")
    await house.agent.aclose()
    _, *later = house.sink.of(TurnFinished)
    assert len(later) == 2
    for finished in later:
        assert finished.evaluated_tokens < finished.prompt_tokens / 4
