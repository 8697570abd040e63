"""The starter model: names only, always a grammar, and its results said for it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pipecatapp.domain import Fact, Risk, ToolSpec
from pipecatapp.errors import (
    ToolError,
)
from pipecatapp.intents import Guess, Intent
from pipecatapp.tools.registry import TOOLS
from pipecatapp.twin.speak.dialect import UNTRAINED
from pipecatapp.twin.understand.routing import ROUTE
from starter_model.turns import TOOLS as TRAINED
from testing.fakes.agent_harness import AgentHarness, ScriptedMemory, ScriptedTool
from testing.fakes.chat_model import COMPACT
from testing.fakes.reflex import ScriptedReflex

pytestmark = pytest.mark.unit

CALL = '<tool_call>\n{"name": "mcp.get_status", "arguments": {}}\n</tool_call>'
TEXT = {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}
QUERY = {"type": "object", "properties": {"query": {"type": "string"}}, "required": ["query"]}


async def test_the_compact_model_gets_names_only_and_always_a_grammar(house: Callable[..., AgentHarness]) -> None:
    h = house("Hello.", tools=[ScriptedTool("mcp.get_status"), ScriptedTool("clock.now")], profile=COMPACT)
    await h.ask("hi")
    request = h.model.requests[0]
    assert request.messages[0].content == "tools: clock.now mcp.get_status\nexperts: none"
    assert request.grammar
    assert request.temperature == 0.0


async def test_the_starter_is_not_told_of_tools_that_came_after_its_training(
    house: Callable[..., AgentHarness],
) -> None:
    h = house("Hello.", tools=[ScriptedTool("mcp.get_status"), ScriptedTool("nodes.heal")], profile=COMPACT)
    await h.ask("hi")
    assert h.model.requests[0].messages[0].content == "tools: mcp.get_status\nexperts: none"


def test_every_tool_was_trained_on_or_is_kept_from_the_starter() -> None:
    assert {name for name in TOOLS if not name.startswith(UNTRAINED)} == set(TRAINED) - {ROUTE}


async def test_the_starter_reads_nothing_of_tools_that_came_after_its_training(
    house: Callable[..., AgentHarness],
) -> None:
    decided = (Intent("tool", 0.99, (Guess(name),)) for name in ("what_can_you_do", "clock.now"))
    h = house(
        "Hello.",
        tools=[ScriptedTool("what_can_you_do", "I can do a lot."), ScriptedTool("clock.now", "It is five.")],
        profile=COMPACT,
        reflex=ScriptedReflex(*decided),
    )
    assert await h.ask("what can you do") == "I can do a lot."
    await h.ask("what time is it")
    await h.ask("hello")
    said = [message.content for message in h.model.requests[-1].messages]
    assert "It is five." in said
    assert "I can do a lot." not in said
    assert "what can you do" not in said


async def test_the_starter_is_not_asked_what_a_plain_wish_means(house: Callable[..., AgentHarness]) -> None:
    remember = ScriptedTool("memory.remember", "I noted: the bin goes out on monday.", parameters=TEXT)
    h = house(tools=[remember], profile=COMPACT)
    assert await h.ask("remember that the bin goes out on monday") == "I noted: the bin goes out on monday."
    assert [arguments for arguments, _ in remember.calls] == [{"text": "the bin goes out on monday"}]
    assert h.model.requests == []


async def test_the_starter_does_not_reword_results(house: Callable[..., AgentHarness]) -> None:
    status = ScriptedTool("mcp.get_status", "All 4 components are ok. Up for 3 hours.")
    h = house(CALL, tools=[status], profile=COMPACT)
    assert await h.ask("what is your status") == "All 4 components are ok. Up for 3 hours."
    assert len(h.model.requests) == 1


async def test_the_starter_says_that_a_tool_failed(house: Callable[..., AgentHarness]) -> None:
    h = house(CALL, tools=[ScriptedTool("mcp.get_status", ToolError("nobody answers"))], profile=COMPACT)
    assert await h.ask("what is your status") == "That did not work: nobody answers"


async def test_a_question_that_a_fact_answers_is_answered_with_it(house: Callable[..., AgentHarness]) -> None:
    recall = ScriptedTool("memory.recall", "You told me: the bin goes out on monday.", parameters=QUERY)
    known = ScriptedMemory({"bin": [Fact("f", "the bin goes out on monday", 0.9)], "music": [Fact("g", "m", 0.9)]})
    h = house("Hello.", tools=[recall], memory=known, profile=COMPACT)
    assert await h.ask("when does the bin go out") == "You told me: the bin goes out on monday."
    assert [arguments for arguments, _ in recall.calls] == [{"query": "when does the bin go out"}]
    assert await h.ask("what music do you like") == "Hello."


async def test_a_large_model_decides_itself_what_a_wish_means(house: Callable[..., AgentHarness]) -> None:
    remember = ScriptedTool("memory.remember", "I noted it.", parameters=TEXT)
    h = house("All right.", tools=[remember])
    assert await h.ask("remember that the bin goes out on monday") == "All right."
    assert remember.calls == []


CODE = ToolSpec("code_runner.run_python_code", "runs it", {"type": "object", "properties": {"code": {"type": "string"}},
                "required": ["code"]}, Risk.ACT, copied=("code",))  # fmt: skip
RUN_CODE = '<tool_call>\n{"name": "code_runner.run_python_code", "arguments": {"code": "print(2**20)"}}\n</tool_call>'


async def test_a_tool_that_is_off_is_known_as_off_and_nothing_runs_in_its_place(
    house: Callable[..., AgentHarness],
) -> None:
    playbook = ScriptedTool("ansible.run_playbook", risk=Risk.DANGER)
    h = house(
        RUN_CODE, "Fine.", tools=[playbook], profile=COMPACT, gated=True, off={CODE.name: "there is no sandbox"},
        off_specs=[CODE],
    )  # fmt: skip
    said = await h.ask("run print(2**20) in python")
    assert said == "That did not work: code_runner.run_python_code is off: there is no sandbox"
    first = h.model.requests[0]
    assert first.messages[0].content.startswith("tools: ansible.run_playbook code_runner.run_python_code\n")
    assert "code_runner.run_python_code" in str(first.grammar)
    assert h.gate.pending() == []


HEAL = ToolSpec("nodes.heal", "heals", {"type": "object", "properties": {"node": {"type": "string"}}}, Risk.DANGER)
BY_SSH = '<tool_call>\n{"name": "ssh.run_command", "arguments": {"host": "node3", "command": "heal"}}\n</tool_call>'
HOST = {"type": "object", "properties": {"host": {"type": "string"}, "command": {"type": "string"}}}


@pytest.mark.parametrize("off", [True, False])
async def test_a_tool_that_the_starter_does_not_know_is_not_another_one_to_it(
    house: Callable[..., AgentHarness], off: bool
) -> None:
    ssh = ScriptedTool("ssh.run_command", parameters=HOST, risk=Risk.DANGER)
    heal = ScriptedTool(HEAL.name, parameters=HEAL.parameters, risk=Risk.DANGER)
    h = house(
        BY_SSH, tools=[ssh] if off else [ssh, heal], profile=COMPACT, gated=True,
        off={HEAL.name: "there is no cluster"} if off else {}, off_specs=[HEAL] if off else [],
    )  # fmt: skip

    said = await h.ask("heal node3")

    assert ("nodes.heal is off: there is no cluster" in said) is off
    assert [request.tool for request in h.gate.pending()] == ([] if off else ["nodes.heal"])


async def test_a_yes_to_nothing_uses_no_tool(house: Callable[..., AgentHarness]) -> None:
    h = house("All right.", tools=[ScriptedTool("ansible.run_playbook")], profile=COMPACT)
    assert await h.ask("yes") == "All right."
    assert "ansible" not in str(h.model.requests[0].grammar)


async def test_a_large_model_is_not_told_of_what_is_off(house: Callable[..., AgentHarness]) -> None:
    h = house("Hello.", off={CODE.name: "there is no sandbox"}, off_specs=[CODE])
    await h.ask("hi")
    assert CODE.name not in h.model.requests[0].messages[0].content
