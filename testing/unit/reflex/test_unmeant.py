"""Wishes that are nobody's now: told of somebody else, supposed, refused; and those that only look like it."""

from __future__ import annotations

import pytest

from pipecatapp.intents import Dialogue
from pipecatapp.reflex.unmeant import is_for_a_change, is_refused, is_told
from testing.fakes.everyday_house import shipped_reflex

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    "words",
    [
        "he told me to set a timer for ten minutes",
        "Anna said add milk to the list",
        "my old boss always said remind me at five",
        "the recipe says set a timer for ten minutes",
        "they were told to set an alarm",
        "suppose I asked you to wake me at seven",
        "what if I set a timer for ten minutes",
        "if he sets a timer for ten minutes what happens",
        "imagine I had a reminder at five",
    ],
)
def test_what_is_told_or_supposed_is_nobodys_wish(words: str) -> None:
    assert is_told(words, "timer.set")


@pytest.mark.parametrize(
    "words",
    [
        "set a timer for ten minutes",
        "I said fifteen minutes",
        "I told you to set a timer",
        "if you don't mind set a timer for ten minutes",
        "if I could have a timer for ten minutes please",
        "remind me that Tom said he would call",
        "wake me at seven",
        "What says the timer",
    ],
)
def test_what_a_person_says_of_themselves_or_with_manners_is_meant(words: str) -> None:
    assert not is_told(words, "timer.set")


@pytest.mark.parametrize("words", ["Update all the machines.", "could you restart everything", "please patch the PCs"])
def test_who_wants_a_change_wants_no_report(words: str) -> None:
    assert is_for_a_change(words, "mcp.get_status")
    assert not is_for_a_change(words, "ssh.run_command")


@pytest.mark.parametrize("words", ["update me on the machines", "how are the machines", "is the update through"])
def test_who_wants_a_report_gets_it(words: str) -> None:
    assert not is_for_a_change(words, "mcp.get_status")


@pytest.mark.parametrize(
    "words", ["Can you set timers?", "do you have reminders", "are you able to keep shopping lists"]
)
async def test_who_asks_whether_it_can_hears_what_it_can(words: str) -> None:
    here = Dialogue(frozenset({"timer.list", "timer.set", "reminder.list", "list.read", "what_can_you_do"}))

    intent = await shipped_reflex().decide(words, here)

    assert (intent.kind, intent.guesses[0].tool) == ("tool", "what_can_you_do")


def test_who_tells_of_a_sum_wants_to_know_it() -> None:
    assert not is_told("if I take 82 from 150 what is left", "calculator.evaluate")


@pytest.mark.parametrize("words", ["don't set a timer", "please do not remember that", "I don't want a reminder"])
def test_what_is_refused_is_not_made(words: str) -> None:
    assert is_refused(words, "reminder.set")


@pytest.mark.parametrize(
    ("words", "tool"),
    [
        ("don't let me forget to call mum", "reminder.set"),
        ("don't forget that I like tea", "memory.remember"),
        ("don't wake me tomorrow", "alarm.cancel"),
    ],
)
def test_a_dont_that_asks_for_something_is_no_refusal(words: str, tool: str) -> None:
    assert not is_refused(words, tool)


async def test_a_clear_wish_of_somebody_else_is_asked_about() -> None:
    tools = frozenset({"timer.set", "list.add"})
    intent = await shipped_reflex().decide("he told me to set a timer for ten minutes", Dialogue(tools=tools))
    assert (intent.kind, intent.guesses[0].tool, intent.parts) == ("unsure", "timer.set", ())


@pytest.mark.parametrize("words", ["my " * 50_000, "if " * 50_000, "no, " * 50_000, "so well now " * 20_000])
def test_a_long_text_is_answered_at_once(words: str) -> None:
    assert not is_told(words, "timer.set")
    is_refused(words, "timer.set")
