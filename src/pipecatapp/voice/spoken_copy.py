"""The copy of an answer that the voice gets: no fences, asterisks, headings or markers. What is shown stays as it is.

Streaming: however the text is cut into pieces, the same characters come out.
"""

from __future__ import annotations

import re

_SPECIAL = re.compile(r"[`*#<[]")
_LONGEST_TAG = 40
_LONGEST_RUN = 64  # of equal signs that are looked at together
_LANGUAGE = frozenset("+#.-_")
# Tags that people write about and nobody wants to hear.
_TAG = re.compile(
    r"</?(?:tool_call|tool_response|think|thinking|thought|reasoning|reflection|function)>|<\|/?[A-Za-z_]{1,40}\|>"
    r"|\[/?(?:TOOL_CALLS|TOOL_RESULTS|THINK)\]"
)
_PERHAPS_TAG = re.compile(r"</?[a-z_]{0,13}|<\|/?[A-Za-z_]{0,40}\|?|\[/?[A-Z_]{0,12}")


class SpokenCopy:
    """Takes an answer piece by piece and gives back what is to be spoken of it."""

    def __init__(self) -> None:
        self._held = ""
        self._previous = "\n"
        self._line_start = True
        self._in_fence = False

    def feed(self, text: str) -> str:
        """What can be spoken now; a piece that may turn out to be markup is held back."""
        return self._consume(text, final=False)

    def finish(self) -> str:
        """The rest, when the answer has ended."""
        return self._consume("", final=True)

    def _consume(self, text: str, *, final: bool) -> str:
        buffer, self._held = self._held + text, ""
        out: list[str] = []
        at = 0
        while at < len(buffer):
            special = _SPECIAL.search(buffer, at)
            stop = special.start() if special else len(buffer)
            if stop > at:
                taken, kept = stop - at, buffer[at:stop]
            else:
                taken, kept = self._markup(buffer, at, final)
                if taken == 0:
                    self._held = buffer[at:]
                    break
            passed = buffer[at : at + taken]
            behind = passed.rpartition("\n")
            self._line_start = not behind[2].strip() and (bool(behind[1]) or self._line_start)
            self._previous = passed[-1]
            out.append(kept)
            at += taken
        return "".join(out)

    def _markup(self, buffer: str, at: int, final: bool) -> tuple[int, str]:
        """How many characters from ``at`` are decided, and what is spoken of them; 0: more text is needed."""
        char = buffer[at]
        if char in "<[":
            return _tag(buffer, at, final)
        end, most = at, min(len(buffer), at + _LONGEST_RUN)
        while end < most and buffer[end] == char:
            end += 1
        if end == len(buffer) and end - at < _LONGEST_RUN and not final:
            return 0, ""
        length = end - at
        following = buffer[end] if end < len(buffer) else ""
        if char == "`":
            return (self._fence(buffer, at, end, final), "") if length >= 3 else (length, "")
        if char == "*":
            return self._asterisks(length, following)
        heading = self._line_start and following == " "
        return (length + 1, "") if heading else (length, buffer[at:end])

    def _asterisks(self, length: int, following: str) -> tuple[int, str]:
        """Emphasis and list signs are silent, a product is not: 5*3 is not 53."""
        operand = self._previous.isdigit() or self._previous == ")"
        if length == 1 and operand and (following.isalnum() or following == "("):
            return 1, " times "
        if length == 1 and self._previous in " \t" and following == " " and not self._line_start:
            return 1, "times"
        return length + (self._line_start and following == " "), ""

    def _fence(self, buffer: str, at: int, end: int, final: bool) -> int:
        if self._in_fence:
            self._in_fence = False
            return end - at
        language = end
        while language < len(buffer) and (buffer[language].isalnum() or buffer[language] in _LANGUAGE):
            language += 1
        if language == len(buffer) and not final:
            return 0
        self._in_fence = True
        return (language if buffer[language : language + 1] in ("\n", "") else end) - at


def _tag(buffer: str, at: int, final: bool) -> tuple[int, str]:
    if (tag := _TAG.match(buffer, at)) is not None:
        return tag.end() - at, ""
    if not final and len(buffer) - at <= _LONGEST_TAG and _PERHAPS_TAG.fullmatch(buffer, at) is not None:
        return 0, ""
    return 1, buffer[at]


def speak_of(text: str) -> str:
    """The spoken copy of a whole text."""
    copy = SpokenCopy()
    return copy.feed(text) + copy.finish()
