"""Where in its line a message stands. A model puts a call or a thought on a line of its own, or behind a whole
sentence; in the middle of a sentence, in quotation marks or in brackets it writes about one.
"""

from __future__ import annotations

import re

from pipecatapp.languages import language
from pipecatapp.twin.speak.markers import Kind, Marker

_KEPT = 400  # characters of a line
_ENDS = re.compile(r"[.!?\u2026\u3002\uff01\uff1f][\"'\u201d\u2019\u00bb)*_]{0,4}$")
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=\S)")
_ITEM = re.compile(r"(?:\d{1,3}[.)]|[-*+>|])")
_PAIRS = (("\u201c", "\u201d"), ("\u00ab", "\u00bb"), ("(", ")"))
_SYMMETRIC = ('"', "`")
_GOES_ON = frozenset(" \t.,;:)!?'\"`\u201d\u2019")  # what follows a marker that somebody writes about


class Line:
    """Follows the words of a message."""

    def __init__(self) -> None:
        self._text = ""
        self._before = ""  # the end of the lines before
        self.is_fresh = True  # nothing was said yet, or since a marker

    def add(self, words: str) -> None:
        """These words were written."""
        self.is_fresh = self.is_fresh and not words.strip()
        head, newline, tail = words.rpartition("\n")
        if newline:
            self._before = (self._before + self._text + head).rstrip()[-_KEPT:]
            self._text = tail[-_KEPT:]
        else:
            self._text = (self._text + tail)[-_KEPT:]

    def clear(self) -> None:
        """A marker ended here: what follows stands as at the beginning."""
        self._text = self._before = ""
        self.is_fresh = True

    @property
    def is_open(self) -> bool:
        """Whether what follows is not a part of what was begun in this line."""
        line = self._text.strip()
        if not line:
            return True
        return not (self.is_quoting or _ITEM.fullmatch(line)) and _ends_sentence(line)

    @property
    def may_call(self) -> bool:
        """Whether a call may stand here: also behind words that lead up to it ("Let me look: ...")."""
        return self.is_open or (self._text.rstrip().endswith(":") and not self.is_quoting)

    @property
    def is_empty(self) -> bool:
        """Whether nothing stands in this line."""
        return not self._text.strip()

    @property
    def is_quoting(self) -> bool:
        """Whether quotation marks or brackets are open in this line."""
        return any(self._text.count(sign) % 2 for sign in _SYMMETRIC) or any(
            self._text.count(opening) > self._text.count(closing) for opening, closing in _PAIRS
        )

    @property
    def leads_on(self) -> bool:
        """Whether words stand before that end in no whole sentence: "You could write this:"."""
        said = self._text.strip() or self._before
        return bool(said) and not _ends_sentence(said)

    @property
    def announces(self) -> bool:
        """Whether the sentence before says that something is about to be done: "I will look it up."."""
        said = self._text.strip() or self._before
        return language().speech.announcing.match(_SENTENCE_END.split(said)[-1]) is not None

    @property
    def stands_apart(self) -> bool:
        """Whether what follows stands behind a blank, in a sentence that goes on."""
        return self._text[-1:].isspace() and not self.is_open

    @property
    def is_struck_out(self) -> bool:
        """Whether HTML's ``<s>`` is open in this line, which is closed by what ends the messages of some models."""
        return "<s>" in self._text

    @property
    def has_words(self) -> bool:
        """Whether words stand before, in this line or above."""
        return bool(self._text.strip() or self._before)


def _ends_sentence(text: str) -> bool:
    if _ENDS.search(text[-8:]) is None:
        return False
    last = text.rsplit(None, 1)[-1]
    return not language().is_abbreviation(last.lstrip("(\"'"))


def is_written_about(marker: Marker, line: Line, following: str, *, final: bool) -> bool | None:
    """Whether a marker that is no call's is a word of the sentence that it stands in; None: that cannot be said yet.

    Args:
        marker: it.
        line: what stands before it.
        following: the next character; empty: there is none yet, or (``final``) none at all.
    """
    if marker.kind is Kind.THOUGHT_END:
        if line.is_empty or line.is_quoting:
            return line.is_quoting
        if following in ("\n", "\r") or (final and not following):
            return line.stands_apart
    elif marker.text == "</s>" and line.is_struck_out:
        return True
    elif line.is_open:
        return False
    elif marker.kind is Kind.THOUGHT or (marker.kind is Kind.END and marker.text != "<tool_response>"):
        return True
    if not following and not final:
        return None
    return following != "" and following in _GOES_ON
