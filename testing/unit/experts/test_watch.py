"""Slow or dead: how long a server may be silent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from pipecatapp.errors import ModelUnreachableError
from pipecatapp.experts.server import Load
from pipecatapp.experts.watch import Limits, Watch
from pipecatapp.ports import ChatChunk
from testing.fakes.experts import ScriptedProbe

pytestmark = pytest.mark.unit

LIMITS = Limits(first_token_s=0.2, between_s=0.1, silent_s=0.02, probes=2)


async def spoken(*pieces: str | float) -> AsyncIterator[ChatChunk]:
    """Texts, and pauses in seconds."""
    for piece in pieces:
        if isinstance(piece, str):
            yield ChatChunk(piece)
        else:
            await asyncio.sleep(piece)


async def heard(probe: ScriptedProbe, *pieces: str | float, limits: Limits = LIMITS) -> str:
    return "".join([chunk.text async for chunk in Watch(probe, limits).stream(spoken(*pieces))])


async def test_who_speaks_is_not_asked_anything() -> None:
    probe = ScriptedProbe()
    assert await heard(probe, "a", "b") == "ab"
    assert probe.asked == 0


async def test_a_silent_server_that_lives_is_waited_for() -> None:
    probe = ScriptedProbe()
    assert await heard(probe, 0.1, "a", 0.06, "b") == "ab"
    assert probe.asked > 1


async def test_one_that_does_not_say_that_it_lives_is_dead_long_before_its_time() -> None:
    probe = ScriptedProbe()
    probe.answers = False
    with pytest.raises(ModelUnreachableError, match="does not even say that it lives"):
        await heard(probe, 30.0, "a", limits=Limits(first_token_s=30, silent_s=0.02))
    assert probe.asked == 2


async def test_one_that_only_says_that_it_lives_has_an_end_too() -> None:
    with pytest.raises(ModelUnreachableError, match=r"wrote nothing for 0\.2 s"):
        await heard(ScriptedProbe(), 30.0, "a")


async def test_between_two_words_the_limit_is_another_one() -> None:
    with pytest.raises(ModelUnreachableError, match=r"wrote nothing for 0\.1 s"):
        await heard(ScriptedProbe(), 0.1, "a", 30.0, "b", limits=Limits(5.0, 0.1, 0.02))


async def test_a_long_prompt_that_makes_progress_is_waited_for() -> None:
    class Working(ScriptedProbe):
        async def load(self) -> Load | None:
            return Load(slots=1, busy=1, sign=self.asked)

    assert await heard(Working(), 0.7, "a") == "a"


async def test_work_that_makes_no_progress_is_not_waited_for() -> None:
    probe = ScriptedProbe()
    probe.says = Load(slots=1, busy=1, sign=7)
    with pytest.raises(ModelUnreachableError, match="wrote nothing"):
        await heard(probe, 30.0, "a")


async def test_stopping_to_listen_stops_the_server() -> None:
    stopped = asyncio.Event()

    async def endless() -> AsyncIterator[ChatChunk]:
        try:
            yield ChatChunk("a")
            await asyncio.sleep(60)
        finally:
            stopped.set()

    stream = Watch(ScriptedProbe(), LIMITS).stream(endless())
    assert (await anext(stream)).text == "a"
    waiting = asyncio.create_task(anext(stream))
    await asyncio.sleep(0.05)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert stopped.is_set()
