"""The stream parser: words, thoughts and calls told apart, however the stream is cut."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipecatapp.domain import ToolCall
from pipecatapp.twin.speak.message_parser import MessageParser
from pipecatapp.twin.speak.protocol import tool_call_text
from testing.fakes.parsing import NOW, OSLO, SCHEMAS, Parsed, parse

pytestmark = pytest.mark.unit

CALL = ToolCall("", "ssh.run_command", {"host": "node3", "command": 'echo "}" </b> {'})


def test_plain_words_pass_through_at_once() -> None:
    parser = MessageParser(SCHEMAS)
    assert parser.feed("It is 3 < 4, ") == "It is 3 < 4, "
    assert parser.feed("fine.") == "fine."
    assert parser.finish() == ""
    assert parser.calls == []


def test_a_call_is_not_words() -> None:
    assert parse(tool_call_text(CALL)) == Parsed("", [(CALL.name, dict(CALL.arguments))], "")


def test_a_call_after_some_words() -> None:
    assert parse("Let me look. ", tool_call_text(CALL)).words == "Let me look. "


def test_half_a_marker_is_held_back_until_it_is_decided() -> None:
    parser = MessageParser(SCHEMAS)
    assert parser.feed("Look <tool") == "Look "
    assert parser.feed("box") == "<toolbox"


# --- the forms of today's models


@pytest.mark.parametrize(
    ("text", "calls"),
    [
        (f"<tool_call>\n{NOW}\n</tool_call>", OSLO),
        (f"<tool_call>\n{NOW}\n</tool_", OSLO),
        (f"<tool_call>{NOW}", OSLO),
        (f"<tool_call>\n{NOW}\n</tool_call>\n<tool_call>\n{NOW}\n</tool_call>", OSLO * 2),
        (f"<tool_call>\n{NOW}\n{NOW}\n</tool_call>", OSLO * 2),
        (f"<tool_call>\n[{NOW}, {NOW}]\n</tool_call>", OSLO * 2),
        ('<tool_call>{"tool": "clock.now", "args": {"timezone": "Oslo"}}</tool_call>', OSLO),
        ('<tool_call>{"name": "clock.now", "parameters": "{\\"timezone\\": \\"Oslo\\"}"}</tool_call>', OSLO),
        ('{"name": "clock.now", "arguments": {"timezone": "Oslo"}}', OSLO),
        ('{"type": "function", "function": {"name": "clock.now", "arguments": {"timezone": "Oslo"}}}', OSLO),
        ('{"arguments": {"timezone": "Oslo"}, "name": "clock.now"}', OSLO),
        (f"[{NOW}]", OSLO),
        (f"[{NOW},\n {NOW}]", OSLO * 2),
        (f"```json\n{NOW}\n```", OSLO),
        (f"```\n{NOW}\n```\n", OSLO),
        (f"```json\n{NOW}\n```\n```json\n{NOW}\n```", OSLO * 2),
        (f"```tool_call\n{NOW}\n```", OSLO),
        (f"```xml\n<tool_call>\n{NOW}\n</tool_call>\n```", OSLO),
        ('<function=clock.now>{"timezone": "Oslo"}</function>', OSLO),
        ("<function=clock.now>\n<parameter=timezone>\nOslo\n</parameter>\n</function>", OSLO),
        (
            "<tool_call>\n<function=power.set>\n<parameter=seconds>\n600\n</parameter>\n"
            "<parameter=service>\n600\n</parameter>\n</function>\n</tool_call>",
            [("power.set", {"seconds": 600, "service": "600"})],
        ),
        ('<|tool_call_start|>[clock.now(timezone="Oslo")]<|tool_call_end|>', OSLO),
        ("[clock.now(timezone='Oslo'), mcp.get_status()]", [*OSLO, ("mcp.get_status", {})]),
        ("[ power.set(seconds=-5, service=None) ]", [("power.set", {"seconds": -5, "service": None})]),
        (f"[TOOL_CALLS] [{NOW}]", OSLO),
        (f"[TOOL_CALLS][{NOW}, {NOW}]</s>", OSLO * 2),
        ('[TOOL_CALLS]clock.now[ARGS]{"timezone": "Oslo"}', OSLO),
        ('[TOOL_CALLS]clock.now[CALL_ID]a1b2[ARGS]{"timezone": "Oslo"}[TOOL_CALLS]mcp.get_status[ARGS]{}',
         [*OSLO, ("mcp.get_status", {})]),
        ('[TOOL_CALLS]clock.now{"timezone": "Oslo"}', OSLO),
        ('<|python_tag|>{"name": "clock.now", "parameters": {"timezone": "Oslo"}}<|eom_id|>', OSLO),
        (f"<|tool_call|>[{NOW}]<|/tool_call|>", OSLO),
        ("<tool_call>clock.now\n<arg_key>timezone</arg_key>\n<arg_value>Oslo</arg_value>\n</tool_call>", OSLO),
        ("<tool_call>mcp.get_status</tool_call>", [("mcp.get_status", {})]),
        (
            "<\uff5ctool\u2581calls\u2581begin\uff5c><\uff5ctool\u2581call\u2581begin\uff5c>function"
            "<\uff5ctool\u2581sep\uff5c>clock.now\n"
            '```json\n{"timezone": "Oslo"}\n```'
            "<\uff5ctool\u2581call\u2581end\uff5c><\uff5ctool\u2581calls\u2581end\uff5c>",
            OSLO,
        ),
        (
            "<|channel|>analysis<|message|>The time.<|end|><|start|>assistant<|channel|>commentary "
            'to=functions.clock.now <|constrain|>json<|message|>{"timezone": "Oslo"}<|call|>',
            OSLO,
        ),
    ],
)  # fmt: skip
def test_the_forms_of_todays_models_are_understood(text: str, calls: list[tuple[str, dict[str, object]]]) -> None:
    assert parse(text) == Parsed("", calls, "")
    assert parse("Let me see. ", text) == Parsed("Let me see. ", calls, "")


@pytest.mark.parametrize(
    "text",
    [
        '{"name": "Anna", "age": 3}',
        'Here: {"name": "Anna", "arguments": {}} and more.',
        '```json\n{"name": "Anna", "age": 3}\n```\nThat is her.',
        '{"name": "clock.now", "price": 3}',
        '{"people": [{"name": "clock.now", "arguments": {}}]}',
        '[{"name": "Anna"}, {"name": "clock.now", "arguments": {}}]',
        '{"type": "object", "properties": {"name": {"type": "string"}}}',
        "The set {1, 2, 3} has three members, {'a', 'b'} two.",
        "{x, y} and {name} and {} and []",
        "def f(*args): return {**args, 'x': [1, 2]}",
        "if x { stop",
        "[see below] and [clock.now](http://x) and [1]",
        "call [clock.then(timezone='Oslo')]",
        "`<think>` opens a thought, `<tool_call>` a call, `[TOOL_CALLS]` too",
        "The <tools> and <toolbox> and <thin>",
        "a <| b |> c and x <|y, 3 <",
        "```html\n<think>\n```\n",
        'In ```\nx\n``` and ```py\nd = {"name": "clock.now", "arguments": {}}\n```',
        '```json\n<tool_call>\n{"name": "get_weather", "arguments": {}}\n</tool_call>\n``` is the form.',
        '{"a": {"b": [1, 2, {"c": "}"}]}} fine {"name": 3}',
        "5*3=15 and **bold** and # and `code`",
        "{" * 300,
        '[{"name":' * 300,
    ],
)
def test_everything_else_is_words_to_the_letter(text: str) -> None:
    assert parse(text) == Parsed(text, [], "")
    assert parse(*text) == Parsed(text, [], "")


def test_a_marker_at_the_beginning_of_what_is_no_call_is_dropped() -> None:
    assert parse("<tool_call>\nSorry, I cannot.").words == "\nSorry, I cannot."


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('<tool_call>\n{"name": "clock.now", "arguments": \n</tool_call>', "not valid JSON"),
        ('{"name": "clock.now", "arguments": {', "not valid JSON"),
        ("{name: 'clock.now', arguments: {}}", "not valid JSON"),
        ('```json\n{"name": "clock.now", "arguments": {"timezone": }}\n```', "not valid JSON"),
        ("[clock.now(Oslo)]", "name\\(argument=value\\)"),
        ("[clock.now(", "name\\(argument=value\\)"),
        ('<tool_call>{"arguments": {}}</tool_call>', 'no "name"'),
    ],
)
def test_a_call_that_is_broken_says_so(text: str, problem: str) -> None:
    found = parse(text)
    assert (found.words, found.calls) == ("", [])
    assert re.search(problem, found.error)


def test_a_tool_that_nobody_has_is_still_a_call_where_a_marker_says_so() -> None:
    assert parse('<tool_call>{"name": "ssh.run", "arguments": {}}</tool_call>').calls == [("ssh.run", {})]


def test_arguments_nested_600_deep_are_an_error_and_not_the_end() -> None:
    deep = '{"a": ' * 600 + "1" + "}" * 600
    assert "64 deep" in parse(f'<tool_call>{{"name": "clock.now", "arguments": {deep}}}</tool_call>').error
    assert parse('{"name": "clock.now", "arguments": ' + deep + "}").calls == []
    nested = f"<tool_call>{'[' * 100_000}</tool_call>"
    assert parse(nested).error


def test_a_closing_marker_inside_of_a_string_does_not_end_the_call() -> None:
    call = ToolCall("", "ssh.run_command", {"host": "a", "command": "echo </tool_call> }"})
    assert parse(tool_call_text(call)).calls == [(call.name, dict(call.arguments))]


def test_what_follows_a_call_is_ignored_and_counted() -> None:
    parser = MessageParser(SCHEMAS)
    assert parser.feed(f"<tool_call>{NOW}</tool_call>\nIt says: all fine") == ""
    assert parser.ignored == len("\nIt says: all fine")
    assert parse(f"<tool_call>{NOW}</tool_call> So. <tool_call>{NOW}</tool_call>").calls == OSLO


def test_an_invented_tool_result_ends_the_message() -> None:
    assert parse("All is <tool_response>up</tool_response> well").words == "All is "
    assert parse("Yes.<|im_end|>\n<|im_start|>user\nmore?").words == "Yes."


# --- thoughts


@pytest.mark.parametrize(
    "pieces",
    [
        ("<think>{'hm", "</thi", "nk>Yes."),
        ("<thinking>\nhm [TOOL_CALLS]\n</thinking>\n\nYes.",),
        ("<reasoning>hm</reasoning>Yes.",),
        ("<THINK>hm</THINK>Yes.",),
        ("<Thinking>hm</thin", "king>Yes."),
        ("<reflection>hm</reflection>Yes.",),
        ("<seed:think>hm</seed:think>Yes.",),
        ("<|START_THINKING|>hm<|END_THINKING|>Yes.",),
        ("<|channel>thought\nhm<channel|>Yes.",),
        ("<unused94>thought\nhm<unused95>Yes.",),
        ("hm, let me think about it</think>\n\nYes.",),
        ("[THINK]hm[/THINK]Yes.",),
        ("\u25c1think\u25b7hm\u25c1/think\u25b7Yes.",),
        ("<|channel|>analysis<|message|>hm<|end|><|start|>assistant<|channel|>final<|message|>Yes.<|return|>",),
        ("<|start|>assistant<|channel|>analysis<|message|>hm<|channel|>final<|message|>Yes.",),
        ("analysisWe need to think.assistantfinalYes.",),
        ("<think>one</think><think>two</think>Yes.",),
    ],
)
def test_thinking_is_not_words(pieces: Sequence[str]) -> None:
    assert parse(*pieces) == parse(*"".join(pieces))
    found = parse(*pieces)
    assert (found.words.strip(), found.calls, found.error) == ("Yes.", [], "")


def test_a_thought_that_never_ends_is_none_of_the_answer() -> None:
    assert parse("<think>hm, hm").words == ""


def test_a_message_that_begins_inside_of_a_thought() -> None:
    assert parse("hm, hm", "</think>Yes.", thinking=True).words == "Yes."
    assert parse("Yes, at once.", thinking=True).words == "Yes, at once."  # it was none
    assert parse("hm, hm", thinking=True, cut_off=True).words == ""


@pytest.mark.parametrize("text", ["Bye.<|im_end|>", "<|endoftext|>Bye.", "Bye.</tool_call>", "Bye.<|eot_id|>"])
def test_a_stray_marker_is_not_spoken(text: str) -> None:
    assert parse(text).words == "Bye."


def test_a_marker_that_is_cut_off_is_not_spoken() -> None:
    assert parse("cut <|im_").words == "cut "
    assert parse("cut <tool_").words == "cut "
    assert parse("3 <").words == "3 <"


# --- whatever comes, however it is cut

_PIECES = st.sampled_from(
    ["<tool_call>", "</tool_call>", "<tool_response>", "<think>", "</think>", "{", "}", '"', "[", "]", "\\", "<", "a",
     " ", "\n", '{"name": "x"}', "```", "```json\n", "**", "*", "# ", "<|im_end|>", "<|", "|>", "word ", "`", "(", ")",
     '{"name": "clock.now"', ', "arguments": {}}', "[clock.now(", "<function=clock.now>", "</function>", "[TOOL_CALLS]",
     "[ARGS]", "<|channel|>", "analysis", "final", "<|message|>", "<|end|>", "<|start|>", "assistant", ": ", ", ", "'",
     "<|tool_call_start|>", "<|tool_call_end|>", "clock.now", "[THINK]", "[/THINK]"]
)  # fmt: skip
_TEXTS = st.lists(_PIECES | st.text(max_size=3), max_size=25).map("".join)


def cut(text: str, places: list[int]) -> list[str]:
    edges = sorted({min(place, len(text)) for place in places} | {0, len(text)})
    return [text[a:b] for a, b in pairwise(edges)]


@given(_TEXTS, st.lists(st.integers(0, 120)))
@example("analysis", [])
@example("```json\n{", [3])
def test_any_chunking_gives_the_same_result(text: str, places: list[int]) -> None:
    assert parse(*cut(text, places)) == parse(*text) == parse(text)


@given(_TEXTS)
def test_what_broke_off_can_be_gone_on_with(text: str) -> None:
    parser = MessageParser(SCHEMAS)
    parser.feed(text)
    assert parser.open_at is None or parse(text[: parser.open_at]).calls == []


@given(st.dictionaries(st.text(max_size=8), st.text(max_size=20) | st.integers() | st.booleans(), max_size=4))
def test_every_call_that_we_write_is_read_again(arguments: dict[str, object]) -> None:
    call = ToolCall("", "a.tool", arguments)
    assert parse(tool_call_text(call)) == Parsed("", [("a.tool", arguments)], "")
    assert json.loads(json.dumps(arguments)) == arguments


@pytest.mark.parametrize(
    "text",
    [
        "Write <function=foo> or <function=name> in it, then </function>.",
        "std::<function=>", 'an <function="foo"> b', "<function=clock.now x>", "f<function=", "<function=foo",
    ],
)  # fmt: skip
def test_a_function_that_is_not_there_is_words(text: str) -> None:
    found = parse(*text)
    assert (found.words, found.calls, found.error) == (text, [], "")
