"""The real agent on a real llama-server: what is never spoken, and what is never evaluated twice."""

from __future__ import annotations

from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path

import pytest

from pipecatapp.app import Node
from pipecatapp.domain import Message
from pipecatapp.events import ErrorSpoken, TurnFinished
from pipecatapp.twin.agent import Agent
from pipecatapp.twin.turn_progress import TurnProgress
from testing.engine_node import STARTER, engine_settings, running, starter_or_random
from testing.fakes.agent_harness import RecordingSink

pytestmark = pytest.mark.integration


class AgentHarness:
    def __init__(self, agent: Agent, sink: RecordingSink) -> None:
        self.agent, self.sink = agent, sink

    async def ask(self, text: str, conversation: str = "first-one") -> tuple[str, TurnProgress]:
        progress = TurnProgress(conversation)
        said = "".join([piece async for piece in self.agent.respond(conversation, text, "typed", progress)])
        return said.strip(), progress


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[AgentHarness]:
    sink = RecordingSink()
    async with running(Node(engine_settings(tmp_path / "state", starter_or_random(tmp_path)))) as node:
        node.hub.add_listener(sink.emit)
        yield AgentHarness(node.twin.agent, sink)


async def test_every_request_is_answered_in_words(house: AgentHarness) -> None:
    for request in ("Hello!", "what is your status", "what time is it in tokyo", "write a poem", '{"name": "x"} "\\'):
        said, _ = await house.ask(request)
        assert said
        assert "{" not in said
        assert "<tool" not in said
    assert [e.kind for e in house.sink.of(ErrorSpoken) if e.kind in ("bug", "unreachable", "overflow")] == []


async def test_only_what_is_new_is_evaluated(house: AgentHarness) -> None:
    for words in ("Hello!", "thanks", "who are you"):
        await house.ask(words)
        await house.ask(words, "second-one")  # another conversation does not cost the first one its cache
    turns = {
        name: [e for e in house.sink.of(TurnFinished) if e.conversation == name] for name in ("first-one", "second-one")
    }
    for finished in turns.values():
        for before, after in pairwise(finished):
            assert after.evaluated_tokens < after.prompt_tokens / 2
            assert after.cached_tokens >= before.prompt_tokens - 8


async def test_what_was_prepared_while_speaking_is_not_evaluated_after(house: AgentHarness) -> None:
    await house.ask("Hello!")
    await house.ask("Hello!", "second-one")
    words = "please tell me everything that you remember about the tomatoes behind the shed and the old"
    await house.agent.prepare("first-one", words)
    _, prepared = await house.ask(f"{words} garden door", "first-one")
    _, cold = await house.ask(f"{words} garden door", "second-one")
    first = next(e for e in house.sink.of(TurnFinished) if e.turn == prepared.id)
    second = next(e for e in house.sink.of(TurnFinished) if e.turn == cold.id)
    assert first.evaluated_tokens < second.evaluated_tokens


async def test_a_long_conversation_never_overflows(house: AgentHarness) -> None:
    for number in range(8):
        said, _ = await house.ask(f"Remember this, number {number}: " + "the quick brown fox jumps over the dog " * 12)
        assert said
    assert [e.kind for e in house.sink.of(ErrorSpoken) if e.kind == "overflow"] == []


async def test_an_answer_that_a_client_began_goes_on_to_the_letter(house: AgentHarness) -> None:
    request = Message("user", "hello")
    whole = "".join([piece async for piece in house.agent.complete([request])])
    begun = whole[: whole.index(" ", len(whole) // 3)]
    progress = TurnProgress("", "api")
    talk = [request, Message("assistant", begun)]
    assert "".join([piece async for piece in house.agent.complete(talk, progress)]) == whole[len(begun) :]
    assert 0 < progress.usage.generated_tokens < len(whole)


@pytest.mark.skipif(not STARTER.is_file(), reason="a model that was never trained chooses no tool")
async def test_on_a_new_pc_without_a_sandbox_no_playbook_runs_a_program(tmp_path: Path) -> None:
    settings = engine_settings(tmp_path / "state", STARTER, code_sandbox="none")
    async with running(Node(settings)) as node:
        house = AgentHarness(node.twin.agent, RecordingSink())
        said, _ = await house.ask("run print(2**20) in python")
        assert "code_runner.run_python_code is off: CODE_SANDBOX=none turns it off" in said
        await house.ask("yes")
        assert node.twin.agent.pending() == []
