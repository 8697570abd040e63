"""The stream parser: words and calls told apart, however the stream is cut."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipecatapp.domain import ToolCall
from pipecatapp.twin.speak.protocol import tool_call_text
from pipecatapp.twin.speak.speakable import SpeakableFilter, speakable
from pipecatapp.twin.speak.tool_calls import MalformedCallError, ToolCallParser, parse_call

pytestmark = pytest.mark.unit

CALL = ToolCall("", "ssh.run_command", {"host": "node3", "command": 'echo "}" </b> {'})


def parsed(*pieces: str) -> tuple[str, str | None]:
    parser = ToolCallParser()
    words = "".join(parser.feed(piece) for piece in pieces)
    return words + parser.finish(), parser.body


def test_plain_words_pass_through_at_once() -> None:
    parser = ToolCallParser()
    assert parser.feed("It is 3 < 4, ") == "It is 3 < 4, "
    assert parser.feed("fine.") == "fine."
    assert parser.finish() == ""
    assert parser.body is None


def test_a_call_is_not_words() -> None:
    words, body = parsed(tool_call_text(CALL))
    assert words == ""
    assert body is not None
    assert parse_call(body, "") == CALL


def test_a_call_after_some_words() -> None:
    words, body = parsed("Let me look. ", tool_call_text(CALL))
    assert words == "Let me look. "
    assert body is not None
    assert parse_call(body, "") == CALL


def test_half_a_marker_is_held_back_until_it_is_decided() -> None:
    parser = ToolCallParser()
    assert parser.feed("Look <tool") == "Look "
    assert parser.feed("box") == "<toolbox"


def test_a_call_that_is_never_closed_counts() -> None:
    words, body = parsed('<tool_call>\n{"name": "clock.now", "arguments": {}}\n</tool_')
    assert words == ""
    assert body is not None
    assert parse_call(body, "").name == "clock.now"


def test_a_bare_json_object_is_a_call_and_never_spoken() -> None:
    words, body = parsed('Sure: ```json\n{"name": "clock.now", "arguments": {"timezone": "Oslo"}}\n``` done')
    assert words == "Sure: ```json\n"
    assert body is not None
    assert parse_call(body, "").arguments == {"timezone": "Oslo"}


def test_what_follows_a_call_is_ignored_and_counted() -> None:
    parser = ToolCallParser()
    assert parser.feed("<tool_call>{}</tool_call>\nIt says: all fine") == ""
    assert parser.ignored == len("\nIt says: all fine")


def test_an_invented_tool_result_ends_the_message() -> None:
    assert parsed("All is <tool_response>up</tool_response> well")[0] == "All is "


def test_thinking_is_not_spoken() -> None:
    assert parsed("<think>{'hm", "</thi", "nk>Yes.") == ("Yes.", None)


def test_a_stray_closing_marker_is_not_spoken() -> None:
    assert parsed("Fine.</tool_call> Bye.")[0] == "Fine. Bye."


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ("", "no JSON object"),
        ("get the status", "no JSON object"),
        ('{"name": "x", ', "not valid JSON"),
        ("[1, 2]", "not one JSON object"),
        ('{"arguments": {}}', 'no "name"'),
        ('{"name": 3}', 'no "name"'),
        ('{"name": "x", "arguments": [1]}', "not a JSON object"),
        ('{"name": "x", "arguments": "{"}', "not a JSON object"),
        ("[" * 5000, "not valid JSON"),
    ],
)
def test_a_malformed_call_says_what_is_wrong(body: str, problem: str) -> None:
    with pytest.raises(MalformedCallError, match=problem):
        parse_call(body, "1")


@pytest.mark.parametrize(
    "body",
    [
        '{"name": "x", "arguments": {"a": "b\nc"}}',
        '{"tool": "x", "args": {"a": "b\\nc"}}',
        '[{"name": "x", "parameters": "{\\"a\\": \\"b\\\\nc\\"}"}] trailing',
    ],
)
def test_the_dialects_of_small_models_are_understood(body: str) -> None:
    assert parse_call(body, "7") == ToolCall("7", "x", {"a": "b\nc"})


_PIECES = st.sampled_from(
    ["<tool_call>", "</tool_call>", "<tool_response>", "<think>", "</think>", "{", "}", '"', "[", "]", "\\", "<", "a",
     " ", "\n", '{"name": "x"}', "```", "```json\n", "**", "*", "# ", "<|im_end|>", "<|", "|>", "word "]
)  # fmt: skip
_TEXTS = st.lists(_PIECES | st.text(max_size=3), max_size=25).map("".join)


def cut(text: str, places: list[int]) -> list[str]:
    edges = sorted({min(place, len(text)) for place in places} | {0, len(text)})
    return [text[a:b] for a, b in pairwise(edges)]


@given(_TEXTS, st.lists(st.integers(0, 120)))
def test_any_chunking_gives_the_same_result(text: str, places: list[int]) -> None:
    assert parsed(*cut(text, places)) == parsed(*text) == parsed(text)


@given(_TEXTS, st.lists(st.integers(0, 120)))
def test_any_chunking_speaks_the_same(text: str, places: list[int]) -> None:
    words = SpeakableFilter()
    assert "".join(words.feed(piece) for piece in cut(text, places)) + words.finish() == speakable(text)


@given(st.dictionaries(st.text(max_size=8), st.text(max_size=20) | st.integers() | st.booleans(), max_size=4), _TEXTS)
def test_every_call_that_we_write_is_read_again(arguments: dict[str, object], before: str) -> None:
    call = ToolCall("1", "a.tool", arguments)
    text = tool_call_text(call)
    if "</tool_call>" in json.dumps(arguments):
        return
    words, body = parsed(text)
    assert words == ""
    assert body is not None
    assert parse_call(body, "1") == call


@pytest.mark.parametrize("value", ["NaN", "-Infinity", "1e999", '"\\ud83d"'])
def test_a_value_that_nobody_can_write_down_is_no_argument(value: str) -> None:
    with pytest.raises(MalformedCallError, match="valid JSON"):
        parse_call(f'{{"name": "t", "arguments": {{"a": {value}}}}}', "1")
    with pytest.raises(MalformedCallError, match="arguments"):
        parse_call(json.dumps({"name": "t", "arguments": f'{{"a": {value}}}'}), "1")


@pytest.mark.parametrize(
    "text", ["{name: 'clock.now', arguments: {}}", "[{ tool : 'x'}]", "{ function\n: x}", "{", "[ {"]
)
def test_what_looks_like_a_call_is_never_spoken(text: str) -> None:
    for at in range(len(text)):
        words, body = parsed("So. ", text[:at], text[at:])
        assert words == "So. "
        assert body is None or body[-1] in "}]"


@pytest.mark.parametrize(
    "text", ["a set {x, y}", "{name} is a placeholder", "{nameless: no}", "[see below]", "if x { stop"]
)
def test_brackets_that_are_no_call_are_words(text: str) -> None:
    for at in range(len(text)):
        assert parsed(text[:at], text[at:]) == (text, None)
