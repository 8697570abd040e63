"""Turns that the reflex decides: the tool's own words, one question, or the reason; the model is not asked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from pipecatapp.domain import Risk, ToolResult
from pipecatapp.errors import ModelNotReadyError
from pipecatapp.events import ApprovalRequested
from pipecatapp.intents import Guess, Intent, OpenQuestion, Part
from testing.fakes.agent_harness import AgentHarness, PreviewedTool, ScriptedTool
from testing.fakes.experts import ScriptedDirectory
from testing.fakes.reflex import ScriptedReflex

pytestmark = pytest.mark.unit

TIMER = {
    "type": "object",
    "properties": {"duration": {"type": "string"}, "label": {"type": "string"}},
    "required": ["duration"],
}
COMMAND = {"type": "object", "properties": {"command": {"type": "string"}}, "required": ["command"]}
IDLE = {
    "type": "object",
    "properties": {"service": {"type": "string"}, "seconds": {"type": "integer"}},
    "required": ["service", "seconds"],
}


def sure(tool: str, **arguments: str) -> Intent:
    return Intent("tool", 0.99, (Guess(tool, arguments),))


async def test_a_sure_tool_is_used_and_its_receipt_said_as_it_is(house: Callable[..., AgentHarness]) -> None:
    timer = ScriptedTool("timer.set", "Ten minutes, from now.", parameters=TIMER)
    h = house(tools=[timer], reflex=ScriptedReflex(sure("timer.set", duration="ten minutes")))
    assert await h.ask("set a timer for ten minutes") == "Ten minutes, from now."
    assert timer.calls[0][0] == {"duration": "ten minutes"}
    assert timer.calls[0][1].words == "set a timer for ten minutes"
    assert h.model.requests == []


async def test_a_sure_tool_works_while_the_model_sleeps(house: Callable[..., AgentHarness]) -> None:
    clock = ScriptedTool("clock.now", "It is five.")
    h = house(tools=[clock], profile=ModelNotReadyError("loading"), reflex=ScriptedReflex(sure("clock.now")))
    assert await h.ask("what time is it") == "It is five."


async def test_the_next_turn_reads_in_the_history_what_was_done(house: Callable[..., AgentHarness]) -> None:
    h = house(
        "You asked for the time.",
        tools=[ScriptedTool("clock.now", "It is five.")],
        reflex=ScriptedReflex(sure("clock.now")),
    )
    await h.ask("what time is it")
    await h.ask("what did I ask")
    roles = [(m.role, m.content) for m in h.model.requests[0].messages]
    assert ("assistant", "It is five.") in roles


async def test_a_long_result_is_retold_by_the_model(house: Callable[..., AgentHarness]) -> None:
    page = ScriptedTool("web_browser.get_page_content", "word " * 200)
    h = house("It is about words.", tools=[page], reflex=ScriptedReflex(sure("web_browser.get_page_content")))
    assert await h.ask("read the page") == "It is about words."


async def test_a_number_arrives_as_one(house: Callable[..., AgentHarness]) -> None:
    power = ScriptedTool("power.set_idle_threshold", "Set.", parameters=IDLE)
    h = house(tools=[power], reflex=ScriptedReflex(sure("power.set_idle_threshold", service="jellyfin", seconds="600")))
    await h.ask("put jellyfin to sleep after ten minutes")
    assert power.calls[0][0] == {"service": "jellyfin", "seconds": 600}


async def test_what_acts_waits_for_its_yes_as_ever(house: Callable[..., AgentHarness]) -> None:
    tool = ScriptedTool("ssh.run_command", "up 3 days", risk=Risk.ACT)
    h = house(tools=[tool], gated=True, reflex=ScriptedReflex(sure("ssh.run_command")))
    said = await h.ask("run uptime on attic")
    assert "confirm it on the page" in said
    assert not tool.calls
    assert h.sink.of(ApprovalRequested)


async def test_what_is_missing_is_asked_for_once_and_the_question_stays_open_for_one_turn(
    house: Callable[..., AgentHarness],
) -> None:
    timer = ScriptedTool("timer.set", "Ten minutes, from now.", parameters=TIMER)
    asks = Intent("tool", 0.95, (Guess("timer.set", {"label": "pasta"}),), missing=("duration",))
    reflex = ScriptedReflex(asks, sure("timer.set", label="pasta", duration="ten minutes"))
    h = house("Hello.", tools=[timer], reflex=reflex)
    assert await h.ask("set a timer for the pasta") == "For how long?"
    assert await h.ask("ten minutes") == "Ten minutes, from now."
    await h.ask("hello")
    assert [dialogue.asked for dialogue in reflex.shown] == [
        None,
        OpenQuestion((Guess("timer.set", {"label": "pasta"}),), ("duration",)),
        None,
    ]
    assert reflex.shown[2].done == [Guess("timer.set", {"label": "pasta", "duration": "ten minutes"})]


async def test_who_is_unsure_asks_the_person_and_not_the_model(house: Callable[..., AgentHarness]) -> None:
    unsure = Intent("unsure", 0.6, (Guess("timer.list"), Guess("reminder.list")))
    h = house(tools=[ScriptedTool("timer.list"), ScriptedTool("reminder.list")], reflex=ScriptedReflex(unsure))
    assert await h.ask("what is on") == "Do you mean the timers or the reminders?"
    assert h.model.requests == []


async def test_a_tool_that_is_off_says_why(house: Callable[..., AgentHarness]) -> None:
    cannot = Intent("cannot", 0.9, wants="vision.get_observation")
    h = house(off={"vision.get_observation": "no camera is set up"}, reflex=ScriptedReflex(cannot))
    assert await h.ask("what do you see") == "I cannot look through the camera: no camera is set up."


async def test_a_hand_that_is_not_there_is_said_to_be_missing(house: Callable[..., AgentHarness]) -> None:
    h = house(reflex=ScriptedReflex(Intent("cannot", 0.9, wants="lights")))
    assert await h.ask("turn on the lights") == "I cannot switch lights: none are connected here."


async def test_what_was_asked_can_be_dropped(house: Callable[..., AgentHarness]) -> None:
    h = house(reflex=ScriptedReflex(Intent("dropped", 1.0)))
    assert await h.ask("never mind") == "All right."


@pytest.mark.parametrize("kind", ["mind", "talk", "expert"])
async def test_the_rest_is_answered_in_words_as_before(house: Callable[..., AgentHarness], kind: str) -> None:
    h = house("Bees dance.", reflex=ScriptedReflex(Intent(kind)))  # type: ignore[arg-type]
    assert await h.ask("why do bees dance") == "Bees dance."


async def test_who_chose_an_expert_by_hand_is_not_interrupted(house: Callable[..., AgentHarness]) -> None:
    reflex = ScriptedReflex(sure("clock.now"))
    h = house(tools=[ScriptedTool("clock.now")], experts=ScriptedDirectory("Noon."), reflex=reflex)
    h.agent.choose("c", "coding")
    assert await h.ask("what time is it") == "Noon."
    assert reflex.shown == []


async def test_what_fails_is_told_by_us(house: Callable[..., AgentHarness]) -> None:
    broken = ScriptedTool("timer.set", ToolResult("error: the disk is full", ok=False), parameters=TIMER)
    h = house(tools=[broken], reflex=ScriptedReflex(sure("timer.set", duration="5 min")))
    assert await h.ask("timer 5 min") == "That did not work: the disk is full"


async def test_the_tool_itself_may_ask_and_the_next_words_are_its_own(house: Callable[..., AgentHarness]) -> None:
    optional = {"type": "object", "properties": {"when": {"type": "string"}, "what": {"type": "string"}}}
    tool = ScriptedTool("reminder.set", ToolResult("When?", missing="when"), parameters=optional)
    first = Intent("tool", 0.95, (Guess("reminder.set", {"what": "call mum"}),), missing=("when",))
    second = Intent("tool", 1.0, (Guess("reminder.set", {"what": "call mum", "when": "at five"}),), continues=True)
    reflex = ScriptedReflex(first, second)
    h = house(tools=[tool], reflex=reflex)
    assert await h.ask("remind me to call mum") == "When?"
    await h.ask("at five")
    assert reflex.shown[1].asked == OpenQuestion((Guess("reminder.set", {"what": "call mum"}),), ("when",))
    assert [context.words for _, context in tool.calls] == ["remind me to call mum", "remind me to call mum at five"]


async def test_a_real_mind_is_not_told_of_the_tools_that_are_decided_before_it(
    house: Callable[..., AgentHarness],
) -> None:
    reflex = ScriptedReflex()
    reflex.tools = frozenset({"clock.now"})
    h = house("Hello.", "Hello.", tools=[ScriptedTool("clock.now"), ScriptedTool("nodes.heal")], reflex=reflex)
    await h.ask("hello")
    front = h.model.requests[0].messages[0].content
    assert "clock.now" not in front
    assert "nodes.heal" in front


async def test_a_change_is_never_made_a_second_time_to_put_it_right(house: Callable[..., AgentHarness]) -> None:
    tool = ScriptedTool("alarm.set", "For Wednesday.", risk=Risk.OWN)
    amends = Intent("tool", 1.0, (Guess("alarm.set", {"when": "Thursday"}),), amends=True, continues=True)
    h = house(tools=[tool], reflex=ScriptedReflex(amends))
    assert "undo" in await h.ask("no, Thursday")
    assert tool.calls == []


def both(*parts: Intent, whole: Intent | None = None) -> Intent:
    """A request that joins several wishes; ``whole`` is what it would want as one."""
    return replace(whole or Intent("mind"), parts=[Part(f"part {at}", part) for at, part in enumerate(parts)])


async def test_two_wishes_are_both_done_and_both_told(house: Callable[..., AgentHarness]) -> None:
    timer = ScriptedTool("timer.set", "Your timer is set.", parameters=TIMER)
    clock = ScriptedTool("clock.now", "It is five.")
    h = house("You asked twice.", tools=[timer, clock],
              reflex=ScriptedReflex(both(sure("timer.set", duration="ten minutes"), sure("clock.now"))))  # fmt: skip
    said = await h.ask("set a timer for ten minutes and tell me the time")
    assert said == "Your timer is set.\nIt is five."
    assert [context.words for _, context in timer.calls] == ["set a timer for ten minutes and tell me the time"]
    await h.ask("what did I ask")
    (_, *talk) = [(message.role, message.content) for message in h.model.requests[0].messages]
    roles = [role for role, _ in talk]
    assert roles == ["user", "assistant"] * (len(roles) // 2) + ["user"]
    assert any("Your timer is set." in text for role, text in talk if role == "assistant")
    assert ("assistant", "It is five.") in talk


async def test_what_becomes_of_one_does_not_keep_the_other(house: Callable[..., AgentHarness]) -> None:
    broken = ScriptedTool("timer.set", ToolResult("error: the disk is full", ok=False), parameters=TIMER)
    h = house(tools=[broken, ScriptedTool("clock.now", "It is five.")],
              reflex=ScriptedReflex(both(sure("timer.set", duration="5 min"), sure("clock.now"))))  # fmt: skip
    assert await h.ask("timer 5 min and the time") == "That did not work: the disk is full\nIt is five."


async def test_each_of_two_that_act_waits_for_a_yes_of_its_own(house: Callable[..., AgentHarness]) -> None:
    ssh = PreviewedTool("ssh.run_command", sentence="Run {command}.", result="up 3 days", risk=Risk.ACT,
                        parameters=COMMAND)  # fmt: skip
    h = house("Up for 3 days.", "Done.", tools=[ssh, ScriptedTool("clock.now", "It is five.")], gated=True,
              reflex=ScriptedReflex(both(sure("ssh.run_command", command="uptime"), sure("clock.now"),
                                         sure("ssh.run_command", command="df"))))  # fmt: skip
    said = await h.ask("run uptime and tell me the time and run df")
    assert said == "It is five.\nI am about to run uptime. Shall I?"
    assert [request.arguments for request in h.gate.pending()] == [{"command": "uptime"}, {"command": "df"}]
    assert ssh.calls == []
    said = await h.ask("yes")
    assert said.startswith("Up for 3 days.")
    assert said.endswith("I am about to run df. Shall I?")
    assert [arguments for arguments, _ in ssh.calls] == [{"command": "uptime"}]
    await h.ask("no")
    assert [arguments for arguments, _ in ssh.calls] == [{"command": "uptime"}]
    assert h.gate.pending() == []


async def test_what_is_missing_of_one_is_asked_behind_the_other(house: Callable[..., AgentHarness]) -> None:
    timer = ScriptedTool("timer.set", "Your timer is set.", parameters=TIMER)
    clock = ScriptedTool("clock.now", "It is five.")
    lacking = Intent("tool", 0.95, (Guess("timer.set", {"label": "pasta"}),), missing=("duration",))
    reflex = ScriptedReflex(both(lacking, sure("clock.now")), sure("timer.set", label="pasta", duration="5 min"))
    h = house(tools=[timer, clock], reflex=reflex)
    assert await h.ask("a timer for the pasta and tell me the time") == "It is five.\nFor how long?"
    await h.ask("five minutes")
    assert reflex.shown[1].asked == OpenQuestion((Guess("timer.set", {"label": "pasta"}),), ("duration",))


async def test_what_a_tool_asks_is_said_last_and_stays_open(house: Callable[..., AgentHarness]) -> None:
    cancel = ScriptedTool("timer.cancel", ToolResult("Which timer?", missing="label"))
    reflex = ScriptedReflex(both(sure("timer.cancel"), sure("clock.now")))
    h = house(tools=[cancel, ScriptedTool("clock.now", "It is five.")], reflex=reflex)
    assert await h.ask("cancel the timer and tell me the time") == "It is five.\nWhich timer?"
    await h.ask("the first")
    assert reflex.shown[1].asked == OpenQuestion((Guess("timer.cancel"),), ("label",))


async def test_what_cannot_be_done_is_told_beside_what_is(house: Callable[..., AgentHarness]) -> None:
    lights = Intent("cannot", 0.9, wants="lights")
    h = house(tools=[ScriptedTool("clock.now", "It is five.")], reflex=ScriptedReflex(both(lights, sure("clock.now"))))
    said = await h.ask("lights off and tell me the time")
    assert said == "I cannot switch lights: none are connected here.\nIt is five."


async def test_a_long_result_of_two_is_retold_and_the_short_one_said(house: Callable[..., AgentHarness]) -> None:
    page = ScriptedTool("web_browser.get_page_content", "word " * 200)
    h = house("It is about words.", tools=[page, ScriptedTool("clock.now", "It is five.")],
              reflex=ScriptedReflex(both(sure("web_browser.get_page_content"), sure("clock.now"))))  # fmt: skip
    assert await h.ask("read the page and tell me the time") == "It is five.\nIt is about words."


async def test_one_part_that_is_understood_is_asked_about_as_that(house: Callable[..., AgentHarness]) -> None:
    unsure = Intent("unsure", 0.9, (Guess("clock.now"),), partly=True)
    h = house(tools=[ScriptedTool("clock.now")], reflex=ScriptedReflex(unsure))
    assert await h.ask("foo and the time") == "I understood one part of that. Shall I tell you the time?"


def command(say: str, *calls: Guess, missing: str = "") -> Intent:
    """A command of the household; ``missing`` is a tool of it that is not there."""
    parts = [
        Part(say, Intent("cannot", 1.0, wants=call.tool, command=say))
        if call.tool == missing
        else Part(say, Intent("tool", 1.0, (call,), command=say))
        for call in calls
    ]
    return Intent("tool", 1.0, calls[:1], command=say, parts=parts)


async def test_a_command_of_the_household_is_carried_by_what_it_wrote_down(house: Callable[..., AgentHarness]) -> None:
    timer = ScriptedTool("timer.set", "Set.", parameters=TIMER, risk=Risk.OWN)
    tea = command("tea is on", Guess("timer.set", {"duration": "four minutes"}))
    h = house(tools=[timer], gated=True, reflex=ScriptedReflex(tea, sure("timer.set", duration="nine hours")))
    assert await h.ask("Tea is on!") == "Set."
    assert timer.calls[0][0] == {"duration": "four minutes"}
    # What nobody said and nobody wrote down waits.
    await h.ask("hello")
    assert len(timer.calls) == 1


async def test_a_command_that_acts_waits_and_the_rest_of_it_is_told(house: Callable[..., AgentHarness]) -> None:
    ssh = PreviewedTool("ssh.run_command", sentence="Run {command}.", risk=Risk.ACT, parameters=COMMAND)
    night = command("good night", Guess("ssh.run_command", {"command": "poweroff"}), Guess("clock.now"),
                    Guess("lamp.off"), missing="lamp.off")  # fmt: skip
    h = house(tools=[ssh, ScriptedTool("clock.now", "It is five.")], gated=True, reflex=ScriptedReflex(night))
    assert (await h.ask("good night")).splitlines() == [
        "The command 'good night' wants lamp.off, which is not there.",
        "It is five.",
        "I am about to run poweroff. Shall I?",
    ]
    assert ssh.calls == []


async def test_an_argument_that_the_tool_does_not_take_is_said(house: Callable[..., AgentHarness]) -> None:
    wrong = command("tea is on", Guess("timer.set", {"duration": "four minutes", "colour": "red"}))
    timer = ScriptedTool("timer.set", parameters=TIMER)
    h = house(tools=[timer], reflex=ScriptedReflex(wrong))
    assert "colour" in await h.ask("tea is on")
    assert timer.calls == []
