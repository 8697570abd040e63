"""Answers from outside of the conversation: the turn that follows, edits, expiry, answers that do not count."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from pipecatapp.domain import ApprovalAnswer, Preview, Risk, ToolCall
from pipecatapp.errors import (
    SettledError,
    StorageError,
    UnfitDecisionError,
    UnknownRequestError,
)
from pipecatapp.events import (
    ApprovalDecided,
    ApprovalRequested,
    AssistantMessage,
    ToolStarted,
    UserMessage,
)
from pipecatapp.ports import ToolContext
from pipecatapp.twin.act.approval_prompts import MEANT_THIS
from pipecatapp.twin.act.approvals import LIFETIME_S, ApprovalGate
from pipecatapp.twin.act.audit import Auditor
from pipecatapp.twin.speak.protocol import UNTRUSTED
from testing.fakes.agent_harness import PreviewedTool, RecordingSink, ScriptedTool
from testing.fakes.approval_harness import ASKS_LAMP, ASKS_SSH, LAMP, SSH, MakeHarness, call, strings
from testing.fakes.approvals import MemoryAudit, MemoryStore

pytestmark = pytest.mark.unit


async def test_a_yes_on_the_page_is_followed_by_a_turn(harness: MakeHarness) -> None:
    h = harness(SSH, "Half full.")
    await h.ask("run df -h on node3")
    decided = await h.approve()
    assert decided.state == "approved"
    assert await h.told(2) == [ASKS_SSH, "Half full."]
    assert [arguments for arguments, _ in h.ssh.calls] == [{"host": "node3", "command": "df -h"}]
    assert len(h.sink.of(UserMessage)) == 1
    assert h.sink.of(ToolStarted)[0].turn == h.sink.of(AssistantMessage)[1].turn
    shown = h.last_prompt()[-1].content
    assert shown.startswith("[approved by page]\n")
    assert UNTRUSTED in shown
    assert h.store.saved == []


async def test_the_turn_that_goes_on_adds_to_the_prompt(harness: MakeHarness) -> None:
    h = harness(SSH, "Half full.", "Bye.")
    await h.ask("run df -h on node3")
    await h.approve()
    await h.told(2)
    await h.ask("bye")
    first, second, third = ([(m.role, m.content) for m in request.messages] for request in h.model.requests)
    assert second[: len(first)] == first
    assert third[: len(second)] == second


async def test_a_no_on_the_page_is_followed_by_a_turn(harness: MakeHarness) -> None:
    h = harness(SSH, "All right.")
    await h.ask("run df -h on node3")
    await h.agent.decide(ApprovalAnswer(h.waiting.id, h.waiting.digest, "refuse", by="page"))
    assert await h.told(2) == [ASKS_SSH, "All right."]
    assert h.ssh.calls == []
    assert "the answer was no" in h.last_prompt()[-1].content


async def test_nobody_answers_in_time(harness: MakeHarness) -> None:
    h = harness(LAMP, "Too late.")
    await h.ask("lamp on")
    h.clock.jump(LIFETIME_S)
    assert h.gate.pending() == []
    await h.gate.expire()
    assert await h.told(2) == [ASKS_LAMP, "Too late."]
    assert "nobody answered in time" in h.last_prompt()[-1].content
    assert [(e.decision, e.by) for e in h.sink.of(ApprovalDecided)] == [("expired", "timeout")]


async def test_the_gate_ends_by_itself_what_waits_too_long(tmp_path: Path) -> None:
    store, sink = MemoryStore(), RecordingSink()
    gate = ApprovalGate(store, Auditor(MemoryAudit(), sink), sink, lifetime_s=0.05)
    await gate.open()
    settled = asyncio.Event()
    gate.on_settled(lambda _: settled.set())
    spec = ScriptedTool("lamp.switch", risk=Risk.ACT).spec
    await gate.ask(ToolCall("1", "lamp.switch", {}), spec, Preview("Switch it."), ToolContext("c", "t"))
    async with asyncio.timeout(60):
        await settled.wait()
    await gate.aclose()


async def test_a_disk_that_is_full_at_the_start_only_delays_what_waits_too_long(
    harness: MakeHarness,
) -> None:
    h = harness(LAMP, "Too late.")
    await h.ask("lamp on")
    h.clock.jump(LIFETIME_S)
    h.begin()
    h.audit.broken = True
    with pytest.raises(StorageError):
        await h.gate.open()
    h.audit.broken = False
    assert await h.told(2) == [ASKS_LAMP, "Too late."]
    await h.gate.aclose()


async def test_edited_arguments_run_and_are_checked(harness: MakeHarness) -> None:
    h = harness(SSH, "Half full.")
    await h.ask("run df -h on node3")
    with pytest.raises(UnfitDecisionError, match="port"):
        await h.approve(arguments={"host": "node4", "command": "df", "port": 22})
    assert h.gate.pending()
    await h.approve(arguments={"host": "node4", "command": "df"})
    await h.told(2)
    assert [arguments for arguments, _ in h.ssh.calls] == [{"host": "node4", "command": "df"}]
    assert '"host": "node4"' in h.last_prompt()[-1].content
    asked, approved, executed = h.audit.lines
    assert asked.digest != approved.digest == executed.digest


async def test_an_edit_that_looking_finds_something_new_about_is_shown_before_it_runs(
    harness: MakeHarness,
) -> None:
    # The key of a host that nobody has seen, a dry run: what a person changes a call into they must have seen too.
    dry = PreviewedTool(
        "play.book", sentence="Run {book}.", found="{book} would change {book}.conf", risk=Risk.DANGER,
        parameters=strings("book"),
    )  # fmt: skip
    h = harness(call("play.book", book="site"), "Done.", tools=[dry])
    await h.ask("run the site playbook")
    first = h.waiting
    with pytest.raises(SettledError, match="something to see first"):
        await h.approve(arguments={"book": "other"})
    assert dry.calls == []
    with pytest.raises(SettledError, match="another call"):  # a yes to what was shown before
        await h.approve(digest=first.digest)
    shown = h.sink.of(ApprovalRequested)[-1]
    assert (shown.id, shown.sentence, shown.arguments) == (first.id, "Run other.", {"book": "other"})
    assert shown.digest == h.waiting.digest != first.digest
    await h.approve(arguments={"book": "other"})
    await h.told(2)
    assert [arguments for arguments, _ in dry.calls] == [{"book": "other"}]
    assert [decision for decision, _ in h.audit.decisions()] == ["requested", "edited", "approved", "executed"]


async def test_a_yes_aloud_to_what_was_announced_is_none_to_what_was_made_of_it_on_the_page(
    harness: MakeHarness,
) -> None:
    dry = PreviewedTool(
        "play.book", sentence="Run {book}.", found="{book}.conf", risk=Risk.ACT, parameters=strings("book"),
    )  # fmt: skip
    h = harness(call("play.book", book="site"), "Done.", tools=[dry])
    assert await h.ask("run the site playbook") == "I am about to run site. Shall I?"
    with pytest.raises(SettledError, match="something to see first"):
        await h.approve(arguments={"book": "other"})
    assert await h.ask("yes", source="voice") == f"{MEANT_THIS} I am about to run other. Shall I?"
    assert dry.calls == []
    assert await h.ask("yes", source="voice") == "Done."
    assert [arguments for arguments, _ in dry.calls] == [{"book": "other"}]


async def test_a_number_of_another_kind_is_an_edit(harness: MakeHarness) -> None:
    sleep = ScriptedTool(
        "power.sleep", risk=Risk.ACT, parameters={"type": "object", "properties": {"after": {}}, "required": ["after"]}
    )
    h = harness(call("power.sleep", after=1), "Done.", tools=[sleep])
    await h.ask("sleep")
    await h.approve(arguments={"after": True})
    await h.told(2)
    assert sleep.calls[0][0]["after"] is True


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "\ud800"])
async def test_what_no_page_can_read_is_no_argument(harness: MakeHarness, value: object) -> None:
    sleep = ScriptedTool("power.sleep", risk=Risk.ACT, parameters={"type": "object", "properties": {"after": {}}})
    h = harness(call("power.sleep", after=1), tools=[sleep])
    await h.ask("sleep")
    with pytest.raises(UnfitDecisionError, match="JSON"):
        await h.approve(arguments={"after": value})
    assert h.gate.pending()


async def test_an_answer_to_another_call_does_not_count(harness: MakeHarness) -> None:
    h = harness(SSH)
    await h.ask("run df -h on node3")
    with pytest.raises(SettledError, match="another call"):
        await h.approve(digest="0" * 64)
    with pytest.raises(UnknownRequestError):
        await h.agent.decide(ApprovalAnswer("nothing", h.waiting.digest, "approve", by="page"))
    assert h.ssh.calls == []


async def test_a_second_answer_comes_too_late(harness: MakeHarness) -> None:
    h = harness(SSH, "Half full.")
    await h.ask("run df -h on node3")
    request = h.waiting
    await h.approve()
    with pytest.raises(SettledError, match="approved already"):
        await h.agent.decide(ApprovalAnswer(request.id, request.digest, "refuse", by="page"))
    await h.told(2)
    with pytest.raises(SettledError):
        await h.agent.decide(ApprovalAnswer(request.id, request.digest, "approve", by="page"))
    assert len(h.ssh.calls) == 1
