"""What is seen, said as a person says it."""

from __future__ import annotations

import pytest

from pipecatapp.languages.en.things import NOTHING, describe, name
from pipecatapp.vision.yolov8 import COCO

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("counts", "said"),
    [
        ({"person": 1, "cup": 1}, "I see a person and a cup."),
        ({"person": 1}, "I see a person."),
        ({"person": 2, "cup": 3, "umbrella": 1}, "I see two people, three cups and an umbrella."),
        ({"cup": 0}, NOTHING),
        ({}, NOTHING),
    ],
)
def test_things_are_listed_in_a_sentence(counts: dict[str, int], said: str) -> None:
    assert describe(counts) == said


@pytest.mark.parametrize(
    ("label", "one", "two"),
    [
        ("apple", "an apple", "two apples"),
        ("umbrella", "an umbrella", "two umbrellas"),
        ("orange", "an orange", "two oranges"),
        ("oven", "an oven", "two ovens"),
        ("elephant", "an elephant", "two elephants"),
        ("airplane", "an airplane", "two airplanes"),
        ("uniform", "a uniform", "two uniforms"),
        ("hourglass", "an hourglass", "two hourglasses"),
        ("bus", "a bus", "two buses"),
        ("bench", "a bench", "two benches"),
        ("couch", "a couch", "two couches"),
        ("toothbrush", "a toothbrush", "two toothbrushes"),
        ("wine glass", "a wine glass", "two wine glasses"),
        ("knife", "a knife", "two knives"),
        ("mouse", "a mouse", "two mice"),
        ("sheep", "a sheep", "two sheep"),
        ("person", "a person", "two people"),
        ("policeman", "a policeman", "two policemen"),
        ("human", "a human", "two humans"),
        ("baby", "a baby", "two babies"),
        ("toy", "a toy", "two toys"),
        ("tv", "a TV", "two TVs"),
        ("cell_phone", "a cell phone", "two cell phones"),
        ("scissors", "a pair of scissors", "two pairs of scissors"),
        ("skis", "a pair of skis", "two pairs of skis"),
        ("broccoli", "some broccoli", "some broccoli"),
    ],
)
def test_articles_and_plurals(label: str, one: str, two: str) -> None:
    assert (name(label, 1), name(label, 2)) == (one, two)


def test_a_crowd_is_not_counted() -> None:
    assert [name("person", count) for count in (5, 6, 7)] == ["five people", "several people", "several people"]


def test_every_class_of_coco_is_said_with_the_right_article() -> None:
    with_an = {label for label in COCO if name(label, 1).startswith("an ")}
    assert with_an == {"airplane", "elephant", "umbrella", "apple", "orange", "oven"}
