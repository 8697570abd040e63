"""What the model writes is shown, stored and sent on to the letter; calls and thoughts are told apart from it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pipecatapp.domain import Message, Risk, ToolResult
from pipecatapp.events import AssistantDelta, AssistantMessage, ToolFinished
from pipecatapp.ports import AnswerOptions, ChatChunk
from pipecatapp.twin.speak.protocol import GO_ON, WAITING
from pipecatapp.twin.speak.sentences import MORE
from pipecatapp.twin.turn_progress import TurnProgress
from testing.fakes.agent_harness import AgentHarness, ScriptedTool
from testing.fakes.chat_model import COMPACT, PLAIN, Gate

pytestmark = pytest.mark.unit

House = Callable[..., AgentHarness]
NOW = '{"name": "clock.now", "arguments": {}}'
STATUS = '{"name": "mcp.get_status", "arguments": {}}'


async def said(h: AgentHarness, words: str = "go") -> str:
    """The answer, JSON and all."""
    return "".join([piece async for piece in h.agent.respond("c", words, "typed")])


@pytest.mark.parametrize(
    "text",
    [
        "5*3=15 and **bold** and `code`",
        "def f(*args): return args",
        "# Title\n\n- one\n* two",
        "```python\nprint('**')\n```",
        'Anna is {"name": "Anna", "age": 3}, as JSON.',
        '```json\n{"name": "Anna", "arguments": {}}\n```',
        "The set {1, 2} and {'a', 'b'} have two members each.",
        "[1, 2] [see below] {x}",
    ],
)
async def test_text_stays_as_it_was_written(house: House, text: str) -> None:
    h = house(text, text, tools=[ScriptedTool("clock.now")])
    assert await said(h) == text
    assert "".join(event.text for event in h.sink.of(AssistantDelta)) == text
    assert h.sink.of(AssistantMessage)[0].text == text
    await h.agent.aclose()
    assert (await h.conversations.load("c"))[0].turn.assistant_text == text
    assert "".join([piece async for piece in h.agent.complete([Message("user", "go")])]) == text
    assert h.sink.of(ToolFinished) == []


@pytest.mark.parametrize(
    "text",
    [
        "<think>The person greets me.</think>\n\nHello.",
        "<thinking>The person greets me.</thinking>Hello.",
        "The person greets me.</think>Hello.",
        "<|channel|>analysis<|message|>They greet me.<|end|><|start|>assistant<|channel|>final<|message|>Hello.",
    ],
)
async def test_thoughts_are_neither_shown_nor_stored(house: House, text: str) -> None:
    h = house([*text], "Bye.")
    await said(h, "hi")
    assert h.sink.of(AssistantMessage)[0].text == "Hello."
    await h.agent.aclose()
    assert (await h.conversations.load("c"))[0].turn.assistant_text == "Hello."
    await said(h, "bye")
    assert h.model.requests[1].messages[2] == Message("assistant", "Hello.")


async def test_a_thought_that_the_server_marks_is_not_heard_at_all(house: House) -> None:
    h = house([ChatChunk("They greet me.", opens_thought=True), "</think>", "\n\nHello."])
    assert await said(h) == "Hello."


async def test_a_thought_that_uses_up_the_room_is_said_so(house: House) -> None:
    h = house(["<think>hm, hm, hm", ChatChunk(finish_reason="length")])
    assert "too long" in await said(h)


# --- several calls in one message


async def test_several_calls_of_one_message_are_all_run(house: House) -> None:
    clock, status = ScriptedTool("clock.now", "Noon."), ScriptedTool("mcp.get_status", "Up.")
    both = f"<tool_call>\n{NOW}\n</tool_call>\n<tool_call>\n{STATUS}\n</tool_call>"
    h = house(both, "It is noon and all is up.", tools=[clock, status])
    assert await h.ask("time and status") == "It is noon and all is up."
    assert (len(clock.calls), len(status.calls)) == (1, 1)
    asked, shown = h.model.requests[1].messages[-2:]
    assert asked == Message("assistant", both)
    assert shown.content == "<tool_response>\nNoon.\n</tool_response>\n<tool_response>\nUp.\n</tool_response>"


async def test_a_call_that_was_written_twice_is_run_once(house: House) -> None:
    clock = ScriptedTool("clock.now", "Noon.")
    h = house(f"```json\n{NOW}\n```\n```json\n{NOW}\n```", "Noon.", tools=[clock])
    assert await h.ask("time") == "Noon."
    assert len(clock.calls) == 1


async def test_a_call_that_waits_ends_the_turn_before_the_calls_behind_it(house: House) -> None:
    lamp, clock = ScriptedTool("lamp.on", risk=Risk.ACT), ScriptedTool("clock.now", "Noon.")
    calls = f'[{NOW}, {{"name": "lamp.on"}}, {{"name": "clock.now", "arguments": {{"a": 1}}}}]'
    h = house(f"[TOOL_CALLS]{calls}", tools=[lamp, clock], gated=True)
    assert (await h.ask("light")).startswith("I am about to use lamp.on")
    assert (len(lamp.calls), len(clock.calls)) == (0, 1)
    h.model.script("Fine.")
    await h.ask("what else")
    shown = h.model.requests[1].messages[3].content
    assert "Noon." in shown
    assert shown.endswith(f"<tool_response>\n{WAITING}\n</tool_response>")


async def test_a_broken_call_beside_a_good_one_is_told(house: House) -> None:
    clock = ScriptedTool("clock.now", "Noon.")
    h = house(f"<tool_call>{NOW}</tool_call><tool_call>{{]</tool_call>", "Noon.", tools=[clock], profile=PLAIN)
    assert await h.ask("time") == "Noon."
    assert "not valid JSON" in h.model.requests[1].messages[-1].content


async def test_a_tool_that_is_not_described_now_can_be_called_by_its_name(house: House) -> None:
    clock = ScriptedTool("clock.now", ToolResult("Noon."))
    h = house(NOW, "Noon.", tools=[clock])
    assert await h.ask("time") == "Noon."
    assert len(clock.calls) == 1


# --- the end of the room


async def test_an_answer_without_an_end_offers_the_rest(house: House) -> None:
    cut_off = ["One, two, ", "three", ChatChunk(finish_reason="length")]
    h = house(cut_off, "and four.", "Fine.")
    progress = TurnProgress("c")
    assert await h.ask("count", progress=progress) == f"One, two, three\n{MORE}"
    assert progress.finish_reason == "length"
    assert await h.ask("yes, go on please") == "and four."
    assert h.model.requests[1].messages[-2:] == [
        Message("assistant", f"One, two, three\n{MORE}"),
        Message("user", f"yes, go on please\n{GO_ON}"),
    ]
    await h.ask("go on")
    assert h.model.requests[2].messages[-1] == Message("user", "go on")


async def test_who_asks_something_else_is_answered_that(house: House) -> None:
    h = house(["One, two", ChatChunk(finish_reason="length")], "Noon.", "Yes?")
    await h.ask("count")
    await h.ask("what time is it")
    assert h.model.requests[1].messages[-1] == Message("user", "what time is it")
    await h.ask("yes")
    assert h.model.requests[2].messages[-1] == Message("user", "yes")


async def test_a_program_is_told_that_the_answer_has_no_end(house: House) -> None:
    h = house(["One", ChatChunk(finish_reason="length")], "One.", "One.")
    progress = TurnProgress("", "api")
    assert "".join([piece async for piece in h.agent.complete([Message("user", "count")], progress)]) == "One"
    assert progress.finish_reason == "length"
    for wanted, given in ((7, 7), (100_000, 4096 // 3)):
        progress = TurnProgress("", "api")
        async for _ in h.agent.complete([Message("user", "count")], progress, options=AnswerOptions(wanted)):
            pass
        assert h.model.requests[-1].max_tokens == given
        assert progress.finish_reason == "stop"


async def test_a_model_that_ignores_its_room_holds_nobody_up(house: House) -> None:
    gate = Gate()
    h = house(["yes " * 2_500_000, gate, "never"], "Fine.")
    answer = await said(h)
    assert len(answer) < 20_000
    assert answer.endswith(MORE)
    assert h.model.cancelled == 1


@pytest.mark.parametrize("profile", [COMPACT, PLAIN])
async def test_arguments_nested_600_deep_do_not_lose_the_turn(house: House, profile: object) -> None:
    deep = '{"a": ' * 600 + "1" + "}" * 600
    call = f'<tool_call>{{"name": "clock.now", "arguments": {deep}}}</tool_call>'
    h = house(call, "I could not.", tools=[ScriptedTool("clock.now")], profile=profile)
    assert await h.ask("time") == "I could not."
