"""Running a tool call: what is wrong with it is a result, whatever stands in it."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from pipecatapp.domain import ToolCall, ToolResult
from pipecatapp.events import ToolFinished, ToolStarted
from pipecatapp.json_schema_reduction import reduce_schema
from pipecatapp.ports import ToolContext
from pipecatapp.tools.registry import TOOLS, spec_of
from pipecatapp.twin.act.approvals import ApprovalGate
from pipecatapp.twin.act.audit import Auditor
from pipecatapp.twin.act.masking import LEFT_OUT, MASK, mask
from pipecatapp.twin.act.toolbox import Toolbox
from testing.fakes.agent_harness import RecordingSink, ScriptedTool
from testing.fakes.approvals import MemoryAudit, MemoryStore

pytestmark = pytest.mark.unit


def deep(depth: int) -> Any:
    return json.loads('{"a":' * depth + "1" + "}" * depth)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"a": deep(64)}, "nested more than 64 deep"),
        ({"a": deep(600)}, "nested more than 64 deep"),
        ({"a": [0] * 30_000}, "more than 20000 values"),
        ({"a": float("nan")}, "cannot be written as JSON"),
        ({"a": "\ud800"}, "cannot be written as JSON"),
        ({"b": 1}, "must not contain 'b'"),
    ],
    ids=["64", "600", "many", "nan", "half a sign", "undeclared"],
)
async def test_arguments_that_cannot_be_taken_are_a_result(arguments: dict[str, Any], said: str) -> None:
    sink = RecordingSink()
    tool = ScriptedTool("lamp.on", parameters={"type": "object", "properties": {"a": {}}})
    toolbox = Toolbox([tool], sink, ApprovalGate(MemoryStore(), Auditor(MemoryAudit(), sink), sink))
    result = await toolbox.run(ToolCall("1", "lamp.on", arguments), ToolContext("c", "t"))
    assert isinstance(result, ToolResult)
    assert not result.ok
    assert said in result.text
    assert tool.calls == []
    assert len(sink.of(ToolStarted)) == len(sink.of(ToolFinished)) == 1


def test_what_is_kept_of_a_call_is_masked_as_deep_as_it_goes() -> None:
    kept = mask({"a": deep(600), "password": deep(600)})
    assert kept["password"] == MASK
    assert LEFT_OUT in json.dumps(kept)


async def test_a_schema_that_would_take_for_ever_holds_nobody_up() -> None:
    # A check that tries every way does it 2**14 times for an item that does not fit.
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(14):
        schema = {"anyOf": [schema, {"type": "null"}, schema]}
    began = time.process_time()
    parameters = {"type": "object", "properties": {"a": {"items": schema}}}
    tool = ScriptedTool("lamp.on", parameters=parameters)
    sink = RecordingSink()
    toolbox = Toolbox([tool], sink, ApprovalGate(MemoryStore(), Auditor(MemoryAudit(), sink), sink))
    result = await toolbox.run(ToolCall("1", "lamp.on", {"a": [None, 1]}), ToolContext("c", "t"))
    assert "more than can be checked" in str(result)
    assert time.process_time() - began < 1.0


@pytest.mark.parametrize("name", TOOLS)
def test_our_own_tools_use_only_what_is_checked(name: str) -> None:
    parameters = dict(spec_of(name).parameters)
    assert reduce_schema(parameters) == parameters
