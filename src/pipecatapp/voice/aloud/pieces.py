"""A bit of an answer in two forms: how it is spoken and how it was written."""

from __future__ import annotations

import re
from dataclasses import dataclass

# Stands between the words of one number or address, so that no clause ends among them (U+2060, word joiner).
JOINED = "\u2060"
_LOOSE = re.compile(r" (?=[.,;:!?](?:[ )\"']|$))")


@dataclass(frozen=True, slots=True)
class Piece:
    """Either form may be empty: an asterisk has no sound, and a sign that stands for words has more than it shows."""

    spoken: str
    written: str


@dataclass(frozen=True, slots=True)
class Clause:
    """Some pieces that are spoken in one breath."""

    pieces: tuple[Piece, ...]

    @property
    def spoken(self) -> str:
        """For the voice: one line, no sign apart from its word."""
        line = "".join(piece.spoken for piece in self.pieces).replace(JOINED, " ")
        return _LOOSE.sub("", " ".join(line.split()))

    @property
    def written(self) -> str:
        """To the letter as it came."""
        return "".join(piece.written for piece in self.pieces)
