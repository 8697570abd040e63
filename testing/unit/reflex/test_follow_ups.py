"""Words that only the open dialogue explains, durations in words, and what an argument can be."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from pipecatapp.intents import Guess, OpenQuestion
from pipecatapp.reflex.checks import fits, is_fit, missing
from pipecatapp.reflex.durations import seconds_of
from pipecatapp.reflex.follow_ups import answer_to_question, follow_up
from pipecatapp.reflex.tokens import Token, span_text, tokens_of

pytestmark = pytest.mark.unit

HOW_LONG = OpenQuestion((Guess("timer.set", {"label": "pasta"}),), ("duration",))
WHICH = OpenQuestion((Guess("timer.list"), Guess("reminder.list")))
PARIS = Guess("clock.now", {"timezone": "Rome"})


def nothing(tool: str, text: str, tokens: Sequence[Token]) -> tuple[dict[str, str], list[str], float]:
    """A tagger that finds nothing."""
    return {}, ["-"] * len(tokens), 0.0


@pytest.mark.parametrize(
    ("said", "value"),
    [("ten minutes", "ten minutes"), ("for ten minutes.", "ten minutes"), ("uh, make it 5 min", "5 min")],
)
def test_an_answer_fills_what_was_missing(said: str, value: str) -> None:
    intent = answer_to_question(said.replace(",", ""), HOW_LONG, False)
    assert intent is not None
    assert intent.guesses[0] == Guess("timer.set", {"label": "pasta", "duration": value})
    assert not intent.missing


def test_what_cannot_be_the_answer_is_a_request_of_its_own() -> None:
    assert answer_to_question("why do bees dance", HOW_LONG, False) is None
    assert answer_to_question("ten minutes", HOW_LONG, True) is None


@pytest.mark.parametrize("said", ["never mind", "No, forget it.", "nothing", "no thanks", "cancel that"])
def test_a_question_can_be_dropped(said: str) -> None:
    intent = answer_to_question(said.replace(",", ""), HOW_LONG, False)
    assert intent is not None
    assert intent.kind == "dropped"


@pytest.mark.parametrize(
    ("said", "tool"),
    [("the timer", "timer.list"), ("I mean the reminders", "reminder.list"), ("the second one", "reminder.list")],
)
def test_one_of_two_is_chosen_by_its_name_or_place(said: str, tool: str) -> None:
    intent = answer_to_question(said, WHICH, False)
    assert intent is not None
    assert intent.guesses[0].tool == tool


def test_a_yes_takes_the_one_that_was_asked_about_and_never_one_of_two() -> None:
    one = OpenQuestion((Guess("undo"),))
    assert (intent := answer_to_question("yes please", one, False)) is not None
    assert intent.guesses[0].tool == "undo"
    assert answer_to_question("yes", WHICH, False) is None


@pytest.mark.parametrize("said", ["and in Paris?", "what about Paris", "And Paris?"])
def test_the_same_again_elsewhere(said: str) -> None:
    intent = follow_up(said, PARIS, nothing, tokens_of)
    assert intent is not None
    assert intent.guesses[0] == Guess("clock.now", {"timezone": "Paris"})
    assert not intent.amends


def test_what_was_said_wrongly_is_put_right() -> None:
    intent = follow_up("no, Thursday", Guess("alarm.set", {"when": "wednesday"}), nothing, tokens_of)
    assert intent is not None
    assert intent.guesses[0].arguments == {"when": "Thursday"}
    assert intent.amends


@pytest.mark.parametrize(
    "said", ["no, that is wrong", "and why is that so", "what about you and me and everybody else"]
)
def test_other_words_are_no_follow_up(said: str) -> None:
    assert follow_up(said, Guess("alarm.set", {"when": "wednesday"}), nothing, tokens_of) is None


@pytest.mark.parametrize(
    "said",
    [
        "no, twenty minutes",
        "No wait, make it twenty.",
        "I said twenty",
        "sorry, I meant twenty minutes",
        "not ten, twenty",
        "no, not ten minutes, twenty minutes",
        "oh no, twenty",
    ],
)
def test_the_other_value_is_put_in_with_its_unit(said: str) -> None:
    intent = follow_up(said, Guess("timer.set", {"duration": "ten minutes", "label": "pasta"}), nothing, tokens_of)
    assert intent is not None
    assert intent.guesses[0].arguments == {"duration": "twenty minutes", "label": "pasta"}
    assert intent.amends


def test_a_split_argument_is_joined_and_a_command_keeps_its_signs() -> None:
    text = "remind me tomorrow to call mum at five."
    tokens = tokens_of(text)
    when = [token.word in ("tomorrow", "at", "five") for token in tokens]
    assert span_text(text, tokens, when, exact=False) == "tomorrow at five"
    sum_ = "what is (3 + 4) * 2?"
    tokens = tokens_of(sum_)
    assert span_text(sum_, tokens, [False, False, *[True] * (len(tokens) - 2)], exact=True) == "(3 + 4) * 2"


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ("ten minutes", 600),
        ("an hour and a half", 5400),
        ("three quarters of an hour", 2700),
        ("1 1/2 hours", 5400),
        ("10m", 600),
        ("a couple of minutes", 120),
        ("two hours and fifteen minutes", 8100),
        ("half a minute", 30),
        ("ten", None),
    ],
)
def test_durations_as_seconds(said: str, seconds: int | None) -> None:
    assert seconds_of(said) == seconds


def test_an_argument_that_cannot_be_one_does_not_fit() -> None:
    assert fits("timer.set", {"duration": "ten minutes"})
    assert not is_fit("timer.set", "duration", "the oven")
    assert not is_fit("calculator.evaluate", "expression", "the meaning of life")
    assert missing("reminder.set", {"what": "call mum"}) == ["when"]
