"""The front of the prompt is evaluated before anybody asks, and again when it changes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from pipecatapp.errors import ModelNotReadyError
from pipecatapp.twin.speak.front import SLOT, PromptFront
from testing.fakes.agent_harness import AgentHarness
from testing.fakes.chat_model import FULL

pytestmark = pytest.mark.unit


async def until(met: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not met():
            await asyncio.sleep(0)


@pytest.fixture
def harness(tmp_path: Path) -> AgentHarness:
    return AgentHarness(tmp_path)


async def test_it_is_evaluated_once_the_engine_is_there(harness: AgentHarness) -> None:
    harness.model.profile_now = ModelNotReadyError("loading")
    front = PromptFront(harness.model, harness.agent._prompts, harness.agent._dialect, look_every_s=0)
    front.start()
    await asyncio.sleep(0)
    assert not front.is_ready.is_set()
    harness.model.profile_now = FULL
    await until(front.is_ready.is_set)
    for _ in range(20):
        await asyncio.sleep(0)
    await front.stop()
    ((system,),) = harness.model.prefilled
    assert system.role == "system"
    assert "You are the test." in system.content
    assert SLOT.strip()


async def test_a_new_persona_is_evaluated_anew(harness: AgentHarness) -> None:
    front = PromptFront(harness.model, harness.agent._prompts, harness.agent._dialect, look_every_s=0)
    front.start()
    await until(front.is_ready.is_set)
    harness.persona = "You are somebody else."
    await until(lambda: len(harness.model.prefilled) == 2)
    await front.stop()
    assert harness.model.prefilled[1][0].content.startswith("You are somebody else.")
