"""What the model writes, told apart while it writes: words, thoughts and tool calls.

Words are passed on exactly as they were written, as soon as they can be nothing else. Thoughts and markers are nobody's
to hear or see. A call is what a marker announces, or (call_forms.py) JSON or a Python call to a tool that can be called
now; every other object, list or set is words. A call or a thought stands where a model puts one (line.py): in the
middle of a sentence, in quotation marks or in back-ticks it is words, and so is a call in the middle of an explanation.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import Enum, auto
from typing import Any

from pipecatapp.domain import ToolCall
from pipecatapp.twin.speak.beginnings import Beginning, find_beginning, find_channel
from pipecatapp.twin.speak.call_block import CallBlock
from pipecatapp.twin.speak.call_forms import MalformedCallError
from pipecatapp.twin.speak.call_signs import Guess, guess_call, guess_form
from pipecatapp.twin.speak.doubt import Doubt
from pipecatapp.twin.speak.line import Line, is_written_about
from pipecatapp.twin.speak.markers import LONGEST, MARKERS, MESSAGE_ENDS, Kind, Marker, find_marker, may_become_marker
from pipecatapp.twin.speak.protocol import TOOL_CALL_OPEN
from pipecatapp.twin.speak.scanner import ValueScanner
from pipecatapp.twin.speak.thought_block import ThoughtBlock

_SPECIAL = re.compile(r"[<\[{`\u25c1]")
_FENCE = re.compile(r"`{3,64}[ \t]{0,20}[\w+.-]{0,20}[ \t]{0,20}\n\s{0,100}")
_PERHAPS_FENCE = re.compile(r"`{3,64}[ \t]{0,20}[\w+.-]{0,20}[ \t]{0,20}(?:\n\s{0,100})?")
_TICKS = re.compile(r"`{1,64}")
_BETWEEN_CALLS = re.compile(r"[\s,;`]+")
_FENCE_WORDS = ("json", "xml", "tool_call")
_TAGS = (TOOL_CALL_OPEN, "<function=")
_TOO_LONG = MalformedCallError("the call is too long")


class _Mode(Enum):
    WORDS = auto()
    CALL = auto()  # or what may be one
    THOUGHT = auto()
    BEHIND = auto()  # behind a call: another one, or nothing that counts
    DONE = auto()


class MessageParser:
    """Takes one message of the model piece by piece.

    ``feed`` and ``finish`` give back the words. ``calls`` are the tool calls once they are whole, ``error`` says what
    is wrong with one that is not. ``retracted`` is set when all words so far turned out to have been a thought.

    Args:
        schemas: the parameters of the tools that can be called now, by name.
    """

    def __init__(self, schemas: Mapping[str, Mapping[str, Any]]) -> None:
        self.calls: list[ToolCall] = []
        self.error: MalformedCallError | None = None
        self.retracted = False
        self._schemas = schemas
        self._text = ""
        self._at = 0
        self._before = 0  # characters of the message in front of ``_text``
        self._final = False
        self._words: list[str] = []
        self._last = ""  # character of the words
        self._in_fence = False
        self._nesting: ValueScanner | None = None  # of a value that is words
        self._line = Line()
        self._mode = _Mode.WORDS
        self._block = CallBlock(0, 0)
        self._thought = ThoughtBlock(0, 0, MARKERS["<think>"])
        self._first_call: int | None = None  # where it begins and the last one ends, in the message
        self._last_call = 0
        self._doubt, self._has_said = Doubt(), False

    @property
    def ignored(self) -> int:
        """Characters behind the calls, or behind what ended the message, that count for nothing."""
        over = self._mode in (_Mode.BEHIND, _Mode.DONE)
        return self._before + len(self._text) - self._last_call if over else 0

    @property
    def open_at(self) -> int | None:
        """Where in the message something begins that nobody has heard: a call, a thought, what may become one."""
        if self._first_call is not None:
            return self._first_call
        match self._mode:
            case _Mode.CALL:
                return self._before + self._block.opened_at
            case _Mode.THOUGHT:
                return self._before + self._thought.opened_at
            case _Mode.DONE:
                return self._last_call
            case _:
                return self._before + self._at if self._at < len(self._text) else None

    def feed(self, text: str) -> str:
        """The words in ``text``; what may become something else is held back."""
        self._text += text
        while self._step():
            pass
        self._forget()
        words = "".join(self._words)
        self._words.clear()
        return words

    def finish(self, *, cut: bool = False) -> str:
        """The message ended (``cut``: it had no more room): the words that were held back. A call that was not closed
        counts as one."""
        self._final = True
        self._thought.assumed = self._thought.assumed and not cut
        return self.feed("")

    def assume_thought(self) -> None:
        """The message begins inside of a thought that no marker opens."""
        self._think(self._at, self._at, MARKERS["<think>"], assumed=True)

    def _step(self) -> bool:
        """Consume what can be decided; False when more text is needed."""
        match self._mode:
            case _Mode.WORDS:
                return self._read_words()
            case _Mode.CALL:
                return self._read_call()
            case _Mode.THOUGHT:
                return self._read_thought()
            case _Mode.BEHIND:
                return self._read_behind()
            case _Mode.DONE:
                self._at = len(self._text)
                return False

    def _forget(self) -> None:
        """Let go of the text that was dealt with."""
        thought_at = self._at if self._thought.assumed else self._thought.searched
        cut = {_Mode.CALL: self._block.opened_at, _Mode.THOUGHT: thought_at}.get(self._mode, self._at)
        if self._doubt.is_there and self._first_call is not None:
            cut = min(cut, self._first_call - self._before)
        self._text = self._text[cut:]
        self._before += cut
        self._at -= cut
        self._thought.move(cut)
        self._block.move(cut)

    def _say(self, text: str, to: int) -> bool:
        """These are words; go on at ``to``."""
        if text:
            self._words.append(text)
            self._last = text[-1]
            self._has_said = self._has_said or not text.isspace()
            self._line.add(text)
            if self._nesting is not None:
                self._nesting.at = 0
                if self._nesting.end(text) is not None:
                    self._nesting = None
        self._at = to
        return True

    def _read_words(self) -> bool:
        text, at = self._text, self._at
        if self._line.is_fresh and not self._in_fence and (begins := find_beginning(text, at, final=self._final)):
            return self._begin(begins) if isinstance(begins, Beginning) else False
        special = _SPECIAL.search(text, at)
        stop = special.start() if special else len(text)
        if stop > at:
            return self._say(text[at:stop], stop)
        if special is None:
            return False
        if special[0] == "`":
            return self._read_ticks()
        if self._last != "`":
            if (marker := find_marker(text, at)) is not None:
                return self._read_marker(marker, at, fenced=False)
            if may_become_marker(text, at):
                if not self._final:
                    return False
                if special[0] == "<" and len(text) - at > 1:
                    self._at = len(text)  # a marker that was cut off
                    return True
            if special[0] in "[{" and self._nesting is None and not self._in_fence:
                return self._read_bracket()
        return self._say(special[0], at + 1)

    def _begin(self, begins: Beginning) -> bool:
        if begins.marker is None:
            self._at = begins.end
        elif begins.marker.kind is Kind.CALL:
            self._block = CallBlock(self._at, begins.end, begins.marker, recipient=begins.recipient)
            self._mode = _Mode.CALL
        else:
            self._think(self._at, begins.end, begins.marker, assumed=begins.assumed)
        return True

    def _read_ticks(self) -> bool:
        """Back-ticks: code in a line, or a fence, in which a call may stand."""
        text, at = self._text, self._at
        run = _TICKS.match(text, at)
        assert run is not None  # noqa: S101 - a back-tick stands here
        if run.end() == len(text) and len(run[0]) < 64 and not self._final:
            return False
        if len(run[0]) < 3 or self._in_fence:
            self._in_fence = self._in_fence and len(run[0]) < 3
            return self._say(run[0], run.end())
        fence = _FENCE.match(text, at)
        if fence is None or fence.end() == len(text):
            if not self._final and _PERHAPS_FENCE.fullmatch(text, at) is not None:
                return False
        elif (begins := self._read_fenced(fence.end())) is not None:
            return begins
        self._in_fence = True
        return self._say(run[0], run.end())

    def _read_fenced(self, at: int) -> bool | None:
        """What stands first in a fence: a call, or (None) what is words."""
        if not self._line.may_call:
            return None
        if self._text[at] in "[{":
            guess = guess_call(self._text, at, self._schemas, final=self._final)
            if guess is Guess.MORE:
                return False
            if guess in (Guess.JSON, Guess.PYTHON):
                return self._open_value(at, guess, fenced=True)
        elif self._text[at] == "<":
            marker = find_marker(self._text, at)
            if marker is not None and marker.kind is Kind.CALL:
                return self._read_marker(marker, at, fenced=True)
            if marker is None and may_become_marker(self._text, at) and not self._final:
                return False
        return None

    def _read_bracket(self) -> bool:
        text, at = self._text, self._at
        match guess := guess_call(text, at, self._schemas, final=self._final):
            case Guess.MORE:
                return False
            case Guess.JSON | Guess.PYTHON if self._line.may_call:
                return self._open_value(at, guess, fenced=False)
            case Guess.VALUE | Guess.JSON | Guess.PYTHON:
                self._nesting = ValueScanner(0)
        return self._say(text[at], at + 1)

    def _read_marker(self, marker: Marker, at: int, *, fenced: bool) -> bool:
        behind = at + len(marker.text)
        if self._in_fence:
            return self._say(marker.text, behind)
        if marker.kind is Kind.CALL:
            return self._open_call(marker, at, fenced=fenced)
        ends_thought = marker.kind is Kind.THOUGHT_END and not self._line.is_empty
        is_last = not self._text[behind:].strip()
        if ends_thought and is_last and not self._final:
            return False
        written_about = is_written_about(marker, self._line, self._text[behind : behind + 1], final=self._final)
        if written_about is None:
            return False
        if written_about:
            return self._say(marker.text, behind)
        self._line.clear()
        match marker.kind:
            case Kind.THOUGHT:
                self._think(at, behind, marker)
            case Kind.THOUGHT_END if ends_thought and is_last:
                self._at = behind  # no answer follows, so this was it
            case Kind.STRAY if marker.text in MESSAGE_ENDS and self._has_said:
                self._mode, self._last_call = _Mode.DONE, self._before + at
            case Kind.THOUGHT_END:
                self._words.clear()
                self._last, self._nesting, self.retracted = "", None, True
                self._at = behind
            case Kind.HEADER:
                channel = find_channel(self._text, at, behind, final=self._final)
                return self._begin(channel) if channel else False
            case Kind.END:
                self._mode, self._last_call = _Mode.DONE, self._before + at
            case Kind.STRAY:
                self._at = behind
        return True

    # Calls.

    def _open_value(self, at: int, guess: Guess, *, fenced: bool) -> bool:
        """What no marker announced."""
        if self._first_call is None:
            self._doubt.begin(self._line, fenced=fenced, announced=False)
        self._block = CallBlock(self._at, at, python=guess is Guess.PYTHON, fenced=fenced)
        self._mode = _Mode.CALL
        return True

    def _open_call(self, marker: Marker, at: int, *, fenced: bool) -> bool:
        behind = at + len(marker.text)
        body_at = at if marker.held else behind
        has_form = guess_form(self._text, body_at, self._schemas, held=marker.held, final=self._final)
        if has_form is None and not self._final:
            return False
        attached = self._last.isalnum() and not marker.text.startswith(_TAGS)  # a control token behind words
        quoted = self._first_call is None and not self._line.may_call and not attached
        if not has_form or (quoted and not marker.close):  # somebody writes about it, or what only begins like it
            return self._say(self._text[self._at : behind if marker.held or quoted else at], behind)
        if self._first_call is None:
            self._doubt.begin(self._line, fenced=fenced, announced=True)
        self._block = CallBlock(self._at, body_at, marker, fenced=fenced, quoted=quoted)
        self._mode = _Mode.CALL
        return True

    def _read_call(self) -> bool:
        text, block = self._text, self._block
        end = block.find_end(text, final=self._final)
        if block.is_too_deep() or block.is_too_long(text, end):
            if block.announced and not block.quoted:
                return self._end_call([], len(text), _TOO_LONG)
            self._nesting = ValueScanner(0)
            return self._end_as_words(block.body_at + 1)
        if end is None:
            return False
        if block.quoted:
            return self._end_as_words(end)
        try:
            calls = block.read(text, end, self._schemas)
        except MalformedCallError as error:
            return self._end_call([], end, error)
        return self._end_call(calls, end) if calls else self._end_as_words(end)

    def _end_as_words(self, to: int) -> bool:
        """It only looked like a call."""
        if self._first_call is not None:  # behind a call nothing is words
            return self._end_calls(to)
        self._mode = _Mode.WORDS
        self._in_fence = self._in_fence or self._block.fenced
        return self._say(self._text[self._block.opened_at : to], to)

    def _end_call(self, calls: list[ToolCall], at: int, error: MalformedCallError | None = None) -> bool:
        self.calls += calls
        self.error = self.error or error
        if self._first_call is None:
            self._first_call = self._before + self._block.opened_at
        self._last_call = self._before + at
        self._at, self._last, self._mode = at, "", _Mode.BEHIND
        return True

    def _end_calls(self, to: int) -> bool:
        """Something else follows the calls: it counts for nothing. Where they were an example, all is words."""
        if not self._doubt.is_there or self._first_call is None:
            self._mode = _Mode.DONE
            return True
        example = self._text[self._first_call - self._before : to]
        self.calls, self.error, self._first_call = [], None, None
        self._doubt.end()
        self._in_fence = example.count("```") % 2 == 1
        self._mode = _Mode.WORDS
        return self._say(example, to)

    def _read_behind(self) -> bool:
        text = self._text
        if between := _BETWEEN_CALLS.match(text, self._at):
            self._at, self._last = between.end(), between[0][-1]
            self._doubt.pass_blanks(between[0])
        if self._at == len(text):
            return False
        if self._last == "`":
            if any(word.startswith(text[self._at :]) for word in _FENCE_WORDS) and not self._final:
                return False
            self._last = ""
            self._at += next((len(word) for word in _FENCE_WORDS if text.startswith(word, self._at)), 0)
            return True
        marker = find_marker(text, self._at)
        if marker is not None and marker.kind is Kind.STRAY:
            self._at += len(marker.text)
            if self._before + self._at - self._last_call <= LONGEST:
                self._last_call = self._before + self._at  # the closing marker belongs to the call
            return True
        if marker is not None and marker.kind is Kind.CALL:
            return self._read_marker(marker, self._at, fenced=False)
        if marker is None and may_become_marker(text, self._at) and not self._final:
            return False
        guess = guess_call(text, self._at, self._schemas, final=self._final) if text[self._at] in "[{" else Guess.WORDS
        if guess is Guess.MORE:
            return False
        if guess in (Guess.JSON, Guess.PYTHON):
            return self._open_value(self._at, guess, fenced=False)
        self._doubt.settle(text[self._at], is_marker=marker is not None)
        return self._end_calls(self._at)

    # Thoughts.

    def _think(self, at: int, searched: int, marker: Marker, *, assumed: bool = False) -> None:
        """A thought begins."""
        self._thought = ThoughtBlock(at, searched, marker, assumed=assumed)
        self._at, self._mode = at if assumed else searched, _Mode.THOUGHT

    def _read_thought(self) -> bool:
        end = self._thought.find_end(self._text)
        if end is not None:
            self._at = end
            self._line.clear()
        elif not self._final:
            return False
        else:
            self._say(self._text[self._at :] if self._thought.assumed else "", len(self._text))
        self._mode = _Mode.WORDS
        return True
