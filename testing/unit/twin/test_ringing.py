"""What rings hears a person's words first; what nobody asked for is told in a turn of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipecatapp.events import AssistantMessage, UserMessage
from pipecatapp.twin.turn_progress import TurnProgress
from testing.fakes.agent_harness import AgentHarness

pytestmark = pytest.mark.unit


class Ringing:
    """Something rings in the kitchen until somebody says stop."""

    async def answer(self, conversation: str, words: str) -> str | None:
        return "The timer is off." if (conversation, words) == ("kitchen", "stop") else None


async def test_a_word_to_what_rings_reaches_no_model(tmp_path: Path) -> None:
    house = AgentHarness(tmp_path, "I do not know.", ringing=Ringing())
    assert await house.ask("stop", "kitchen") == "The timer is off."
    assert house.model.requests == []
    assert await house.ask("stop", "bedroom") == "I do not know."
    (record,) = await house.conversations.load("kitchen")
    assert (record.turn.user_text, record.turn.assistant_text) == ("stop", "The timer is off.")


async def test_a_program_stops_nothing(tmp_path: Path) -> None:
    house = AgentHarness(tmp_path, "I do not know.", ringing=Ringing())
    assert await house.ask("stop", "kitchen", source="api") == "I do not know."


async def test_a_notice_is_told_and_stands_in_the_history(tmp_path: Path) -> None:
    house = AgentHarness(tmp_path, "You are welcome.")
    progress = TurnProgress("kitchen", "notice")
    said = [piece async for piece in house.agent.tell("kitchen", "You missed the tea.", progress)]
    assert "".join(said) == "You missed the tea."
    assert house.sink.of(UserMessage) == []
    assert [event.text for event in house.sink.of(AssistantMessage)] == ["You missed the tea."]
    await house.ask("thanks", "kitchen")
    (request,) = house.model.requests
    assert any("You missed the tea." in message.content for message in request.messages)


async def test_a_queued_notice_waits_its_turn_and_says_when_it_was_told(tmp_path: Path) -> None:
    house = AgentHarness(tmp_path, "Hello.")
    told: list[str] = []
    await house.runner.submit("kitchen", "hello")
    house.runner.tell("kitchen", "You missed the tea.", lambda: told.append("told"))
    lane = house.runner._lane("kitchen")
    assert lane.worker is not None
    await lane.worker
    assert [event.text for event in house.sink.of(AssistantMessage)] == ["Hello.", "You missed the tea."]
    assert told == ["told"]
