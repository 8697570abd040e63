"""Says words as they come: those that are plain at once, a number with all that belongs to it as soon as that is there.

Streaming: what is said depends on the words alone, however the text is cut.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from pipecatapp.languages import language
from pipecatapp.voice.aloud import quantities
from pipecatapp.voice.aloud.abbreviations import in_words, may_be_short
from pipecatapp.voice.aloud.numbers import joined, ordinal
from pipecatapp.voice.aloud.pieces import Piece
from pipecatapp.voice.aloud.reading import Around, read

_ALOUD = language().aloud
_MONTHS = frozenset(language().numbers.months)
_LONGEST_WORD = 400  # characters; a longer one is none
_LONGEST_RUN = 12  # words that are said together
_LETTER = "[^\\W\\d_\u00b2\u00b3\u00b9\u00bc-\u00be\u2070-\u209c\u2150-\u215e]"
_PARTS = re.compile(r"\S+|\s")
# Whatever follows, these words are whole: the voice need not wait for it.
_WHOLE = re.compile(rf"{_LETTER}+[,;!?]")
_PLAIN = re.compile(
    rf"[\"'(\u201c\u2018]*(?![A-Z]{{2,5}}s?\b){_LETTER}+(?:['\u2019-]{_LETTER}+)*"
    "[.,;:!?\u2026]*[)\"'\u201d\u2019]*"
)
_NUMERIC = re.compile(r"[\d\u00bc-\u00be\u2150-\u215e]")
_BEHIND = frozenset(
    {"am", "pm", "a.m", "p.m", "thousand", "million", "billion", "trillion", *quantities.UNITS, *_ALOUD.currencies}
) - {"in", "A"}  # fmt: skip
_OPERATORS = frozenset({"+", "-", "\u2212", "\u2013", "\u2014", "x", "\u00d7", "%"})
_CURRENCY_SIGNS = frozenset(sign for sign in _ALOUD.currencies if not sign.isalpha())
_ENDS = re.compile(r"[.!?;:\u2026][)\"'\u201d\u2019]*$")
_AFTERNOON = re.compile(r"[ap]\.m\.[)\"']*$", re.IGNORECASE)
_DAY = re.compile(r"\d{1,2}")


@dataclass(slots=True)
class _Word:
    text: str
    written: str
    space: str = ""


class SpokenWords:
    """Takes what ``Markup`` leaves of an answer and gives back what is said."""

    def __init__(self) -> None:
        self._text = ""
        self._written = ""
        self._run: list[_Word] = []
        self._before = ""
        self._before_first = True
        self._first = True

    def feed(self, pieces: list[Piece]) -> list[Piece]:
        """More of it; ``written`` of all pieces together is that of what came in."""
        out: list[Piece] = []
        for piece in pieces:
            written: str | None = piece.written
            for part in _PARTS.findall(piece.spoken):
                own = part if piece.spoken == piece.written else written or ""
                written = None
                if part.isspace():
                    self._end(part, own, out)
                else:
                    self._grow(part, own, out)
            if not piece.spoken:
                self._written += piece.written
        return out

    def finish(self) -> list[Piece]:
        """The rest, when the answer has ended."""
        out: list[Piece] = []
        if self._text:
            self._take(_Word(self._text, self._written), out)
            self._text = self._written = ""
        self._say_run("", out)
        if self._written:
            out.append(Piece("", self._written))
            self._written = ""
        self._first, self._before_first, self._before = True, True, ""
        return out

    def _grow(self, part: str, written: str, out: list[Piece]) -> None:
        self._text += part
        self._written += written
        while (whole := _WHOLE.match(self._text)) or len(self._text) > _LONGEST_WORD:
            cut = whole.end() if whole and whole.end() <= _LONGEST_WORD else _LONGEST_WORD
            same = self._text == self._written
            own = self._written[:cut] if same else self._written
            word, self._text = _Word(self._text[:cut], own), self._text[cut:]
            self._written = self._written[cut:] if same else ""
            self._take(word, out)

    def _end(self, space: str, written: str, out: list[Piece]) -> None:
        if self._text:
            word = _Word(self._text, self._written + written, space)
            self._text = self._written = ""
            self._take(word, out)
        elif self._run:
            self._run.append(_Word("", self._written + written, space))
            self._written = ""
        else:
            out.append(Piece(space, self._written + written))
            self._written = ""
        if space == "\n":
            self._say_run("", out)
            self._first = True

    def _take(self, word: _Word, out: list[Piece]) -> None:
        if self._run and not self._goes_on(word.text):
            self._say_run(word.text, out)
        if self._run or _opens(word.text):
            self._run.append(word)
            last = _ENDS.search(word.text) and not may_be_short(word.text) and not _AFTERNOON.search(word.text)
            if last or len(self._run) >= _LONGEST_RUN:
                self._say_run("", out)
            return
        plain = _PLAIN.fullmatch(word.text) is not None
        said = word.text if plain else _read(word.text, self._before)
        out.append(Piece(said.replace("\u2019", "'") + word.space, word.written))
        self._remember(word.text)

    def _goes_on(self, text: str) -> bool:
        """Whether a word belongs to what is collected."""
        if _NUMERIC.search(text):
            return True
        last = next((word.text for word in reversed(self._run) if word.text), "")
        bare = text.strip(".,;:!?)\"'")
        return bool(_NUMERIC.search(last)) and (bare in _BEHIND or bare.lower() in _BEHIND or text in _OPERATORS)

    def _say_run(self, after: str, out: list[Piece]) -> None:
        """Say what is collected; ``after`` is the word that follows it in its line."""
        run, self._run = self._run, []
        if not run:
            return
        said: list[str] = []
        together, context = "", self._before
        for index, word in enumerate(run):
            following = next((later.text for later in run[index + 1 :] if later.text), after)
            measured = bool(together.strip()) and _NUMERIC.search(together.split()[-1]) is not None
            short = None
            if word.text and not measured:
                short = in_words(word.text, self._before, self._before_first, following)
            if short is None:
                together += word.text + word.space
            else:
                said += [_read(together, context), short + word.space]
                together, context = "", short.split()[-1]
            if word.text:
                self._remember(word.text)
        said.append(_day(together, context, after) or _read(together, context))
        out.append(Piece("".join(said), "".join(word.written for word in run)))

    def _remember(self, text: str) -> None:
        self._before, self._before_first = text.strip(".,;:!?()\"'"), self._first
        self._first = _ENDS.search(text) is not None


def _opens(text: str) -> bool:
    """Whether a word may belong to those behind it."""
    return _NUMERIC.search(text) is not None or text in _CURRENCY_SIGNS or may_be_short(text)


def _read(text: str, before: str) -> str:
    return read(text, Around(before.lower())) if text else ""


def _day(text: str, before: str, after: str) -> str | None:
    """``29 November`` -> "the twenty-ninth of November"."""
    if after.strip(".,").lower() not in _MONTHS or _DAY.fullmatch(text.strip()) is None:
        return None
    if not 0 < int(text) < 32:
        return None
    article = "" if before.lower() == "the" else "the "
    return joined(f"{article}{ordinal(text.strip())} of") + " "
