"""Every function that reads a text takes a time that grows with its length alone, whatever stands in it.

A person, a page, a file or a model can send 100 kB of anything, and all of the program waits for what is done with it.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pipecatapp.defusing import defuse
from pipecatapp.domain import (
    ApprovalRequest,
    Fact,
    Message,
    Preview,
    Risk,
    ToolCall,
    ToolSpec,
    Turn,
    TurnRecord,
)
from pipecatapp.experts.overlap import Overlap
from pipecatapp.languages import language
from pipecatapp.memory.keywords import words as keywords
from pipecatapp.memory.statement_rules import extract_statements
from pipecatapp.memory.summary import _carried, _parse
from pipecatapp.ports import ToolContext
from pipecatapp.routing.features import Vocabulary
from pipecatapp.tools.choice.terms import shapes as terms_shapes
from pipecatapp.tools.choice.terms import words as terms_words
from pipecatapp.tools.clock import find_zone
from pipecatapp.tools.memory import _contains
from pipecatapp.tools.summarizer import summarize
from pipecatapp.tools.web_browser.reading import Reading, clean
from pipecatapp.twin.act.approval_prompts import sentence
from pipecatapp.twin.act.masking import mask, mask_text
from pipecatapp.twin.act.own_wish import is_own_wish
from pipecatapp.twin.speak.call_forms import MalformedCallError, read_calls
from pipecatapp.twin.speak.grammar import turn_grammar
from pipecatapp.twin.speak.message_parser import MessageParser
from pipecatapp.twin.speak.protocol import last_observation, recalls, request_text, strip_tools, tool_line
from pipecatapp.twin.understand.memory_intents import match_intent
from pipecatapp.twin.understand.node_intents import match_node_intent
from pipecatapp.voice.aloud.pieces import Clause
from pipecatapp.voice.aloud.spoken_copy import SpokenCopy
from pipecatapp.voice.clauses import ClauseSplitter
from pipecatapp.voice.false_alarms import means_interruption
from pipecatapp.voice.stable import StableTranscript
from pipecatapp.voice.synthesis import speakable

pytestmark = pytest.mark.integration

SIZE = 50_000
FLOOR_S = 0.02  # a shorter run says nothing
# An eighth of the text: linear takes 8 times as long for all of it, quadratic 64 times. Between them is much room for
# a machine that has other things to do.
PART = 8
RATIO = 20.0

KINDS: dict[str, str] = {
    "letter": "a",
    "spaces": " ",
    "words": "a ",
    "newlines": "\n",
    "lines": "a\n",
    "stars": "*",
    "bold": "**a** ",
    "ticks": "`",
    "fences": "```\n",
    "hashes": "# ",
    "digits": "1",
    "decimals": "1.5 ",
    "dots": ".",
    "sentences": "A b. ",
    "commas": ", ",
    "dashes": "-",
    "hyphens": "a-",
    "underscores": "_",
    "slashes": "/a",
    "round": "(",
    "square": "[",
    "curly": "{",
    "angle": "<",
    "closing": "}])>",
    "quotes": "\"'",
    "escapes": '\\"',
    "json": '{"name": "clock.now", ',
    "objects": '{"name": ',
    "lists": "[{",
    "tags": "<tool_call>",
    "thoughts": "<think>",
    "closers": "</think>",
    "control": "<|a|>",
    "bars": "<|",
    "functions": "<function=a><parameter=b>",
    "pairs": "<arg_key>a</arg_key><arg_value>",
    "calls": "clock.now(",
    "args": "[ARGS]{",
    "combining": "e\u0301",
    "marks": "\u0301",
    "rtl": "\u202e\u05d0",
    "invisible": "\u200b",
    "emoji": "\U0001f600",
    "wide": "\uff21",
    "my": "my my ",
    "is": "my a is ",
    "not": "not a but ",
    "remember": "remember that ",
    "please": " please",
    "and": ", and my",
    "no": "no ",
    "i mean": "i mean ",
    "well": "well ",
    "urls": "http://a.b/",
    "mails": "a@b.",
    "keys": "password=",
    "tokens": "sk-aaaaaaaa ",
    "options": " --token",
    "echo": "echo a|",
    "pem": "-----BEGIN PRIVATE KEY-----",
    "yes": "yes ",
    "may": "may ",
}

SCHEMAS = {"clock.now": {"type": "object", "properties": {"timezone": {"type": "string"}}}}
TOOL = ToolSpec("clock.now", "the time", SCHEMAS["clock.now"], copied=("timezone",))
FACT = Fact("1", "my sister lives in Bergen")
VOCABULARY = Vocabulary(["sort a list", "what is the time", "aaaa bbbb", "1 2 3"])


def parse(text: str, step: int) -> None:
    parser = MessageParser(SCHEMAS)
    for piece in pieces(text, step):
        parser.feed(piece)
    parser.finish()


def pieces(text: str, step: int) -> Iterator[str]:
    return (text[at : at + step] for at in range(0, len(text), step))


def split(text: str, step: int) -> None:
    splitter = ClauseSplitter()
    for piece in pieces(text, step):
        splitter.feed(piece)
        splitter.hurry()
    splitter.finish()


def copy(text: str, step: int) -> None:
    spoken = SpokenCopy()
    for piece in pieces(text, step):
        speakable(Clause(tuple(spoken.feed(piece))).spoken)
    spoken.finish()


def turn(text: str, answer: str = "") -> Turn:
    return Turn("t", text, answer, "voice", 0.0)


def read_forms(text: str) -> None:
    with contextlib.suppress(MalformedCallError):
        read_calls(text, SCHEMAS)


def approve(text: str) -> None:
    request = ApprovalRequest("i", "d", "c", "t", "x.y", {"a": text}, Risk.ACT, Preview(text), "w", 0.0, 1.0)
    sentence(request)


def look_up(place: str) -> None:
    try:
        find_zone(place)
    except Exception:  # noqa: BLE001 - what it says of it is another test's
        return


def overlap(text: str, step: int) -> None:
    half = len(text) // 2
    repeated = Overlap(text[:half])
    for piece in pieces(text[half:], step):
        repeated.feed(piece)
    repeated.finish()


def hear(text: str) -> None:
    transcript = StableTranscript()
    transcript.update(text)
    transcript.update(text + " a")


def wish(text: str) -> None:
    call = ToolCall("", "a", {"a": text[: len(text) // 2]})
    is_own_wish(call, ToolContext("c", "t", text, recalled=True))


def page(text: str) -> Reading:
    raw: dict[str, Any] = {"title": "x", "url": "http://a", "main": text, "text": "", "aside": "", "items": []}
    return Reading.read({**raw, "cutOff": False})


FUNCTIONS: dict[str, Callable[[str], object]] = {
    "the model's message": lambda text: parse(text, len(text)),
    "the model's message in pieces": lambda text: parse(text, 16),
    "the forms of calls": read_forms,
    "clauses": lambda text: split(text, len(text)),
    "clauses in pieces": lambda text: split(text, 16),
    # A tenth of it says as much: each word is looked at closely.
    "the spoken copy in pieces": lambda text: copy(text[: len(text) // 10], 64),
    "a clause for the voice": speakable,
    "the transcript": hear,
    "the agent's own echo": lambda text: means_interruption(text[: len(text) // 2] + " b", text),
    "defusing": defuse,
    "a request": lambda text: request_text(text, [Fact("1", text)], text),
    "a request without tools": lambda text: strip_tools(f"[tools]\n{text}\n[request]\n{text}"),
    "what the camera saw": lambda text: last_observation([Message("user", text)]),
    "whether it recalls": recalls,
    "a tool's line": lambda text: tool_line(ToolSpec("a", text, {"properties": {text: {}}}), brief=True),
    "the grammar of a request": lambda text: turn_grammar([TOOL], [], text),
    "an answer to a question": language().yes_or_no,
    "going on": language().means_go_on,
    "a plain intent": lambda text: match_intent(text, {"memory.remember", "memory.forget", "memory.recall"}, [FACT]),
    "a plain intent about a machine": lambda text: match_node_intent(text, {"nodes.join", "nodes.heal"}),
    "whose wish": lambda text: is_own_wish(
        ToolCall("", "a", {"a": text[: len(text) // 2]}), ToolContext("c", "t", text, recalled=True)
    ),
    "an approval's sentence": approve,
    "masking": mask_text,
    "masking arguments": lambda text: mask({"a": text, text: text}),
    "statements": lambda text: extract_statements(turn(text), [turn("my sister lives in Bergen")], [FACT]),
    "corrections": lambda text: extract_statements(turn(f"no, {text}"), [turn("my sister lives in Bergen")], [FACT]),
    "what a fact contradicts": lambda text: extract_statements(turn("my sister lives in Oslo"), [], [Fact("1", text)]),
    "notes of the model": lambda text: [_carried(note, turn(text), [], []) for note in _parse(text, [FACT])],
    "keywords": keywords,
    "the words of a request": terms_words,
    "shapes in a request": terms_shapes,
    "features of a request": VOCABULARY.row,
    "a place": look_up,
    "what was said": lambda text: _contains(text, text[: len(text) // 2]),
    "summing up": lambda text: summarize([TurnRecord(turn(text, text), ())], text[:200]),
    "a page's text": clean,
    "a page": lambda text: [(page(text)).opening(), page(text).short(), page(text).full()],
    "an answer that goes on": lambda text: overlap(text, len(text)),
    "an answer that goes on in pieces": lambda text: overlap(text, 64),
}


def seconds(function: Callable[[str], object], text: str) -> float:
    """This thread's own time: other programs do not count."""
    began = time.thread_time()
    function(text)
    return time.thread_time() - began


def check(function: Callable[[str], object], kind: str) -> str:
    """Compare all of a text with an eighth of it; a machine that stumbles may try again. Empty: it is well."""
    text = (kind * (SIZE // len(kind) + 1))[:SIZE]
    whole = seconds(function, text)
    if whole < FLOOR_S:
        return ""
    tries = []
    for attempt in range(8):
        part = seconds(function, text[: SIZE // PART])
        tries.append(whole / part)
        if tries[-1] <= RATIO:
            return ""
        # What else this machine does comes and goes.
        time.sleep(attempt / 4)
        whole = min(whole, seconds(function, text))
    return f"{PART} times as much takes {min(tries):.0f} times as long ({whole:.2f} s for {SIZE // 1000} kB)"


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_time_grows_with_the_length_alone(name: str) -> None:
    wrong = {kind: problem for kind, sign in KINDS.items() if (problem := check(FUNCTIONS[name], sign))}
    assert wrong == {}
