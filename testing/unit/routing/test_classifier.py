"""The fast classifier: right where the case is clear, silent where it is not, from files that a person may break."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from pipecatapp.routing.classifier import RequestClassifier
from pipecatapp.routing.examples import LearnedRouting, read_examples
from pipecatapp.routing.features import Floats, Vocabulary, pieces, words

pytestmark = pytest.mark.unit

PROMPTS = Path(__file__).resolve().parents[3] / "ansible/roles/pipecatapp/files/prompts"
FRUIT = ("apple", "pear", "plum", "cherry", "quince", "melon")
TOOLS = ("hammer", "chisel", "wrench", "pliers", "mallet", "gimlet")
OTHER = ("monday", "tuesday", "river", "window", "music", "tomorrow")
FRAMES = ("where is the {}", "i would like a {}", "show me the {}", "is there a {} here", "a big {} please", "the {}")


def said(things: Sequence[str]) -> list[str]:
    return [frame.format(thing) for thing in things for frame in FRAMES]


def by_kind(texts: Sequence[str]) -> Floats:
    """Meanings as an embedding model would give them: what a text is about, whatever its words."""
    groups = (*FRUIT, "nectarine"), (*TOOLS, "screwdriver"), OTHER
    return np.array([[float(any(word in text for word in group)) for group in groups] for text in texts], np.float32)


def test_features_are_words_pairs_and_pieces() -> None:
    assert list(words("Hello big world")) == ["hello", "big", "world", "hello big", "big world"]
    assert list(pieces("a b")) == [" a", "a ", " a ", " b", "b ", " b "]


def test_unknown_features_are_left_out() -> None:
    row = Vocabulary(["open the door", "close the door"]).row("door zzz")
    assert len(row.places) > 0
    assert len(Vocabulary(["open the door"]).row("qqq").places) == 0


def test_clear_cases_are_decided_and_others_are_not() -> None:
    classifier = RequestClassifier.fit({"fruit": said(FRUIT), "tools": said(TOOLS)}, said(OTHER))
    assert classifier.classify("could i have a cherry").label == "fruit"
    assert classifier.classify("i need a wrench").label == "tools"
    assert classifier.classify("on tuesday by the river").label is None
    assert classifier.classify("").label is None


def test_meaning_decides_where_words_are_unknown() -> None:
    texts = {"fruit": said(FRUIT), "tools": said(TOOLS)}
    alone = RequestClassifier.fit(texts, said(OTHER))
    with_meaning = RequestClassifier.fit(texts, said(OTHER), by_kind)
    assert alone.classify("nectarine").score < with_meaning.classify("nectarine").score
    assert with_meaning.classify("nectarine").label == "fruit"
    assert with_meaning.classify("screwdriver").label == "tools"


def test_a_case_that_words_make_clear_needs_no_meaning() -> None:
    asked: list[str] = []

    def noted(texts: Sequence[str]) -> Floats:
        asked.extend(texts)
        return by_kind(texts)

    classifier = RequestClassifier.fit({"fruit": said(FRUIT), "tools": said(TOOLS)}, said(OTHER), noted)
    asked.clear()
    assert classifier.classify("where is the apple").label == "fruit"
    assert asked == []


def test_the_threshold_refuses_the_wanted_share() -> None:
    classifier = RequestClassifier.learn({"fruit": said(FRUIT)}, said(OTHER), None)
    strangers = [f"stranger number {number} {'apple' if number % 4 == 0 else ''}" for number in range(40)]
    classifier.threshold = classifier.threshold_for(strangers, 0.75)
    refused = [classifier.classify(text).label is None for text in strangers]
    assert sum(refused) >= 0.75 * len(strangers)


def test_nothing_to_learn_from_is_said() -> None:
    with pytest.raises(ValueError, match="examples of each class"):
        RequestClassifier.fit({"fruit": []}, said(OTHER))
    with pytest.raises(ValueError, match="and others"):
        RequestClassifier.fit({"fruit": said(FRUIT)}, [])


def test_examples_are_read_without_comments_and_too_few_are_none(tmp_path: Path) -> None:
    (tmp_path / "garden_examples.txt").write_text(
        "# about plants\n" + "\n".join(f"plant {n}" for n in range(12)) + "\n\n"
    )
    (tmp_path / "rare_examples.txt").write_text("only one\n")
    (tmp_path / "router_examples.txt").write_text("hello\n")
    (tmp_path / "garden_expert.txt").write_text("You know plants.")
    examples, others = read_examples(tmp_path)
    assert list(examples) == ["garden"]
    assert examples["garden"][0] == "plant 0"
    assert others == ["hello"]


async def test_a_broken_file_costs_only_the_short_cut(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "garden_examples.txt").write_bytes(b"\xff\xfe\x00broken")
    routing = LearnedRouting(tmp_path, None)
    with caplog.at_level(logging.WARNING):
        await routing.learn()
    assert await routing.classify("plant a rose") == (None, 0.0)
    assert "garden_examples.txt cannot be read" in caplog.text


async def test_the_shipped_examples_route_clear_requests_after_learning() -> None:
    routing = LearnedRouting(PROMPTS, None)
    assert (await routing.classify("write a poem about the sea"))[0] is None
    await routing.learn()
    assert (await routing.classify("write a poem about a lonely lighthouse"))[0] == "creative"
    assert (await routing.classify("what is the square root of 144"))[0] == "math"
    assert (await routing.classify("why does my python script crash"))[0] == "coding"
    assert (await routing.classify("what time is it"))[0] is None
    assert (await routing.classify("remember that the car keys are in the drawer"))[0] is None
