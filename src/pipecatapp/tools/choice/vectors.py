"""English words as vectors: a table of 22,000, from all-MiniLM-L6-v2 asked about each word alone (Apache-2.0).

``words.npz`` is made by ``scripts/lib/make_word_table.py``: the words in the order of their frequency and, for each,
its first principal components as bytes. A word is looked up, nothing is computed: that takes microseconds.
"""

from __future__ import annotations

import math
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pipecatapp.tools.choice.terms import stem

Floats = npt.NDArray[np.float32]
_PART = 4  # letters that a part of a compound has at least


class WordVectors:
    """Looks words up. Every vector has length one."""

    def __init__(self, file: Path) -> None:
        with np.load(file) as stored:
            self._rank = {word: index for index, word in enumerate(str(stored["words"]).split())}
            self._rows: npt.NDArray[np.int8] = stored["rows"]
        self.dimensions = int(self._rows.shape[1])

    def __contains__(self, word: str) -> bool:
        return word in self._rank

    def of(self, word: str) -> Floats | None:
        """The vector of a word, its stem or its parts; None for one that nobody knows."""
        row = self._row(word)
        if row is None:
            row = self._row(stem(word))
        if row is None:
            row = self._compound(word)
        return None if row is None else row / np.float32(np.linalg.norm(row) + 1e-9)

    def weight(self, word: str) -> float:
        """How much a word says, from how rare it is: 0.15 to 1.15."""
        rank = self._rank.get(word, len(self._rank))
        return min(1.0, math.log(1 + rank / 150) / 4) + 0.15

    def _row(self, word: str) -> Floats | None:
        index = self._rank.get(word)
        return None if index is None else self._rows[index].astype(np.float32)

    def _compound(self, word: str) -> Floats | None:
        for cut in range(len(word) - 1, _PART - 1, -1):
            head = self._row(word[:cut])
            if head is None:
                continue
            tail = self._row(word[cut:]) if len(word) - cut >= _PART else None
            if tail is not None:
                return head + tail
            if len(word) - cut < _PART:
                return head
        return None


@cache
def word_vectors() -> WordVectors:
    """The table that comes with the program."""
    return WordVectors(Path(__file__).with_name("words.npz"))
