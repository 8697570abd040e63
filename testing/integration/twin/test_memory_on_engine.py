"""The real agent with its long-term memory on a real llama-server: told in one conversation, known in the next."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Literal

import pytest

from pipecatapp.agent_factory import Engine, create_agent, create_memory, create_supervisor
from pipecatapp.domain import ComponentHealth
from pipecatapp.events import MemoryChanged, TurnFinished
from pipecatapp.llm.client import OpenAIChatModel
from pipecatapp.memory.long_term import FaissMemory
from pipecatapp.settings import load_settings
from pipecatapp.storage.conversations import JsonlConversations
from pipecatapp.twin.agent import Agent
from testing.fakes.agent_harness import RecordingSink
from testing.fakes.gguf import write_random_model

pytestmark = pytest.mark.integration

ROOT = Path(__file__).resolve().parents[3]
ENGINES = ROOT / ".cache/engine"
STARTER = ROOT / "models/starter.gguf"


class AgentHarness:
    def __init__(self, agent: Agent, memory: FaissMemory, sink: RecordingSink, chat: OpenAIChatModel) -> None:
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
async def house(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, style: Literal["auto", "full"]
) -> AsyncIterator[AgentHarness]:
    monkeypatch.setenv("PIPECATAPP_CONFIG", str(tmp_path / "none.env"))
    model = STARTER if STARTER.is_file() else write_random_model(tmp_path / "starter.gguf")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = load_settings(state_dir=tmp_path, engine_port=port, llm_model=str(model), embedding_service="none")
    settings.engines.mkdir()
    for engine in ENGINES.glob("debian-*"):
        (settings.engines / engine.name).symlink_to(engine)
    supervisor = create_supervisor(settings)
    chat = OpenAIChatModel(
        supervisor.base_url, api_key=supervisor.api_key, prompt_style=style, status=lambda: supervisor.status
    )
    engine_of_house = Engine(chat, supervisor, supervisor)
    sink = RecordingSink()

    async def health() -> Sequence[ComponentHealth]:
        return [await supervisor.health()]

    memory = create_memory(settings, engine_of_house, sink)
    memory.start()
    agent = create_agent(settings, engine_of_house, sink, health, memory=memory)
    await supervisor.start()
    try:
        async with asyncio.timeout(120):
            await supervisor.wait_ready()
        yield AgentHarness(agent, memory, sink, chat)
    finally:
        await agent.aclose()
        await memory.close()
        await chat.aclose()
        await supervisor.stop()


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
    store = JsonlConversations(tmp_path / "few")
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
