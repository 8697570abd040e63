"""Typed requests: in order, interruptible, pausable, aloud where a voice session is attached."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from pipecatapp.events import AssistantMessage, UserMessage
from pipecatapp.ports import ChatChunk, ChatRequest
from pipecatapp.twin.turn_progress import TurnProgress, benchmark_block
from pipecatapp.twin.turn_queue import QueuedTurn, TurnRunner
from testing.fakes.agent_harness import AgentHarness
from testing.fakes.chat_model import Gate, ScriptedChatModel

pytestmark = pytest.mark.unit


@pytest.fixture
def house(tmp_path: Path) -> AgentHarness:
    return AgentHarness(tmp_path)


async def test_a_typed_request_is_answered(house: AgentHarness) -> None:
    house.model.script("Hello.")
    turn = await house.runner.submit("c", "hi")
    assert await house.told(1) == ["Hello."]
    assert house.sink.of(UserMessage)[0].turn == turn
    await house.runner.aclose()
    assert house.states() == ["thinking", "idle"]


async def test_a_request_waits_for_the_one_before(house: AgentHarness) -> None:
    gate = Gate()
    house.model.script(["One", gate, "."], "Two.")
    await house.runner.submit("c", "a")
    await house.runner.submit("c", "b")
    await gate.reached.wait()
    assert len(house.model.requests) == 1
    gate.open()
    assert await house.told(2) == ["One.", "Two."]


async def test_interrupting_stops_the_turn_and_what_waits(house: AgentHarness) -> None:
    gate = Gate()
    house.model.script(["One ", gate], "Three.")
    await house.runner.submit("c", "a")
    await house.runner.submit("c", "b")
    await gate.reached.wait()
    await house.runner.interrupt("c")
    assert [(e.text, e.interrupted) for e in house.sink.of(AssistantMessage)] == [("One", True)]
    await house.runner.submit("c", "c")
    assert await house.told(2) == ["One", "Three."]
    assert [e.text for e in house.sink.of(UserMessage)] == ["a", "c"]


async def test_interrupting_nothing_is_fine(house: AgentHarness) -> None:
    await house.runner.interrupt("c")
    assert house.sink.events == []


async def test_paused_means_quiet_and_requests_wait(house: AgentHarness) -> None:
    gate = Gate()
    house.model.script(["One ", gate], "Two.")
    await house.runner.submit("c", "a")
    await gate.reached.wait()
    await house.runner.pause("c", True)
    assert house.runner.paused("c")
    await house.runner.submit("c", "b")
    assert await house.told(1) == ["One"]
    assert house.states()[-1] == "paused"
    await house.runner.pause("c", False)
    assert await house.told(2) == ["One", "Two."]


class Voice:
    """A ``Speaker`` that writes down what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []
        self.interrupts = 0

    async def request(self, turn: QueuedTurn) -> None:
        self.asked.append((turn.text, turn.id))

    async def interrupt(self) -> None:
        self.interrupts += 1


async def test_an_attached_voice_answers_aloud(house: AgentHarness) -> None:
    voice = Voice()
    house.runner.attach("c", voice)
    turn = await house.runner.submit("c", "hi")
    while not voice.asked:
        await asyncio.sleep(0)
    assert voice.asked == [("hi", turn)]
    assert house.model.requests == []
    await house.runner.interrupt("c")
    assert voice.interrupts == 1


async def test_a_detached_voice_is_silent_again(house: AgentHarness) -> None:
    old, new = Voice(), Voice()
    house.runner.attach("c", old)
    house.runner.attach("c", new)
    house.runner.detach("c", old)  # another page took over before: it stays
    await house.runner.interrupt("c")
    assert (old.interrupts, new.interrupts) == (0, 1)
    house.runner.detach("c", new)
    house.model.script("Hello.")
    await house.runner.submit("c", "hi")
    assert await house.told(1) == ["Hello."]


async def test_the_benchmark_block_is_printed_for_typed_turns(
    house: AgentHarness, capsys: pytest.CaptureFixture[str]
) -> None:
    runner = TurnRunner(house.agent, house.sink, benchmark=True)
    house.model.script("Hello.")
    await runner.submit("c", "hi")
    await house.told(1)
    while "----\n" not in (printed := capsys.readouterr().out):
        await asyncio.sleep(0)
    lines = printed.splitlines()
    assert lines[0] == "--- BENCHMARK RESULTS ---"
    assert lines[1] == "STT Latency: 0.0000s"
    assert lines[-1] == "-------------------------"


def test_the_benchmark_block_has_its_exact_form() -> None:
    progress = TurnProgress("c", stt_s=0.5123, first_token_s=0.2345, first_audio_s=0.4567, total_s=1.2035)
    assert benchmark_block(progress) == (
        "--- BENCHMARK RESULTS ---\nSTT Latency: 0.5123s\nLLM Time to First Token: 0.2345s\n"
        "TTS Time to First Audio: 0.4567s\nTotal Pipeline Latency: 1.2035s\n-------------------------"
    )


class SlowlyClosing(ScriptedChatModel):
    """A model whose connection takes a while to close."""

    async def stream(self, request: ChatRequest) -> AsyncIterator[ChatChunk]:
        try:
            async for chunk in super().stream(request):
                yield chunk
        finally:
            for _ in range(20):
                await asyncio.sleep(0)


async def test_the_turn_that_runs_at_the_end_of_the_program_is_kept(tmp_path: Path) -> None:
    house = AgentHarness(tmp_path, model=SlowlyClosing())
    gate = Gate()
    house.model.script(["Half an ", gate])
    await house.runner.submit("c", "hi")
    await gate.reached.wait()
    await house.runner.aclose()
    await house.agent.aclose()
    (kept,) = await house.conversations.load("c")
    assert (kept.turn.assistant_text, kept.turn.interrupted) == ("Half an", True)


async def test_conversations_that_ended_take_no_memory(house: AgentHarness) -> None:
    house.model.script(*["Yes."] * 20)
    await house.runner.pause("paused", True)
    for number in range(20):
        await house.runner.submit(f"c{number}", "hi")
        await house.told(number + 1)
        while house.runner._lanes[f"c{number}"].worker and not house.runner._lanes[f"c{number}"].idle:
            await asyncio.sleep(0)
    assert len(house.runner._lanes) == 2
    assert house.runner.paused("paused")
