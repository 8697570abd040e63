"""An answer cut where it can be spoken while it is still being written, each clause with what was written of it."""

from __future__ import annotations

from collections import deque

from pipecatapp.voice.aloud.pieces import Clause, Piece
from pipecatapp.voice.aloud.spoken_copy import SpokenCopy
from pipecatapp.voice.clauses import ClauseSplitter


class SpokenClauses:
    """Prepares an answer for the voice, then cuts it: code and tables reach over many clauses."""

    def __init__(self) -> None:
        self._copy = SpokenCopy()
        self._splitter = ClauseSplitter()
        self._pieces: deque[Piece] = deque()

    @property
    def waiting(self) -> bool:
        """Whether words wait for the end of their clause."""
        return self._splitter.waiting

    def feed(self, text: str) -> list[Clause]:
        """More of the answer; returns the clauses that are whole now."""
        return self._add(self._copy.feed(text))

    def hurry(self) -> list[Clause]:
        """What can be said at once of the unfinished clause."""
        return [self._clause(cut) for cut in self._splitter.hurry()]

    def finish(self) -> list[Clause]:
        """The end of the answer; returns what is left, at last what has no sound."""
        clauses = self._add(self._copy.finish())
        clauses += [self._clause(cut) for cut in self._splitter.finish()]
        if self._pieces:
            clauses.append(Clause(tuple(self._pieces)))
            self._pieces.clear()
        return clauses

    def _add(self, pieces: list[Piece]) -> list[Clause]:
        self._pieces += pieces
        spoken = "".join(piece.spoken for piece in pieces)
        return [self._clause(cut) for cut in self._splitter.feed(spoken)] if spoken else []

    def _clause(self, spoken: str) -> Clause:
        """The pieces of so many characters; of one that is cut the first part takes what was written."""
        pieces, left = [], len(spoken)
        while left > 0:
            piece = self._pieces.popleft()
            if len(piece.spoken) > left:
                same = piece.spoken == piece.written
                rest = Piece(piece.spoken[left:], piece.written[left:] if same else "")
                self._pieces.appendleft(rest)
                piece = Piece(piece.spoken[:left], piece.written[:left] if same else piece.written)
            pieces.append(piece)
            left -= len(piece.spoken)
        return Clause(tuple(pieces))


def clauses_of(text: str) -> list[Clause]:
    """A whole text in clauses."""
    clauses = SpokenClauses()
    return [*clauses.feed(text), *clauses.finish()]
