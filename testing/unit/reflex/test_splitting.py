"""Two wishes in one request, and requests that are one although they hold an "and"; with the trained file."""

from __future__ import annotations

import pytest

from pipecatapp.intents import Dialogue, Guess, Intent
from pipecatapp.reflex.judges import Judges
from pipecatapp.reflex.reflex import TrainedReflex, is_tool
from pipecatapp.tools.choice.vectors import word_vectors

pytestmark = pytest.mark.unit


@pytest.fixture(scope="module")
def judges() -> Judges:
    return Judges.load(word_vectors().of)


def decide(judges: Judges, words: str) -> Intent:
    tools = frozenset(label for label in judges.labels if is_tool(label))
    return TrainedReflex(word_vectors().of).decide_now(judges, words, Dialogue(tools=tools))


def wishes(intent: Intent) -> list[str]:
    """What each part wants, with its arguments."""
    return [
        " ".join([guess.tool, *(f"{name}={guess.arguments[name]}" for name in sorted(guess.arguments))])
        for part in intent.parts
        for guess in part.intent.guesses or [Guess(f"cannot {part.intent.wants}")]
    ]


MILK = "list.add item=milk list=shopping"
TEN = "timer.set duration=ten minutes"


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        ("set a timer for ten minutes and add milk to the shopping list", [TEN, MILK]),
        ("could you please set a timer for ten minutes and also add milk to the shopping list", [TEN, MILK]),
        ("wake me at seven and remind me at eight to call mum",
         ["alarm.set when=at seven", "reminder.set what=call mum when=at eight"]),
        ("what time is it and what is on my shopping list", ["clock.now", "list.read list=shopping"]),
        ("cancel the timer and set an alarm for seven", ["timer.cancel", "alarm.set when=seven"]),
        ("run uptime on attic and tell me the time", ["ssh.run_command command=uptime host=attic", "clock.now"]),
        ("run df -h on attic and then remind me to clean it tomorrow",
         ["ssh.run_command command=df -h host=attic", "reminder.set what=clean it when=tomorrow"]),
        ("what is 20 plus 30 and what is the time in Paris",
         ["calculator.evaluate expression=20 plus 30", "clock.now timezone=Paris"]),
        ("pause the timer and what time is it", ["timer.pause", "clock.now"]),
        ("what timers are running and what alarms are set", ["timer.list", "alarm.list"]),
        ("turn off the lights and set a timer for ten minutes", ["cannot lights", TEN]),
        ("set a timer for ten minutes and play some music", [TEN, "cannot music"]),
        ("add milk to the shopping list and then read me the shopping list", [MILK, "list.read list=shopping"]),
        ("take eggs off the shopping list and add milk to the shopping list",
         ["list.remove item=eggs list=shopping", MILK]),
        ("Set a timer for five minutes, and then tell me what time it is in Tokyo.",
         ["timer.set duration=five minutes", "clock.now timezone=Tokyo"]),
        ("convert 5 miles to kilometers and what is 18 percent of 240",
         ["units.convert quantity=5 miles unit=kilometers", "calculator.evaluate expression=18 percent of 240"]),
        ("undo that and set a timer for ten minutes", ["undo", TEN]),
        ("set an alarm for half past six tomorrow and remind me at nine to take my pills",
         ["alarm.set when=half past six tomorrow", "reminder.set what=take my pills when=at nine"]),
        ("set a timer for eight minutes and set another timer for twelve minutes",
         ["timer.set duration=eight minutes", "timer.set duration=twelve minutes"]),
        ("set an alarm for seven, add milk to the shopping list and tell me the time",
         ["alarm.set when=seven", MILK, "clock.now"]),
        ("set a timer for the pasta and add milk to the shopping list", ["timer.set label=pasta", MILK]),
    ],
)  # fmt: skip
def test_two_wishes_are_two(judges: Judges, words: str, wanted: list[str]) -> None:
    assert wishes(decide(judges, words)) == wanted


@pytest.mark.parametrize(
    "words",
    [
        "remind me to buy bread and milk",
        "remind me tomorrow to buy bread and milk",
        "remind me tomorrow to call mum and set the table",
        "remind me at six to feed the cat and water the plants",
        "add milk and bread to the shopping list",
        "add salt, pepper and oil to the shopping list",
        "add call mum and set the table to my to do list",
        "remove milk and eggs from the shopping list",
        "play rock and roll",
        "set a timer for an hour and a half",
        "set a timer for an hour and thirty minutes",
        "set an alarm for seven on monday and tuesday",
        "alarm every monday and friday at six",
        "what is five hundred and twenty divided by four",
        "convert two feet and three inches to centimeters",
        "remember that I like tea and coffee",
        "have a look and tell me what you see in front of you",
        "set a timer for five minutes, no, set a timer for ten minutes",
        "set a timer for five minutes, sorry, ten minutes",
        "if I set a timer for ten minutes and add milk to the list what happens",
        "why do cats purr and dogs bark",
        "who wrote war and peace",
    ],
)
def test_one_wish_with_an_and_in_it_is_one(judges: Judges, words: str) -> None:
    assert len(decide(judges, words).parts) < 2


@pytest.mark.parametrize(
    ("words", "argument", "value"),
    [
        ("remind me tomorrow to buy bread and milk", "what", "buy bread and milk"),
        ("add milk to the shopping list and eggs", "item", "milk and eggs"),
        ("set a timer for an hour and thirty minutes", "duration", "an hour and thirty minutes"),
    ],
)
def test_an_argument_keeps_its_and(judges: Judges, words: str, argument: str, value: str) -> None:
    assert decide(judges, words).guesses[0].arguments[argument] == value


@pytest.mark.parametrize(
    ("words", "guess"),
    [
        ("restart the web server on attic and remind me to check it in an hour",
         Guess("reminder.set", {"what": "check it", "when": "in an hour"})),
        ("remind me tomorrow to call mum and set a timer for ten minutes",
         Guess("reminder.set", {"what": "call mum", "when": "tomorrow"})),
    ],
)  # fmt: skip
def test_where_one_of_two_is_sure_the_person_is_asked_about_it(judges: Judges, words: str, guess: Guess) -> None:
    intent = decide(judges, words)
    assert (intent.kind, intent.partly, intent.parts) == ("unsure", True, ())
    assert intent.guesses == (guess,)


def test_a_long_row_of_conjunctions_takes_no_time_to_speak_of(judges: Judges) -> None:
    intent = decide(judges, "and ".join(["set a timer "] * 45))
    assert intent.parts == ()
