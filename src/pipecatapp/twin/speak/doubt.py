"""Whether the calls of a message may be an example: then they are words, where other words follow them."""

from __future__ import annotations

from pipecatapp.twin.speak.line import Line


class Doubt:
    """Set when the first call begins, settled by what stands behind the last one."""

    def __init__(self) -> None:
        self.is_there = False
        self._in_line = False  # it ends with the line: only a sentence that goes on makes an example

    def begin(self, line: Line, *, fenced: bool, announced: bool) -> None:
        """A first call begins behind ``line``; ``announced``: by a marker."""
        self.is_there = line.has_words and (fenced or line.leads_on or not line.announces)
        self._in_line = not (self.is_there or fenced or announced)
        self.is_there = self.is_there or self._in_line

    def pass_blanks(self, blanks: str) -> None:
        """These stand behind a call."""
        if self._in_line and "\n" in blanks:
            self.end()

    def settle(self, following: str, *, is_marker: bool) -> None:
        """Something else than a call follows: it stays where that makes an example of the calls."""
        if is_marker or (self._in_line and not following.islower()):
            self.end()

    def end(self) -> None:
        """There is none any more."""
        self.is_there = self._in_line = False
