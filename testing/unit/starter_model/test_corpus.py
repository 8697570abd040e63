"""The generated corpus: the right reaction in every world, and nothing of evaluation in training."""

from __future__ import annotations

import json
import random
from itertools import islice

import pytest

from pipecatapp.twin.speak.message_parser import MessageParser
from starter_model.corpus import EVERYTHING, EXPERT, Conversations, World, expected_action, render
from starter_model.patterns import load_sections
from starter_model.turns import EXPERTS, OPTIONAL, TOOLS, Request, Requests, say_back
from starter_model.values import Values, is_held_out

pytestmark = pytest.mark.unit


def draw(held_out: bool, count: int) -> list[Request]:
    requests = Requests(random.Random(4), held_out)
    return [requests.tool() if number % 4 else requests.expert() for number in range(count)]


def test_every_section_of_tools_and_experts_has_patterns_of_both_splits() -> None:
    for name in ("tools.txt", "experts.txt", "facts.txt"):
        for section in load_sections(name).values():
            assert section.has(held_out=False), section.name
            assert section.has(held_out=True) or len(section.patterns) < 5, section.name


def test_no_pattern_of_evaluation_is_in_training() -> None:
    training = {request.pattern for request in draw(held_out=False, count=4000)}
    evaluation = {request.pattern for request in draw(held_out=True, count=1500)}
    assert len(training) > 350
    assert len(evaluation) > 80
    assert not training & evaluation


def test_no_copied_value_of_evaluation_is_in_training() -> None:
    def values(held_out: bool, count: int) -> set[str]:
        requests = [request for request in draw(held_out, count) if request.tool != "route_to_expert"]
        return {str(v).lower() for r in requests for k, v in r.arguments.items() if k != "seconds"}

    training, evaluation = values(held_out=False, count=6000), values(held_out=True, count=1500)
    assert len(evaluation) > 600
    assert not training & evaluation


def test_names_are_made_of_words_of_their_own_split() -> None:
    def drawn(held_out: bool) -> set[str]:
        values = Values(random.Random(3), held_out)
        return {values.loose("word") for _ in range(3000)}

    training, evaluation = drawn(held_out=False), drawn(held_out=True)
    assert not training & evaluation
    assert all(is_held_out(word) for word in evaluation)


def test_small_talk_of_evaluation_is_worded_differently() -> None:
    def patterns(held_out: bool, count: int) -> set[str]:
        requests = Requests(random.Random(6), held_out)
        return {request.pattern for request in (requests.talk() for _ in range(count))}

    training, evaluation = patterns(held_out=False, count=4000), patterns(held_out=True, count=800)
    assert len(evaluation) > 30
    assert not training & evaluation


@pytest.mark.parametrize("held_out", [False, True])
def test_string_arguments_are_copied_from_the_request(held_out: bool) -> None:
    for request in draw(held_out, 1500):
        for name, value in request.arguments.items():
            if isinstance(value, str) and name != "expert":
                assert value in request.text, request


def test_arguments_are_those_of_the_tool_in_their_order() -> None:
    for request in draw(held_out=False, count=1500):
        assert request.tool is not None
        names = list(request.arguments)
        assert names == [name for name in TOOLS[request.tool] if name in names]
        assert set(TOOLS[request.tool]) - OPTIONAL <= set(names)


def test_every_tool_is_asked_for() -> None:
    assert {request.tool for request in draw(held_out=False, count=1500)} == set(TOOLS)


def test_a_tool_that_is_not_there_is_declined_in_words() -> None:
    request = Request("run df on a", "ssh.run_command", "ssh.run_command", {"host": "a", "command": "df"})
    without = World(frozenset({"clock.now"}), frozenset())
    assert expected_action(request, without).tool is None
    assert expected_action(request, without).answer == "I cannot run commands on other machines here yet."
    assert expected_action(request, EVERYTHING) == request


def test_an_expert_that_is_not_running_is_said_so() -> None:
    request = Request("2 + 2", "expert math", "route_to_expert", {"expert": "math", "query": "2 + 2"})
    answer = expected_action(request, World(frozenset(TOOLS), frozenset({"coding"}))).answer
    assert answer == "That needs the math expert, and it is not running here."
    assert expected_action(request, World(frozenset(TOOLS), frozenset(EXPERTS))).tool == "route_to_expert"


def test_conversations_call_only_what_their_system_message_lists() -> None:
    calls = 0
    for conversation in islice(Conversations(seed=9, long_share=0.1), 400):
        tools, experts = (line.partition(": ")[2].split() for line in conversation[0][1].split("\n"))
        for role, text in conversation:
            parser = MessageParser({})
            parser.feed(text)
            parser.finish()
            for call in parser.calls if role == "assistant" else ():
                calls += 1
                assert call.name in tools
                assert call.arguments.get("expert", "none") in [*experts, "none"]
    assert calls > 300


def test_speech_never_holds_markup() -> None:
    for conversation in islice(Conversations(seed=10), 300):
        for role, text in conversation:
            if role == "assistant" and not text.startswith("<tool_call>\n"):
                assert text.strip()
                assert "<" not in text.replace("<=", "")
                assert not text.startswith("{")


def test_the_same_seed_gives_the_same_corpus() -> None:
    first = [render(conversation) for conversation in islice(Conversations(seed=5), 20)]
    assert first == [render(conversation) for conversation in islice(Conversations(seed=5), 20)]
    assert first != [render(conversation) for conversation in islice(Conversations(seed=6), 20)]


def test_what_an_expert_said_is_shown_as_the_assistants() -> None:
    text = render([("system", "s"), (EXPERT, "It is blue.")])
    assert text == "<|im_start|>system\ns<|im_end|>\n<|im_start|>assistant\nIt is blue.<|im_end|>\n"


@pytest.mark.parametrize(
    ("fact", "answer"),
    [
        ("my sister is called Ana", "Your sister is called Ana."),
        ("i put the keys in my car", "You put the keys in your car."),
        ("the printer is pi4.lan", "The printer is pi4.lan."),
    ],
)
def test_a_fact_is_said_back_to_the_person(fact: str, answer: str) -> None:
    assert say_back(fact) == answer


def test_tool_calls_are_json_with_the_given_arguments() -> None:
    for conversation in islice(Conversations(seed=12), 100):
        for role, text in conversation:
            if role == "assistant" and text.startswith("<tool_call>"):
                body = text.removeprefix("<tool_call>\n").removesuffix("\n</tool_call>")
                assert set(json.loads(body)) == {"name", "arguments"}
