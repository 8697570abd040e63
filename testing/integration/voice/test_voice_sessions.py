"""A person talks to the real pipeline over a WebSocket: what is heard, what is said, what is kept."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest

from pipecatapp.errors import SpeechError
from pipecatapp.events import (
    AssistantMessage,
    ErrorSpoken,
    PartialTranscript,
    StateChanged,
    TurnFinished,
    UserMessage,
)
from pipecatapp.voice.recognition import OnPartial, Utterance
from pipecatapp.voice.stt_pocketsphinx import PocketsphinxRecognizer
from pipecatapp.voice.tts_fallback import FallbackSynthesizer
from pipecatapp.voice.tts_programs import FliteSynthesizer
from testing.fakes.caller import recognized, spoken
from testing.fakes.chat_model import Gate

pytestmark = pytest.mark.integration

AgentHarness = Callable[..., Any]


async def until(condition: Callable[[], bool], timeout: float = 90.0) -> None:
    """Wait for something to become true."""
    async with asyncio.timeout(timeout):
        while not condition():
            await asyncio.sleep(0.05)


async def test_a_spoken_question_gets_a_spoken_answer(house: AgentHarness) -> None:
    async with house("I cannot see the kitchen, and everything else is quiet.") as h, h.caller() as caller:
        await h.connected()
        end = await caller.say(spoken("what is the status of the cluster"))
        await caller.first_sound(end)
        await caller.quiet()
        assert "status of the cluster" in h.sink.of(UserMessage)[0].text
        assert h.sink.of(PartialTranscript)
        words = recognized(bytes(caller.speaker.played))
        assert "kitchen" in words
        assert "everything else is quiet" in words
        assert [event.state for event in h.sink.of(StateChanged)] == ["listening", "thinking", "speaking", "idle"]
        cost = h.sink.of(TurnFinished)[0]
        assert cost.stt_s is not None
        assert cost.first_audio_s is not None
        assert cost.total_s is not None
        assert cost.total_s > cost.stt_s


LONG = (
    "Perhaps there are seven machines in the cluster. Perhaps the first one is called apple and is running very well. "
    "Maybe the second one is called banana and it needs more memory. Maybe the third one is called cherry."
)


async def test_speaking_over_the_answer_silences_it_and_the_history_keeps_what_was_heard(house: AgentHarness) -> None:
    async with house(LONG, "All right.") as h, h.caller() as caller:
        await h.connected()
        end = await caller.say(spoken("how many machines are in the cluster"))
        await caller.first_sound(end)
        await caller.plays(2.5)
        before = len(caller.speaker.audible)
        await caller.say(spoken("please stop talking now"))
        onset = caller.first_sample
        # How quick it is `scripts/bench latency` says; here only that it happens while the person still speaks.
        late = [moment - onset for moment in caller.speaker.audible[before:] if moment < onset + 1.5]
        assert caller.speaker.interrupts
        assert max(late, default=0.0) < 1.0
        await caller.first_sound(time.monotonic())
        await caller.quiet()
        interrupted = [message for message in h.sink.of(AssistantMessage) if message.interrupted][-1]
        assert interrupted.text.startswith("Perhaps there are seven machines")
        assert "cherry" not in interrupted.text
        assert "stop" in h.sink.of(UserMessage)[1].text
        # The model was shown what was heard, not what it wrote.
        assert interrupted.text in [message.content for message in h.model.requests[1].messages]


class _Failing:
    """An utterance that cannot be recognized."""

    def feed(self, pcm: bytes) -> None:
        pass

    def pause(self) -> None:
        pass

    def resume(self) -> None:
        pass

    async def finish(self) -> str:
        raise SpeechError("the decoder died")

    def abandon(self) -> None:
        pass


class _Wordless(_Failing):
    """An utterance without words."""

    async def finish(self) -> str:
        return ""


class _Scripted(PocketsphinxRecognizer):
    """pocketsphinx, but for the utterances that the test wrote down."""

    def __init__(self, *utterances: Utterance | None) -> None:
        super().__init__()
        self._script = list(utterances)

    def open(self, on_partial: OnPartial) -> Utterance:
        written = self._script.pop(0) if self._script else None
        return written or super().open(on_partial)


async def test_a_noise_does_not_kill_the_answer(house: AgentHarness) -> None:
    answer = "The first sentence is about apples. The second sentence is about bananas."
    async with house(answer, stt=_Scripted(None, _Wordless())) as h, h.caller() as caller:
        await h.connected()
        end = await caller.say(spoken("tell me something about fruit"))
        await caller.first_sound(end)
        await caller.plays(0.8)
        await caller.say(spoken("what a noise"))
        await caller.quiet(1.5)
        assert caller.speaker.interrupts, "the sound should have silenced the speaker"
        assert "bananas" in recognized(bytes(caller.speaker.played))
        assert len(h.sink.of(UserMessage)) == 1
        assert not h.sink.of(AssistantMessage)[-1].interrupted


async def test_two_people_at_once_are_not_mixed_up(house: AgentHarness) -> None:
    answer = "The answer is on its way."
    async with house(answer, answer) as h, h.caller("left") as left, h.caller("right") as right:
        await h.connected(2)
        await asyncio.gather(
            left.say(spoken("what is the status of the cluster")), right.say(spoken("tell me about the weather"))
        )
        await asyncio.gather(left.first_sound(0.0), right.first_sound(0.0))
        asked = {event.conversation: event.text for event in h.sink.of(UserMessage)}
        assert "status" in asked["left"]
        assert "weather" in asked["right"]


async def test_who_reconnects_goes_on_with_the_same_conversation(house: AgentHarness) -> None:
    async with house("Hello to you too.", "You said good morning.") as h:
        for question in ("good morning my friend", "what did i say before"):
            async with h.caller() as caller:
                await h.connected()
                await caller.first_sound(await caller.say(spoken(question)))
                await caller.quiet()
        contents = [message.content for message in h.model.requests[1].messages]
        assert h.sink.of(UserMessage)[0].text in contents
        assert "Hello to you too." in contents
        await until(lambda: h.sessions.open_sessions == 0)


async def test_a_typed_request_is_answered_aloud(house: AgentHarness) -> None:
    async with house("People cook in the kitchen.") as h, h.caller() as caller:
        await h.connected()
        turn = await h.runner.submit("c", "where do people cook?")
        await caller.first_sound(0.0)
        await caller.quiet()
        assert "kitchen" in recognized(bytes(caller.speaker.played))
        assert h.sink.of(TurnFinished)[0].turn == turn
        assert h.sink.of(TurnFinished)[0].stt_s is None


async def test_a_muted_microphone_is_not_listened_to(house: AgentHarness) -> None:
    async with house("Good morning.") as h, h.caller() as caller:
        await caller.mute(True)
        await caller.say(spoken("what is the status of the cluster"))
        await caller.mute(False)
        await caller.say(spoken("good morning my friend"))
        await until(lambda: bool(h.sink.of(UserMessage)))
        heard = [*h.sink.of(PartialTranscript), *h.sink.of(UserMessage)]
        assert not any("status" in event.text or "cluster" in event.text for event in heard)


async def test_failed_recognition_is_said_and_the_next_try_works(house: AgentHarness) -> None:
    async with house("Here I am.", stt=_Scripted(_Failing())) as h, h.caller() as caller:
        await h.connected()
        await caller.first_sound(await caller.say(spoken("what is the status of the cluster")))
        await caller.quiet()
        assert "say that again" in recognized(bytes(caller.speaker.played))
        assert h.sink.of(ErrorSpoken)[0].kind == "stt"
        await caller.first_sound(await caller.say(spoken("what is the status of the cluster")))
        await caller.quiet()
        assert "status" in h.sink.of(UserMessage)[0].text


class _Mute:
    """A synthesizer that always fails."""

    name = "mute"

    async def load(self) -> None:
        pass

    async def say(self, text: str) -> bytes:
        raise SpeechError("no voice today")

    async def aclose(self) -> None:
        pass


async def test_without_a_voice_the_answer_is_written(house: AgentHarness) -> None:
    async with house("I cannot see the kitchen light.", tts=_Mute()) as h, h.caller() as caller:
        await h.connected()
        await caller.say(spoken("what is the status of the cluster"))
        await until(lambda: bool(h.sink.of(TurnFinished)))
        assert h.sink.of(AssistantMessage)[0].text == "I cannot see the kitchen light."
        assert h.sink.of(ErrorSpoken)[0].kind == "tts"


async def test_the_second_voice_speaks_when_the_first_fails(house: AgentHarness) -> None:
    voices = FallbackSynthesizer([_Mute(), FliteSynthesizer()])
    async with house("I cannot see the kitchen light.", tts=voices) as h, h.caller() as caller:
        await h.connected()
        await caller.first_sound(await caller.say(spoken("what is the status of the cluster")))
        await caller.quiet()
        assert "kitchen" in recognized(bytes(caller.speaker.played))
        assert not h.sink.of(ErrorSpoken)


async def test_smart_turn_ends_a_turn_too(house: AgentHarness) -> None:
    async with house("I cannot see the kitchen light.", turn="smart") as h, h.caller() as caller:
        await h.connected()
        await caller.first_sound(await caller.say(spoken("what is the status of the cluster")))
        assert "status" in h.sink.of(UserMessage)[0].text


async def test_interrupting_from_the_page_silences_the_answer(house: AgentHarness) -> None:
    async with house(LONG) as h, h.caller() as caller:
        await h.connected()
        await caller.first_sound(await caller.say(spoken("how many machines are in the cluster")))
        await caller.plays(1.0)
        await h.runner.interrupt("c")
        await caller.quiet(1.0)
        assert h.sink.of(AssistantMessage)[-1].interrupted
        assert h.sink.of(StateChanged)[-1].state == "idle"


async def test_who_goes_on_after_a_pause_asks_one_question(house: AgentHarness) -> None:
    thinking = Gate()
    async with house([thinking, "Never said."], "The cluster is well.") as h, h.caller() as caller:
        await h.connected()
        await caller.say(spoken("what is the status"))
        await thinking.reached.wait()
        await caller.first_sound(await caller.say(spoken("of the big cluster")))
        await caller.quiet()
        text = h.sink.of(UserMessage)[-1].text
        assert text.startswith("what is the status")
        assert "cluster" in text
        assert "never" not in recognized(bytes(caller.speaker.played))


async def test_a_decoder_that_dies_is_replaced(house: AgentHarness) -> None:
    stt = PocketsphinxRecognizer()
    async with house("Here I am.", stt=stt) as h, h.caller() as caller:
        await h.connected()
        speaking = asyncio.create_task(caller.say(spoken("what is the status of the cluster")))
        await until(lambda: bool(h.sink.of(StateChanged)))
        for worker in list(stt._all):
            await worker.stop()
        await caller.first_sound(await speaking)
        await caller.quiet()
        assert h.sink.of(ErrorSpoken)[0].kind == "stt"
        await caller.first_sound(await caller.say(spoken("what is the status of the cluster")))
        await caller.quiet()
        assert "status" in h.sink.of(UserMessage)[-1].text
