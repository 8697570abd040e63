"""A stretch of a message that is a thought: where it ends."""

from __future__ import annotations

from pipecatapp.twin.speak.markers import HARMONY_ENDS, LONGEST, Marker


class ThoughtBlock:
    """One thought, in a text that grows.

    Args:
        opened_at: where it begins, its marker included.
        searched: where it may end at the earliest.
        marker: what opened it.
        assumed: nothing says so for sure: one that never ends was none.
    """

    def __init__(self, opened_at: int, searched: int, marker: Marker, *, assumed: bool = False) -> None:
        self.opened_at = opened_at
        self.searched = searched
        self.assumed = assumed
        self._close = marker.close

    def move(self, by: int) -> None:
        """So many characters were taken off the front of the text."""
        self.opened_at -= by
        self.searched -= by

    def find_end(self, text: str) -> int | None:
        """Where the message goes on behind it; None while it is open."""
        found = [(at, close) for close in self._close if (at := text.find(close, self.searched)) >= 0]
        if not found:
            self.searched = max(self.searched, len(text) - LONGEST)
            return None
        at, close = min(found)
        return at if self._close is HARMONY_ENDS else at + len(close)
