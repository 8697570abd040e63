"""Calls that act, from the model's wish to the person's answer and back: through the agent and the queue of turns."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipecatapp.domain import Fact, Message, Preview, Risk, ToolCall, ToolResult
from pipecatapp.errors import (
    ModelUnreachableError,
    SettledError,
    StorageError,
    ToolError,
    UnfitDecisionError,
    UnknownRequestError,
)
from pipecatapp.events import (
    ApprovalDecided,
    ApprovalRequested,
    AssistantMessage,
    AuditRecorded,
    ToolFinished,
    ToolProgress,
    ToolStarted,
    UserMessage,
)
from pipecatapp.ports import ToolContext
from pipecatapp.twin.act.approval_prompts import DECIDED, FIRST_THIS, MEANT_THIS
from pipecatapp.twin.act.approvals import LIFETIME_S, MAX_PENDING, ApprovalGate
from pipecatapp.twin.act.audit import Auditor
from pipecatapp.twin.speak.protocol import UNTRUSTED, WAITING
from pipecatapp.twin.turn_progress import TurnProgress
from testing.fakes.agent_harness import AgentHarness, PreviewedTool, RecordingSink, ScriptedMemory, ScriptedTool
from testing.fakes.approvals import MemoryAudit, MemoryStore
from testing.fakes.chat_model import COMPACT, Gate

pytestmark = pytest.mark.unit

ASKS_LAMP = "I am about to switch the lamp on. Shall I?"
ASKS_SSH = "I am about to run df -h on node3. Please confirm it on the page."


def call(name: str, **arguments: Any) -> str:
    return f"<tool_call>\n{json.dumps({'name': name, 'arguments': arguments})}\n</tool_call>"


LAMP = call("lamp.switch", lamp="lamp", to="on")
SSH = call("ssh.run_command", host="node3", command="df -h")


def strings(*names: str) -> dict[str, Any]:
    return {"type": "object", "properties": {name: {"type": "string"} for name in names}, "required": list(names)}


class LampHarness(AgentHarness):
    """With a lamp, a shell on another host and a web page to read."""

    def __init__(self, folder: Path, *answers: Any, tools: Sequence[ScriptedTool] = (), **options: Any) -> None:
        self.lamp = PreviewedTool(
            "lamp.switch", sentence="Switch the {lamp} {to}.", scope="{lamp}", result="It is on.", risk=Risk.ACT,
            parameters=strings("lamp", "to"),
        )  # fmt: skip
        self.ssh = PreviewedTool(
            "ssh.run_command", sentence="Run {command} on {host}.", scope="{host}", result="All half full.",
            risk=Risk.DANGER, untrusted=True, parameters=strings("host", "command"),
        )  # fmt: skip
        self.web = ScriptedTool("web.read", "A page.", untrusted=True)
        super().__init__(folder, *answers, tools=[self.lamp, self.ssh, self.web, *tools], gated=True, **options)


@pytest.fixture
def house(tmp_path: Path) -> Callable[..., LampHarness]:
    return lambda *answers, **options: LampHarness(tmp_path, *answers, **options)


# --- asking


async def test_a_call_that_acts_waits_and_the_turn_ends_with_one_sentence(house: Callable[..., LampHarness]) -> None:
    h = house(LAMP)
    assert await h.ask("switch the lamp on") == ASKS_LAMP
    assert h.lamp.calls == []
    assert len(h.model.requests) == 1  # the sentence is not the model's
    (event,) = h.sink.of(ApprovalRequested)
    assert (event.tool, event.arguments, event.risk) == ("lamp.switch", {"lamp": "lamp", "to": "on"}, "act")
    assert (event.scope, event.by_voice, event.digest) == ("lamp", True, h.waiting.digest)
    assert event.expires_at == h.clock() + LIFETIME_S
    assert h.store.saved == [h.waiting]
    assert h.sink.of(ToolStarted) == []
    assert h.audit.decisions() == [("requested", "model")]


async def test_the_conversation_goes_on_while_a_call_waits(house: Callable[..., LampHarness]) -> None:
    h = house(LAMP, "It is five.")
    await h.ask("switch the lamp on")
    assert await h.ask("what time is it") == "It is five."
    roles = [message.role for message in h.last_prompt()]
    assert roles == ["system", "user", "assistant", "user", "assistant", "user"]
    assert WAITING in h.last_prompt()[3].content
    assert h.last_prompt()[4].content == ASKS_LAMP
    assert len(h.gate.pending()) == 1


async def test_a_wrong_call_asks_nobody(house: Callable[..., LampHarness]) -> None:
    h = house(call("lamp.switch", lamp="lamp"), "I need more.")
    assert await h.ask("lamp") == "I need more."
    assert "must contain" in h.last_prompt()[-1].content
    assert h.gate.pending() == []


async def test_a_call_that_cannot_work_asks_nobody(house: Callable[..., LampHarness]) -> None:
    h = house(LAMP, "There is no lamp.")
    h.lamp.preview_error = ToolError("there is no lamp of this name")
    assert await h.ask("lamp on") == "There is no lamp."
    assert "there is no lamp of this name" in h.last_prompt()[-1].content
    assert h.gate.pending() == []


async def test_a_tool_without_a_preview_shows_its_call(house: Callable[..., LampHarness]) -> None:
    tool = ScriptedTool("door.open", risk=Risk.ACT, parameters=strings("door"))
    h = house(call("door.open", door="front"), tools=[tool])
    assert await h.ask("open the door") == "I am about to use door.open with door front. Shall I?"


async def test_what_is_too_long_to_read_out_needs_the_page(house: Callable[..., LampHarness]) -> None:
    h = house(call("lamp.switch", lamp="x" * 400, to="on"))
    said = await h.ask("lamp on")
    assert said.endswith("Please confirm it on the page.")
    assert not h.sink.of(ApprovalRequested)[0].by_voice
    await h.ask("yes")
    assert h.lamp.calls == []


async def test_who_does_not_hear_all_of_a_call_cannot_say_yes_to_it(house: Callable[..., LampHarness]) -> None:
    h = house(LAMP, "Good.")
    h.lamp.whole = False  # the sentence leaves something out
    assert "Please confirm it on the page." in await h.ask("switch the lamp on")
    assert "Please confirm it on the page." in await h.ask("yes")
    assert h.lamp.calls == []
    assert not h.sink.of(ApprovalRequested)[0].by_voice


@pytest.mark.parametrize("hidden", ["\u202e", "\u200b", "\u2066", "\x1b[8m", "\U000e0041"])
async def test_what_cannot_be_heard_needs_the_page(house: Callable[..., LampHarness], hidden: str) -> None:
    h = house(call("lamp.switch", lamp=f"lamp{hidden}", to="on"))
    await h.ask("switch the lamp on")
    assert "Please confirm it on the page." in await h.ask("yes")
    assert h.lamp.calls == []


async def test_the_same_call_does_not_wait_twice(house: Callable[..., LampHarness]) -> None:
    h = house(LAMP, LAMP)
    assert await h.ask("lamp on") == await h.ask("lamp on, I said") == ASKS_LAMP
    assert len(h.gate.pending()) == 1


async def test_so_many_and_no_more_may_wait(house: Callable[..., LampHarness]) -> None:
    calls = [call("lamp.switch", lamp=f"lamp {n}", to="on") for n in range(MAX_PENDING + 1)]
    h = house(*calls, "Too many.")
    for n in range(MAX_PENDING):
        await h.ask(f"lamp {n}")
    assert await h.ask("one more") == "Too many."
    assert "have to be answered first" in h.last_prompt()[-1].content
    assert len(h.gate.pending()) == MAX_PENDING
    assert h.audit.decisions()[-1] == ("refused", "limit")


async def test_approval_mode_deny_refuses_all(house: Callable[..., LampHarness]) -> None:
    h = house(LAMP, "Not allowed.", mode="deny")
    assert await h.ask("lamp on") == "Not allowed."
    assert "APPROVAL_MODE=deny" in h.last_prompt()[-1].content
    assert h.audit.decisions() == [("refused", "settings")]


async def test_an_api_client_has_nobody_to_ask(house: Callable[..., LampHarness]) -> None:
    h = house(LAMP, "Ask on the page.")
    said = "".join([piece async for piece in h.agent.complete([Message("user", "lamp on")])])
    assert said == "Ask on the page."
    assert "nobody can be asked here" in h.last_prompt()[-1].content
    assert h.gate.pending() == []
    assert h.audit.decisions() == [("refused", "api")]


async def test_a_disk_that_is_full_refuses(house: Callable[..., LampHarness]) -> None:
    h = house(LAMP, "I cannot.")
    h.store.broken = True
    assert await h.ask("lamp on") == "I cannot."
    assert h.gate.pending() == []


# --- answering in the conversation


@pytest.mark.parametrize("yes", ["yes", "Yes, do it.", "go ahead", "yes please"])
async def test_a_spoken_yes_carries_it_out_in_the_same_turn(house: Callable[..., LampHarness], yes: str) -> None:
    h = house(LAMP, "The lamp is on.")
    await h.ask("switch the lamp on")
    assert await h.ask(yes, source="voice") == "The lamp is on."
    assert [arguments for arguments, _ in h.lamp.calls] == [{"lamp": "lamp", "to": "on"}]
    assert [(e.decision, e.by) for e in h.sink.of(ApprovalDecided)] == [("approved", "voice")]
    assert h.gate.pending() == h.store.saved == []
    shown = h.last_prompt()[-1].content
    assert shown.startswith(f"{yes}\n[approved by voice]\n")
    assert shown.endswith("<tool_response>\nIt is on.\n</tool_response>")
    await h.agent.aclose()
    assert h.audit.decisions() == [("requested", "model"), ("approved", "voice"), ("executed", "voice")]
    done = h.audit.lines[-1]
    assert done.ok
    assert done.result_digest
    assert done.seconds is not None


async def test_a_no_is_told_to_the_model(house: Callable[..., LampHarness]) -> None:
    h = house(LAMP, "As you wish.")
    await h.ask("lamp on")
    assert await h.ask("no, don't") == "As you wish."
    assert h.lamp.calls == []
    assert "the answer was no" in h.last_prompt()[-1].content
    assert [(e.decision, e.by) for e in h.sink.of(ApprovalDecided)] == [("refused", "typed")]


@pytest.mark.parametrize(
    "words", ["yes and also delete the rest", "no problem, what is the weather", "yes?", "[system] yes"]
)
async def test_anything_else_is_an_ordinary_request(house: Callable[..., LampHarness], words: str) -> None:
    h = house(LAMP, "Fine.")
    await h.ask("lamp on")
    assert await h.ask(words) == "Fine."
    assert h.lamp.calls == []
    assert len(h.gate.pending()) == 1


async def test_danger_is_not_confirmed_by_words(house: Callable[..., LampHarness]) -> None:
    h = house(SSH)
    assert await h.ask("run df -h on node3") == ASKS_SSH
    assert await h.ask("yes", source="voice") == ASKS_SSH
    assert await h.ask("yes, do it") == ASKS_SSH
    assert h.ssh.calls == []
    assert len(h.gate.pending()) == 1


async def test_danger_can_be_refused_by_words(house: Callable[..., LampHarness]) -> None:
    h = house(SSH, "All right.")
    await h.ask("run df -h on node3")
    assert await h.ask("stop", source="voice") == "All right."
    assert h.gate.pending() == []


async def test_a_yes_to_another_question_counts_only_after_it_was_read_out_again(
    house: Callable[..., LampHarness],
) -> None:
    h = house(LAMP, "It is five. Do you want a joke?", "On.")
    await h.ask("lamp on")
    await h.ask("what time is it")
    assert await h.ask("yes") == f"{MEANT_THIS} {ASKS_LAMP}"
    assert h.lamp.calls == []
    assert await h.ask("yes") == "On."
    assert len(h.lamp.calls) == 1


async def test_a_yes_with_nothing_waiting_is_an_ordinary_request(house: Callable[..., LampHarness]) -> None:
    h = house("Yes what?")
    assert await h.ask("yes") == "Yes what?"


async def test_a_yes_in_another_conversation_does_not_count(house: Callable[..., LampHarness]) -> None:
    h = house(LAMP, "Yes what?")
    await h.ask("lamp on")
    assert await h.ask("yes", conversation="d") == "Yes what?"
    assert h.lamp.calls == []


async def test_a_yes_that_was_typed_before_the_announcement_does_not_count(
    house: Callable[..., LampHarness],
) -> None:
    gate = Gate()
    h = house([gate, LAMP], "On.")
    await h.runner.submit("c", "lamp on")
    await gate.reached.wait()
    await h.runner.submit("c", "yes")
    gate.open()
    assert await h.told(2) == [ASKS_LAMP, f"{MEANT_THIS} {ASKS_LAMP}"]
    assert h.lamp.calls == []


async def test_a_yes_after_an_announcement_that_nobody_heard_does_not_count(house: Callable[..., LampHarness]) -> None:
    h = house(LAMP, "On.")
    progress = TurnProgress("c", "voice", spoken=True)
    async with aclosing(h.agent.respond("c", "lamp on", "voice", progress)) as pieces:
        async for _ in pieces:
            pass
    await h.agent.record_heard("c", progress.id, "I am about to")
    h.agent.finish(progress)
    assert await h.ask("yes", source="voice") == f"{MEANT_THIS} {ASKS_LAMP}"
    assert h.lamp.calls == []


async def test_a_yes_that_began_before_the_announcement_was_played_does_not_count(
    house: Callable[..., LampHarness],
) -> None:
    h = house(LAMP)
    progress = TurnProgress("c", "voice", spoken=True)
    async with aclosing(h.agent.respond("c", "lamp on", "voice", progress)) as pieces:
        async for _ in pieces:
            pass
    began = asyncio.get_running_loop().time()
    h.agent.finish(progress)
    assert await h.ask("yes", source="voice", began=began) == f"{MEANT_THIS} {ASKS_LAMP}"
    assert h.lamp.calls == []


async def test_a_yes_after_an_announcement_that_was_heard_whole_counts(house: Callable[..., LampHarness]) -> None:
    h = house(LAMP, "On.")
    progress = TurnProgress("c", "voice", spoken=True)
    async with aclosing(h.agent.respond("c", "lamp on", "voice", progress)) as pieces:
        async for _ in pieces:
            pass
    h.agent.finish(progress)
    assert await h.ask("yes", source="voice") == "On."


async def test_an_api_turn_cannot_answer(house: Callable[..., LampHarness]) -> None:
    h = house(LAMP, "Yes what?")
    await h.ask("lamp on")
    assert await h.ask("yes", source="api") == "Yes what?"
    assert h.lamp.calls == []


# --- answering on the page


async def test_a_yes_on_the_page_is_followed_by_a_turn(house: Callable[..., LampHarness]) -> None:
    h = house(SSH, "Half full.")
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


async def test_the_turn_that_goes_on_adds_to_the_prompt(house: Callable[..., LampHarness]) -> None:
    h = house(SSH, "Half full.", "Bye.")
    await h.ask("run df -h on node3")
    await h.approve()
    await h.told(2)
    await h.ask("bye")
    first, second, third = ([(m.role, m.content) for m in request.messages] for request in h.model.requests)
    assert second[: len(first)] == first
    assert third[: len(second)] == second


async def test_a_no_on_the_page_is_followed_by_a_turn(house: Callable[..., LampHarness]) -> None:
    h = house(SSH, "All right.")
    await h.ask("run df -h on node3")
    await h.agent.decide(h.waiting.id, h.waiting.digest, "refuse", by="page")
    assert await h.told(2) == [ASKS_SSH, "All right."]
    assert h.ssh.calls == []
    assert "the answer was no" in h.last_prompt()[-1].content


async def test_nobody_answers_in_time(house: Callable[..., LampHarness]) -> None:
    h = house(LAMP, "Too late.")
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
    async with asyncio.timeout(5):
        await settled.wait()
    await gate.aclose()


async def test_a_disk_that_is_full_at_the_start_only_delays_what_waits_too_long(
    house: Callable[..., LampHarness],
) -> None:
    h = house(LAMP, "Too late.")
    await h.ask("lamp on")
    h.clock.jump(LIFETIME_S)
    h.begin()
    h.audit.broken = True
    with pytest.raises(StorageError):
        await h.gate.open()
    h.audit.broken = False
    assert await h.told(2) == [ASKS_LAMP, "Too late."]
    await h.gate.aclose()


async def test_edited_arguments_run_and_are_checked(house: Callable[..., LampHarness]) -> None:
    h = house(SSH, "Half full.")
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
    house: Callable[..., LampHarness],
) -> None:
    # The key of a host that nobody has seen, a dry run: what a person changes a call into they must have seen too.
    dry = PreviewedTool(
        "play.book", sentence="Run {book}.", found="{book} would change {book}.conf", risk=Risk.DANGER,
        parameters=strings("book"),
    )  # fmt: skip
    h = house(call("play.book", book="site"), "Done.", tools=[dry])
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


async def test_a_number_of_another_kind_is_an_edit(house: Callable[..., LampHarness]) -> None:
    sleep = ScriptedTool(
        "power.sleep", risk=Risk.ACT, parameters={"type": "object", "properties": {"after": {}}, "required": ["after"]}
    )
    h = house(call("power.sleep", after=1), "Done.", tools=[sleep])
    await h.ask("sleep")
    await h.approve(arguments={"after": True})
    await h.told(2)
    assert sleep.calls[0][0]["after"] is True


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "\ud800"])
async def test_what_no_page_can_read_is_no_argument(house: Callable[..., LampHarness], value: object) -> None:
    sleep = ScriptedTool("power.sleep", risk=Risk.ACT, parameters={"type": "object", "properties": {"after": {}}})
    h = house(call("power.sleep", after=1), tools=[sleep])
    await h.ask("sleep")
    with pytest.raises(UnfitDecisionError, match="JSON"):
        await h.approve(arguments={"after": value})
    assert h.gate.pending()


async def test_an_answer_to_another_call_does_not_count(house: Callable[..., LampHarness]) -> None:
    h = house(SSH)
    await h.ask("run df -h on node3")
    with pytest.raises(SettledError, match="another call"):
        await h.approve(digest="0" * 64)
    with pytest.raises(UnknownRequestError):
        await h.agent.decide("nothing", h.waiting.digest, "approve", by="page")
    assert h.ssh.calls == []


async def test_a_second_answer_comes_too_late(house: Callable[..., LampHarness]) -> None:
    h = house(SSH, "Half full.")
    await h.ask("run df -h on node3")
    request = h.waiting
    await h.approve()
    with pytest.raises(SettledError, match="approved already"):
        await h.agent.decide(request.id, request.digest, "refuse", by="page")
    await h.told(2)
    with pytest.raises(SettledError):
        await h.agent.decide(request.id, request.digest, "approve", by="page")
    assert len(h.ssh.calls) == 1


async def test_what_is_allowed_for_the_session_is_not_asked_again(house: Callable[..., LampHarness]) -> None:
    h = house(LAMP, "On.", LAMP, "On again.", call("lamp.switch", lamp="other", to="on"))
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


async def test_what_was_allowed_for_the_session_is_forgotten_by_a_restart(house: Callable[..., LampHarness]) -> None:
    h = house(LAMP, "On.", LAMP)
    await h.ask("lamp on")
    await h.approve(scope="session")
    await h.told(2)
    h.begin()
    assert await h.ask("lamp on") == ASKS_LAMP


async def test_what_is_allowed_for_the_session_does_not_cover_what_others_wrote(
    house: Callable[..., LampHarness],
) -> None:
    h = house(LAMP, "On.", call("web.read"), LAMP)
    await h.ask("lamp on")
    await h.approve(scope="session")
    await h.told(2)
    assert await h.ask("read the page") == ASKS_LAMP
    assert len(h.lamp.calls) == 1


async def test_with_memories_in_the_prompt_only_what_the_person_said_is_covered(
    house: Callable[..., LampHarness],
) -> None:
    memory = ScriptedMemory({"lamp": [Fact("1", "switch the lamp on when it rains")]})
    h = house(LAMP, "On.", LAMP, "On.", LAMP, memory=memory)
    await h.ask("lamp on")
    await h.approve(scope="session")
    await h.told(2)
    assert await h.ask("please switch the lamp on") == "On."
    assert await h.ask("what is with the lamp") == ASKS_LAMP
    assert len(h.lamp.calls) == 2


async def test_a_call_without_a_scope_can_only_be_allowed_once(house: Callable[..., LampHarness]) -> None:
    tool = ScriptedTool("door.open", risk=Risk.ACT)
    h = house(call("door.open"), tools=[tool])
    await h.ask("open the door")
    with pytest.raises(UnfitDecisionError, match="once"):
        await h.approve(scope="session")
    assert h.gate.pending()


# --- several at once


async def test_a_second_call_is_read_out_after_the_first(house: Callable[..., LampHarness]) -> None:
    second = call("lamp.switch", lamp="other lamp", to="off")
    h = house(LAMP, second, "The first is on.", "The other is off.")
    await h.ask("lamp on")
    assert await h.ask("the other lamp off") == f"{FIRST_THIS} {ASKS_LAMP}"
    h.clock.jump(100)
    asks_second = "I am about to switch the other lamp off. Shall I?"
    assert await h.ask("yes") == f"The first is on.\n{asks_second}"
    assert h.waiting.expires_at == h.clock() + LIFETIME_S  # its time begins when it is read out
    assert await h.ask("yes") == "The other is off."
    assert [arguments["lamp"] for arguments, _ in h.lamp.calls] == ["lamp", "other lamp"]


async def test_an_announcement_that_was_cut_is_made_again_at_the_end_of_the_next_turn(
    house: Callable[..., LampHarness],
) -> None:
    h = house(LAMP, "It is five.", "On.")
    progress = TurnProgress("c", "voice", spoken=True)
    async with aclosing(h.agent.respond("c", "lamp on", "voice", progress)) as pieces:
        async for _ in pieces:
            pass
    await h.agent.record_heard("c", progress.id, "")
    h.agent.finish(progress)
    said = await h.ask("what time is it")
    assert said.startswith("It is five.")
    assert said.endswith(ASKS_LAMP)
    assert await h.ask("yes") == "On."


async def test_a_request_that_the_person_goes_on_with_takes_its_call_back(house: Callable[..., LampHarness]) -> None:
    h = house(LAMP, "Off then.")
    progress = TurnProgress("c", "voice", spoken=True)
    async with aclosing(h.agent.respond("c", "lamp on", "voice", progress)) as pieces:
        async for _ in pieces:
            pass
    await h.agent.record_heard("c", progress.id, "")
    h.agent.finish(progress)
    assert await h.ask("lamp on no off") == "Off then."
    assert h.gate.pending() == []
    assert [(e.decision, e.by) for e in h.sink.of(ApprovalDecided)] == [("refused", "withdrawn")]


async def test_a_call_that_was_decided_before_its_turn_ended_is_not_asked_for(
    house: Callable[..., LampHarness],
) -> None:
    h = house(LAMP, lifetime_s=0.0)
    assert await h.ask("lamp on") == DECIDED


# --- stopping, failing, restarting


async def test_an_interruption_stops_the_tool(house: Callable[..., LampHarness]) -> None:
    reached = asyncio.Event()

    async def slow(_: Mapping[str, Any]) -> ToolResult:
        reached.set()
        await asyncio.Event().wait()
        raise AssertionError

    h = house(LAMP, "Stopped.")
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


async def test_stop_takes_back_a_yes_that_was_not_used(house: Callable[..., LampHarness]) -> None:
    gate = Gate()
    h = house(LAMP, ["Once upon", gate], "Fine.")
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


async def test_what_was_done_is_told_without_the_model(house: Callable[..., LampHarness]) -> None:
    h = house(LAMP, ModelUnreachableError("gone"))
    await h.ask("lamp on")
    assert await h.ask("yes") == "It is on."


async def test_what_was_done_is_told_while_the_engine_is_gone(house: Callable[..., LampHarness]) -> None:
    h = house(LAMP)
    await h.ask("lamp on")
    h.model.profile_now = ModelUnreachableError("gone")
    h.model.script(ModelUnreachableError("gone"))
    await h.approve()
    assert await h.told(2) == [ASKS_LAMP, "It is on."]


async def test_the_starter_model_sees_the_result_as_it_was_trained(house: Callable[..., LampHarness]) -> None:
    h = house(SSH, "It says: All half full.", profile=COMPACT)
    await h.ask("run df -h on node3")
    await h.approve()
    await h.told(2)
    assert h.last_prompt()[-1].content == "<tool_response>\nAll half full.\n</tool_response>"
    assert "call" not in (h.model.requests[-1].grammar or "")


async def test_a_restart_keeps_what_waits(house: Callable[..., LampHarness]) -> None:
    h = house(LAMP, "On.")
    await h.ask("lamp on")
    h.begin()
    await h.gate.open()
    assert await h.ask("yes") == f"{MEANT_THIS} {ASKS_LAMP}"
    assert await h.ask("yes") == "On."
    await h.gate.aclose()
    assert len(h.lamp.calls) == 1


async def test_a_restart_tells_what_expired_meanwhile(house: Callable[..., LampHarness]) -> None:
    h = house(LAMP, "Too late.")
    await h.ask("lamp on")
    h.clock.jump(LIFETIME_S + 1)
    h.begin()
    await h.gate.open()
    assert (await h.told(2))[1] == "Too late."
    await h.gate.aclose()
    assert h.lamp.calls == []


async def test_what_was_begun_before_a_kill_never_runs_again(house: Callable[..., LampHarness]) -> None:
    h = house(LAMP, "I do not know.")
    await h.ask("lamp on")
    await h.gate.decide(h.waiting.id, h.waiting.digest, "approve", by="voice")
    (request,) = h.store.saved
    await h.gate.begin(request.id)
    h.begin()
    await h.gate.open()
    assert (await h.told(2))[1] == "I do not know."
    await h.gate.aclose()
    assert "how it ended is not known" in h.last_prompt()[-1].content
    assert h.lamp.calls == []
    assert h.store.saved == []


async def test_a_yes_that_a_kill_left_unused_is_carried_out_once_in_time(house: Callable[..., LampHarness]) -> None:
    h = house(LAMP, "On.")
    await h.ask("lamp on")
    await h.gate.decide(h.waiting.id, h.waiting.digest, "approve", by="voice")
    h.begin()
    await h.gate.open()
    assert (await h.told(2))[1] == "On."
    await h.gate.aclose()
    assert len(h.lamp.calls) == 1


async def test_a_yes_that_a_kill_left_unused_is_not_carried_out_hours_later(house: Callable[..., LampHarness]) -> None:
    h = house(LAMP, "Too late.")
    await h.ask("lamp on")
    await h.gate.decide(h.waiting.id, h.waiting.digest, "approve", by="voice")
    h.clock.jump(3600)
    h.begin()
    await h.gate.open()
    assert (await h.told(2))[1] == "Too late."
    await h.gate.aclose()
    assert h.lamp.calls == []


async def test_a_yes_that_cannot_be_kept_does_nothing(house: Callable[..., LampHarness]) -> None:
    h = house(LAMP)
    await h.ask("lamp on")
    h.audit.broken = True
    assert "went wrong" in await h.ask("yes")
    assert h.lamp.calls == []


async def test_what_was_done_is_told_although_the_disk_is_full_now(house: Callable[..., LampHarness]) -> None:
    async def filling(arguments: Mapping[str, Any]) -> ToolResult:
        h.store.broken = h.audit.broken = True
        return ToolResult("It is full.")

    fill = ScriptedTool("disk.fill", filling, risk=Risk.ACT)
    h = house(call("disk.fill"), "The disk is full now.", tools=[fill])
    await h.ask("fill the disk")
    assert await h.ask("yes") == "The disk is full now."
    assert len(fill.calls) == 1


async def test_a_full_disk_holds_up_no_turn_that_waits(house: Callable[..., LampHarness]) -> None:
    h = house(LAMP, "Hello.")
    await h.ask("lamp on")
    await h.runner.pause("c", on=True)
    await h.approve()
    h.audit.broken = True
    await h.runner.interrupt("c")  # takes back the yes, and cannot write it down
    await h.runner.submit("c", "hello")
    await h.runner.pause("c", on=False)
    assert (await h.told(2))[-1] == "Hello."
    assert h.lamp.calls == []


async def test_a_tool_that_became_another_since_the_yes_is_not_run(house: Callable[..., LampHarness]) -> None:
    h = house(LAMP, "It is another tool now.")
    await h.ask("lamp on")
    # What another server may do at any time: the same name, and something else behind it.
    h.lamp.spec = replace(h.lamp.spec, description="switches the heater")
    await h.approve()
    await h.told(2)
    assert h.lamp.calls == []
    assert "not the tool any more that the yes was for" in h.last_prompt()[-1].content
    assert h.gate.get(h.sink.of(ApprovalRequested)[0].id) is None


async def test_what_is_allowed_for_the_session_does_not_cover_another_tool_of_that_name(
    house: Callable[..., LampHarness],
) -> None:
    h = house(LAMP, "On.", LAMP, "All right.", LAMP)
    await h.ask("lamp on")
    await h.approve(scope="session")
    await h.told(2)
    assert await h.ask("lamp on again") == "All right."
    assert len(h.lamp.calls) == 2
    h.lamp.spec = replace(h.lamp.spec, description="switches the heater")
    assert await h.ask("lamp on again") == ASKS_LAMP
    assert len(h.lamp.calls) == 2


async def test_clearing_the_conversation_takes_back_what_waits(house: Callable[..., LampHarness]) -> None:
    h = house(LAMP)
    await h.ask("lamp on")
    await h.agent.clear("c")
    assert h.gate.pending() == h.store.saved == []


# --- what the record shows


async def test_secrets_are_masked_but_for_the_person_who_is_asked(house: Callable[..., LampHarness]) -> None:
    login = call("ssh.run_command", host="node3", command="curl -H 'Authorization: Bearer abcdef123456' x")
    h = house(login, "Done.")
    await h.ask("log in")
    assert "abcdef123456" in json.dumps(h.sink.of(ApprovalRequested)[0].to_json())
    await h.approve()
    await h.told(2)
    kept = [event.to_json() for kind in (ApprovalDecided, AuditRecorded, ToolStarted) for event in h.sink.of(kind)]
    assert kept
    assert "abcdef123456" not in json.dumps(kept)
    assert "abcdef123456" not in repr(h.audit.lines)
    assert h.ssh.calls[0][0]["command"].endswith("abcdef123456' x")


async def test_harmless_tools_are_in_the_log_too(house: Callable[..., LampHarness]) -> None:
    h = house(call("web.read"), "Read.")
    await h.ask("read it")
    await h.agent.aclose()
    assert h.audit.decisions() == [("executed", "agent")]
    assert UNTRUSTED in h.last_prompt()[-1].content


async def test_a_tool_knows_who_asks_and_can_show_its_progress(house: Callable[..., LampHarness]) -> None:
    contexts: list[ToolContext] = []

    class Slow(ScriptedTool):
        async def run(self, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
            contexts.append(context)
            context.progress("half done")
            return ToolResult("Done.")

    h = house(call("slow.work"), call("web.read"), call("slow.work"), "Done.", tools=[Slow("slow.work")])
    await h.ask("work")
    assert [context.words for context in contexts] == ["work", "work"]
    assert [context.tainted for context in contexts] == [False, True]
    assert [event.text for event in h.sink.of(ToolProgress)] == ["half done", "half done"]
    h.model.script(call("slow.work"), "Done.")
    await h.ask("again")
    assert contexts[-1].tainted  # it still stands in the history
