"""Calls that act are asked for: what the turn says, what waits, and what asks nobody."""

from __future__ import annotations

from contextlib import aclosing

import pytest

from pipecatapp.domain import Message, Risk
from pipecatapp.errors import (
    ToolError,
)
from pipecatapp.events import (
    ApprovalDecided,
    ApprovalRequested,
    ToolStarted,
)
from pipecatapp.twin.act.approval_prompts import DECIDED, FIRST_THIS
from pipecatapp.twin.act.approvals import LIFETIME_S, MAX_PENDING
from pipecatapp.twin.speak.protocol import WAITING
from pipecatapp.twin.turn_progress import TurnProgress
from testing.fakes.agent_harness import ScriptedTool
from testing.fakes.approval_harness import ASKS_LAMP, LAMP, MakeHarness, call, strings

pytestmark = pytest.mark.unit


async def test_a_call_that_acts_waits_and_the_turn_ends_with_one_sentence(harness: MakeHarness) -> None:
    h = harness(LAMP)
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


async def test_the_conversation_goes_on_while_a_call_waits(harness: MakeHarness) -> None:
    h = harness(LAMP, "It is five.")
    await h.ask("switch the lamp on")
    assert await h.ask("what time is it") == "It is five."
    roles = [message.role for message in h.last_prompt()]
    assert roles == ["system", "user", "assistant", "user", "assistant", "user"]
    assert WAITING in h.last_prompt()[3].content
    assert h.last_prompt()[4].content == ASKS_LAMP
    assert len(h.gate.pending()) == 1


async def test_a_wrong_call_asks_nobody(harness: MakeHarness) -> None:
    h = harness(call("lamp.switch", lamp="lamp"), "I need more.")
    assert await h.ask("lamp") == "I need more."
    assert "must contain" in h.last_prompt()[-1].content
    assert h.gate.pending() == []


async def test_a_call_that_cannot_work_asks_nobody(harness: MakeHarness) -> None:
    h = harness(LAMP, "There is no lamp.")
    h.lamp.preview_error = ToolError("there is no lamp of this name")
    assert await h.ask("lamp on") == "There is no lamp."
    assert "there is no lamp of this name" in h.last_prompt()[-1].content
    assert h.gate.pending() == []


async def test_a_tool_without_a_preview_shows_its_call(harness: MakeHarness) -> None:
    tool = ScriptedTool("door.open", risk=Risk.ACT, parameters=strings("door"))
    h = harness(call("door.open", door="front"), tools=[tool])
    assert await h.ask("open the door") == "I am about to use door.open with door front. Shall I?"


async def test_what_is_too_long_to_read_out_needs_the_page(harness: MakeHarness) -> None:
    h = harness(call("lamp.switch", lamp="x" * 400, to="on"))
    said = await h.ask("lamp on")
    assert said.endswith("Please confirm it on the page.")
    assert not h.sink.of(ApprovalRequested)[0].by_voice
    await h.ask("yes")
    assert h.lamp.calls == []


async def test_who_does_not_hear_all_of_a_call_cannot_say_yes_to_it(harness: MakeHarness) -> None:
    h = harness(LAMP, "Good.")
    h.lamp.whole = False  # the sentence leaves something out
    assert "Please confirm it on the page." in await h.ask("switch the lamp on")
    assert "Please confirm it on the page." in await h.ask("yes")
    assert h.lamp.calls == []
    assert not h.sink.of(ApprovalRequested)[0].by_voice


@pytest.mark.parametrize("hidden", ["\u202e", "\u200b", "\u2066", "\x1b[8m", "\U000e0041"])
async def test_what_cannot_be_heard_needs_the_page(harness: MakeHarness, hidden: str) -> None:
    h = harness(call("lamp.switch", lamp=f"lamp{hidden}", to="on"))
    await h.ask("switch the lamp on")
    assert "Please confirm it on the page." in await h.ask("yes")
    assert h.lamp.calls == []


