"""The trained file that comes with the program: small, quick, right where a request is plain, still where it must."""

from __future__ import annotations

import time

import pytest

from pipecatapp.intents import Dialogue, Guess, Intent
from pipecatapp.reflex.checks import REQUIRED
from pipecatapp.reflex.judges import FILE, Judges
from pipecatapp.reflex.reflex import TrainedReflex, is_tool
from pipecatapp.tools.choice.vectors import word_vectors
from starter_model.reflex.recipe import recipe

pytestmark = pytest.mark.unit


@pytest.fixture(scope="module")
def judges() -> Judges:
    return Judges.load(word_vectors().of)


def decide(judges: Judges, words: str, **dialogue: object) -> Intent:
    tools = frozenset(label for label in judges.labels if is_tool(label))
    reflex = TrainedReflex(word_vectors().of)
    return reflex.decide_now(judges, words, Dialogue(**{"tools": tools, **dialogue}))  # type: ignore[arg-type]


def test_the_file_is_small() -> None:
    assert FILE.stat().st_size < 10_000_000


def test_the_file_belongs_to_what_it_is_made_from(judges: Judges) -> None:
    assert judges.recipe == recipe(), "phrases or code changed; run: python -m starter_model.reflex.train"


def test_every_tool_that_needs_something_is_known(judges: Judges) -> None:
    assert set(REQUIRED) <= set(judges.labels)


@pytest.mark.parametrize(
    ("words", "tool", "arguments"),
    [
        ("what time is it", "clock.now", {}),
        ("What time is it in Tokyo?", "clock.now", {"timezone": "Tokyo"}),
        ("set a timer for ten minutes", "timer.set", {"duration": "ten minutes"}),
        ("set a timer for ten minutes for the pasta", "timer.set", {"duration": "ten minutes", "label": "pasta"}),
        ("remind me tomorrow to call mum at five", "reminder.set", {"what": "call mum", "when": "tomorrow at five"}),
        ("add milk to the shopping list", "list.add", {"list": "shopping", "item": "milk"}),
        ("what is 18 percent of 240", "calculator.evaluate", {"expression": "18 percent of 240"}),
        ("run uptime on attic", "ssh.run_command", {"host": "attic", "command": "uptime"}),
    ],
)
def test_a_plain_wish_is_decided(judges: Judges, words: str, tool: str, arguments: dict[str, str]) -> None:
    intent = decide(judges, words)
    assert intent.kind == "tool"
    assert intent.guesses[0] == Guess(tool, arguments)


@pytest.mark.parametrize(
    "words",
    [
        "the timer on my oven is broken",
        "do you like alarms?",
        "how much holiday have I earned",
        "who invented the alarm clock",
        "why is the sky blue",
        "good morning",
        "",
        "?",
        "a" * 100_000,
        "set a timer " * 500,
    ],
)
def test_what_wants_no_tool_gets_none(judges: Judges, words: str) -> None:
    assert decide(judges, words).kind != "tool"


def test_a_wish_for_lights_is_a_hand_that_is_not_there(judges: Judges) -> None:
    intent = decide(judges, "turn off the lights in the kitchen")
    assert (intent.kind, intent.wants) == ("cannot", "lights")


def test_who_states_something_is_not_told_what_cannot_be_done(judges: Judges) -> None:
    assert decide(judges, "my dentist appointment is on wednesday").kind == "mind"


def test_a_tool_that_is_not_here_is_never_decided(judges: Judges) -> None:
    intent = decide(judges, "set a timer for ten minutes", tools=frozenset({"clock.now"}))
    assert (intent.kind, intent.wants) == ("cannot", "timer.set")


def test_what_is_missing_is_named(judges: Judges) -> None:
    intent = decide(judges, "set a timer for the pasta")
    assert (intent.kind, intent.missing) == ("tool", ("duration",))


def test_a_duration_for_a_tool_that_counts_becomes_seconds(judges: Judges) -> None:
    intent = decide(judges, "put jellyfin to sleep after ten minutes")
    assert intent.guesses[0].arguments == {"service": "jellyfin", "seconds": "600"}


def test_the_dialogue_explains_short_words(judges: Judges) -> None:
    last = Guess("clock.now", {"timezone": "Rome"})
    intent = decide(judges, "and in Paris?", done=(last,))
    assert intent.guesses[0] == Guess("clock.now", {"timezone": "Paris"})


def test_a_decision_takes_milliseconds(judges: Judges) -> None:
    decide(judges, "what time is it")
    began = time.process_time()
    for _ in range(20):
        decide(judges, "could you please remind me tomorrow at half past five to call my sister about the wedding")
    assert (time.process_time() - began) / 20 < 0.03
