"""What the record shows of calls: the audit log, the events, the context of a tool."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from pipecatapp.domain import ToolResult
from pipecatapp.events import (
    ApprovalDecided,
    ApprovalRequested,
    AuditRecorded,
    ToolProgress,
    ToolStarted,
)
from pipecatapp.ports import ToolContext
from pipecatapp.twin.speak.protocol import UNTRUSTED
from testing.fakes.agent_harness import ScriptedTool
from testing.fakes.approval_harness import MakeHarness, call

pytestmark = pytest.mark.unit


async def test_secrets_are_masked_but_for_the_person_who_is_asked(harness: MakeHarness) -> None:
    login = call("ssh.run_command", host="node3", command="curl -H 'Authorization: Bearer abcdef123456' x")
    h = harness(login, "Done.")
    await h.ask("log in")
    assert "abcdef123456" in json.dumps(h.sink.of(ApprovalRequested)[0].to_json())
    await h.approve()
    await h.told(2)
    kept = [event.to_json() for kind in (ApprovalDecided, AuditRecorded, ToolStarted) for event in h.sink.of(kind)]
    assert kept
    assert "abcdef123456" not in json.dumps(kept)
    assert "abcdef123456" not in repr(h.audit.lines)
    assert h.ssh.calls[0][0]["command"].endswith("abcdef123456' x")


async def test_harmless_tools_are_in_the_log_too(harness: MakeHarness) -> None:
    h = harness(call("web.read"), "Read.")
    await h.ask("read it")
    await h.agent.aclose()
    assert h.audit.decisions() == [("executed", "agent")]
    assert UNTRUSTED in h.last_prompt()[-1].content


async def test_a_tool_knows_who_asks_and_can_show_its_progress(harness: MakeHarness) -> None:
    contexts: list[ToolContext] = []

    class Slow(ScriptedTool):
        async def run(self, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
            contexts.append(context)
            context.progress("half done")
            return ToolResult("Done.")

    h = harness(call("slow.work"), call("web.read"), call("slow.work"), "Done.", tools=[Slow("slow.work")])
    await h.ask("work")
    assert [context.words for context in contexts] == ["work", "work"]
    assert [context.tainted for context in contexts] == [False, True]
    assert [event.text for event in h.sink.of(ToolProgress)] == ["half done", "half done"]
    h.model.script(call("slow.work"), "Done.")
    await h.ask("again")
    assert contexts[-1].tainted  # it still stands in the history