@pytest.mark.parametrize(
    "value",
    [
        *(
            "backup/*",
            "*",
            "a_b",
            "-rf x",
            "x -f",
            "a--b",
            "~",
            "a  b",
            "a\nb",
            "(a)",
            "a;b",
            "a|b",
            "a&b",
            "$HOME",
            "a=b",
            "a+b",
        ),
        *(
            "!x",
            "a?",
            "a:b",
            "[a]",
            "<a>",
            '"a"',
            "#1",
            "a%20b",
            "a@b",
            "a`b",
            "a\\b",
            "a^b",
            "x.",
            ".x",
            "a..b",
            ", x",
        ),
        *(
            "b\u0430nk",
            "caf\u00e9",
            "\u2215etc",
            "\uff0f",
            "1\u20442",
            "\u00bd",
            "\u2014f",
            "x\u0301",
            "\u00a0x",
            "'",
            "x '",
            "tim's lamp",
            "node-3.lan",
            "prima-api-coding",
        ),
    ],
)
async def test_what_a_voice_does_not_say_needs_the_page(harness: MakeHarness, value: str) -> None:
    h = harness(call("lamp.switch", lamp=value, to="on"))
    assert "Please confirm it on the page." in await h.ask("switch it on")
    assert not h.sink.of(ApprovalRequested)[0].by_voice
    assert "Please confirm it on the page." in await h.ask("yes")
    assert h.lamp.calls == []


@pytest.mark.parametrize("value", ["lamp 2", "node3.lan", "/srv/backup", "10.0.0.7", "12:30", "a, b"])
async def test_what_a_voice_says_needs_no_page(harness: MakeHarness, value: str) -> None:
    h = harness(call("lamp.switch", lamp=value, to="on"), "Done.")
    assert (await h.ask("switch it on")).endswith("Shall I?")
    assert await h.ask("yes") == "Done."
    assert [arguments for arguments, _ in h.lamp.calls] == [{"lamp": value, "to": "on"}]


async def test_the_same_call_does_not_wait_twice(harness: MakeHarness) -> None:
    h = harness(LAMP, LAMP)
    assert await h.ask("lamp on") == await h.ask("lamp on, I said") == ASKS_LAMP
    assert len(h.gate.pending()) == 1


async def test_so_many_and_no_more_may_wait(harness: MakeHarness) -> None:
    calls = [call("lamp.switch", lamp=f"lamp {n}", to="on") for n in range(MAX_PENDING + 1)]
    h = harness(*calls, "Too many.")
    for n in range(MAX_PENDING):
        await h.ask(f"lamp {n}")
    assert await h.ask("one more") == "Too many."
    assert "have to be answered first" in h.last_prompt()[-1].content
    assert len(h.gate.pending()) == MAX_PENDING
    assert h.audit.decisions()[-1] == ("refused", "limit")


async def test_approval_mode_deny_refuses_all(harness: MakeHarness) -> None:
    h = harness(LAMP, "Not allowed.", mode="deny")
    assert await h.ask("lamp on") == "Not allowed."
    assert "APPROVAL_MODE=deny" in h.last_prompt()[-1].content
    assert h.audit.decisions() == [("refused", "settings")]


async def test_an_api_client_has_nobody_to_ask(harness: MakeHarness) -> None:
    h = harness(LAMP, "Ask on the page.")
    said = "".join([piece async for piece in h.agent.complete([Message("user", "lamp on")])])
    assert said == "Ask on the page."
    assert "nobody can be asked here" in h.last_prompt()[-1].content
    assert h.gate.pending() == []
    assert h.audit.decisions() == [("refused", "api")]


async def test_a_disk_that_is_full_refuses(harness: MakeHarness) -> None:
    h = harness(LAMP, "I cannot.")
    h.store.broken = True
    assert await h.ask("lamp on") == "I cannot."
    assert h.gate.pending() == []


async def test_a_second_call_is_read_out_after_the_first(harness: MakeHarness) -> None:
    second = call("lamp.switch", lamp="other lamp", to="off")
    h = harness(LAMP, second, "The first is on.", "The other is off.")
    await h.ask("lamp on")
    assert await h.ask("the other lamp off") == f"{FIRST_THIS} {ASKS_LAMP}"
    h.clock.jump(100)
    asks_second = "I am about to switch the other lamp off. Shall I?"
    assert await h.ask("yes") == f"The first is on.\n{asks_second}"
    assert h.waiting.expires_at == h.clock() + LIFETIME_S  # its time begins when it is read out
    assert await h.ask("yes") == "The other is off."
    assert [arguments["lamp"] for arguments, _ in h.lamp.calls] == ["lamp", "other lamp"]


async def test_an_announcement_that_was_cut_is_made_again_at_the_end_of_the_next_turn(
    harness: MakeHarness,
) -> None:
    h = harness(LAMP, "It is five.", "On.")
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


async def test_a_request_that_the_person_goes_on_with_takes_its_call_back(harness: MakeHarness) -> None:
    h = harness(LAMP, "Off then.")
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
    harness: MakeHarness,
) -> None:
    h = harness(LAMP, lifetime_s=0.0)
    assert await h.ask("lamp on") == DECIDED
