"""Asking, a yes and the answer, with the starter model on a real llama-server and real tools and files."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from pipecatapp.app import Node
from pipecatapp.domain import ApprovalAnswer
from pipecatapp.events import AssistantMessage, TurnFinished
from testing.engine_node import engine_settings, running
from testing.fakes.agent_harness import RecordingSink

pytestmark = pytest.mark.integration


class AgentHarness:
    def __init__(self, node: Node, sink: RecordingSink) -> None:
        self.agent, self.audit, self.state = node.twin.agent, node.storage.audit, node.settings.state_dir
        self.sink = sink
        self.runner = node.turns.runner

    async def ask(self, text: str) -> str:
        return "".join([piece async for piece in self.agent.respond("c", text, "typed")]).strip()

    async def told(self, count: int) -> str:
        """What was said last, once there are so many answers."""
        async with asyncio.timeout(60):
            while len(self.sink.of(AssistantMessage)) < count:
                await asyncio.sleep(0.02)
        return self.sink.of(AssistantMessage)[count - 1].text


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[AgentHarness]:
    sink = RecordingSink()
    async with running(Node(engine_settings(tmp_path / "state"))) as node:
        node.hub.add_listener(sink.emit)
        yield AgentHarness(node, sink)


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
    entries, _ = await house.audit.entries()
    assert [entry["decision"] for entry in entries] == ["executed", "approved", "requested"]
    assert await house.audit.verify() == ""
    # What goes on adds to the prompt: nothing that stood there before is evaluated again.
    *_, asked, answered = house.sink.of(TurnFinished)
    assert answered.cached_tokens >= asked.prompt_tokens


async def test_the_starter_speaks_about_a_no(house: AgentHarness) -> None:
    await house.ask("set the idle threshold of the coding service to 600 seconds")
    (waiting,) = house.agent.pending()
    await house.agent.decide(ApprovalAnswer(waiting.id, waiting.digest, "refuse", by="page"))
    said = await house.told(2)
    assert "not done" in said or "no" in said.lower()
    assert not (house.state / "power_policy.json").exists()
