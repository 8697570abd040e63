"""Which recognized words can be relied on, and which of them interrupt."""

from __future__ import annotations

import pytest

from pipecatapp.voice.false_alarms import means_interruption
from pipecatapp.voice.request_words import RequestWords
from pipecatapp.voice.stable import StableTranscript

pytestmark = pytest.mark.unit


def test_words_are_stable_when_two_hypotheses_agree_without_the_last_one() -> None:
    transcript = StableTranscript()
    grown = [
        transcript.update(words)
        for words in ("what", "what is", "what is this", "what is the status", "what is the status of", "what is the")
    ]
    assert grown == [None, "what", "what is", None, "what is the status", "what is"]


def test_the_same_stable_words_are_told_once() -> None:
    transcript = StableTranscript()
    transcript.update("turn on the")
    assert transcript.update("turn on the light") == "turn on the"
    assert transcript.update("turn on the lamp") is None


def test_reset_begins_a_new_sentence() -> None:
    transcript = StableTranscript()
    transcript.update("turn on")
    transcript.reset()
    assert transcript.update("turn on the light") is None


@pytest.mark.parametrize(
    "words",
    [
        "", "uh", "hmm", "the", "and uh", "yeah", "okay", "Right.", "Mm-hm.", "thanks", "Got it!",
        "Okay, got it, thanks", "yes", "oh I see", "all right",
    ],
)  # fmt: skip
def test_signs_of_listening_do_not_interrupt(words: str) -> None:
    assert not means_interruption(words, "the answer", final=True)


@pytest.mark.parametrize("words", ["stop", "wait", "no", "No, wait!", "uh stop", "what about tomorrow", "okay stop"])
def test_words_interrupt(words: str) -> None:
    assert means_interruption(words, "the answer")


@pytest.mark.parametrize("words", ["okay", "yes", "right", "sure", "thanks"])
def test_what_else_is_a_sign_of_listening_answers_a_question(words: str) -> None:
    assert means_interruption(words, "shall i switch it on", final=True, asked=True)


def test_one_word_counts_once_the_recognizer_is_done() -> None:
    assert not means_interruption("tomorrow", "the answer")
    assert means_interruption("tomorrow", "the answer", final=True)


def test_the_agents_own_words_are_an_echo() -> None:
    spoken = "The kitchen light is on, and everything else is quiet."
    assert not means_interruption("kitchen light is", spoken)
    assert not means_interruption("chicken light is on", spoken, final=True)
    assert means_interruption("kitchen light off please now", spoken)
    assert means_interruption("stop", "I will stop the machine")
    assert not means_interruption("i will stop", "I will stop the machine", final=True)


def test_words_at_a_pause_are_all_that_was_said() -> None:
    words = RequestWords()
    assert words.hear("what is the status", whole=True) == "what is the status"
    assert words.hear("what is the status of the cluster", whole=True) == "what is the status of the cluster"
