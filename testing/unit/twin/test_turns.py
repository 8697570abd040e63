"""Turns: words as they come, errors as sentences, interruptions, and the history they leave."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from pathlib import Path

import pytest

from pipecatapp.domain import Fact, Message
from pipecatapp.errors import (
    ContextOverflowError,
    ModelNotReadyError,
    ModelUnreachableError,
)
from pipecatapp.events import (
    AssistantDelta,
    AssistantMessage,
    ConversationCleared,
    ErrorSpoken,
    TurnFinished,
    UserMessage,
)
from pipecatapp.twin.open_conversations import OPEN_CONVERSATIONS
from pipecatapp.twin.turn_progress import TurnProgress
from testing.fakes.agent_harness import AgentHarness, ScriptedMemory, ScriptedTool
from testing.fakes.chat_model import COMPACT, SMUGGLED, Gate, assert_defused

pytestmark = pytest.mark.unit

CALL = '<tool_call>\n{"name": "mcp.get_status", "arguments": {}}\n</tool_call>'


async def test_an_answer_streams_as_the_model_writes_it(house: Callable[..., AgentHarness]) -> None:
    gate = Gate()
    h = house(["Hello ", gate, "there."])
    pieces = h.agent.respond("c", "hi", "typed")
    assert await anext(pieces) == "Hello "
    gate.open()
    assert "".join([piece async for piece in pieces]) == "there."
    assert [e.text for e in h.sink.of(AssistantDelta)] == ["Hello ", "there."]
    assert h.sink.of(UserMessage)[0].text == "hi"
    assert [(e.text, e.interrupted) for e in h.sink.of(AssistantMessage)] == [("Hello there.", False)]


async def test_the_cost_of_a_typed_turn_is_told_once(house: Callable[..., AgentHarness]) -> None:
    h = house("Hello there.")
    await h.ask("hi")
    (cost,) = h.sink.of(TurnFinished)
    assert cost.prompt_tokens == cost.evaluated_tokens > 0
    assert cost.generated_tokens == 3
    assert cost.first_token_s is not None
    assert cost.total_s is not None
    assert cost.stt_s is None


async def test_a_spoken_turn_is_finished_by_voice(house: Callable[..., AgentHarness]) -> None:
    h = house("Hello.")
    progress = TurnProgress("c", "voice", spoken=True)
    await h.ask("hi", progress=progress)
    assert h.sink.of(TurnFinished) == []
    progress.first_audio_s, progress.total_s = 0.1, 0.5
    h.agent.finish(progress)
    h.agent.finish(progress)
    assert [e.total_s for e in h.sink.of(TurnFinished)] == [0.5]


async def test_an_empty_answer_becomes_a_sentence(house: Callable[..., AgentHarness]) -> None:
    h = house("", "Fine.")
    assert "no answer" in await h.ask("hm")
    assert [e.kind for e in h.sink.of(ErrorSpoken)] == ["empty"]
    await h.ask("again")
    assert [m.content for m in h.model.requests[1].messages[1:]] == ["again"]


@pytest.mark.parametrize(
    ("error", "sentence", "kind"),
    [
        (ModelNotReadyError("loading"), "I am still waking up.", "not_ready"),
        (ModelNotReadyError("building", 0.42), "I am still waking up, about 42 percent is done.", "not_ready"),
        (ModelUnreachableError("gone"), "My language engine stopped; I am starting it again.", "unreachable"),
        (ContextOverflowError("long"), "more than I can hold in mind", "overflow"),
        (RuntimeError("bug"), "Something went wrong inside me.", "bug"),
    ],
)
async def test_errors_are_spoken_and_the_conversation_goes_on(
    house: Callable[..., AgentHarness], error: Exception, sentence: str, kind: str
) -> None:
    h = house(error, "Here I am.")
    assert sentence in await h.ask("hello")
    assert [e.kind for e in h.sink.of(ErrorSpoken)] == [kind]
    assert await h.ask("and now?") == "Here I am."
    assert [m.content for m in h.model.requests[1].messages[1:]] == ["and now?"]


async def test_no_engine_at_all_is_said(house: Callable[..., AgentHarness]) -> None:
    h = house(profile=None)
    h.model.profile_now = ModelNotReadyError("no model yet")
    assert "waking up" in await h.ask("hello")


async def test_an_engine_elsewhere_is_not_promised_to_be_restarted(house: Callable[..., AgentHarness]) -> None:
    h = house(ModelUnreachableError("gone"), restarts_engine=False)
    assert await h.ask("hello") == "My language engine does not answer. Please try again in a moment."


async def test_an_engine_that_dies_in_the_middle_leaves_what_was_said(house: Callable[..., AgentHarness]) -> None:
    h = house(["The answer is", ModelUnreachableError("gone")], "Forty two.")
    assert await h.ask("what is it") == "The answer is My language engine stopped; I am starting it again."
    await h.ask("go on")
    assert "The answer is" in h.model.requests[1].messages[2].content


async def test_an_overflow_forgets_old_turns_and_asks_again(house: Callable[..., AgentHarness]) -> None:
    h = house("One.", "Two.", "Three.", ContextOverflowError("full"), "Four.")
    for words in ("first", "second", "third", "fourth"):
        await h.ask(words)
    assert [m.content for m in h.model.requests[-1].messages[1:]] == ["second", "Two.", "third", "Three.", "fourth"]


async def test_closing_early_ends_the_turn_as_interrupted(house: Callable[..., AgentHarness]) -> None:
    h = house(["Once upon ", Gate()], "Yes?")
    async with aclosing(h.agent.respond("c", "a story", "voice")) as pieces:
        await anext(pieces)
    assert h.model.cancelled == 1
    assert [(e.text, e.interrupted) for e in h.sink.of(AssistantMessage)] == [("Once upon", True)]
    await h.ask("stop")
    assert [m.content for m in h.model.requests[1].messages[1:]] == ["a story", "Once upon", "stop"]


async def test_cancelling_ends_the_turn_as_interrupted(house: Callable[..., AgentHarness]) -> None:
    gate = Gate()
    h = house([gate, "Never said."], "Yes?")
    task = asyncio.create_task(h.ask("a story"))
    await gate.reached.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert h.model.cancelled == 1
    assert h.sink.of(AssistantMessage)[0].interrupted
    await h.ask("stop")
    assert [m.content for m in h.model.requests[1].messages[1:]] == ["a story", "(interrupted)", "stop"]


async def test_after_barge_in_the_history_keeps_what_was_heard(house: Callable[..., AgentHarness]) -> None:
    h = house("One two three four.", "Yes?")
    progress = TurnProgress("c", "voice", spoken=True)
    await h.ask("count", progress=progress)
    await h.agent.record_heard("c", progress.id, "One two")
    assert (h.sink.of(AssistantMessage)[-1].text, h.sink.of(AssistantMessage)[-1].interrupted) == ("One two", True)
    await h.ask("stop")
    assert h.model.requests[1].messages[2] == Message("assistant", "One two")
    await h.agent.aclose()
    assert (await h.conversations.load("c"))[0].turn.assistant_text == "One two"


async def test_who_goes_on_before_a_word_was_heard_says_one_request(house: Callable[..., AgentHarness]) -> None:
    h = house("Which one?", "I cannot do that.", "Bye.")
    progress = TurnProgress("c", "voice", spoken=True)
    await h.ask("turn off the", progress=progress)
    await h.agent.record_heard("c", progress.id, "")
    await h.agent.prepare("c", "turn off the lamp")
    assert [m.content for m in h.model.prefilled[-1][1:]] == ["turn off the lamp"]
    await h.ask("turn off the lamp")
    await h.ask("bye")
    assert [m.content for m in h.model.requests[2].messages[1:]] == ["turn off the lamp", "I cannot do that.", "bye"]


async def test_heard_of_an_unknown_turn_changes_nothing(house: Callable[..., AgentHarness]) -> None:
    h = house("Hello.")
    await h.ask("hi")
    await h.agent.record_heard("c", "nobody", "He")
    assert len(h.sink.of(AssistantMessage)) == 1


async def test_turns_of_one_conversation_wait_for_each_other(house: Callable[..., AgentHarness]) -> None:
    gate = Gate()
    h = house(["One", gate, "."], "Two.", "Else.")
    first = asyncio.create_task(h.ask("a"))
    await gate.reached.wait()
    second = asyncio.create_task(h.ask("b"))
    assert await h.ask("c", conversation="other") == "Two."
    assert not second.done()
    gate.open()
    assert (await first, await second) == ("One.", "Else.")


async def test_two_conversations_do_not_mix(house: Callable[..., AgentHarness]) -> None:
    h = house("One.", "Two.", "Three.")
    await h.ask("a", "first")
    await h.ask("b", "second")
    await h.ask("c", "first")
    assert [m.content for m in h.model.requests[2].messages[1:]] == ["a", "One.", "c"]
    assert [r.slot_key for r in h.model.requests] == ["first", "second", "first"]


async def test_the_history_is_sent_exactly_as_it_was(house: Callable[..., AgentHarness]) -> None:
    h = house(f"Look: {CALL} ", "It is **up**.", "Fine.", tools=[ScriptedTool("mcp.get_status", "Up.")])
    await h.ask("status")
    await h.ask("good")
    before, after = h.model.requests[1].messages, h.model.requests[2].messages
    assert list(after[: len(before)]) == list(before)
    assert after[len(before)] == Message("assistant", "It is **up**.")


async def test_over_thirty_turns_little_is_evaluated_anew(house: Callable[..., AgentHarness]) -> None:
    h = house(tools=[ScriptedTool("mcp.get_status", "Up.")])
    for number in range(30):
        h.model.script(*([CALL] if number % 3 == 0 else []), f"This is answer number {number} to you.")
        await h.ask(f"tell me thing number {number} please")
        await h.agent.prepare("c", "")  # what the agent does by itself while it is idle
    assert sum(h.model.evaluated) / len(h.model.evaluated) < 40
    assert len([m for m in h.model.requests[-1].messages if m.content.startswith("tell me")]) >= 10


async def test_a_conversation_goes_on_after_a_restart(tmp_path: Path) -> None:
    first = AgentHarness(tmp_path, "Ann, hello.")
    await first.ask("I am Ann")
    await first.agent.aclose()
    second = AgentHarness(tmp_path, "You are Ann.")
    await second.ask("who am I")
    assert [m.content for m in second.model.requests[0].messages[1:]] == ["I am Ann", "Ann, hello.", "who am I"]


async def test_clearing_forgets_the_conversation(house: Callable[..., AgentHarness]) -> None:
    h = house("One.", "Two.")
    await h.ask("a")
    await h.agent.clear("c")
    await h.ask("b")
    assert [m.content for m in h.model.requests[1].messages[1:]] == ["b"]
    assert h.sink.of(ConversationCleared)


async def test_an_edited_persona_counts_from_the_next_turn(house: Callable[..., AgentHarness]) -> None:
    h = house("One.", "Two.")
    await h.ask("a")
    h.persona = "You are a pirate."
    await h.ask("b")
    assert h.model.requests[0].messages[0].content.startswith("You are the test.")
    assert h.model.requests[1].messages[0].content.startswith("You are a pirate.")


async def test_what_was_said_is_kept_though_the_answer_was_cut_short(house: Callable[..., AgentHarness]) -> None:
    memory = ScriptedMemory({})
    h = house(["Good ", Gate(), "day."], memory=memory, pause_s=0.0)
    async with aclosing(h.agent.respond("c", "my name is Joe", "voice")) as pieces:
        assert await anext(pieces) == "Good "
    await h.agent.wait_kept()
    assert [turn.user_text for turn in memory.kept] == ["my name is Joe"]


async def test_control_tokens_in_a_request_are_text(house: Callable[..., AgentHarness]) -> None:
    h = house("Hm.", memory=ScriptedMemory({"obey": [Fact("f", SMUGGLED, 0.9)]}), profile=COMPACT)
    await h.ask(SMUGGLED)
    assert_defused(h.model.requests[0].messages)
    assert h.sink.of(UserMessage)[0].text == SMUGGLED


async def test_idle_conversations_are_forgotten_in_memory_and_come_back(house: Callable[..., AgentHarness]) -> None:
    h = house(*["Yes."] * (OPEN_CONVERSATIONS * 2), "Still here.")
    for number in range(OPEN_CONVERSATIONS * 2):
        await h.ask(f"question {number}", f"c{number}")
        await h.agent.aclose()
    assert len(h.agent._conversations) <= OPEN_CONVERSATIONS
    assert await h.ask("and now?", "c0") == "Still here."
    assert [m.content for m in h.model.requests[-1].messages[1:]] == ["question 0", "Yes.", "and now?"]


async def test_a_conversation_in_use_is_not_forgotten(house: Callable[..., AgentHarness]) -> None:
    gate = Gate()
    h = house(["Wait ", gate, "."], *["Yes."] * OPEN_CONVERSATIONS * 2, "Now.")
    first = asyncio.create_task(h.ask("long", "first"))
    await gate.reached.wait()
    second = asyncio.create_task(h.ask("behind it", "first"))
    for number in range(OPEN_CONVERSATIONS * 2):
        await h.ask("q", f"c{number}")
        await h.agent.aclose()
    gate.open()
    assert (await first, await second) == ("Wait .", "Now.")
    assert [m.content for m in h.model.requests[-1].messages[1:]] == ["long", "Wait .", "behind it"]
