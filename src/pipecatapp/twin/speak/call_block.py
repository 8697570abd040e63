"""A stretch of a message that is a call, or may be one: where it ends, and what it says."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from pipecatapp.domain import ToolCall
from pipecatapp.json_bounds import MAX_DEPTH
from pipecatapp.twin.speak.call_forms import (
    MalformedCallError,
    is_call,
    read_arguments,
    read_calls,
    read_json,
    read_python,
)
from pipecatapp.twin.speak.call_signs import names_tool
from pipecatapp.twin.speak.markers import LONGEST, Marker
from pipecatapp.twin.speak.protocol import TOOL_CALL_OPEN
from pipecatapp.twin.speak.scanner import ValueScanner

LONGEST_CALL = 64_000  # characters
_SPACE = re.compile(r"\s{0,100}")


class CallBlock:
    """One stretch, in a text that grows.

    Args:
        opened_at: where it begins, its marker or fence included.
        body_at: where the call itself begins.
        marker: what announced it; None: it only looks like a call.
        python: it is written as Python writes calls.
        fenced: it stands in a fence of back-ticks.
        recipient: the tool that a header of harmony named.
        quoted: somebody writes about calls.
    """

    def __init__(
        self,
        opened_at: int,
        body_at: int,
        marker: Marker | None = None,
        *,
        python: bool = False,
        fenced: bool = False,
        recipient: str = "",
        quoted: bool = False,
    ) -> None:
        self.opened_at = opened_at
        self.body_at = body_at
        self.fenced = fenced
        self.quoted = quoted
        self.announced = marker is not None
        self._close = marker.close if marker else ()
        self._is_ours = marker is not None and marker.text == TOOL_CALL_OPEN
        self._python = python
        self._recipient = recipient
        self._scanner = ValueScanner(body_at, "\"'" if python else '"')
        self._searched = body_at

    def move(self, by: int) -> None:
        """So many characters were taken off the front of the text."""
        self.opened_at -= by
        self.body_at -= by
        self._searched -= by
        self._scanner.at -= by

    def find_end(self, text: str, *, final: bool) -> int | None:
        """Where the body ends; None: more text is needed. ``final``: none will come, and the end is the end."""
        if self.quoted:
            end = self._find_behind_closer(text)
        elif not self.announced:
            end = self._scanner.end(text)
        elif self._is_ours and self._begins_value(text):
            end = self._scanner.end(text, self._close[0])
            if end is None and final and (cut := text.find(self._close[0], self.body_at)) >= 0:
                end = cut
        else:
            end = self._find_closer(text)
        return len(text) if end is None and final else end

    def is_too_long(self, text: str, end: int | None) -> bool:
        """Whether it is longer than any call."""
        return (len(text) if end is None else end) - self.body_at > LONGEST_CALL

    def is_too_deep(self) -> bool:
        """Whether it is nested deeper than any call."""
        return not self.announced and self._scanner.deepest > MAX_DEPTH

    def read(self, text: str, end: int, schemas: Mapping[str, Mapping[str, Any]]) -> list[ToolCall]:
        """The calls in it; none: it is words.

        Raises:
            MalformedCallError: it was meant to be a call.
        """
        body = text[self.body_at : end]
        if not self.announced:
            return self._read_value(body, schemas)
        try:
            if self._recipient:
                calls = [ToolCall("", self._recipient, read_arguments(body.strip() or None))]
            else:
                calls = read_calls(body, schemas)
        except MalformedCallError:
            if self.fenced:
                return []
            raise
        # A form that is shown in a fence is an example, unless it calls what is there.
        return [] if self.fenced and not all(call.name in schemas for call in calls) else calls

    def _read_value(self, body: str, schemas: Mapping[str, Mapping[str, Any]]) -> list[ToolCall]:
        if self._python:
            calls = read_python(body)
            return calls if all(call.name in schemas for call in calls) else []
        try:
            value = json.loads(body, strict=False)
        except (ValueError, RecursionError) as error:
            if names_tool(body, schemas):
                raise MalformedCallError(f"the call is not valid JSON ({error})") from error
            return []
        return read_json(body) if is_call(value, schemas) else []

    def _begins_value(self, text: str) -> bool:
        begin = _SPACE.match(text, self.body_at)
        return begin is not None and text[begin.end() : begin.end() + 1] in ("{", "[")

    def _find_behind_closer(self, text: str) -> int | None:
        at = self._find_closer(text)
        return None if at is None else at + next(len(close) for close in self._close if text.startswith(close, at))

    def _find_closer(self, text: str) -> int | None:
        found = [at for close in self._close if (at := text.find(close, self._searched)) >= 0]
        if found:
            return min(found)
        self._searched = max(self._searched, len(text) - LONGEST)
        return None
