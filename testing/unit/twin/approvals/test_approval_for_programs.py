"""Calls of other programs that have to be looked at first: the program waits for both answers."""

from __future__ import annotations

import asyncio

import pytest

from pipecatapp.domain import ApprovalAnswer, Step, ToolResult
from pipecatapp.twin.act.external_calls import CALLERS
from testing.fakes.approval_harness import MakeHarness, play

pytestmark = pytest.mark.unit


async def test_a_program_waits_for_both_answers(harness: MakeHarness) -> None:
    tool = play()
    h = harness(tools=[tool])
    calling = asyncio.create_task(h.agent.external_calls.call("play.book", {"book": "site"}))
    for step in (Step.LOOK, Step.RUN):
        async with asyncio.timeout(60):
            while [request.step for request in h.gate.pending(CALLERS)] != [step]:
                await asyncio.sleep(0)
        assert tool.calls == []
        await h.approve()
    assert (await calling) == ToolResult("It ran.")
    assert (len(tool.looks), len(tool.calls), h.store.saved) == (1, 1, [])


@pytest.mark.parametrize("answers", [("refuse",), ("approve", "refuse")])
async def test_a_program_is_told_of_a_no_to_either_step(harness: MakeHarness, answers: tuple[str, ...]) -> None:
    tool = play()
    h = harness(tools=[tool])
    calling = asyncio.create_task(h.agent.external_calls.call("play.book", {"book": "site"}))
    for number, answer in enumerate(answers):
        async with asyncio.timeout(60):
            while [request.step for request in h.gate.pending(CALLERS)] != [(Step.LOOK, Step.RUN)[number]]:
                await asyncio.sleep(0)
        await h.agent.decide(ApprovalAnswer(h.waiting.id, h.waiting.digest, answer, by="page"))  # type: ignore[arg-type]
    assert "the answer was no" in (await calling).text
    assert (len(tool.looks), tool.calls, h.store.saved) == (len(answers) - 1, [], [])


async def test_a_program_that_goes_away_after_the_look_leaves_nothing_behind(harness: MakeHarness) -> None:
    tool = play()
    h = harness(tools=[tool])
    calling = asyncio.create_task(h.agent.external_calls.call("play.book", {"book": "site"}))
    async with asyncio.timeout(60):
        while not h.gate.pending(CALLERS):
            await asyncio.sleep(0)
        await h.approve()
        while [request.step for request in h.gate.pending(CALLERS)] != [Step.RUN]:
            await asyncio.sleep(0)
        for _ in range(50):  # it waits now
            await asyncio.sleep(0)
        calling.cancel()
        with pytest.raises(asyncio.CancelledError):
            await calling
        while h.store.saved:
            await asyncio.sleep(0)
    assert tool.calls == []
