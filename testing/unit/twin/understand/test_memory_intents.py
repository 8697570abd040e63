"""A wish to remember or to forget in so many words needs no model; anything else does."""

from __future__ import annotations

import pytest

from pipecatapp.twin.understand.memory_intents import FORGET, REMEMBER, match_intent

pytestmark = pytest.mark.unit

BOTH = {REMEMBER, FORGET}


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ("Remember that the bin goes out on Monday.", "the bin goes out on Monday"),
        ("please remember that my sister is called Clara, thanks", "my sister is called Clara"),
        ("hey computer remember this: the code is 4711", "the code is 4711"),
        ("don't forget that I park on level three", "I park on level three"),
        ("could you keep in mind that the cat eats at six please", "the cat eats at six"),
    ],
)
def test_what_is_to_be_remembered_is_said(words: str, text: str) -> None:
    call = match_intent(words, BOTH)
    assert call is not None
    assert (call.name, dict(call.arguments)) == (REMEMBER, {"text": text})


@pytest.mark.parametrize(
    "words",
    ["forget that", "Forget that, please.", "no, forget what I just said", "please forget this", "forget that one"],
)
def test_what_was_just_said_is_to_be_forgotten(words: str) -> None:
    call = match_intent(words, BOTH)
    assert call is not None
    assert (call.name, dict(call.arguments)) == (FORGET, {"query": "that"})


@pytest.mark.parametrize(
    "words",
    [
        "remember that time we went to the sea",
        "remember that day when it rained",
        "do you remember that the bin goes out on monday",
        "remember to buy milk",
        "remember me",
        "remember that",
        "forget that my sister is called clara",
        "forget it",
        "forget the bin",
        "can you forget that idea and tell me a joke",
        "what should i remember that you said",
        "",
    ],
)
def test_anything_else_is_left_to_the_model(words: str) -> None:
    assert match_intent(words, BOTH) is None


def test_only_tools_that_are_here_are_called() -> None:
    assert match_intent("remember that the bin goes out on monday", {FORGET}) is None
    assert match_intent("forget that", {REMEMBER}) is None
