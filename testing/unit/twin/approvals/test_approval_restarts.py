"""What a restart, or a kill, does to calls that wait or were decided."""

from __future__ import annotations

import pytest

from pipecatapp.domain import ApprovalAnswer
from pipecatapp.twin.act.approval_prompts import MEANT_THIS
from pipecatapp.twin.act.approvals import LIFETIME_S
from testing.fakes.approval_harness import ASKS_LAMP, LAMP, MakeHarness

pytestmark = pytest.mark.unit


async def test_a_restart_keeps_what_waits(harness: MakeHarness) -> None:
    h = harness(LAMP, "On.")
    await h.ask("lamp on")
    h.begin()
    await h.gate.open()
    assert await h.ask("yes") == f"{MEANT_THIS} {ASKS_LAMP}"
    assert await h.ask("yes") == "On."
    await h.gate.aclose()
    assert len(h.lamp.calls) == 1


async def test_a_restart_tells_what_expired_meanwhile(harness: MakeHarness) -> None:
    h = harness(LAMP, "Too late.")
    await h.ask("lamp on")
    h.clock.jump(LIFETIME_S + 1)
    h.begin()
    await h.gate.open()
    assert (await h.told(2))[1] == "Too late."
    await h.gate.aclose()
    assert h.lamp.calls == []


async def test_what_was_begun_before_a_kill_never_runs_again(harness: MakeHarness) -> None:
    h = harness(LAMP)
    await h.ask("lamp on")
    await h.gate.decide(ApprovalAnswer(h.waiting.id, h.waiting.digest, "approve", by="voice"))
    (request,) = h.store.saved
    await h.gate.begin(request.id)
    h.begin()
    await h.gate.open()
    # No model is asked, which might make a success of it.
    told = "I do not know whether that worked: it was begun before a restart, and how it ended is not known"
    assert (await h.told(2))[1] == told
    await h.gate.aclose()
    assert h.lamp.calls == []
    assert h.store.saved == []


async def test_a_yes_that_a_kill_left_unused_is_carried_out_once_in_time(harness: MakeHarness) -> None:
    h = harness(LAMP, "On.")
    await h.ask("lamp on")
    await h.gate.decide(ApprovalAnswer(h.waiting.id, h.waiting.digest, "approve", by="voice"))
    h.begin()
    await h.gate.open()
    assert (await h.told(2))[1] == "On."
    await h.gate.aclose()
    assert len(h.lamp.calls) == 1


async def test_a_yes_that_a_kill_left_unused_is_not_carried_out_hours_later(harness: MakeHarness) -> None:
    h = harness(LAMP, "Too late.")
    await h.ask("lamp on")
    await h.gate.decide(ApprovalAnswer(h.waiting.id, h.waiting.digest, "approve", by="voice"))
    h.clock.jump(3600)
    h.begin()
    await h.gate.open()
    assert (await h.told(2))[1] == "Too late."
    await h.gate.aclose()
    assert h.lamp.calls == []
