"""Where an answer may be cut so that it can be spoken while it is still being written.

The first piece goes out at the first clause (comma, colon, dash, conjunction), later ones by sentence. When the model
is slow, ``hurry`` cuts earlier, between words. Nothing is ever cut inside a number, a URL or an abbreviation, and the
pieces joined are always exactly the text that came in.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from pipecatapp.languages import language

_LONGEST_PIECE = 1000  # characters; without any place to cut it is cut between words
_WORD = re.compile(r"\S{1,1000}")
_FIRST = re.compile("[-\u2060]")  # between the words of one number
_CLOSERS = "\"')]}»\u201d\u2019*_`"
_OPENERS = "\"'([«\u201c\u2018*_`"
_SENTENCE_ENDS = ".!?…"
_CLAUSE_ENDS = ",;:"
_DASHES = frozenset({"-", "\u2013", "\u2014"})  # hyphen, en dash, em dash between spaces
_LANGUAGE = language()


@dataclass(frozen=True, slots=True)
class _Word:
    text: str
    start: int
    end: int

    @property
    def bare(self) -> str:
        return self.text.strip(_SENTENCE_ENDS + _CLAUSE_ENDS + _CLOSERS + _OPENERS).lower()

    @property
    def number_like(self) -> bool:
        return any(c.isdigit() for c in self.text) or _FIRST.split(self.bare)[0] in _LANGUAGE.numbers.words


class ClauseSplitter:
    """Cuts a growing text into speakable pieces, looking at each word a bounded number of times.

    Args:
        conjunction_words: the first piece may end before a conjunction once it has this many words.
        hurry_words: the fewest words that ``hurry`` hands out.
        long_words: a later sentence longer than this is cut at its clauses too.
    """

    def __init__(self, *, conjunction_words: int = 4, hurry_words: int = 2, long_words: int = 16) -> None:
        self._conjunction_words = conjunction_words
        self._hurry_words = hurry_words
        self._long_words = long_words
        self._text = ""
        self._start = 0  # in ``_text``: what is before it was handed out
        self._words: list[_Word] = []
        self._begin = 0  # in ``_words``: the first that was not handed out
        self._judged = 0  # in ``_words``: before them no piece can end
        self._first = True

    @property
    def waiting(self) -> bool:
        """Whether words wait for the end of their clause."""
        return self._begin < len(self._words)

    def feed(self, text: str) -> list[str]:
        """More of the answer; returns the pieces that are whole now."""
        self._read(text)
        pieces = []
        while (cut := self._cut()) is not None:
            pieces.append(self._take(cut))
        self._forget()
        return pieces

    def hurry(self) -> list[str]:
        """What can be said at once of the unfinished clause: whole words, broken off where it sounds least so."""
        words = self._words[:-1]  # The last word may still grow.
        if len(words) < self._hurry_words:
            return []
        for count in range(len(words), self._hurry_words - 1, -1):
            word, after = words[count - 1], self._words[count]
            if word.bare in _LANGUAGE.speech.leaning or word.number_like or after.number_like or _is_abbreviation(word):
                continue
            piece = self._take(after.start)
            self._forget()
            return [piece]
        return []

    def finish(self) -> list[str]:
        """The end of the answer; returns what is left."""
        rest, self._text = self._text, ""
        self._start = self._begin = self._judged = 0
        self._words = []
        self._first = True
        return [rest] if rest else []

    def _read(self, text: str) -> None:
        """Find the words of the new text; the last one before it may have been unfinished."""
        at = len(self._text)
        if self._words and self._words[-1].end == at:
            at = self._words.pop().start
        self._text += text
        self._words += [_Word(match[0], match.start(), match.end()) for match in _WORD.finditer(self._text, at)]

    def _take(self, cut: int) -> str:
        piece, self._start = self._text[self._start : cut], cut
        while self._begin < len(self._words) and self._words[self._begin].start < cut:
            self._begin += 1
        self._judged = self._begin
        self._first = False
        return piece

    def _forget(self) -> None:
        """Let go of what was handed out."""
        start, begin = self._start, self._begin
        if not start:
            return
        self._text = self._text[start:]
        self._words = [_Word(word.text, word.start - start, word.end - start) for word in self._words[begin:]]
        self._judged -= begin
        self._start = self._begin = 0

    def _cut(self) -> int | None:
        """The first place to cut, at the start of a word. A word is judged once the next one has begun."""
        words = self._words
        for index in range(self._judged, len(words) - 1):
            word, after = words[index], words[index + 1]
            if self._ends_at(index, word, after):
                return after.start
            if after.end - self._start > _LONGEST_PIECE:
                return after.start
            if index + 2 < len(words):  # neither the next word nor the one behind it can change this
                self._judged = index + 1
        if words[self._begin :] and self._ends_surely(words[-1], len(words) - self._begin):
            return len(self._text)
        return None

    def _ends_at(self, index: int, word: _Word, after: _Word) -> bool:
        count = index - self._begin + 1
        if "\n" in self._text[word.end : after.start] or _ends_sentence(word, first_word=count == 1):
            return True
        if not self._first and count < self._long_words:
            return False
        if _ends_clause(word, after):
            return True
        # The conjunction itself may still be growing ("or" of "orange"): wait for the word behind it.
        grown = len(self._words) > index + 2
        return (
            self._first and count >= self._conjunction_words and grown and after.bare in _LANGUAGE.speech.conjunctions
        )

    def _ends_surely(self, word: _Word, count: int) -> bool:
        """Whether the last word ends its clause whatever follows ("Sure," does, "1," and "example." may go on)."""
        if not word.text[:-1].isalpha() or word.end != len(self._text):
            return False
        return word.text[-1] in "!?" or (word.text[-1] in ",;" and (self._first or count >= self._long_words))


def _ends_sentence(word: _Word, *, first_word: bool) -> bool:
    bare = word.text.rstrip(_CLOSERS)
    if not bare or bare[-1] not in _SENTENCE_ENDS:
        return False
    if bare[-1] != ".":
        return True
    # "1." at the start of a line is a list item, "J." an initial.
    return not (_is_abbreviation(word) or (first_word and bare[:-1].isdigit()))


def _is_abbreviation(word: _Word) -> bool:
    return _LANGUAGE.is_abbreviation(word.text.rstrip(_CLOSERS).lstrip(_OPENERS))


def _ends_clause(word: _Word, after: _Word) -> bool:
    if word.text in _DASHES:
        return True
    bare = word.text.rstrip(_CLOSERS)
    if not bare or bare[-1] not in _CLAUSE_ENDS:
        return False
    # "10, 20" and "8: 30" are read as one.
    return not (word.number_like and after.number_like)
