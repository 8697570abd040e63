"""An answer becomes exactly the words that a person would read out, however it arrives; what was written is kept."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipecatapp.voice.aloud.pieces import Piece
from pipecatapp.voice.aloud.spoken_clauses import SpokenClauses, clauses_of
from pipecatapp.voice.aloud.spoken_copy import SpokenCopy, speak_of
from testing.fakes.spoken_texts import SpokenText, spoken_texts

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("text", spoken_texts(), ids=lambda text: f"{text.kind}: {text.written[:30]}")
def test_a_text_becomes_its_words(text: SpokenText) -> None:
    assert speak_of(text.written) == text.spoken


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("say <tool_call> aloud", "say aloud"),
        ("[TOOL_CALLS] and [/THINK] and <reflection>, [see] [A] [TO", "and and, see A TO"),
        ("3 < 4 and <b> stays", "three less than four and stays"),
        ("def f(*args)", "def f(args)"),
        ("* one\n* two", "one two"),
        ("## Title\ntext # 5", "Title text five"),
        ("```two words``` end", "two words end"),
        ("Bye.<|im_end|>", "Bye."),
        ("<|endoftext|>Hi", "Hi"),
        ("**", ""),
        ("```\nnever closed", "The code is on the page."),
        ("cut <|im_", "cut less than im"),
        ("done.Next one", "done. Next one"),
        ("a row | of two", "a row of two"),
        ("[ref]: https://x.example/a", "ref: X dot example slash a"),
        ("It costs $3.", "It costs three dollars."),
        ("He said \"1234\" twice.", "He said \"one thousand two hundred and thirty-four\" twice."),
        ("That is no. 5, no. Not so.", "That is number five, no. Not so."),
    ],
)  # fmt: skip
def test_what_has_no_sound_is_silent(written: str, spoken: str) -> None:
    assert speak_of(written) == spoken


@pytest.mark.parametrize("word", ["Good morning, ", "Yes! ", "Sure,"])
def test_plain_words_are_not_delayed(word: str) -> None:
    assert "".join(piece.spoken for piece in SpokenCopy().feed(word)) == word


def test_a_number_is_said_as_soon_as_the_next_word_shows_that_it_is_whole() -> None:
    copy = SpokenCopy()
    assert copy.feed("5 km ") == []
    assert [piece.spoken.strip() for piece in copy.feed("from ")] == ["five\u2060kilometers", "from"]


_BITS = st.sampled_from(
    ["```", "```json\n", "~~~", "**", "*", "# ", "#", "`", "<|im_end|>", "<|", "|>", "<tool_call>", "</think>", "<",
     "word ", " ", "\n", "5", "x", "(", ")", "[", "](", "]", "| a | b |\n", "|---|\n", "$4.50", "10:30", "p.m. ",
     "5 km ", "~~", "<b>", "<a href=", "&amp;", "&", "- ", "1. ", "Dr. ", "\U0001f642", "https://a.b/c ", "a@b.co",
     "\u00bd", "-", "\u2192", "192.168.1.1", "Sure,", "!", "?", "_", "March ", "3", ", ", "[x] ", "---\n", "> ", "'",
     '"', "%", "\u00b0C", "=", "+", "2026", "\\"]
)  # fmt: skip
_TEXTS = st.lists(_BITS | st.text(max_size=3), max_size=25).map("".join) | st.sampled_from(
    [text.written for text in spoken_texts()]
)


def _parts(text: str, places: list[int]) -> list[str]:
    edges = sorted({min(place, len(text)) for place in places} | {0, len(text)})
    return [text[a:b] for a, b in pairwise(edges)]


def _spoken(pieces: list[Piece]) -> str:
    return "".join(piece.spoken for piece in pieces)


@settings(max_examples=60)
@given(_TEXTS, st.lists(st.integers(0, 150)))
def test_any_chunking_speaks_the_same_words(text: str, places: list[int]) -> None:
    whole, copy = SpokenCopy(), SpokenCopy()
    at_once = whole.feed(text) + whole.finish()
    letter_by_letter = [piece for letter in text for piece in copy.feed(letter)] + copy.finish()
    in_parts = [piece for part in _parts(text, places) for piece in copy.feed(part)] + copy.finish()
    assert _spoken(letter_by_letter) == _spoken(in_parts) == _spoken(at_once)
    assert "".join(piece.written for piece in in_parts) == text


@settings(max_examples=60)
@given(_TEXTS, st.lists(st.integers(0, 150)), st.data())
def test_the_clauses_hold_all_words_and_all_that_was_written(text: str, places: list[int], data: st.DataObject) -> None:
    clauses, whole = SpokenClauses(), SpokenCopy()
    got = []
    for part in _parts(text, places):
        got += clauses.feed(part)
        if data.draw(st.booleans()):
            got += clauses.hurry()
    got += clauses.finish()
    assert "".join(clause.written for clause in got) == text
    said = [piece for clause in got for piece in clause.pieces]
    assert _spoken(said) == _spoken(whole.feed(text) + whole.finish())


def test_no_clause_ends_within_a_number() -> None:
    clauses = clauses_of("The house costs $1,234,567 and more.")
    assert [clause.spoken for clause in clauses] == [
        "The house costs one million two hundred and thirty-four thousand five hundred and sixty-seven dollars",
        "and more.",
    ]
    assert [clause.written for clause in clauses] == ["The house costs $1,234,567 ", "and more."]


def test_code_is_one_sentence_and_its_text_is_kept() -> None:
    clauses = clauses_of("Look:\n```\na = 1\nb = 2\n```\nDone.")
    assert [clause.spoken for clause in clauses if clause.spoken] == ["Look:", "The code is on the page.", "Done."]
    assert "a = 1\nb = 2" in "".join(clause.written for clause in clauses)
