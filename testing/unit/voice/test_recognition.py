"""An engine that hears everything at once looks at the first pause, and again only when speech went on."""

from __future__ import annotations

import asyncio

import pytest

from pipecatapp.errors import SpeechError
from pipecatapp.voice.recognition import BufferedUtterance

pytestmark = pytest.mark.unit


class _Engine(BufferedUtterance):
    """Its words are the sound itself; ``go`` lets it answer."""

    def __init__(self) -> None:
        self.told: list[str] = []
        super().__init__(self.told.append)
        self.asked: list[str] = []
        self.go = asyncio.Event()
        self.broken = False

    async def transcribe(self, pcm: bytes) -> str:
        self.asked.append(pcm.decode())
        await self.go.wait()
        if self.broken:
            raise SpeechError("it died")
        return pcm.decode()


async def test_what_was_heard_at_the_pause_is_the_result_when_nothing_follows() -> None:
    engine = _Engine()
    engine.feed(b"what time is it")
    engine.pause()
    engine.feed(b"...")
    ending = asyncio.create_task(engine.finish())
    await asyncio.sleep(0)
    engine.go.set()
    assert await ending == "what time is it"
    assert engine.asked == ["what time is it"]
    assert engine.told == [], "the final words are there: no partial ones behind them"


async def test_words_up_to_a_pause_are_told_while_the_person_goes_on() -> None:
    engine = _Engine()
    engine.go.set()
    engine.feed(b"what time")
    engine.pause()
    await asyncio.sleep(0.01)
    assert engine.told == ["what time"]
    engine.resume()
    engine.feed(b" is it")
    assert await engine.finish() == "what time is it"


async def test_a_failure_at_a_pause_costs_nothing_when_speech_goes_on() -> None:
    engine = _Engine()
    engine.go.set()
    engine.broken = True
    engine.feed(b"what time")
    engine.pause()
    await asyncio.sleep(0.01)
    engine.resume()
    engine.broken = False
    engine.feed(b" is it")
    assert await engine.finish() == "what time is it"


async def test_a_failure_at_the_last_pause_is_told() -> None:
    engine = _Engine()
    engine.go.set()
    engine.broken = True
    engine.feed(b"what time")
    engine.pause()
    with pytest.raises(SpeechError):
        await engine.finish()


async def test_one_pause_at_a_time_is_looked_at() -> None:
    engine = _Engine()
    for words in (b"what ", b"time ", b"is it"):
        engine.feed(words)
        engine.pause()
        engine.resume()
    engine.go.set()
    await asyncio.sleep(0.01)
    assert engine.asked == ["what "]
    assert await engine.finish() == "what time is it"


async def test_who_is_abandoned_says_nothing() -> None:
    engine = _Engine()
    engine.feed(b"what time")
    engine.pause()
    engine.abandon()
    engine.go.set()
    await asyncio.sleep(0.01)
    assert engine.told == []
