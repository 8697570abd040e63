"""A ring over a real voice session: it is heard, and a word ends it without the model."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from pipecatapp.events import AssistantMessage, ScheduleChanged
from pipecatapp.ports import ToolContext
from pipecatapp.schedule.bell import Bell
from pipecatapp.voice.recognition import OnPartial, Utterance
from pipecatapp.voice.stt_pocketsphinx import PocketsphinxRecognizer
from pipecatapp.voice.synthesis import SAMPLE_RATE
from testing.fakes.caller import spoken
from testing.fakes.schedule import ScheduledHouse
from testing.integration.voice.test_spoken_approvals import _Hears

pytestmark = pytest.mark.integration

HERE = ToolContext("c", "t")


class _Recognizer(PocketsphinxRecognizer):
    """pocketsphinx's place, with words that are certain."""

    def __init__(self, words: str) -> None:
        super().__init__()
        self._words = words

    def open(self, on_partial: OnPartial) -> Utterance:
        return _Hears(self._words)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(90):
        while not condition():
            await asyncio.sleep(0.05)


async def test_a_ring_is_heard_and_a_word_ends_it_without_the_model(house: Callable[..., Any]) -> None:
    home = ScheduledHouse()
    await home.service.set_timer("ten minutes", "pasta", HERE)
    heard = _Recognizer("okay, stop")
    options: dict[str, Any] = {"stt": heard, "ringing": home.service}
    async with house(**options) as h, h.caller() as caller:
        await h.connected()
        bell = Bell(home.service, h.runner, h.sink, lambda _: False)
        home.keeper.on_change(bell.look)
        await home.run(601)
        await until(lambda: len(caller.speaker.played) > 3 * 48_000)
        begin = np.frombuffer(bytes(caller.speaker.played), "<i2")[: SAMPLE_RATE // 10].astype(float)
        assert np.abs(np.fft.rfft(begin)).argmax() * 10 == pytest.approx(880, abs=20)

        await caller.say(spoken("okay stop"))
        await until(lambda: home.keeper.rings() == [])
        await until(lambda: said(h) == ["The pasta timer is off."])
        await caller.quiet()
        assert h.model.requests == []
        assert h.sink.of(ScheduleChanged)[-1].rings == []
        await bell.aclose()


def said(h: Any) -> Sequence[str]:
    return [event.text for event in h.sink.of(AssistantMessage)]
