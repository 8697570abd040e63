"""The grammar of one turn: words or a call, and nothing in a call that the person did not say."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipecatapp.domain import Expert, ToolCall, ToolSpec
from pipecatapp.twin.speak.grammar import turn_grammar
from pipecatapp.twin.speak.protocol import tool_call_text
from pipecatapp.twin.understand.routing import ROUTE, route_spec
from testing.fakes.gbnf import Grammar

pytestmark = pytest.mark.unit

SSH = ToolSpec(
    "ssh.run_command",
    "",
    {
        "type": "object",
        "properties": {"host": {"type": "string"}, "command": {"type": "string"}, "username": {"type": "string"}},
        "required": ["host", "command"],
    },
    copied=("host", "command", "username"),
)
CLOCK = ToolSpec(
    "clock.now", "", {"type": "object", "properties": {"timezone": {"type": "string"}}}, copied=("timezone",)
)
STATUS = ToolSpec("mcp.get_status", "")
POWER = ToolSpec(
    "power.set_idle_threshold",
    "",
    {
        "type": "object",
        "properties": {"service": {"type": "string"}, "seconds": {"type": "integer"}},
        "required": ["service", "seconds"],
    },
    copied=("service",),
)
PLAYBOOK = ToolSpec(
    "ansible.run_playbook",
    "",
    {
        "type": "object",
        "properties": {"playbook": {"type": "string"}, "limit": {"type": "string"}, "tags": {"type": "string"}},
        "required": ["playbook"],
    },
    copied=("playbook", "limit", "tags"),
)
TOOLS = [SSH, CLOCK, STATUS, POWER, PLAYBOOK]


def allows(request: str, name: str, arguments: dict[str, Any], tools: list[ToolSpec] = TOOLS) -> bool:
    text = tool_call_text(ToolCall("", name, arguments))
    return Grammar.parse(turn_grammar(tools, ["coding"], request)).matches(text)


def test_a_call_with_spans_of_the_request_is_allowed() -> None:
    assert allows("run df -h on node3", "ssh.run_command", {"host": "node3", "command": "df -h"})


@pytest.mark.parametrize("host", ["node4", "node", "ode3", "node3 ", "run on"])
def test_what_is_no_span_of_the_request_is_not_allowed(host: str) -> None:
    assert not allows("run df -h on node3", "ssh.run_command", {"host": host, "command": "df -h"})


def test_a_span_may_be_the_whole_request_and_keeps_its_blanks() -> None:
    assert allows("df   -h", "ssh.run_command", {"host": "df", "command": "df   -h"})
    assert not allows("df   -h", "ssh.run_command", {"host": "df", "command": "df -h"})


@pytest.mark.parametrize(
    ("request_words", "command"),
    [
        ('run echo "hi there" on a', 'echo "hi there"'),
        (r"run cat C:\temp\x on a", r"cat C:\temp\x"),
        ("run this on a\necho 1\necho 2", "echo 1\necho 2"),
        ("run printf '\t%s' on a", "printf '\t%s'"),
        ("run [ -f x ] && {a;} on a", "[ -f x ] && {a;}"),
        ("führe ls /größe aus on a", "ls /größe"),
        ("run sleep\u00a01 on a", "sleep\u00a01"),
    ],
)
def test_signs_are_escaped_as_json_escapes_them(request_words: str, command: str) -> None:
    assert allows(request_words, "ssh.run_command", {"host": "a", "command": command})


def test_optional_arguments_may_be_absent_and_stand_in_their_order() -> None:
    words = "run site.yml on db1 with tag ssh"
    playbook = {"playbook": "site.yml"}
    assert allows(words, "ansible.run_playbook", playbook)
    assert allows(words, "ansible.run_playbook", playbook | {"limit": "db1"})
    assert allows(words, "ansible.run_playbook", playbook | {"tags": "ssh"})
    assert allows(words, "ansible.run_playbook", playbook | {"limit": "db1", "tags": "ssh"})
    assert not allows(words, "ansible.run_playbook", playbook | {"tags": "ssh", "limit": "db1"})
    assert allows("what time is it in tokyo", "clock.now", {})
    assert allows("what time is it in tokyo", "clock.now", {"timezone": "tokyo"})


def test_required_arguments_must_be_there() -> None:
    assert not allows("run df on node3", "ssh.run_command", {"host": "node3"})
    assert not allows("run df on node3", "ssh.run_command", {})


def test_integers_are_digits() -> None:
    words = "sleep jellyfin after ten minutes"
    assert allows(words, "power.set_idle_threshold", {"service": "jellyfin", "seconds": 600})
    assert not allows(words, "power.set_idle_threshold", {"service": "jellyfin", "seconds": "ten minutes"})


def test_only_tools_that_exist_can_be_called() -> None:
    assert allows("status", "mcp.get_status", {})
    assert not allows("status", "mcp.get_status", {}, tools=[CLOCK])
    assert not allows("status", "rm.everything", {})


def test_a_route_names_a_running_expert_and_carries_the_whole_request() -> None:
    words = 'write a "hello" in c'
    route = [route_spec([Expert("coding")])]
    assert allows(words, ROUTE, {"expert": "coding", "query": words}, tools=route)
    assert not allows(words, ROUTE, {"expert": "math", "query": words}, tools=route)
    assert not allows(words, ROUTE, {"expert": "coding", "query": "hello"}, tools=route)
    without = Grammar.parse(turn_grammar(route, [], words))
    assert not without.matches(tool_call_text(ToolCall("", ROUTE, {"expert": "coding", "query": words})))


def test_other_types_are_any_json_of_that_type() -> None:
    tool = ToolSpec(
        "x.y",
        "",
        {
            "type": "object",
            "properties": {
                "note": {"type": "string"},
                "level": {"enum": ["low", "high"]},
                "ratio": {"type": "number"},
                "deep": {"type": "array"},
                "on": {"type": "boolean"},
            },
        },
    )
    everything = {"note": 'any "words"\n', "level": "high", "ratio": -1.5e3, "deep": [1, {"a": None}], "on": True}
    assert allows("hm", "x.y", everything, tools=[tool])
    assert not allows("hm", "x.y", {"level": "middle"}, tools=[tool])


@pytest.mark.parametrize("words", ["Hello.", "a < b", "5 <6", "It is {here}.", "Ja, größer!\nWirklich."])
def test_words_are_allowed(words: str) -> None:
    assert Grammar.parse(turn_grammar(TOOLS, [], "hi")).matches(words)
    assert Grammar.parse(turn_grammar([], [], "hi")).matches(words)


@pytest.mark.parametrize(
    "text",
    ["", '{"name": "clock.now"}', "<tool_call>", "Well: <tool_call>\n{}", "<think>x", "</tool_call>", "<|im_end|>"],
)
def test_markers_and_bare_json_are_no_words(text: str) -> None:
    assert not Grammar.parse(turn_grammar(TOOLS, [], "hi")).matches(text)


def test_without_tools_there_are_only_words() -> None:
    grammar = turn_grammar([], ["coding"], "what time is it")
    assert not Grammar.parse(grammar).matches(tool_call_text(ToolCall("", "clock.now", {})))


@pytest.mark.parametrize("request_words", ["", "   ", "\n"])
def test_an_empty_request_leaves_only_calls_that_copy_nothing(request_words: str) -> None:
    assert allows(request_words, "clock.now", {})
    assert not allows(request_words, "ssh.run_command", {"host": "", "command": ""})


def test_the_grammar_grows_linearly_with_the_request() -> None:
    sizes = [len(turn_grammar(TOOLS, ["coding"], "word " * count)) for count in (100, 200, 400)]
    assert sizes[2] - sizes[1] < 2.3 * (sizes[1] - sizes[0])


@settings(max_examples=150, deadline=None)
@given(st.text(min_size=1, max_size=40).filter(lambda text: text.strip() != ""), st.data())
def test_any_span_of_any_request_can_be_copied(text: str, data: st.DataObject) -> None:
    atoms = [match.span() for match in re.finditer(r"\w+|[^\w\s]", text.strip())]
    if not atoms:
        return
    first = data.draw(st.integers(0, len(atoms) - 1))
    last = data.draw(st.integers(first, len(atoms) - 1))
    span = text.strip()[atoms[first][0] : atoms[last][1]]
    assert allows(text, "clock.now", {"timezone": span})
