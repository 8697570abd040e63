"""What a model claims to have done or read without a tool is not said. A real one gave answers of these kinds."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pipecatapp.domain import ToolResult
from pipecatapp.languages import language
from pipecatapp.languages.pretence import Want
from pipecatapp.twin.speak.claim_guard import ClaimGuard
from testing.fakes.agent_harness import AgentHarness, ScriptedTool

pytestmark = pytest.mark.unit

NO_DEED, NO_READING = language().pretence.no_deed, language().pretence.no_reading


def said(request: str, answer: str, *known: str, may_call: bool = False) -> str:
    """What of an answer goes out, when it comes word by word."""
    words = ClaimGuard(request, known, may_call=may_call)
    return "".join([words.feed(f"{word} ") for word in answer.split(" ")] + [words.finish()]).strip()


@pytest.mark.parametrize(
    ("request_words", "answer"),
    [
        ("What was the high yesterday?", "The high yesterday was 72 degrees."),
        ("Is there a storm coming our way?", "Yes, there is a storm coming our way."),
        ("is the boiler running", "The boiler is running."),
        ("How warm is the water in the tank?", "The water in the tank is 12 degrees Celsius."),
        ("did the invoice from the plumber arrive", "The invoice from the plumber did not arrive."),
        ("Which lamps are burning at the moment?", "There are three lamps burning at the moment."),
        ("What am I holding up?", "You are holding up a camera."),
        ("What does the log on attic say?", 'The log on the attic says "I am here."'),
        ("What did my wife ask you while I was out?", "She asked if you could take a picture of the house."),
        ("Where are my glasses?", "Your glasses are on the kitchen table."),
        ("how long did we talk yesterday", "We talked for two hours yesterday."),
        ("has my salary come in", "Yes."),
        ("has my salary come in", "Sure! It arrived on the twelfth, 2,310 euros."),
    ],
)
def test_a_reading_that_nobody_took_is_not_said(request_words: str, answer: str) -> None:
    assert said(request_words, answer) == NO_READING


@pytest.mark.parametrize(
    ("request_words", "answer"),
    [
        ("Open the garage door.", "I have opened the garage door."),
        ("Turn the heating up two degrees.", "Sure! I'll turn it up two degrees for you."),
        ("Play some Miles Davis.", "Playing Miles Davis now."),
        ("Transfer fifty euros to Paul.", "Sure, transfer fifty euros to Paul."),
        ("Tell Anna that I'll be late.", "The message has been sent to Anna."),
        ("lock up, would you", "Yes, I would lock up."),
        ("put the kettle on", "Done."),
        ("put the kettle on", "All done!"),
    ],
)
def test_a_deed_that_nobody_did_is_not_said(request_words: str, answer: str) -> None:
    assert said(request_words, answer) == NO_DEED


def test_a_deed_is_not_said_where_nothing_was_asked_for() -> None:
    assert said("thanks, that will do", "You're welcome. I have turned off the lights.") == f"You're welcome. {NO_DEED}"


@pytest.mark.parametrize(
    ("request_words", "answer"),
    [
        ("how far is the moon", "The moon is about 384,000 kilometres away."),
        ("Why is the sky blue today?", "Air scatters blue light more than red light."),
        ("What should I cook tonight?", "How about pasta? It takes 20 minutes."),
        ("Tell me a story about a lighthouse.", "I have lived here for 40 years. I opened the door and saw the sea."),
        ("My tomatoes have black bottoms, what is wrong with them?", "They lack calcium. Water them every day."),
        ("Is it raining in Leeds?", "I cannot tell you that. You could look out of the window."),
        ("Open the garage door.", "I'm sorry, I have no hands here."),
        ("Open the garage door.", "There is no garage door here."),
        ("How are you?", "I'm doing well, thank you."),
        ("Can I help?", "I will tell you what I think."),
    ],
)
def test_knowledge_advice_and_honesty_are_said(request_words: str, answer: str) -> None:
    assert said(request_words, answer) == answer


def test_what_was_told_or_remembered_may_be_said() -> None:
    fact = "[remembered]\n- the spare key is under the blue pot"
    assert said("Where did I put the spare key?", "It is under the blue pot.", fact) == "It is under the blue pot."
    assert said("Where did I put the spare key?", "It is in the third drawer.", fact) == NO_READING


def test_a_model_with_tools_may_announce_a_call_but_claims_nothing() -> None:
    assert said("is the wifi up", "I'll check that.", may_call=True) == "I'll check that."
    assert said("Open the garage door.", "I have opened it.", may_call=True) == NO_DEED


def test_other_sentences_go_out_as_they_come() -> None:
    words = ClaimGuard("how far is the moon")
    answer = ["Light", "takes", "a", "second.", "The", "way", "back", "takes", "it", "as", "long", "again"]
    pieces = [words.feed(f"{word} ") for word in answer]
    assert [bool(piece) for piece in pieces] == [True] * 4 + [False] * 5 + [True] * 3
    assert language().pretence.want("tell me a joke") is Want.WORDS
    assert language().pretence.want("and now") is Want.TALK, "it goes on, and asks for nothing that is so now"


def test_long_answers_are_read_in_linear_time() -> None:
    def seconds(count: int) -> float:
        words = ClaimGuard("is the boiler running")
        began = time.process_time()
        for _ in range(count):
            words.feed("you could try and ")
        words.finish()
        return time.process_time() - began

    seconds(100)
    assert seconds(8000) < 12 * max(seconds(2000), 0.002)


async def test_the_history_holds_what_was_said_and_the_model_is_stopped(house: Callable[..., AgentHarness]) -> None:
    h = house("The boiler is running. It is at 60 degrees.", "The boiler heats water for the radiators.")
    assert await h.ask("is the boiler running") == NO_READING
    await h.ask("what does a boiler do")
    assert [m.content for m in h.last_prompt()[1:3]] == ["is the boiler running", NO_READING]


async def test_a_receipt_lets_the_model_tell_of_it(house: Callable[..., AgentHarness], tmp_path: Path) -> None:
    call = '<tool_call>\n{"name": "boiler.read", "arguments": {}}\n</tool_call>'
    works = house(call, "It is running at 60 degrees.", tools=[ScriptedTool("boiler.read", "running, 60 degrees")])
    assert await works.ask("is the boiler running") == "It is running at 60 degrees."
    failed = ScriptedTool("boiler.read", ToolResult("error: it does not answer", ok=False))
    fails = AgentHarness(tmp_path / "other", call, "It is running at 60 degrees.", tools=[failed])
    assert await fails.ask("is the boiler running") == NO_READING
