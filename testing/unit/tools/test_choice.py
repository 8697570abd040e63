"""The right tool among many: by shared words, by likeness, by what everyday speech is about."""

from __future__ import annotations

import random

import numpy as np
import pytest

from pipecatapp.domain import ToolSpec
from pipecatapp.tools.choice import terms
from pipecatapp.tools.choice.chooser import MeaningChooser
from pipecatapp.tools.choice.everyday import concepts, evoked
from pipecatapp.tools.choice.vectors import word_vectors
from testing.bench.tools import imagined

pytestmark = pytest.mark.unit

TOOLS = list(imagined(random.Random(1)).values())


def chosen(words: str, tools: list[ToolSpec] = TOOLS, limit: int = 8) -> list[str]:
    return [tool.name for tool in MeaningChooser().choose_now(words, tools, limit)]


@pytest.mark.parametrize(
    ("words", "tool"),
    [
        ("restart the grafana container", "docker.restart_container"),
        ("do i need an umbrella tomorrow", "weather.get_forecast"),
        ("it is chilly in here", "climate.set_temperature"),
        ("what's 19 times 23", "calculator.evaluate"),
        ("wether forcast for rome", "weather.get_forecast"),
        ("book a tabel for two", "restaurants.reserve_table"),
        ("getDiskUsage", "system.get_disk_usage"),
        ("PLEASE TRANSLATE THIS INTO FRENCH", "translate.text"),
    ],
)
def test_the_tool_that_is_meant_is_among_those_chosen(words: str, tool: str) -> None:
    assert tool in chosen(words)


def test_the_order_of_the_tools_does_not_matter() -> None:
    other = random.Random(2).sample(TOOLS, len(TOOLS))
    for words in ("play some jazz", "when does the next bus leave", "how much money do i have"):
        assert sorted(chosen(words)) == sorted(chosen(words, other))


def test_words_that_say_nothing_choose_nothing() -> None:
    assert chosen("") == []
    assert chosen("zxqv wqxz") == []
    assert chosen("\x00\u202e \U0001f600") == []


def test_how_people_ask_for_a_tool_helps_to_find_it() -> None:
    plain = ToolSpec("x17.process", "Handles a request of kind 17.")
    asked = ToolSpec("x17.process", "Handles a request of kind 17.", asks=("open the aviary", "let the parrots out"))
    words = "please let my parrot out"
    assert "x17.process" not in chosen(words, [*TOOLS, plain])
    assert chosen(words, [*TOOLS, asked])[0] == "x17.process"


def test_tools_without_a_description_are_found_by_their_name() -> None:
    bare = [ToolSpec("greenhouse.openRoofVents", ""), ToolSpec("a.\u00fc", ""), *TOOLS[:20]]
    assert chosen("open the vents of the greenhouse", bare)[0] == "greenhouse.openRoofVents"


async def test_another_set_of_tools_is_another_index() -> None:
    chooser = MeaningChooser()
    new = ToolSpec("parrots.feed", "Feeds the parrots.")
    assert "parrots.feed" not in {tool.name for tool in await chooser.choose("feed the parrots", TOOLS, 8)}
    found = await chooser.choose("feed the parrots", [*TOOLS, new], 8)
    assert found[0] is new
    assert await chooser.choose("feed the parrots", [], 8) == []


def test_no_more_are_chosen_than_asked_for() -> None:
    assert len(chosen("list everything", limit=3)) <= 3


def test_words_come_apart_and_lose_their_endings() -> None:
    assert terms.words("getFile_name's Tap-water") == ["get", "file", "name", "tap", "water"]
    assert {terms.stem(word) for word in ("planning", "plans", "planned", "plan")} == {"plan"}
    assert terms.stem("glass") == "glass"
    assert terms.telling(["please", "turn", "the", "turn"]) == ["turn"]
    assert terms.telling(["how", "are", "you"]) == ["how", "are", "you"]


@pytest.mark.parametrize(
    ("text", "about"),
    [
        ("open example.org", "page"),
        ("what is in /var/log", "path"),
        ("df -h on node3", "command"),
        ("uptime of node3", "host"),
        ("what is 3 * 4", "calculate"),
        ("mail it to a@b.org", "email"),
    ],
)
def test_things_are_known_by_their_shape(text: str, about: str) -> None:
    assert any(about in words for words in terms.shapes(text))


def test_a_phrase_evokes_what_it_is_about() -> None:
    assert any("weather" in concept for concept in evoked(["do", "i", "need", "an", "umbrella"]))
    assert any("calculate" in concept for concept in evoked(["15", "percent", "of", "80"]))
    assert evoked([]) == {}
    assert len(concepts()) == len(set(concepts())) > 100


def test_word_vectors_bring_like_words_together() -> None:
    vectors = word_vectors()

    def alike(one: str, other: str) -> float:
        first, second = vectors.of(one), vectors.of(other)
        assert first is not None
        assert second is not None
        return float(np.dot(first, second))

    assert alike("car", "vehicle") > alike("car", "soup") + 0.2
    assert alike("kilometres", "miles") > 0.3
    assert vectors.of("qqqqzzz") is None
    assert vectors.of("lighthouses") is not None
    assert vectors.weight("the") < vectors.weight("thermostat")
