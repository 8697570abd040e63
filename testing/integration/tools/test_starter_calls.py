"""The starter model on the real engine calls the tools that act on machines as a person means it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from pipecatapp.app import Node
from pipecatapp.domain import Risk, ToolCall, ToolSpec
from pipecatapp.tools.registry import TOOLS, spec_of
from pipecatapp.twin.agent import Agent
from testing.engine_node import STARTER, engine_settings, running
from testing.fakes.agent_harness import RecordingSink, ScriptedTool
from testing.fakes.storage import storage_in

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(not STARTER.is_file(), reason="there is no starter model yet"),
]

# The tools that the starter model was trained with.
GROUPS = ("ansible.", "clock.", "code_runner.", "mcp.get_", "mcp.clear", "power.", "ssh.", "summarizer.")


class Standing(ScriptedTool):
    """A tool with the real one's schema that only notes down the call; a person has said yes already."""

    def __init__(self, spec: ToolSpec) -> None:
        super().__init__(spec.name, "Done.", parameters=spec.parameters, risk=Risk.READ)
        self.spec = ToolSpec(spec.name, spec.description, spec.parameters, Risk.READ, copied=spec.copied)


@pytest.fixture
async def asked(tmp_path: Path) -> AsyncIterator[Any]:
    tools = [Standing(spec_of(name)) for name in TOOLS if name.startswith(GROUPS)]
    async with running(Node(engine_settings(tmp_path / "state")), ["engine"]) as node:
        store = storage_in(tmp_path / "c").conversations
        agent = Agent(node.engine.model, tools, RecordingSink(), store, persona=lambda: "")

        async def ask(words: str, conversation: str) -> list[ToolCall]:
            for tool in tools:
                tool.calls.clear()
            async for _ in agent.respond(conversation, words, "typed"):
                pass
            return [ToolCall("", tool.spec.name, call[0]) for tool in tools for call in tool.calls]

        yield ask
        await agent.aclose()


REQUESTS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("ssh node3 run df -h", "ssh.run_command", {"host": "node3", "command": "df -h"}),
    ("run uptime on kitchen", "ssh.run_command", {"host": "kitchen", "command": "uptime"}),
    (
        "run df -h on node3 as root",
        "ssh.run_command",
        {"host": "node3", "command": "df -h", "username": "root"},
    ),
    ("run print(6*7) in python", "code_runner.run_python_code", {"code": "print(6*7)"}),
    ("run the playbook playbook.yaml", "ansible.run_playbook", {"playbook": "playbook.yaml"}),
    ("run playbook.yaml on node1", "ansible.run_playbook", {"playbook": "playbook.yaml", "limit": "node1"}),
    (
        "set the idle threshold of coding to 10 minutes",
        "power.set_idle_threshold",
        {"service": "coding", "seconds": 600},
    ),
)


async def test_the_starter_model_calls_them_as_it_was_trained(asked: Any) -> None:
    got = {}
    for number, (words, _, _) in enumerate(REQUESTS):
        got[words] = [(call.name, dict(call.arguments)) for call in await asked(words, f"c-{number}")]
    wanted = {words: [(tool, arguments)] for words, tool, arguments in REQUESTS}
    assert got == wanted
