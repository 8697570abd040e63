"""Asking aloud and being answered aloud, through the real pipeline: which yes counts, what is said of the result."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from pipecatapp.domain import ApprovalAnswer, Risk
from pipecatapp.events import ApprovalDecided, AssistantMessage
from pipecatapp.voice.recognition import OnPartial, Utterance
from pipecatapp.voice.stt_pocketsphinx import PocketsphinxRecognizer
from testing.fakes.agent_harness import PreviewedTool
from testing.fakes.caller import recognized, spoken

pytestmark = pytest.mark.integration

AgentHarness = Callable[..., Any]
CALL = '<tool_call>\n{"name": "lamp.switch", "arguments": {}}\n</tool_call>'


class _Hears:
    """An utterance that is understood as the test wrote it down."""

    def __init__(self, words: str) -> None:
        self._words = words

    def feed(self, pcm: bytes) -> None:
        """The sound does not matter."""

    def pause(self) -> None:
        pass

    def resume(self) -> None:
        pass

    async def finish(self) -> str:
        return self._words

    def abandon(self) -> None:
        """Nothing runs."""


class _Recognizer(PocketsphinxRecognizer):
    """pocketsphinx's place, with words that are certain."""

    def __init__(self, *words: str) -> None:
        super().__init__()
        self._script = list(words)

    def open(self, on_partial: OnPartial) -> Utterance:
        return _Hears(self._script.pop(0))


def lamp(sentence: str = "Switch the kitchen lamp on.") -> PreviewedTool:
    return PreviewedTool("lamp.switch", sentence=sentence, result="It is on.", risk=Risk.ACT)


async def until(condition: Callable[[], bool], timeout: float = 90.0) -> None:
    async with asyncio.timeout(timeout):
        while not condition():
            await asyncio.sleep(0.05)


async def test_a_spoken_yes_has_it_done(house: AgentHarness) -> None:
    tool = lamp()
    heard = _Recognizer("switch the lamp on", "yes, do it")
    async with house(CALL, "Everything is quiet in the kitchen.", stt=heard, tools=[tool]) as h, h.caller() as caller:
        await h.connected()
        await caller.first_sound(await caller.say(spoken("switch the lamp on")))
        await caller.quiet()
        assert "about to" in recognized(bytes(caller.speaker.played))
        await caller.first_sound(await caller.say(spoken("yes do it")))
        await caller.quiet()
        assert len(tool.calls) == 1
        assert [(event.decision, event.by) for event in h.sink.of(ApprovalDecided)] == [("approved", "voice")]
        assert "everything" in recognized(bytes(caller.speaker.played))


async def test_a_yes_over_the_question_does_not_count(house: AgentHarness) -> None:
    tool = lamp("Switch on the lamp in the kitchen, the lamp in the hall, the lamp in the cellar and all the others.")
    heard = _Recognizer("switch the lamps on", "yes, do it", "yes, do it")
    async with house(CALL, "Everything is quiet.", stt=heard, tools=[tool]) as h, h.caller() as caller:
        await h.connected()
        await caller.first_sound(await caller.say(spoken("switch the lamps on")))
        await caller.plays(1.5)  # some of the question was heard, but not all
        await caller.say(spoken("yes do it"))
        await until(lambda: any("Do you mean this?" in event.text for event in h.sink.of(AssistantMessage)))
        assert tool.calls == []
        await caller.quiet(2.0)
        await caller.say(spoken("yes do it"))
        await until(lambda: len(tool.calls) == 1)


async def test_what_was_decided_on_the_page_is_spoken_about(house: AgentHarness) -> None:
    tool = lamp()
    heard = _Recognizer("switch the lamp on")
    async with house(CALL, "Everything is quiet in the kitchen.", stt=heard, tools=[tool]) as h, h.caller() as caller:
        await h.connected()
        await caller.first_sound(await caller.say(spoken("switch the lamp on")))
        await caller.quiet()
        (waiting,) = h.agent.pending()
        await h.agent.decide(ApprovalAnswer(waiting.id, waiting.digest, "approve", by="page"))
        await until(lambda: len(h.sink.of(AssistantMessage)) == 2)
        await caller.quiet()
        assert len(tool.calls) == 1
        assert "everything" in recognized(bytes(caller.speaker.played))
