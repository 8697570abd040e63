"""The mini-language of the phrases, and how things sound."""

from __future__ import annotations

import random

import pytest

from starter_model.patterns import Slot, load_sections, parse_pattern, read_resource
from starter_model.speech import number_words, spoken

pytestmark = pytest.mark.unit


def expansions(source: str) -> set[str]:
    pattern = parse_pattern(source, held_out=False)
    rng = random.Random(1)
    return {
        "".join(f"<{part.name}>" if isinstance(part, Slot) else part for part in pattern.expand(rng))
        for _ in range(200)
    }


def test_choices_options_and_slots() -> None:
    assert expansions("(run|do) <command> [now]") == {
        "run <command>",
        "do <command>",
        "run <command> now",
        "do <command> now",
    }


def test_nested_choices_and_empty_branches() -> None:
    assert expansions("a (b [c|d]|)") == {"a", "a b", "a b c", "a b d"}


def test_an_exclamation_mark_makes_an_imperative() -> None:
    assert parse_pattern("! run it", held_out=False).imperative
    assert not parse_pattern("what is it", held_out=False).imperative


@pytest.mark.parametrize("source", ["(a|b", "a)", "[a|b)", "a]"])
def test_brackets_must_match(source: str) -> None:
    with pytest.raises(ValueError, match=r"missing|expected|unbalanced"):
        parse_pattern(source, held_out=False)


def test_one_pattern_in_five_is_held_out_of_those_that_may_be() -> None:
    later = {line[2:].removeprefix("! ") for line in read_resource("tools.txt").splitlines() if line.startswith("~ ")}
    assert len(later) > 100
    for section in load_sections("tools.txt").values():
        split = [pattern for pattern in section.patterns if pattern.source not in later]
        assert sum(pattern.held_out for pattern in split) == len(split) // 5
        assert not any(pattern.held_out for pattern in section.patterns if pattern.source in later)


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "zero"), (13, "thirteen"), (47, "forty seven"), (205, "two hundred five"), (12000, "twelve thousand")],
)
def test_numbers_as_words(number: int, text: str) -> None:
    assert number_words(number) == text


def test_numbers_that_have_no_words_are_refused() -> None:
    with pytest.raises(ValueError, match="no words"):
        number_words(-1)


@pytest.mark.parametrize(
    ("written", "heard"),
    [
        ("node3.lan", "node three dot lan"),
        ("df -h", "df dash h"),
        ("/var/log", "slash var slash log"),
        ("10.1.20.254", "ten dot one dot twenty dot two hundred fifty four"),
        ("It's 007!", "it's zero zero seven"),
    ],
)
def test_speech(written: str, heard: str) -> None:
    assert spoken(written, spell_signs=True) == heard
