"""Drops what a server says again that was asked to go on: the text that it repeats was spoken already."""

from __future__ import annotations

import re
from collections.abc import Iterator

# What a server that cannot go on behind an unfinished answer is asked.
GO_ON = "Your answer broke off. Write what comes next, from exactly there on, and repeat nothing of it."

# Fewer characters in common at the border are chance: many sentences end and begin with "the".
_LEAST = 8
_FARTHEST = 1000
_LAST_WORD = re.compile(r"\w{2,}\Z")


class Overlap:
    """Takes the continuation of ``said`` piece by piece; gives back what is new in it.

    Held back as long as it may still be a repetition: of all that was said, from its beginning, or of its end.
    """

    def __init__(self, said: str) -> None:
        self._said = said.rstrip()
        self._gap = len(said) > len(self._said)  # the space behind it was spoken too
        self._held = ""
        self._decided = False

    def feed(self, text: str) -> str:
        """What is new and can be spoken now."""
        if self._decided:
            return text
        self._held += text
        new = self._held.lstrip()
        if any(self._said.startswith(new, start) for start in self._starts()):
            return ""  # all of it was said already, so far
        return self._decide(new)

    def finish(self) -> str:
        """The server ended: what was held back and is new after all."""
        return "" if self._decided else self._decide(self._held.lstrip())

    def _decide(self, new: str) -> str:
        self._decided = True
        if not new:
            return ""
        for start in self._starts():
            if new.startswith(self._said[start:]):
                rest = new[len(self._said) - start :]
                return rest.lstrip() if self._gap else rest
        begun = _LAST_WORD.search(self._said)
        if begun and not self._gap and new.startswith(begun[0]):
            return new[len(begun[0]) :]  # the word that broke off, written whole
        new = new[_sentences_in_common(self._said, new) :]
        # Chat servers cut the space in front of an answer off.
        needs_gap = not self._gap and not new.startswith((".", ",", ";", ":", "!", "?", ")", "'"))
        return f" {new}" if needs_gap else new

    def _starts(self) -> Iterator[int]:
        """Where in what was said a repetition may begin, the longest first: at its front, or near its end."""
        yield 0
        yield from range(max(1, len(self._said) - _FARTHEST), len(self._said) - _LEAST + 1)


def _sentences_in_common(said: str, new: str) -> int:
    """How much of ``new`` is whole sentences that ``said`` begins with: it began anew, then went another way."""
    common = 0
    for end in re.finditer(r"[.!?]\s+", new):
        if not said.startswith(new[: end.end()].rstrip()):
            break
        common = end.end()
    return common
