"""The copy of an answer that the voice gets: only what can be said, in words. What is shown stays as it is."""

from __future__ import annotations

from pipecatapp.languages import language
from pipecatapp.voice.aloud.markup import Markup
from pipecatapp.voice.aloud.pieces import Clause, Piece
from pipecatapp.voice.aloud.words import SpokenWords


class SpokenCopy:
    """Takes an answer bit by bit and gives back what is to be spoken of it, each piece with what was written."""

    def __init__(self) -> None:
        self._markup = Markup(language().aloud.on_the_page)
        self._words = SpokenWords()

    def feed(self, text: str) -> list[Piece]:
        """What can be spoken now; a word that may still change is held back."""
        return self._words.feed(self._markup.feed(text))

    def finish(self) -> list[Piece]:
        """The rest, when the answer has ended."""
        return self._words.feed(self._markup.finish()) + self._words.finish()


def speak_of(text: str) -> str:
    """The spoken copy of a whole text, in one line."""
    copy = SpokenCopy()
    return Clause((*copy.feed(text), *copy.finish())).spoken
