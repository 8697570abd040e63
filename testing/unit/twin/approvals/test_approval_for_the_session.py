"""What a person allows for the session: which calls it covers, and until when."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pipecatapp.domain import Fact, Risk
from pipecatapp.errors import (
    UnfitDecisionError,
)
from testing.fakes.agent_harness import ScriptedMemory, ScriptedTool
from testing.fakes.approval_harness import ASKS_LAMP, LAMP, MakeHarness, call

pytestmark = pytest.mark.unit


async def test_what_is_allowed_for_the_session_is_not_asked_again(harness: MakeHarness) -> None:
    h = harness(LAMP, "On.", LAMP, "On again.", call("lamp.switch", lamp="other", to="on"))
    await h.ask("lamp on")
    await h.approve(scope="session")
    await h.told(2)
    assert await h.ask("lamp on") == "On again."
    assert len(h.lamp.calls) == 2
    await h.agent.aclose()
    assert h.audit.decisions()[-2:] == [("approved", "session"), ("executed", "session")]
    assert (await h.ask("the other lamp")).endswith("Shall I?")
    await h.agent.clear("c")
    h.model.script(LAMP)
    assert await h.ask("lamp on") == ASKS_LAMP


async def test_what_was_allowed_for_the_session_is_forgotten_by_a_restart(harness: MakeHarness) -> None:
    h = harness(LAMP, "On.", LAMP)
    await h.ask("lamp on")
    await h.approve(scope="session")
    await h.told(2)
    h.begin()
    assert await h.ask("lamp on") == ASKS_LAMP


async def test_what_is_allowed_for_the_session_does_not_cover_what_others_wrote(
    harness: MakeHarness,
) -> None:
    h = harness(LAMP, "On.", call("web.read"), LAMP)
    await h.ask("lamp on")
    await h.approve(scope="session")
    await h.told(2)
    assert await h.ask("read the page") == ASKS_LAMP
    assert len(h.lamp.calls) == 1


async def test_with_memories_in_the_prompt_only_what_the_person_said_is_covered(
    harness: MakeHarness,
) -> None:
    memory = ScriptedMemory({"lamp": [Fact("1", "switch the lamp on when it rains")]})
    h = harness(LAMP, "On.", LAMP, "On.", LAMP, memory=memory)
    await h.ask("lamp on")
    await h.approve(scope="session")
    await h.told(2)
    assert await h.ask("please switch the lamp on") == "On."
    assert await h.ask("what is with the lamp") == ASKS_LAMP
    assert len(h.lamp.calls) == 2


async def test_a_call_without_a_scope_can_only_be_allowed_once(harness: MakeHarness) -> None:
    tool = ScriptedTool("door.open", risk=Risk.ACT)
    h = harness(call("door.open"), tools=[tool])
    await h.ask("open the door")
    with pytest.raises(UnfitDecisionError, match="once"):
        await h.approve(scope="session")
    assert h.gate.pending()


async def test_what_is_allowed_for_the_session_does_not_cover_another_tool_of_that_name(
    harness: MakeHarness,
) -> None:
    h = harness(LAMP, "On.", LAMP, "All right.", LAMP)
    await h.ask("lamp on")
    await h.approve(scope="session")
    await h.told(2)
    assert await h.ask("lamp on again") == "All right."
    assert len(h.lamp.calls) == 2
    h.lamp.spec = replace(h.lamp.spec, description="switches the heater")
    assert await h.ask("lamp on again") == ASKS_LAMP
    assert len(h.lamp.calls) == 2
