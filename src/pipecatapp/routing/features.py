"""A request as weighted words and pieces of words (TF-IDF): what the fast classifier looks at.

Pieces of words (2 to 5 characters) see through endings, typing mistakes and what speech recognition makes of a word.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Places = npt.NDArray[np.int64]

_WORD = re.compile(r"\w+")
_PIECES = range(2, 6)


def words(text: str) -> Iterator[str]:
    """The words and the pairs of neighbours."""
    single = _WORD.findall(text.lower())
    yield from single
    yield from (f"{one} {two}" for one, two in pairwise(single))


def pieces(text: str) -> Iterator[str]:
    """Every piece of every word, its borders marked by a blank."""
    for word in text.lower().split():
        padded = f" {word} "
        for length in _PIECES:
            yield from (padded[at : at + length] for at in range(max(1, len(padded) - length + 1)))
            if len(padded) <= length:
                break


@dataclass(frozen=True, slots=True)
class SparseRow:
    """The features that a text has: their places, and as many weights."""

    places: Places
    weights: Floats


class _Group:
    """One kind of feature with what is known of each: its place, and how telling it is."""

    def __init__(
        self, split: Callable[[str], Iterator[str]], texts: Sequence[str], *, at_least: int, first: int
    ) -> None:
        self._split = split
        seen = Counter(feature for text in texts for feature in set(split(text)))
        kept = [feature for feature, count in seen.items() if count >= at_least]
        self._place = {feature: first + at for at, feature in enumerate(kept)}
        self._rarity = {feature: math.log((1 + len(texts)) / (1 + seen[feature])) + 1 for feature in kept}

    def __len__(self) -> int:
        return len(self._place)

    def row(self, text: str) -> SparseRow:
        counts = Counter(feature for feature in self._split(text) if feature in self._place)
        places = np.fromiter((self._place[feature] for feature in counts), np.int64, len(counts))
        raw = ((1 + math.log(count)) * self._rarity[feature] for feature, count in counts.items())
        weights = np.fromiter(raw, np.float32, len(counts))
        length = float(np.linalg.norm(weights))
        return SparseRow(places, weights / length if length else weights)


class Vocabulary:
    """The features that occur in the texts it is made from.

    Args:
        texts: the examples.
    """

    def __init__(self, texts: Sequence[str]) -> None:
        self._words = _Group(words, texts, at_least=1, first=0)
        self._pieces = _Group(pieces, texts, at_least=2, first=len(self._words))

    def __len__(self) -> int:
        return len(self._words) + len(self._pieces)

    def row(self, text: str) -> SparseRow:
        """What is known of this text; features that no example has are left out."""
        one, two = self._words.row(text), self._pieces.row(text)
        return SparseRow(np.concatenate([one.places, two.places]), np.concatenate([one.weights, two.weights]))
