"""How a call that was decided ends: stopped, failed, taken back, on a disk that is full."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from pipecatapp.domain import Risk, ToolResult
from pipecatapp.errors import (
    ModelUnreachableError,
)
from pipecatapp.events import (
    ApprovalRequested,
    ToolFinished,
)
from pipecatapp.twin.act.approvals import LIFETIME_S
from testing.fakes.agent_harness import ScriptedTool
from testing.fakes.approval_harness import ASKS_LAMP, LAMP, SSH, MakeHarness, call
from testing.fakes.chat_model import COMPACT, Gate

pytestmark = pytest.mark.unit


async def test_an_interruption_stops_the_tool(harness: MakeHarness) -> None:
    reached = asyncio.Event()

    async def slow(_: Mapping[str, Any]) -> ToolResult:
        reached.set()
        await asyncio.Event().wait()
        raise AssertionError

    h = harness(LAMP, "Stopped.")
    h.lamp._result = slow
    await h.ask("lamp on")
    await h.approve()
    await reached.wait()
    await h.runner.interrupt("c")
    await h.agent.aclose()
    assert h.store.saved == []
    assert h.sink.of(ToolFinished)[-1].text == "error: it was stopped"
    assert (h.audit.lines[-1].decision, h.audit.lines[-1].ok) == ("executed", False)
    assert await h.ask("what happened") == "Stopped."
    assert "it was stopped" in h.last_prompt()[-3].content


async def test_stop_takes_back_a_yes_that_was_not_used(harness: MakeHarness) -> None:
    gate = Gate()
    h = harness(LAMP, ["Once upon", gate], "Fine.")
    await h.ask("lamp on")
    await h.runner.submit("c", "tell me a story")
    await gate.reached.wait()
    await h.approve()
    await h.runner.interrupt("c")
    await h.agent.aclose()
    assert h.lamp.calls == []
    assert h.store.saved == []
    assert h.audit.decisions()[-1] == ("refused", "stopped")
    await h.ask("well")
    assert "stopped before it began" in h.last_prompt()[-3].content


async def test_a_yes_does_not_hold_for_ever(harness: MakeHarness) -> None:
    h = harness(LAMP, "Too late.")
    await h.ask("lamp on")
    await h.runner.pause("c", on=True)  # somebody speaks
    await h.approve()
    h.clock.jump(LIFETIME_S)
    await h.runner.pause("c", on=False)
    assert (await h.told(2))[-1] == "Too late."
    assert h.lamp.calls == []
    assert "the yes was given too long ago" in h.last_prompt()[-1].content
    assert h.store.saved == []


async def test_a_yes_in_the_last_second_is_still_carried_out(harness: MakeHarness) -> None:
    h = harness(LAMP, "On.")
    await h.ask("lamp on")
    h.clock.jump(LIFETIME_S - 1)
    await h.runner.pause("c", on=True)
    await h.approve()
    h.clock.jump(20)
    await h.runner.pause("c", on=False)
    assert (await h.told(2))[-1] == "On."
    assert len(h.lamp.calls) == 1


async def test_what_was_done_is_told_without_the_model(harness: MakeHarness) -> None:
    h = harness(LAMP, ModelUnreachableError("gone"))
    await h.ask("lamp on")
    assert await h.ask("yes") == "It is on."


async def test_what_was_done_is_told_while_the_engine_is_gone(harness: MakeHarness) -> None:
    h = harness(LAMP)
    await h.ask("lamp on")
    h.model.profile_now = ModelUnreachableError("gone")
    h.model.script(ModelUnreachableError("gone"))
    await h.approve()
    assert await h.told(2) == [ASKS_LAMP, "It is on."]


async def test_the_starter_model_sees_the_result_as_it_was_trained(harness: MakeHarness) -> None:
    h = harness(SSH, "It says: All half full.", profile=COMPACT)
    await h.ask("run df -h on node3")
    await h.approve()
    await h.told(2)
    assert h.last_prompt()[-1].content == "<tool_response>\nAll half full.\n</tool_response>"
    assert "call" not in (h.model.requests[-1].grammar or "")


async def test_a_yes_that_cannot_be_kept_does_nothing(harness: MakeHarness) -> None:
    h = harness(LAMP)
    await h.ask("lamp on")
    h.audit.broken = True
    assert "went wrong" in await h.ask("yes")
    assert h.lamp.calls == []


async def test_what_was_done_is_told_although_the_disk_is_full_now(harness: MakeHarness) -> None:
    async def filling(arguments: Mapping[str, Any]) -> ToolResult:
        h.store.broken = h.audit.broken = True
        return ToolResult("It is full.")

    fill = ScriptedTool("disk.fill", filling, risk=Risk.ACT)
    h = harness(call("disk.fill"), "The disk is full now.", tools=[fill])
    await h.ask("fill the disk")
    assert await h.ask("yes") == "The disk is full now."
    assert len(fill.calls) == 1


async def test_a_full_disk_holds_up_no_turn_that_waits(harness: MakeHarness) -> None:
    h = harness(LAMP, "Hello.")
    await h.ask("lamp on")
    await h.runner.pause("c", on=True)
    await h.approve()
    h.audit.broken = True
    await h.runner.interrupt("c")  # takes back the yes, and cannot write it down
    await h.runner.submit("c", "hello")
    await h.runner.pause("c", on=False)
    assert (await h.told(2))[-1] == "Hello."
    assert h.lamp.calls == []


async def test_a_tool_that_became_another_since_the_yes_is_not_run(harness: MakeHarness) -> None:
    h = harness(LAMP, "It is another tool now.")
    await h.ask("lamp on")
    # What another server may do at any time: the same name, and something else behind it.
    h.lamp.spec = replace(h.lamp.spec, description="switches the heater")
    await h.approve()
    await h.told(2)
    assert h.lamp.calls == []
    assert "not the tool any more that the yes was for" in h.last_prompt()[-1].content
    assert h.gate.get(h.sink.of(ApprovalRequested)[0].id) is None


async def test_clearing_the_conversation_takes_back_what_waits(harness: MakeHarness) -> None:
    h = harness(LAMP)
    await h.ask("lamp on")
    await h.agent.clear("c")
    assert h.gate.pending() == h.store.saved == []
