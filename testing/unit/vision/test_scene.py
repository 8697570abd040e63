"""News of the scene: once for each change, none for a detector that blinks."""

from __future__ import annotations

import random

import pytest

from pipecatapp.vision.pictures import Thing
from pipecatapp.vision.scene import ARRIVES_AFTER, LEAVES_AFTER, MANY, Scene

pytestmark = pytest.mark.unit

KINDS = {"person": 0, "cup": 41}


def things(*labels: str, score: float = 0.9) -> list[Thing]:
    return [Thing(label, KINDS[label], score, (0, 0, 10, 10)) for label in labels]


def changes(scene: Scene, looks: int, *labels: str, score: float = 0.9) -> int:
    return sum(scene.update(things(*labels, score=score)) for _ in range(looks))


def test_a_thing_that_comes_and_goes_is_news_twice() -> None:
    scene = Scene()
    assert changes(scene, 50) == 0
    assert changes(scene, 50, "cup") == 1
    assert scene.things == {"cup": 1}
    assert changes(scene, 50) == 1
    assert scene.things == {}


def test_things_that_come_together_are_one_piece_of_news_people_first() -> None:
    scene = Scene()
    assert changes(scene, 20, "cup", "person", "cup") == 1
    assert list(scene.things.items()) == [("person", 1), ("cup", 2)]


def test_it_takes_several_looks_that_agree() -> None:
    scene = Scene()
    assert changes(scene, ARRIVES_AFTER - 1, "cup") == 0
    assert changes(scene, 1, "cup") == 1
    assert changes(scene, LEAVES_AFTER - 1) == 0
    assert changes(scene, 1) == 1


def test_a_blinking_detector_makes_no_news() -> None:
    scene = Scene()
    changes(scene, 20, "person")
    for _ in range(100):
        assert changes(scene, 1, "person", "cup") == 0
        assert changes(scene, LEAVES_AFTER - 1, "person") == 0
        assert changes(scene, 1) == 0
    assert scene.things == {"person": 1}


def test_a_thing_at_the_limit_stays_once_it_is_known() -> None:
    scene = Scene()
    assert changes(scene, 20, "cup", score=0.45) == 0
    assert changes(scene, 20, "cup", score=0.55) == 1
    assert changes(scene, 20, "cup", score=0.4) == 0
    assert changes(scene, 20, "cup", score=0.3) == 1


def test_one_flickering_thing_does_not_hide_another_that_arrives() -> None:
    scene = Scene()
    news = 0
    for look in range(20):
        news += scene.update(things("person", *(["cup"] if look % 2 else [])))
    assert (news, scene.things) == (1, {"person": 1})


def test_a_crowd_that_changes_is_no_news() -> None:
    scene, rng = Scene(), random.Random(1)
    assert changes(scene, 20, *["person"] * MANY) == 1
    assert sum(scene.update(things(*["person"] * rng.randint(MANY, 30))) for _ in range(200)) == 0
