"""The agent's own voice is not taken for a person, though it is recognized badly; a person's words are."""

from __future__ import annotations

import random

import pytest

from pipecatapp.voice.echo import OwnVoice, is_asking, is_echo
from pipecatapp.voice.false_alarms import means_interruption
from testing.fakes.recognizers import misheard, stretches

pytestmark = pytest.mark.unit

_WHO = ("The kitchen light", "Your first meeting", "The washing machine", "My neighbour's dog", "The next train")
_DOES = ("is on again since this morning", "will be ready in twenty minutes", "was moved to Thursday afternoon",
         "has been quiet for several hours", "needs a new battery before winter")  # fmt: skip
_MORE = (
    "and I can remind you of it whenever you want.",
    "so there is plenty of time left to make some coffee.",
)
ANSWERS = [f"{who} {does}, {more}" for who in _WHO for does in _DOES for more in _MORE]


def test_fifty_answers_lead_to_no_conversation_with_itself() -> None:
    rng = random.Random(14)
    taken = []
    assert len(ANSWERS) == 50
    for answer in ANSWERS:
        for stretch in stretches(answer, rng):
            heard = misheard(stretch, rng)
            if means_interruption(heard, answer, final=True):
                taken.append((answer, heard))
            if not OwnVoice(answer, ended_at=10.0).may_be(heard, began=12.9):
                taken.append((answer, heard))
    assert taken == []


@pytest.mark.parametrize(
    "words",
    [
        "what is the weather like tomorrow", "turn the heating off in the bedroom", "how long does the train take",
        "never mind that tell me a joke", "and who is coming to dinner", "remind me to call my mother",
        "what time is it", "can you repeat that", "switch it off again please", "set a timer for ten minutes",
    ],
)  # fmt: skip
def test_a_person_is_heard_over_fifty_answers(words: str) -> None:
    lost = [answer for answer in ANSWERS if not means_interruption(words, answer)]
    assert lost == []


def test_the_answer_to_a_question_may_repeat_it() -> None:
    asked = OwnVoice("do you want a timer or a reminder?", ended_at=10.0, asked=True)
    assert asked.may_be("timer or a reminder", began=9.0)
    assert not asked.may_be("a reminder", began=10.3)
    assert not asked.may_be("a timer or a reminder", began=11.0)


def test_after_three_seconds_nothing_is_an_echo() -> None:
    said = OwnVoice("The kitchen light is on.", ended_at=10.0)
    assert said.may_be("the kitchen light is on", began=12.0)
    assert not said.may_be("the kitchen light is on", began=13.1)
    assert said.words_at(13.1) == ""


def test_one_word_is_an_echo_only_where_it_was_said() -> None:
    assert is_echo("tomorrow", "It will rain tomorrow.")
    assert not is_echo("tomato", "It will rain tomorrow.")
    assert not is_echo("", "Hello")
    assert not is_echo("hello", "")


def test_a_question_is_asked_once_it_is_being_heard() -> None:
    text = "The light is on. Shall I switch it off?"
    assert not is_asking(text, "The light")
    assert is_asking(text, "The light is on.")
    assert not is_asking("Shall I? No. It is off.", "Shall I? No. It is off.")
