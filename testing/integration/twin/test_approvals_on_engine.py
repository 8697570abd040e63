"""Asking, a yes and the answer, with the starter model on a real llama-server and real tools and files."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from pipecatapp.agent_factory import Approvals, Engine, create_agent, create_approvals, create_supervisor
from pipecatapp.domain import ComponentHealth
from pipecatapp.events import AssistantMessage, TurnFinished
from pipecatapp.llm.client import OpenAIChatModel
from pipecatapp.settings import load_settings
from pipecatapp.twin.agent import Agent
from pipecatapp.twin.turn_queue import TurnRunner
from testing.fakes.agent_harness import RecordingSink

pytestmark = pytest.mark.integration

ROOT = Path(__file__).resolve().parents[3]
STARTER = ROOT / "models/starter.gguf"


class AgentHarness:
    def __init__(self, agent: Agent, approvals: Approvals, sink: RecordingSink, state: Path) -> None:
        self.agent, self.approvals, self.sink, self.state = agent, approvals, sink, state
        self.runner = TurnRunner(agent, sink)

    async def ask(self, text: str) -> str:
        return "".join([piece async for piece in self.agent.respond("c", text, "typed")]).strip()

    async def told(self, count: int) -> str:
        """What was said last, once there are so many answers."""
        async with asyncio.timeout(60):
            while len(self.sink.of(AssistantMessage)) < count:
                await asyncio.sleep(0.02)
        return self.sink.of(AssistantMessage)[count - 1].text


@pytest.fixture
async def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[AgentHarness]:
    monkeypatch.setenv("PIPECATAPP_CONFIG", str(tmp_path / "none.env"))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = load_settings(state_dir=tmp_path, engine_port=port, llm_model=str(STARTER))
    settings.engines.mkdir()
    for engine in (ROOT / ".cache/engine").glob("debian-*"):
        (settings.engines / engine.name).symlink_to(engine)
    supervisor = create_supervisor(settings)
    chat = OpenAIChatModel(supervisor.base_url, api_key=supervisor.api_key, status=lambda: supervisor.status)
    sink = RecordingSink()

    async def health() -> Sequence[ComponentHealth]:
        return [await supervisor.health()]

    approvals = create_approvals(settings, sink)
    agent = create_agent(settings, Engine(chat, supervisor, supervisor), sink, health, gate=approvals.gate)
    await approvals.gate.open()
    await supervisor.start()
    try:
        async with asyncio.timeout(120):
            await supervisor.wait_ready()
        yield AgentHarness(agent, approvals, sink, tmp_path)
    finally:
        await approvals.gate.aclose()
        await agent.aclose()
        await chat.aclose()
        await supervisor.stop()


async def test_the_starter_asks_acts_and_speaks_about_it(house: AgentHarness) -> None:
    await house.ask("Hello!")
    said = await house.ask("set the idle threshold of the coding service to 600 seconds")
    assert said.startswith("I am about to ")
    assert said.endswith("Shall I?")
    (waiting,) = house.agent.pending()
    assert waiting.tool == "power.set_idle_threshold"
    assert waiting.arguments["seconds"] == 600
    assert "coding" in waiting.arguments["service"]
    done = await house.ask("yes, do it")
    assert done
    # It says of the service what was done with it, and of no other.
    assert "coding" in done
    assert "<" not in done
    assert "{" not in done
    policy = json.loads((house.state / "power_policy.json").read_text())
    assert "600" in json.dumps(policy)
    entries, _ = await house.approvals.audit.entries()
    assert [entry["decision"] for entry in entries] == ["executed", "approved", "requested"]
    assert await house.approvals.audit.verify() == ""
    # What goes on adds to the prompt: nothing that stood there before is evaluated again.
    *_, asked, answered = house.sink.of(TurnFinished)
    assert answered.cached_tokens >= asked.prompt_tokens


async def test_the_starter_speaks_about_a_no(house: AgentHarness) -> None:
    await house.ask("set the idle threshold of the coding service to 600 seconds")
    (waiting,) = house.agent.pending()
    await house.agent.decide(waiting.id, waiting.digest, "refuse", by="page")
    said = await house.told(2)
    assert "not done" in said or "no" in said.lower()
    assert not (house.state / "power_policy.json").exists()
