"""A server that was asked to go on says some of it again: that is dropped, and nothing else."""

from __future__ import annotations

import re

import pytest

from pipecatapp.experts.overlap import Overlap

pytestmark = pytest.mark.unit

WHOLE = "The spare key lies under the blue pot. It has been there since last summer, behind the shed."


def go_on(said: str, answer: str) -> str:
    overlap = Overlap(said)
    pieces = re.findall(r"\s*\S+|\s+", answer)
    return said + "".join(overlap.feed(piece) for piece in pieces) + overlap.finish()


@pytest.mark.parametrize("at", [6, 20, 38, 39, 55, 70])
def test_an_answer_that_begins_anew_is_dropped_up_to_where_it_broke_off(at: int) -> None:
    assert go_on(WHOLE[:at], WHOLE) == WHOLE


@pytest.mark.parametrize("at", [30, 38, 55, 70])
@pytest.mark.parametrize("again", [9, 15, 25])
def test_the_end_that_is_said_again_is_dropped(at: int, again: int) -> None:
    assert go_on(WHOLE[:at], WHOLE[at - again :].lstrip()) == WHOLE


@pytest.mark.parametrize("at", [3, 4, 9, 10, 18, 24, 37, 38, 56])
def test_what_goes_on_exactly_is_taken_with_the_space_between(at: int) -> None:
    assert go_on(WHOLE[:at], WHOLE[at:].lstrip()) == WHOLE


def test_the_word_that_broke_off_is_not_begun_twice() -> None:
    assert go_on("It lies under the bl", "blue pot.") == "It lies under the blue pot."
    assert go_on("It lies under the", "them all.") == "It lies under them all."


def test_sentences_that_a_new_beginning_has_in_common_are_dropped() -> None:
    said = "The key lies under the pot. It is blu"
    assert go_on(said, "The key lies under the pot. Look there.") == f"{said} Look there."


def test_a_sentence_that_ended_is_followed_by_a_space() -> None:
    assert go_on("That is all.", "Shall I go on?") == "That is all. Shall I go on?"


def test_words_in_common_elsewhere_are_chance() -> None:
    assert go_on("The pot is in the", "The shed.") == "The pot is in the The shed."


def test_nothing_more_is_nothing() -> None:
    assert go_on("That is all.", "") == "That is all."
    assert go_on("That is all.", "That is all.") == "That is all."
