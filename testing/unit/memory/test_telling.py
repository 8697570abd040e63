"""A text that tells a fact is found in whatever words it does so; one about something else is not."""

from __future__ import annotations

import time

import pytest

from pipecatapp.memory.telling import Telling

pytestmark = pytest.mark.unit

TELLS = Telling(["the spare key is under the blue pot", "My daughter is called Anna.", "Rex"])


@pytest.mark.parametrize(
    "text",
    [
        "Your spare key is under the blue pot.",
        "Where is the spare key?\nIt lies under the BLUE pot, as ever.",
        "The pot that is blue hides your spare keys",
        "Your daughter's name? She is called Anna!",
    ],
)
def test_a_text_that_tells_it_is_found(text: str) -> None:
    assert TELLS(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "The spare key is in the shed.",
        "Anna is my sister",
        "Rex",  # one word alone may stand in anything
        "the spare tyre and the key " + "of another thing that is told at length, " * 20 + "blue pot",
    ],
)
def test_a_text_about_something_else_is_not(text: str) -> None:
    assert not TELLS(text)


def test_long_texts_are_searched_in_a_moment() -> None:
    began = time.process_time()
    for text in ("spare key blue " * 20_000, "pot " * 50_000, "blue" * 50_000, "x" * 200_000):
        TELLS(text)
    assert time.process_time() - began < 5
