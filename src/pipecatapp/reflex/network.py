"""The second judge: what words mean, in their order. A small convolution over word vectors, in numpy.

It sees no letters: "the tea" and "the coffee" are near each other to it, "alarm" and "alarming" are not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipecatapp.reflex.features import plain
from pipecatapp.reflex.tokens import Token

Floats = npt.NDArray[np.float32]
# The vector of a word by its meaning; None for one that nobody knows.
Meaning = Callable[[str], Floats | None]
MEANING, LONGEST = 64, 24


@dataclass(frozen=True, slots=True)
class Network:
    """``own`` (words x features) is what training learned of frequent words by itself; row 0 is any other word.

    ``conv`` (three words x filters), ``out`` (filters, twice: their highest and their mean, x classes).
    """

    known: Mapping[str, int]
    own: Floats
    conv: Floats
    conv_bias: Floats
    out: Floats
    out_bias: Floats
    meaning: Meaning

    def input(self, tokens: Sequence[Token]) -> Floats:
        """The words as rows; the first 24, with an edge on each side."""
        rows = np.zeros((min(len(tokens), LONGEST) + 2, MEANING + self.own.shape[1]), np.float32)
        for at, token in enumerate(tokens[:LONGEST], start=1):
            word = plain(token)
            vector = self.meaning(token.word) if word[0] != "<" else None
            if vector is not None:
                rows[at, :MEANING] = vector
            rows[at, MEANING:] = self.own[self.known.get(word, 0)]
        return rows

    def scores(self, tokens: Sequence[Token]) -> Floats:
        """The score of each class."""
        rows = self.input(tokens)
        if len(rows) < 3:
            return self.out_bias
        triples = np.concatenate([rows[:-2], rows[1:-1], rows[2:]], axis=1)
        hidden = np.maximum(0, triples @ self.conv + self.conv_bias)
        pooled = np.concatenate([hidden.max(axis=0), hidden.mean(axis=0)])
        found: Floats = pooled @ self.out + self.out_bias
        return found
