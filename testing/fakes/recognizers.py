"""Speech recognition that understands what the test wrote down; the sound only has to be there."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence

from pipecatapp.voice.recognition import OnPartial, ThreadedUtterance, Utterance


class ScriptedRecognizer:
    """Hears everything at once, as Whisper does: at a pause, and at the end.

    Args:
        words: of one utterance after the other; a callable is asked when its utterance ends. Afterwards: nothing.
    """

    name = "scripted"
    final_p99_s = 2.0
    at_pauses = True

    def __init__(self, *words: str | Callable[[], str]) -> None:
        self._script = list(words)
        self.transcribed: list[tuple[int, int]] = []  # utterance, bytes
        self._opened = 0

    async def load(self) -> None:
        """Nothing is loaded."""

    def open(self, on_partial: OnPartial) -> Utterance:
        words = self._script.pop(0) if self._script else ""
        self._opened += 1
        number = self._opened

        def transcribe(pcm: bytes) -> str:
            self.transcribed.append((number, len(pcm)))
            return words if isinstance(words, str) else words()

        return ThreadedUtterance(transcribe, on_partial)

    async def aclose(self) -> None:
        """Nothing runs."""


_WRONG = ("crown", "lettuce", "maybe", "sixteen", "harbor", "velvet", "pony", "garlic", "window", "trumpet")


def misheard(words: Sequence[str], rng: random.Random) -> str:
    """The words with one in three taken for another."""
    first = rng.randrange(3)
    return " ".join(rng.choice(_WRONG) if index % 3 == first else word for index, word in enumerate(words))


def stretches(text: str, rng: random.Random) -> Iterator[list[str]]:
    """Stretches of three to nine words that follow each other in a text, as pauses would cut them."""
    words, at = text.split(), 0
    while len(words) - at >= 3:
        length = min(rng.randint(3, 9), len(words) - at)
        yield words[at : at + length]
        at += length
