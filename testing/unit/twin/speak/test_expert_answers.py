"""Turns in which another model speaks: an expert, or one that goes on where ours broke off."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pipecatapp.domain import Fact, Message
from pipecatapp.errors import (
    ExpertBusyError,
    ModelUnreachableError,
)
from pipecatapp.events import (
    AssistantDelta,
    AssistantMessage,
    ToolStarted,
    TurnFinished,
)
from pipecatapp.ports import ChatChunk
from pipecatapp.twin.speak.protocol import late_text, request_text, strip_tools
from testing.fakes.agent_harness import AgentHarness, ScriptedMemory, ScriptedTool
from testing.fakes.chat_model import COMPACT, PLAIN
from testing.fakes.experts import ScriptedDirectory

pytestmark = pytest.mark.unit

CALL = '<tool_call>\n{"name": "mcp.get_status", "arguments": {}}\n</tool_call>'
ROUTED = '<tool_call>{"name": "route_to_expert", "arguments": {"expert": "coding", "query": "sort a list"}}</tool_call>'


def moved(kept: int, by: str = "general") -> ChatChunk:
    return ChatChunk(kept=kept, by=by)


async def test_an_expert_speaks_for_itself(house: Callable[..., AgentHarness]) -> None:
    directory = ScriptedDirectory("Use **sorted**", ".")
    h = house(ROUTED, "Bye.", experts=directory, expert_persona=lambda name: f"the {name} expert")
    assert await h.ask("sort a list") == "Use **sorted**."
    assert directory.asked[0][0] == Message("system", "the coding expert")
    assert directory.asked[0][-1] == Message("user", "sort a list")
    assert "route_to_expert" in h.model.requests[0].messages[0].content
    await h.ask("bye")
    assert [m.role for m in h.model.requests[1].messages] == [
        "system",
        "user",
        "assistant",
        "user",
        "assistant",
        "user",
    ]


async def test_an_expert_that_fails_is_told_to_the_model(house: Callable[..., AgentHarness]) -> None:
    h = house(ROUTED, "The expert is away.", experts=ScriptedDirectory(ModelUnreachableError("gone")))
    assert await h.ask("sort a list") == "The expert is away."
    assert "does not answer" in h.model.requests[1].messages[-1].content


async def test_what_an_expert_writes_as_a_call_is_neither_run_nor_spoken(house: Callable[..., AgentHarness]) -> None:
    tool = ScriptedTool("mcp.get_status")
    h = house(ROUTED, "I cannot say.", tools=[tool], experts=ScriptedDirectory(CALL))
    assert await h.ask("sort a list") == "I cannot say."
    assert tool.calls == []


async def test_without_experts_there_is_nothing_to_route_to(house: Callable[..., AgentHarness]) -> None:
    h = house(ROUTED, "No coding expert is running.")
    assert await h.ask("sort a list") == "No coding expert is running."
    assert "route_to_expert" not in h.model.requests[0].messages[0].content
    assert "error: no expert coding is running" in h.model.requests[1].messages[-1].content


async def test_an_expert_is_told_what_is_known_for_the_request_and_the_talk(house: Callable[..., AgentHarness]) -> None:
    directory = ScriptedDirectory("Use sorted.")
    memory = ScriptedMemory({"sort": [Fact("1", "lists are called shelves here")]})
    h = house("Hello.", ROUTED, experts=directory, memory=memory, expert_persona=lambda name: f"the {name} expert")
    await h.ask("hi")
    await h.ask("please sort a list")
    assert [m.content for m in directory.asked[0]] == [
        "the coding expert",
        "hi",
        "Hello.",
        "[remembered]\n- lists are called shelves here\n[request]\nsort a list",
    ]


def test_an_expert_is_not_told_of_tools() -> None:
    tool = ScriptedTool("lamp.on").spec
    fact = Fact("1", "the lamp is green")
    assert strip_tools(request_text("light", [fact], tools=[tool])) == request_text("light", [fact])
    assert strip_tools(request_text("light", tools=[tool])) == "light"
    late = late_text(request_text("light"), [fact], tools=[tool])
    assert strip_tools(late) == "light\n[remembered]\n- the lamp is green"


async def test_who_answered_is_kept_and_told(house: Callable[..., AgentHarness]) -> None:
    h = house(ROUTED, "Hello.", experts=ScriptedDirectory("Use sorted."))
    await h.ask("sort a list")
    await h.ask("hi")
    await h.agent.aclose()
    assert [e.expert for e in h.sink.of(AssistantMessage)] == ["coding", ""]
    assert [e.expert for e in h.sink.of(TurnFinished)] == ["coding", ""]
    assert [record.turn.expert for record in await h.conversations.load("c")] == ["coding", ""]


async def test_an_expert_chosen_by_hand_answers_in_its_conversation_alone(house: Callable[..., AgentHarness]) -> None:
    h = house("Hello.", "Bye.", experts=ScriptedDirectory("Use sorted."))
    with pytest.raises(LookupError, match="no expert math is running"):
        h.agent.choose("c", "math")
    h.agent.choose("c", "coding")
    assert h.agent.chosen("c") == "coding"
    assert await h.ask("hi") == "Use sorted."
    assert h.sink.of(ToolStarted)[0].arguments == {"expert": "coding", "query": "hi"}
    assert await h.ask("hi", "another") == "Hello."
    h.agent.choose("c", "")
    assert await h.ask("bye") == "Bye."
    assert [m.role for m in h.model.requests[-1].messages[1:]] == ["user", "assistant", "user", "assistant", "user"]


async def test_a_chosen_expert_that_fails_leaves_the_request_to_the_model(house: Callable[..., AgentHarness]) -> None:
    h = house(
        "It is full, so I say hello myself.", experts=ScriptedDirectory(ExpertBusyError("the coding expert is full"))
    )
    h.agent.choose("c", "coding")
    assert await h.ask("hi") == "It is full, so I say hello myself."
    assert "error: the coding expert is full" in h.model.requests[0].messages[-1].content


async def test_clear_cases_go_to_an_expert_before_the_model_is_asked(house: Callable[..., AgentHarness]) -> None:
    class ByWord:
        async def classify(self, text: str) -> tuple[str | None, float]:
            if "chess" in text:
                return "games", 0.99  # nobody runs it
            return ("coding", 0.99) if "sort" in text else (None, 0.4)

    h = house("Hello.", "I do not play.", experts=ScriptedDirectory("Use sorted."), classifier=ByWord())
    assert await h.ask("sort a list") == "Use sorted."
    assert h.model.requests == []
    assert await h.ask("hi") == "Hello."
    assert await h.ask("play chess") == "I do not play."


async def test_words_go_on_where_another_model_takes_over(house: Callable[..., AgentHarness]) -> None:
    h = house(["The key ", "is ", moved(11), "under ", "the pot."])
    assert await h.ask("where") == "The key is under the pot."
    assert h.sink.of(AssistantMessage)[0].text == "The key is under the pot."


async def test_a_call_that_broke_off_is_written_again_and_run_once(house: Callable[..., AgentHarness]) -> None:
    tool = ScriptedTool("mcp.get_status")
    h = house(["One moment.", '<tool_call>\n{"name": "mcp', moved(11), CALL], "All up.", tools=[tool])
    assert await h.ask("status") == "One moment.\nAll up."
    assert len(tool.calls) == 1
    assert "".join(e.text for e in h.sink.of(AssistantDelta)) == "One moment.\nAll up."


async def test_the_request_can_be_made_anew_for_another_model(house: Callable[..., AgentHarness]) -> None:
    h = house("Hello.", tools=[ScriptedTool("mcp.get_status")], profile=COMPACT)
    await h.ask("hi")
    resume = h.model.requests[0].resume
    assert resume is not None
    anew = resume("", PLAIN)
    assert anew.messages[0].content.startswith("You are the test.")
    assert (anew.begun, anew.grammar) == ("", None)
    behind = resume("The key is", COMPACT)
    assert behind.messages[0] == h.model.requests[0].messages[0]
    assert behind.begun == "The key is"
    assert behind.grammar == 'root ::= ( [^<] | "<" [^t/<|] )*\n'
    in_call = resume('<tool_call>\n{"name": "mcp', COMPACT)
    assert (in_call.begun, in_call.grammar) == ("", h.model.requests[0].grammar)
