"""Calls that have to be looked at first: a yes to looking, then what was found, then a yes of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from pipecatapp.domain import ApprovalAnswer, ApprovalState, Preview, Risk, Step
from pipecatapp.errors import ModelUnreachableError, SettledError, ToolError, UnfitDecisionError
from pipecatapp.events import ApprovalDecided, ApprovalRequested, AssistantMessage, ToolFinished, ToolProgress
from pipecatapp.ports import ToolContext
from pipecatapp.twin.act.approvals import LIFETIME_S
from pipecatapp.twin.speak.protocol import WAITING
from testing.fakes.agent_harness import LookingScriptedTool, ScriptedTool
from testing.fakes.approval_harness import LAMP, PLAY, LampHarness, MakeHarness, play, strings
from testing.fakes.chat_model import COMPACT

pytestmark = pytest.mark.unit

MAY_I = "May I look what site would change?"
ASKS = "I am about to run site. It would change 3 files. Please confirm it on the page."


async def test_a_call_is_looked_at_after_one_yes_and_runs_after_another(harness: MakeHarness) -> None:
    tool = play()
    h = harness(PLAY, "Done.", tools=[tool])
    assert await h.ask("run the site playbook") == MAY_I
    assert tool.looks == []  # nothing before a yes
    assert h.waiting.step is Step.LOOK

    await h.approve()
    assert (await h.told(2))[-1] == ASKS
    assert tool.looks == [{"book": "site"}]
    assert tool.calls == []
    second = h.waiting
    assert (second.step, second.preview.detail) == (Step.RUN, "It would change 3 files.")
    assert second.words == "run the site playbook"
    assert h.store.saved == [second]  # it stands in the place of the first

    await h.approve()
    assert (await h.told(3))[-1] == "Done."
    assert [arguments for arguments, _ in tool.calls] == [{"book": "site"}]
    assert tool.calls[0][1].seen == "It would change 3 files."  # what the person was shown
    assert len(tool.looks) == 1
    assert h.audit.decisions() == [
        *[("look requested", "model"), ("look approved", "page"), ("looked", "page"), ("requested", "look")],
        *[("approved", "page"), ("executed", "page")],
    ]


async def test_the_page_is_told_which_step_a_card_is(harness: MakeHarness) -> None:
    h = harness(PLAY, "Done.", tools=[play(Risk.ACT)])
    await h.ask("run it")
    await h.approve()
    await h.told(2)
    first, second = h.sink.of(ApprovalRequested)
    assert (first.step, first.after, first.scope) == ("look", "", "")
    assert (second.step, second.after) == ("run", first.id)
    assert first.digest != second.digest
    assert [event.text for event in h.sink.of(ToolProgress)] == ["looking"]
    assert h.sink.of(ToolFinished)[-1].detail == "It would change 3 files."


async def test_both_steps_of_a_call_that_is_not_dangerous_can_be_answered_aloud(harness: MakeHarness) -> None:
    tool = play(Risk.ACT)
    h = harness(PLAY, "Done.", tools=[tool])
    assert await h.ask("run it", source="voice") == MAY_I
    assert await h.ask("yes", source="voice") == "I am about to run site. It would change 3 files. Shall I?"
    assert tool.calls == []
    assert await h.ask("yes", source="voice") == "Done."
    assert len(tool.calls) == 1


async def test_looking_at_what_is_dangerous_can_be_allowed_aloud_and_running_it_cannot(harness: MakeHarness) -> None:
    tool = play()
    h = harness(PLAY, "Done.", tools=[tool])
    await h.ask("run it")
    assert await h.ask("yes, do it") == ASKS
    assert await h.ask("yes") == ASKS
    assert (len(tool.looks), tool.calls) == (1, [])


async def test_a_look_of_which_the_sentence_leaves_something_out_needs_the_page(harness: MakeHarness) -> None:
    tool = play()
    tool.whole = False
    h = harness(PLAY, tools=[tool])
    asks = "I would like to look what site would change. Please confirm it on the page."
    assert await h.ask("run it") == asks
    assert await h.ask("yes") == asks
    assert tool.looks == []


async def test_a_no_to_looking_is_a_no(harness: MakeHarness) -> None:
    tool = play()
    h = harness(PLAY, "All right.", tools=[tool])
    await h.ask("run it")
    assert await h.ask("no") == "All right."
    assert (tool.looks, tool.calls, h.store.saved) == ([], [], [])
    assert "the answer was no" in h.last_prompt()[-1].content


async def test_a_no_to_what_was_found_is_a_no(harness: MakeHarness) -> None:
    tool = play()
    h = harness(PLAY, "All right.", tools=[tool])
    await h.ask("run it")
    await h.ask("yes")
    assert await h.ask("no") == "All right."
    assert (tool.calls, h.store.saved) == ([], [])


async def test_a_yes_to_looking_is_none_to_running(harness: MakeHarness) -> None:
    tool = play(Risk.ACT)
    h = harness(PLAY, tools=[tool])
    await h.ask("run it")
    first = h.waiting
    await h.approve()
    await h.told(2)
    second = h.waiting
    for request, digest in ((first, first.digest), (second, first.digest), (first, second.digest)):
        with pytest.raises(SettledError):  # the click that came twice, and every mix of the two
            await h.agent.decide(ApprovalAnswer(request.id, digest, "approve", by="page"))
    assert tool.calls == []


async def test_what_is_shown_is_what_the_yes_is_bound_to(harness: MakeHarness) -> None:
    tool = play()
    h = harness(PLAY, PLAY, tools=[tool])
    await h.ask("run it")
    await h.approve()
    await h.told(2)
    before = h.waiting
    await h.agent.clear("c")
    tool._finds = "It would change 4 files."
    await h.ask("run it")
    await h.approve()
    await h.told(4)
    assert h.waiting.arguments == before.arguments
    assert h.waiting.digest != before.digest


async def test_what_cannot_work_is_said_and_nobody_is_asked_about_it(harness: MakeHarness) -> None:
    tool = play()
    tool.look_error = ToolError("no host matches")
    h = harness(PLAY, "It cannot run.", tools=[tool])
    await h.ask("run it")
    assert await h.ask("yes") == "It cannot run."
    assert "no host matches" in h.last_prompt()[-1].content
    assert (tool.calls, h.gate.pending(), h.store.saved) == ([], [], [])
    await h.agent.aclose()
    assert (h.audit.lines[-1].decision, h.audit.lines[-1].ok) == ("looked", False)


async def test_a_look_that_fails_in_a_way_of_its_own_tells_no_secrets(harness: MakeHarness) -> None:
    tool = play()
    tool.look_error = RuntimeError("key=hunter2")
    h = harness(PLAY, "It failed.", tools=[tool])
    await h.ask("run it")
    await h.ask("yes")
    assert "the reason is in the log" in h.last_prompt()[-1].content
    assert "hunter2" not in h.last_prompt()[-1].content


async def test_a_tool_cannot_ask_to_look_again_and_again(harness: MakeHarness) -> None:
    class Endless(LookingScriptedTool):
        async def look(self, arguments: Mapping[str, Any], context: ToolContext) -> Preview:
            await super().look(arguments, context)
            return await self.preview(arguments, context)

    tool = Endless(
        "play.book", asks="Look at {book}.", sentence="Run {book}.", finds="", risk=Risk.ACT, parameters=strings("book")
    )
    h = harness(PLAY, "Done.", tools=[tool])
    await h.ask("run it")
    await h.ask("yes")
    assert h.waiting.step is Step.RUN
    await h.ask("yes")
    assert (len(tool.looks), len(tool.calls)) == (1, 1)


async def test_the_same_call_waits_once_whichever_step_it_is_at(harness: MakeHarness) -> None:
    tool = play()
    h = harness(PLAY, PLAY, PLAY, tools=[tool])
    assert await h.ask("run it") == await h.ask("run it, I said") == MAY_I
    await h.approve()
    await h.told(3)
    assert await h.ask("run it now") == ASKS
    assert (len(h.gate.pending()), len(tool.looks)) == (1, 1)


async def test_a_changed_call_is_looked_at_before_it_runs(harness: MakeHarness) -> None:
    tool = play()
    h = harness(PLAY, "Done.", tools=[tool])
    await h.ask("run it")
    await h.approve()
    await h.told(2)
    await h.approve(arguments={"book": "other"})  # on the card that shows what site would change
    assert (await h.told(3))[-1].startswith("I am about to run other.")
    assert tool.calls == []
    assert tool.looks == [{"book": "site"}, {"book": "other"}]
    await h.approve()
    await h.told(4)
    assert [arguments for arguments, _ in tool.calls] == [{"book": "other"}]


async def test_a_yes_to_looking_runs_no_call_that_needs_no_look(harness: MakeHarness) -> None:
    tool = play(Risk.ACT, scope="{book}")
    tool.known = {"other"}
    h = harness(PLAY, "Done.", tools=[tool])
    await h.ask("run it")
    first = h.waiting
    with pytest.raises(SettledError, match="nothing to look at; it waits for your answer"):
        await h.approve(arguments={"book": "other"})
    assert (tool.looks, tool.calls) == ([], [])
    assert (h.waiting.id, h.waiting.step, h.waiting.arguments) == (first.id, Step.ONLY, {"book": "other"})
    with pytest.raises(SettledError, match="another call"):
        await h.approve(digest=first.digest)
    await h.approve()
    await h.told(2)
    assert [arguments for arguments, _ in tool.calls] == [{"book": "other"}]


async def test_looking_cannot_be_allowed_for_the_session(harness: MakeHarness) -> None:
    tool = play(Risk.ACT, scope="{book}")
    h = harness(PLAY, "Done.", PLAY, tools=[tool])
    await h.ask("run it")
    with pytest.raises(UnfitDecisionError, match="once"):
        await h.approve(scope="session")
    await h.approve()
    await h.told(2)
    await h.approve(scope="session")
    await h.told(3)
    assert await h.ask("run it") == MAY_I  # what has to be looked at is asked for, whatever was allowed
    tool.known = {"site"}
    await h.agent.clear("c")
    h.model.script(PLAY, "Done.", PLAY, "Again.")
    assert (await h.ask("run it")).endswith("Shall I?")
    await h.approve(scope="session")
    await h.told(6)
    assert await h.ask("run it") == "Again."


async def test_what_needs_no_look_is_asked_once(harness: MakeHarness) -> None:
    tool = play(scope="{book}")
    tool.known = {"site"}
    h = harness(PLAY, "Done.", tools=[tool])
    assert await h.ask("run it") == "I am about to run site. Please confirm it on the page."
    assert h.waiting.step is Step.ONLY
    await h.approve()
    await h.told(2)
    assert (tool.looks, len(tool.calls)) == ([], 1)


async def test_each_step_waits_as_long_as_any(harness: MakeHarness) -> None:
    tool = play()
    h = harness(PLAY, "Too late.", tools=[tool])
    await h.ask("run it")
    h.clock.jump(LIFETIME_S - 1)
    await h.approve()
    await h.told(2)
    assert h.waiting.expires_at == h.clock() + LIFETIME_S
    h.clock.jump(LIFETIME_S)
    await h.gate.expire()
    assert (await h.told(3))[-1] == "Too late."
    assert tool.calls == []
    assert [event.decision for event in h.sink.of(ApprovalDecided)] == ["approved", "expired"]


async def test_an_interruption_stops_the_look(harness: MakeHarness) -> None:
    reached = asyncio.Event()

    class Slow(LookingScriptedTool):
        async def look(self, arguments: Mapping[str, Any], context: ToolContext) -> Preview:
            reached.set()
            await asyncio.Event().wait()
            raise AssertionError

    h = harness(PLAY, tools=[Slow("play.book", asks="Look.", sentence="Run.", finds="", risk=Risk.ACT,
                                  parameters=strings("book"))])  # fmt: skip
    await h.ask("run it")
    await h.approve()
    await reached.wait()
    await h.runner.interrupt("c")
    await h.agent.aclose()
    assert h.store.saved == []
    assert (h.audit.lines[-1].decision, h.audit.lines[-1].ok) == ("looked", False)


async def test_a_kill_during_a_look_is_told_and_nothing_runs(harness: MakeHarness) -> None:
    tool = play()
    h = harness(PLAY, "It was not done.", tools=[tool])
    await h.ask("run it")
    await h.gate.decide(ApprovalAnswer(h.waiting.id, h.waiting.digest, "approve", by="voice"))
    (request,) = h.store.saved
    await h.gate.begin(request.id)
    h.begin()
    await h.gate.open()
    assert (await h.told(2))[1] == "It was not done."
    await h.gate.aclose()
    assert "only looked at, so it was not done" in h.last_prompt()[-1].content
    assert (tool.looks, tool.calls, h.store.saved) == ([], [], [])


async def test_what_was_found_outlives_a_restart(harness: MakeHarness) -> None:
    tool = play(Risk.ACT)
    h = harness(PLAY, "Done.", tools=[tool])
    await h.ask("run it")
    await h.ask("yes")
    h.begin()
    await h.gate.open()
    await h.approve()
    assert (await h.told(3))[-1] == "Done."
    await h.gate.aclose()
    assert [context.seen for _, context in tool.calls] == ["It would change 3 files."]
    assert len(tool.looks) == 1


async def test_a_full_disk_after_the_look_asks_nobody(harness: MakeHarness) -> None:
    h: LampHarness

    class Filling(LookingScriptedTool):
        async def look(self, arguments: Mapping[str, Any], context: ToolContext) -> Preview:
            h.store.broken = True
            return await super().look(arguments, context)

    tool = Filling(
        "play.book", asks="Look at {book}.", sentence="Run {book}.", finds="", risk=Risk.ACT, parameters=strings("book")
    )
    h = harness(PLAY, "It cannot be kept.", tools=[tool])
    await h.ask("run it")
    assert await h.ask("yes") == "It cannot be kept."
    assert "cannot be kept" in h.last_prompt()[-1].content
    assert (tool.calls, h.gate.pending()) == ([], [])


async def test_the_model_sees_that_the_call_still_waits(harness: MakeHarness) -> None:
    h = harness(PLAY, "It is five.", tools=[play()])
    await h.ask("run it")
    await h.approve()
    await h.told(2)
    assert len(h.model.requests) == 1  # neither sentence is the model's
    assert await h.ask("what time is it") == "It is five."
    shown, said = h.last_prompt()[-3:-1]
    assert shown.content.startswith("[approved by page]\n")
    assert WAITING in shown.content
    assert said.content == ASKS


async def test_the_engine_need_not_be_there_for_a_look(harness: MakeHarness) -> None:
    h = harness(PLAY, tools=[play()], profile=COMPACT)
    await h.ask("run it")
    h.model.profile_now = ModelUnreachableError("gone")
    await h.approve()
    assert (await h.told(2))[-1] == ASKS


async def test_another_call_is_read_out_when_the_look_is_done(harness: MakeHarness) -> None:
    h = harness(PLAY, LAMP, "On.", tools=[play()])
    await h.ask("run it")
    await h.ask("lamp on")
    await h.approve()
    # The lamp waits longer than what was found just now.
    assert (await h.told(3))[-1].startswith("First I need your answer to this. I am about to switch the lamp on.")
    assert await h.ask("yes") == f"On.\n{ASKS}"


async def test_a_tool_that_has_nothing_to_look_with_does_not_run_instead(harness: MakeHarness) -> None:
    class Boasting(ScriptedTool):
        async def preview(self, arguments: Mapping[str, Any], context: ToolContext) -> Preview:
            return Preview(f"Look at {arguments['book']}.", look=True)

    tool = Boasting("play.book", risk=Risk.ACT, parameters=strings("book"))
    h = harness(PLAY, "It cannot.", tools=[tool])
    await h.ask("run it")
    assert await h.ask("yes") == "It cannot."
    assert "nothing to look at" in h.last_prompt()[-1].content
    assert tool.calls == []
    assert h.sink.of(AssistantMessage)[-1].text == "It cannot."
    assert ApprovalState.STARTED not in [request.state for request in h.store.saved]
