"""Calls of other programs of tools, where they meet what nobody can time from outside."""

from __future__ import annotations

import asyncio

import pytest

from pipecatapp.domain import ApprovalAnswer, ApprovalRequest, Risk
from pipecatapp.twin.act.approvals import ApprovalGate
from pipecatapp.twin.act.audit import Auditor
from pipecatapp.twin.act.external_calls import CALLERS, ExternalCalls
from pipecatapp.twin.act.toolbox import Toolbox
from testing.fakes.agent_harness import RecordingSink, ScriptedTool
from testing.fakes.approvals import MemoryAudit, MemoryStore

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("waits", [True, False])  # False: its request has only just been kept
async def test_a_program_that_goes_away_as_the_yes_comes_leaves_nothing_behind(waits: bool) -> None:
    sink, audit, store = RecordingSink(), MemoryAudit(), MemoryStore()
    gate = ApprovalGate(store, Auditor(audit, sink), sink)
    lamp = ScriptedTool("lamp.switch", risk=Risk.ACT)
    calls = ExternalCalls(Toolbox([lamp], sink, gate), gate)
    calling = asyncio.create_task(calls.call("lamp.switch", {}))

    def settled(request: ApprovalRequest) -> None:
        assert calls.settled(request)
        calling.cancel()

    gate.on_settled(settled)
    async with asyncio.timeout(60):
        while not gate.pending():
            await asyncio.sleep(0)
        (request,) = gate.pending()
        for _ in range(50 if waits else 0):
            await asyncio.sleep(0)
        await gate.decide(ApprovalAnswer(request.id, request.digest, "approve", by="page"))
        with pytest.raises(asyncio.CancelledError):
            await calling
        while gate.get(request.id) is not None:
            await asyncio.sleep(0)
    assert lamp.calls == []
    assert store.saved == []
    assert audit.decisions() == [("requested", "model"), ("approved", "page"), ("refused", "stopped")]


async def test_a_program_whose_request_is_cleared_away_waits_no_longer() -> None:
    # On the page its requests are a conversation, and a person may clear that.
    sink, audit = RecordingSink(), MemoryAudit()
    gate = ApprovalGate(MemoryStore(), Auditor(audit, sink), sink)
    lamp = ScriptedTool("lamp.switch", risk=Risk.ACT)
    calls = ExternalCalls(Toolbox([lamp], sink, gate), gate)
    calling = asyncio.create_task(calls.call("lamp.switch", {}))
    async with asyncio.timeout(60):
        while not gate.pending():
            await asyncio.sleep(0)
        for _ in range(50):  # it waits now
            await asyncio.sleep(0)
        await gate.withdraw(CALLERS)
        result = await calling
    assert not result.ok
    assert "not wanted any more" in result.text
    assert lamp.calls == []


async def test_a_program_is_told_that_a_tool_is_off_and_why() -> None:
    sink = RecordingSink()
    gate = ApprovalGate(MemoryStore(), Auditor(MemoryAudit(), sink), sink)
    calls = ExternalCalls(Toolbox([], sink, gate, {"nodes.heal": "there is no cluster"}), gate)

    assert (await calls.call("nodes.heal", {})).text == "error: nodes.heal is off: there is no cluster"
    assert (await calls.call("nodes.hear", {})).text == "error: there is no tool nodes.hear"
