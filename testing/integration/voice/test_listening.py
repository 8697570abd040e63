"""What is heard while the agent speaks, and what is no request: the real pipeline, words as the test wrote them."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from pipecatapp.events import AssistantMessage, TurnFinished, UserMessage
from testing.fakes.caller import Caller, noise, spoken
from testing.fakes.recognizers import ScriptedRecognizer, misheard

pytestmark = pytest.mark.integration

AgentHarness = Callable[..., Any]
ANSWER = (
    "The kitchen light is on since this morning, and the washing machine will be ready in twenty minutes. "
    "Your first meeting was moved to Thursday afternoon. The garden is dry."
)


async def ask(h: Any, caller: Caller) -> None:
    """The first question, up to the first sound of its answer."""
    await h.connected()
    await caller.first_sound(await caller.say(spoken("tell me the news of today")))


async def finished(h: Any, turns: int) -> None:
    async with asyncio.timeout(90):
        while len(h.sink.of(TurnFinished)) < turns:
            await asyncio.sleep(0.05)


async def test_who_goes_on_listening_does_not_end_the_answer(house: AgentHarness) -> None:
    stt = ScriptedRecognizer("tell me a story", "Got it, thanks!", "Okay.")
    async with house(ANSWER, stt=stt) as h, h.caller() as caller:
        await ask(h, caller)
        await caller.plays(0.8)
        for sign in ("thanks", "okay"):
            await caller.say(spoken(sign) + bytes(16000))
        caller.fast_forward = True
        await finished(h, 1)
        assert [message.text for message in h.sink.of(UserMessage)] == ["tell me a story"]
        assert [message.text for message in h.sink.of(AssistantMessage)] == [ANSWER]


async def test_alone_the_same_words_are_a_request(house: AgentHarness) -> None:
    async with house("You are welcome.", stt=ScriptedRecognizer("Thanks.")) as h, h.caller() as caller:
        await h.connected()
        await caller.say(spoken("thanks"))
        await finished(h, 1)
        assert [message.text for message in h.sink.of(UserMessage)] == ["Thanks."]


async def test_no_ends_the_answer(house: AgentHarness) -> None:
    stt = ScriptedRecognizer("tell me a story", "No.")
    async with house(ANSWER, "All right.", stt=stt) as h, h.caller() as caller:
        await ask(h, caller)
        await caller.plays(0.8)
        await caller.say(spoken("no"))
        async with asyncio.timeout(90):
            while not any(message.interrupted for message in h.sink.of(AssistantMessage)):
                await asyncio.sleep(0.05)


async def test_noise_is_no_request_and_ends_no_answer(house: AgentHarness) -> None:
    """A recognizer that invents words for everything: without a voice they do not count, nor do its usual ones."""
    stt = ScriptedRecognizer("tell me a story", *["and then we go to the market"] * 20)
    rng = np.random.default_rng(5)
    click = (rng.standard_normal(1600) * np.exp(-np.arange(1600) / 90) * 14000).astype(np.int16).tobytes()
    async with house(ANSWER, stt=stt) as h, h.caller() as caller:
        await ask(h, caller)
        for sound in (noise(1.0), click * 12, noise(0.4, seed=2)):
            await caller.say(sound + bytes(16000))
        caller.fast_forward = True
        await finished(h, 1)
        await caller.say(noise(1.0, seed=3) + bytes(16000))
        assert len(h.sink.of(UserMessage)) == 1
        assert [message.interrupted for message in h.sink.of(AssistantMessage)] == [False]


async def test_phantom_words_are_no_request(house: AgentHarness) -> None:
    stt = ScriptedRecognizer("Thank you for watching!", "what time is it")
    async with house("It is noon.", stt=stt) as h, h.caller() as caller:
        await h.connected()
        await caller.say(spoken("television") + bytes(16000))
        await caller.say(spoken("time"))
        await finished(h, 1)
        assert [message.text for message in h.sink.of(UserMessage)] == ["what time is it"]


async def test_what_is_heard_at_the_pause_is_the_request(house: AgentHarness) -> None:
    """One pass: it begins at the first 150 ms of silence, and no second one follows where nothing more was said."""
    stt = ScriptedRecognizer("what is the status of the cluster")
    async with house("All is well.", stt=stt) as h, h.caller() as caller:
        await h.connected()
        sound = spoken("what is the status of the cluster")
        await caller.first_sound(await caller.say(sound))
        assert h.sink.of(UserMessage)[0].text == "what is the status of the cluster"
        assert [number for number, _ in stt.transcribed] == [1]


async def test_the_own_voice_in_the_microphone_is_not_answered(house: AgentHarness) -> None:
    """The loudspeaker comes back 20 dB down and 200 ms late, and one word in three is misheard."""
    rng = random.Random(3)
    told = ANSWER.split()

    def own() -> str:
        heard = len(caller.speaker.played) / 48000 / 11
        end = max(4, min(len(told), round(heard * len(told))))
        return misheard(told[max(0, end - rng.randint(3, 8)) : end], rng)

    stt = ScriptedRecognizer("tell me a story", *[own] * 40)
    async with house(ANSWER, *["I answer myself."] * 5, stt=stt) as h, h.caller(echo_db=-20.0) as caller:
        await ask(h, caller)
        await finished(h, 1)
        await caller.quiet(3.0)
        assert len(stt.transcribed) > 1, "the echo was not even heard"
        assert len(h.sink.of(UserMessage)) == 1
        assert [message.interrupted for message in h.sink.of(AssistantMessage)] == [False]
