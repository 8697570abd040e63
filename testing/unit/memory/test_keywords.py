"""Facts found by their words."""

from __future__ import annotations

import random

import pytest

from pipecatapp.memory.keywords import KeywordIndex, words

pytestmark = pytest.mark.unit


def index(*texts: str) -> KeywordIndex:
    result = KeywordIndex()
    for number, text in enumerate(texts):
        result.add(number, text)
    return result


def test_the_rare_word_decides() -> None:
    found = index("Anna likes tea", "Anna likes Zorlika", "Anna likes milk").scores("does Anna like Zorlika?").best(3)

    assert found[0] == 1
    assert set(found) == {0, 1, 2}


@pytest.mark.parametrize(
    ("said", "asked"),
    [
        ("visits", "visiting"),
        ("planned", "planning"),
        ("cities", "city"),
        ("moved", "move"),
        ("watches", "watched"),
        ("boxes", "box"),
        ("falling", "falls"),
        ("Café", "cafe"),
    ],
)
def test_endings_and_accents_do_not_matter(said: str, asked: str) -> None:
    assert words(said) == words(asked) != []


@pytest.mark.parametrize("word", ["bus", "glass", "this thing", "is", "red", "king", "1984", "Zoë's"])
def test_short_words_stay_recognizable(word: str) -> None:
    assert all(len(part) >= 2 for part in words(word))


def test_words_that_only_connect_find_nothing() -> None:
    assert index("what is it with the cat").scores("what is it with the").best(5) == []


def test_a_fact_with_all_the_words_scores_near_one_and_a_missing_word_costs() -> None:
    facts = index("piano lesson", "piano tuner", "garden hose", "kitchen lamp", "lamp shade")

    whole, half = facts.scores("piano lesson").of([0, 1])
    (absent,) = facts.scores("piano lesson xylophone").of([0])

    assert 0.8 < whole <= 1.0
    assert half < 0.6 * whole
    assert absent < whole


def test_a_removed_fact_is_not_found_and_an_unknown_one_scores_nothing() -> None:
    facts = index("red bicycle", "red car")
    facts.remove(0)
    facts.remove(0)
    facts.remove(77)

    scores = facts.scores("red bicycle")
    assert scores.best(5) == [1]
    assert list(scores.of([0, 77])) == [0.0, 0.0]
    assert len(facts) == 1


def test_an_empty_index_and_an_empty_query_find_nothing() -> None:
    assert KeywordIndex().scores("anything").best(3) == []
    assert index("red car").scores("").best(3) == []


def test_many_removals_change_no_score_of_what_is_left() -> None:
    rng = random.Random(0)
    vocabulary = [f"word{number}" for number in range(50)]
    texts = {number: " ".join(rng.choices(vocabulary, k=6)) for number in range(3000)}
    grown, fresh = KeywordIndex(), KeywordIndex()
    for number, text in texts.items():
        grown.add(number, text)
    for number in range(2500):
        grown.remove(number)
    for number in range(2500, 3000):
        fresh.add(number, texts[number])

    for _ in range(20):
        query = " ".join(rng.choices(vocabulary, k=3))
        # The posting lists of the grown index may still count some removed facts.
        assert set(grown.scores(query).best(500)) == set(fresh.scores(query).best(500))
    grown.add(9000, "entirely different")
    assert grown.scores("different").best(3) == [9000]
