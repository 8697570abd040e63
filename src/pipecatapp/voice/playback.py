"""What of an answer has come out of the speaker: pieces of audio with marks that the player acknowledges.

A clause is cut into pieces of about half a second, at its quiet places, and after each piece a mark travels to the
player, who sends it back when that piece was played. So after barge-in the history keeps what was heard, and a false
alarm resumes where the sound stopped. A player that never acknowledges is assumed to play in real time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from pipecatapp.voice.aloud.pieces import JOINED
from pipecatapp.voice.aloud.pieces import Piece as Words

PIECE_S = 0.5
_SEARCH_S = 0.12
_WINDOW_S = 0.01
# Pieces around the one that sounds whose echo may come back: a recognizer is late, and so are acknowledgements.
_PIECES_BEFORE, _PIECES_AHEAD = 16, 4


@dataclass(slots=True)
class Piece:
    """Some audio, what it says (as it was written, as it is spoken), and the id of the mark that follows it."""

    mark: int
    text: str
    spoken: str
    pcm: bytes
    seconds: float
    sent: bool = False


class Playback:
    """The ledger of one answer.

    Args:
        rate: samples per second of the PCM16 mono audio.
        first_mark: where ids start; they must not repeat within a connection.
        clock: seconds that go on (``time.monotonic``).
    """

    def __init__(self, rate: int, first_mark: int, clock: Callable[[], float]) -> None:
        self._rate = rate
        self._next_mark = first_mark
        self._clock = clock
        self._pieces: list[Piece] = []
        self._heard = 0
        self._sounded = False
        self._acknowledged = False
        self._sounding_since: float | None = None
        self._before = 0.0

    @property
    def next_mark(self) -> int:
        """The first id that is still free."""
        return self._next_mark

    def add(self, words: Sequence[Words], pcm: bytes) -> list[Piece]:
        """A clause with its audio; returns its pieces, ready to be sent."""
        pieces = []
        for part, audio in _cut(words, pcm, self._rate):
            spoken = part.spoken.replace(JOINED, " ")
            pieces.append(Piece(self._next_mark, part.written, spoken, audio, len(audio) / 2 / self._rate))
            self._next_mark += 1
        self._pieces += pieces
        return pieces

    def add_silent(self, text: str) -> None:
        """What was written at the end and has no sound: heard with what stands before it."""
        if self._pieces:
            self._pieces[-1].text += text

    def sent(self, piece: Piece) -> None:
        """The piece went to the player."""
        piece.sent = self._sounded = True
        if self._sounding_since is None:
            self._sounding_since = self._clock()

    def played(self, mark: int) -> bool:
        """The player acknowledged a mark; returns whether it was news about this answer."""
        for index, piece in enumerate(self._pieces):
            if piece.mark == mark and index >= self._heard:
                self._heard = index + 1
                self._acknowledged = True
                return True
        return False

    def stop(self) -> None:
        """The player was silenced: everything that was not heard must be sent again to be heard."""
        self._settle()
        self._before = sum(piece.seconds for piece in self._pieces[: self._heard])
        self._sounding_since = None
        for piece in self._pieces[self._heard :]:
            if piece.sent:
                # A new id: the old mark may still be on its way, behind sound that was thrown away.
                piece.sent, piece.mark, self._next_mark = False, self._next_mark, self._next_mark + 1

    def next_unsent(self) -> Piece | None:
        """The next piece for the player."""
        for piece in self._pieces[self._heard :]:
            if not piece.sent:
                return piece
        return None

    def heard_text(self) -> str:
        """What the person heard, in whole pieces."""
        self._settle()
        return "".join(piece.text for piece in self._pieces[: self._heard]).strip()

    def lately(self) -> str:
        """The words that the player has just played, plays, or is about to."""
        self._settle()
        if not self._sounded:
            return ""
        near = slice(max(0, self._heard - _PIECES_BEFORE), self._heard + _PIECES_AHEAD)
        return "".join(piece.spoken for piece in self._pieces[near])

    def unheard(self) -> list[Piece]:
        """What is left to play, in order."""
        self._settle()
        return self._pieces[self._heard :]

    def remaining_s(self) -> float:
        """Seconds until the player runs dry, by the clock."""
        total = sum(piece.seconds for piece in self._pieces)
        return max(0.0, total - self._before - self._elapsed())

    def _elapsed(self) -> float:
        return 0.0 if self._sounding_since is None else self._clock() - self._sounding_since

    def _settle(self) -> None:
        """For a player that never acknowledges: count what real time has played."""
        if self._acknowledged or self._sounding_since is None:
            return
        elapsed = self._before + self._elapsed()
        position = sum(piece.seconds for piece in self._pieces[: self._heard])
        for piece in self._pieces[self._heard :]:
            position += piece.seconds
            if not piece.sent or position > elapsed:
                break
            self._heard += 1


def _cut(clause: Sequence[Words], pcm: bytes, rate: int) -> list[tuple[Words, bytes]]:
    """Cut a clause at word ends, estimated by the letters that are spoken, moved to the quietest place nearby."""
    samples = np.frombuffer(pcm, dtype=np.int16)
    words = [word for piece in clause for word in _words_with_space(piece)]
    letters = sum(len(word.spoken) for word in words)
    if len(words) < 2 or not letters or len(samples) < 2 * PIECE_S * rate:
        return [(_together(words), pcm)]
    pieces: list[tuple[Words, bytes]] = []
    start, part, seen = 0, list[Words](), 0
    for word, after in pairwise(words):
        part.append(word)
        seen += len(word.spoken)
        cut = len(samples) * seen // letters
        if after.spoken and cut - start >= PIECE_S * rate and len(samples) - cut >= PIECE_S * rate / 2:
            cut = _quietest(samples, cut, rate)
            if cut > start:
                pieces.append((_together(part), samples[start:cut].tobytes()))
                start, part = cut, []
    pieces.append((_together([*part, words[-1]]), samples[start:].tobytes()))
    return pieces


def _together(words: Sequence[Words]) -> Words:
    return Words("".join(word.spoken for word in words), "".join(word.written for word in words))


def _words_with_space(piece: Words) -> list[Words]:
    """The words, each with the white space behind it (leading space goes with the first); what is written otherwise
    than it is spoken stays whole."""
    text = piece.spoken
    if text != piece.written:
        return [piece]
    words: list[str] = []
    lead = text[: len(text) - len(text.lstrip())]
    for word in text[len(lead) :].split(" "):
        words.append(word + " ")
    words[-1] = words[-1][:-1]
    words[0] = lead + words[0]
    return [Words(word, word) for word in words if word]


def _quietest(samples: np.ndarray, around: int, rate: int) -> int:
    reach, window = int(_SEARCH_S * rate), int(_WINDOW_S * rate)
    low, high = max(0, around - reach), min(len(samples), around + reach)
    count = (high - low) // window
    if count < 2:
        return around
    blocks = np.abs(samples[low : low + count * window].astype(np.int32)).reshape(count, window).sum(axis=1)
    return low + int(blocks.argmin()) * window + window // 2
