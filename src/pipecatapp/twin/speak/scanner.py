"""Finds where a bracketed value ends while it is still being written."""

from __future__ import annotations


class ValueScanner:
    """Finds the end of a bracketed value in a text that grows, reading each character once.

    Args:
        at: where it begins.
        quotes: what frames its strings.
    """

    def __init__(self, at: int, quotes: str = '"') -> None:
        self.at = at
        self.deepest = 0
        self._quotes = quotes
        self._depth = 0
        self._quote = ""
        self._escaped = False

    def end(self, text: str, close: str = "") -> int | None:
        """The index behind the value, or where ``close`` stands outside of its strings; None while it is open."""
        for index in range(self.at, len(text)):
            char = text[index]
            if self._escaped:
                self._escaped = False
            elif self._quote:
                self._escaped = char == "\\"
                if char == self._quote:
                    self._quote = ""
            elif char in self._quotes:
                self._quote = char
            elif char in "{[(":
                self._depth += 1
                self.deepest = max(self.deepest, self._depth)
            elif char in "}])":
                self._depth -= 1
                if self._depth <= 0:
                    self.at = index + 1
                    return self.at
            elif close and char == "<" and text.startswith(close, index):
                self.at = index
                return index
            elif close and char == "<" and close.startswith(text[index:]):
                self.at = index  # it may become the closing marker
                return None
        self.at = len(text)
        return None
