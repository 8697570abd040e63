"""Cutting an answer into speakable pieces while it is still being written."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipecatapp.voice.clauses import ClauseSplitter

pytestmark = pytest.mark.unit


def cut(text: str) -> list[str]:
    """The pieces when the text comes in small pieces like a model's."""
    splitter = ClauseSplitter()
    pieces = []
    for token in re.findall(r"\s*\w{1,4}|\s*[^\w\s]|\s+", text):
        pieces += splitter.feed(token)
    return [piece.strip() for piece in pieces + splitter.finish()]


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("Sure, I can do that. It is done.", ["Sure,", "I can do that.", "It is done."]),
        ("All seven machines are running, and none is full.", ["All seven machines are running,", "and none is full."]),
        ("The light is on but the heating is off.", ["The light is on", "but the heating is off."]),
        ("I have an orange or two.", ["I have an orange", "or two."]),
        ("I saw an orange orangutan today.", ["I saw an orange orangutan today."]),
        ("Yes! Of course.", ["Yes!", "Of course."]),
        ("The files are here: one and two.", ["The files are here:", "one and two."]),
        ("It is late - go to bed.", ["It is late -", "go to bed."]),
        ("One\nTwo", ["One", "Two"]),
    ],
)
def test_the_first_piece_is_a_clause_and_the_rest_are_sentences(text: str, pieces: list[str]) -> None:
    assert cut(text) == pieces


@pytest.mark.parametrize(
    "text",
    [
        "It is 21.5 degrees in here.",
        "There are 1,000,000 reasons.",
        "Open https://node3.local:8443/a,b?c=1 today.",
        "Dr. Smith is here.",
        "Write to J. Doe at home.",
        "I would say e.g. Monday.",
        "The address is 192.168.1.10 now.",
        "Version 3.11.7 is installed.",
        "The meeting is at 10:30 tomorrow.",
        "We leave at 8 p.m. tonight.",
    ],
)
def test_numbers_addresses_and_abbreviations_stay_whole(text: str) -> None:
    assert cut(text) == [text]


def test_a_list_keeps_its_numbers() -> None:
    assert cut("1. Open the lid.\n2. Press start.") == ["1. Open the lid.", "2. Press start."]


def test_a_long_later_sentence_is_cut_at_its_clauses() -> None:
    sentence = "Well, " + "word " * 16 + "end, and " + "more " * 3 + "words."
    assert cut(sentence)[1].endswith("end,")


def test_hurry_hands_out_whole_words_that_do_not_lean_on_the_next() -> None:
    splitter = ClauseSplitter()
    assert splitter.feed("The kitchen light is on the") == []
    assert splitter.hurry() == ["The kitchen light "]
    assert splitter.hurry() == []


@pytest.mark.parametrize("text", ["Twenty three degrees and", "I have 500 GB", "It is at", "The disk"])
def test_hurry_does_not_cut_numbers_or_take_too_few_words(text: str) -> None:
    splitter = ClauseSplitter()
    splitter.feed(text)
    assert splitter.hurry() == []


@given(st.text(alphabet="aB1 .,;:!?-\n'\"()é€/", max_size=200), st.lists(st.integers(1, 9), max_size=60), st.data())
def test_nothing_is_lost_or_added(text: str, sizes: list[int], data: st.DataObject) -> None:
    splitter, pieces, position = ClauseSplitter(), [], 0
    for size in [*sizes, len(text)]:
        pieces += splitter.feed(text[position : position + size])
        position += size
        if data.draw(st.booleans()):
            pieces += splitter.hurry()
    pieces += splitter.finish()
    assert "".join(pieces) == text


@given(st.lists(st.sampled_from(["node3", "3.14", "1,234", "a.b.c/d,e", "ok", "10:30"]), min_size=1, max_size=12))
def test_no_word_is_ever_cut(words: list[str]) -> None:
    pieces = cut(" ".join(words))
    assert " ".join(pieces).split() == words
