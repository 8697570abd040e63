"""What changes only the agent's own runs unasked where a person's words carry it, and waits everywhere else."""

from __future__ import annotations

from typing import Any

import pytest

from pipecatapp.domain import ApprovalRequest, Risk, ToolCall, ToolResult
from pipecatapp.ports import ToolContext
from pipecatapp.twin.act.approvals import ApprovalGate
from pipecatapp.twin.act.audit import Auditor
from pipecatapp.twin.act.own_wish import is_carried
from pipecatapp.twin.act.toolbox import Toolbox
from testing.fakes.agent_harness import RecordingSink, ScriptedTool
from testing.fakes.approvals import MemoryAudit, MemoryStore

pytestmark = pytest.mark.unit

LIST = {
    "type": "object",
    "properties": {"list": {"type": "string"}, "item": {"type": "string"}},
    "required": ["list", "item"],
}
MILK = {"list": "shopping", "item": "milk and eggs"}
WORDS = "put milk and eggs on the shopping list"


def said(words: str, **how: Any) -> ToolContext:
    return ToolContext("c", "t", words, **{"speaker": "person", **how})


async def run(arguments: dict[str, str], context: ToolContext) -> tuple[ScriptedTool, ToolResult | ApprovalRequest]:
    tool = ScriptedTool("list.add", parameters=LIST, risk=Risk.OWN)
    sink = RecordingSink()
    toolbox = Toolbox([tool], sink, ApprovalGate(MemoryStore(), Auditor(MemoryAudit(), sink), sink))
    outcome = await toolbox.run(ToolCall("1", "list.add", arguments), context)
    await toolbox.aclose()
    return tool, outcome


@pytest.mark.parametrize("recalled", [False, True])
async def test_what_a_persons_words_carry_runs_at_once(recalled: bool) -> None:
    tool, outcome = await run(MILK, said(WORDS, recalled=recalled))
    assert isinstance(outcome, ToolResult)
    assert outcome.ok
    assert [arguments for arguments, _ in tool.calls] == [MILK]


@pytest.mark.parametrize(
    "context",
    [
        said(WORDS, tainted=True),
        said(WORDS, speaker="program"),
        said(WORDS, speaker="nobody"),
        said("put milk on the shopping list"),
        said("what do you know about me", recalled=True),
    ],
    ids=["tainted", "a program", "nobody", "a word that nobody said", "recalled"],
)
async def test_everything_else_waits_for_a_yes(context: ToolContext) -> None:
    tool, outcome = await run(MILK, context)
    assert isinstance(outcome, ApprovalRequest)
    assert outcome.risk is Risk.OWN
    assert tool.calls == []


async def test_where_nobody_can_be_asked_it_is_not_done() -> None:
    tool, outcome = await run(MILK, ToolContext("", "t", WORDS, "person"))
    assert isinstance(outcome, ToolResult)
    assert "ask for it on the page" in outcome.text
    assert tool.calls == []


@pytest.mark.parametrize(
    ("words", "arguments", "carried"),
    [
        (
            "Remind me tomorrow to call Mum's doctor at five!",
            {"when": "tomorrow at five", "what": "call mum's doctor"},
            True,
        ),
        ("remind me at five tomorrow", {"when": "tomorrow at five"}, False),
        ("set a timer for 10 minutes", {"duration": "10 minutes", "label": ""}, True),
        ("set a timer for 10 minutes", {"duration": "0 minutes"}, False),
        ("set a timer for 1 minute", {"duration": "1 minute", "label": "pasta"}, False),
        ("add tea", {"item": "tea " * 200}, False),
        ("undo that", {}, True),
    ],
)
def test_every_word_of_a_value_was_said_in_its_order(words: str, arguments: dict[str, str], carried: bool) -> None:
    assert is_carried(ToolCall("1", "x", arguments), said(words)) is carried
