"""What the model writes, told apart while it writes: words to speak, or a tool call. JSON is never words.

A call is ``<tool_call>{...}</tool_call>`` (protocol.py). Small models also write the bare JSON object, begin with a
few words, or never close the marker; all of these are understood. Thinking (``<think>``) is neither.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from enum import Enum, auto
from typing import Any

from pipecatapp.domain import ToolCall
from pipecatapp.errors import PipecatAppError
from pipecatapp.json_bounds import find_excess
from pipecatapp.twin.speak.protocol import TOOL_CALL_CLOSE, TOOL_CALL_OPEN

_THINK_OPEN, _THINK_CLOSE = "<think>", "</think>"
_STRAY = (TOOL_CALL_CLOSE, _THINK_CLOSE, "</tool_response>")
_MARKERS = (TOOL_CALL_OPEN, _THINK_OPEN, "<tool_response>", *_STRAY)
# A quoted key, or one of a call's own without quotes (JavaScript's way).
_CALL_KEY = r"(?:name|tool|function|arguments|args|parameters|type)"
_JSON = re.compile(rf"(?:\[\s*)?\{{\s*(?:[\"']|{_CALL_KEY}\s*:)")
_PERHAPS_JSON = re.compile(r"\[\s*|(?:\[\s*)?\{\s*(?:[a-z]{1,10}\s*)?")
# The answer ended where an object had just begun.
_CUT_JSON = re.compile(r"(?:\[\s*)?\{\s*")


class MalformedCallError(PipecatAppError):
    """The model meant to use a tool and did not write a call. The text says what is wrong with it."""


class _Mode(Enum):
    WORDS = auto()
    CALL = auto()
    JSON = auto()
    THINK = auto()
    DONE = auto()


class ToolCallParser:
    """Takes one message of the model piece by piece.

    ``feed`` and ``finish`` give back the words to speak. ``body`` is the text of the tool call once there is one;
    what follows a call is ignored and counted in ``ignored``.
    """

    def __init__(self) -> None:
        self.body: str | None = None
        self.ignored = 0
        self._mode = _Mode.WORDS
        self._held = ""
        self._brackets = _Brackets()

    def feed(self, text: str) -> str:
        """The words in ``text`` that can be spoken now; what may become a marker is held back."""
        self._held += text
        words: list[str] = []
        while self._step(words):
            pass
        return "".join(words)

    def finish(self) -> str:
        """The message ended: the words that were held back. A call that was not closed counts as one."""
        held, self._held = self._held, ""
        mode, self._mode = self._mode, _Mode.DONE
        if mode is _Mode.WORDS:
            cut_marker = len(held) > 1 and any(marker.startswith(held) for marker in _MARKERS)
            return "" if cut_marker or _CUT_JSON.fullmatch(held) else held
        if mode in (_Mode.CALL, _Mode.JSON):
            self.body = held
        return ""

    @property
    def in_call(self) -> bool:
        """Whether a call, or what may become one, has begun: nobody has heard anything of it."""
        return self._mode in (_Mode.CALL, _Mode.JSON, _Mode.DONE) or (self._mode is _Mode.WORDS and self._held != "")

    def _step(self, words: list[str]) -> bool:
        """Consume what can be decided; False when more text is needed."""
        match self._mode:
            case _Mode.WORDS:
                return self._words(words)
            case _Mode.CALL:
                return self._until(TOOL_CALL_CLOSE, _Mode.DONE)
            case _Mode.THINK:
                return self._until(_THINK_CLOSE, _Mode.WORDS)
            case _Mode.JSON:
                end = self._brackets.end(self._held)
                if end is None:
                    return False
                self.body, self._held = self._held[:end], self._held[end:]
                self._mode = _Mode.DONE
                return True
            case _Mode.DONE:
                self.ignored += len(self._held)
                self._held = ""
                return False

    def _words(self, words: list[str]) -> bool:
        special = re.search(r"[<\[{]", self._held)
        start = special.start() if special else len(self._held)
        words.append(self._held[:start])
        self._held = self._held[start:]
        if not self._held:
            return False
        if self._held[0] == "<":
            return self._marker(words)
        if _JSON.match(self._held):
            self._mode = _Mode.JSON
            self._brackets = _Brackets()
            return True
        if _PERHAPS_JSON.fullmatch(self._held):
            return False
        return self._pass_on(words)

    def _marker(self, words: list[str]) -> bool:
        found = next((marker for marker in _MARKERS if self._held.startswith(marker)), None)
        if found is not None:
            self._held = self._held[len(found) :]
            if found == TOOL_CALL_OPEN:
                self._mode = _Mode.CALL
            elif found == _THINK_OPEN:
                self._mode = _Mode.THINK
            elif found not in _STRAY:
                self._mode = _Mode.DONE  # an invented tool result: nothing after it is the model's to say
            return True
        if any(marker.startswith(self._held) for marker in _MARKERS):
            return False
        return self._pass_on(words)

    def _pass_on(self, words: list[str]) -> bool:
        words.append(self._held[0])
        self._held = self._held[1:]
        return True

    def _until(self, marker: str, after: _Mode) -> bool:
        end = self._held.find(marker)
        if end < 0:
            return False
        if self._mode is _Mode.CALL:
            self.body = self._held[:end]
        self._held = self._held[end + len(marker) :]
        self._mode = after
        return True


def resumable(raw: str) -> str:
    """The part of a message that broke off which another model can go on behind: without a call that had begun."""
    parser = ToolCallParser()
    words = parser.feed(raw)
    if not parser.in_call:
        return raw
    if raw.startswith(words):
        return words
    return raw[: max(0, raw.rfind(TOOL_CALL_OPEN))]


class _Brackets:
    """Finds the end of a JSON value in a text that grows, reading each character once."""

    def __init__(self) -> None:
        self._at = self._depth = 0
        self._in_string = self._escaped = False

    def end(self, text: str) -> int | None:
        """The index behind the value that starts at 0, or None while it is open."""
        for index in range(self._at, len(text)):
            char = text[index]
            if self._escaped:
                self._escaped = False
            elif self._in_string:
                self._escaped = char == "\\"
                self._in_string = char != '"'
            elif char == '"':
                self._in_string = True
            elif char in "{[":
                self._depth += 1
            elif char in "}]":
                self._depth -= 1
                if self._depth == 0:
                    return index + 1
        self._at = len(text)
        return None


def parse_call(body: str, call_id: str) -> ToolCall:
    """The call in the text between the markers.

    Raises:
        MalformedCallError: it is none; the text is a sentence for the model.
    """
    start = re.search(r"[\[{]", body)
    if start is None:
        raise MalformedCallError("the call holds no JSON object")
    try:
        value, _ = json.JSONDecoder(strict=False).raw_decode(body[start.start() :])
        # NaN, infinities and halves of characters are read, but nobody behind us could write or send them.
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, RecursionError) as error:
        raise MalformedCallError(f"the call is not valid JSON ({error})") from error
    if too_much := find_excess(value):
        raise MalformedCallError(f"the call is {too_much}")
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if not isinstance(value, dict):
        raise MalformedCallError("the call is not one JSON object")
    name = _first(value, "name", "tool", "function")
    if not isinstance(name, str) or not name:
        raise MalformedCallError('the call has no "name"')
    arguments = _first(value, "arguments", "args", "parameters")
    if isinstance(arguments, str):
        try:
            arguments = json.loads(arguments, strict=False)
            json.dumps(arguments, ensure_ascii=False, allow_nan=False).encode()
        except (ValueError, RecursionError) as error:
            raise MalformedCallError('the "arguments" are not a JSON object') from error
        if too_much := find_excess(arguments):
            raise MalformedCallError(f'the "arguments" are {too_much}')
    if arguments is None:
        arguments = {}
    if not isinstance(arguments, dict):
        raise MalformedCallError('the "arguments" are not a JSON object')
    return ToolCall(id=call_id, name=name, arguments=arguments)


def _first(value: Mapping[str, Any], *names: str) -> Any:
    return next((value[name] for name in names if name in value), None)
