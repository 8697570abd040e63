"""What the first judge and the tagger see of a request: words, pairs of words, pieces of words, as 32-bit hashes."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from pipecatapp.reflex.tokens import Token, shape_of

Hashes = npt.NDArray[np.uint32]
_PIECES = (3, 4, 5)


def hashed(feature: str) -> int:
    """The feature as a number that is the same everywhere and for ever."""
    return zlib.crc32(feature.encode())


def plain(token: Token) -> str:
    """The word with its numbers made one: ``12`` and ``40`` are alike."""
    shape = shape_of(token.word)
    return f"<{shape}>" if shape[:1] == "d" and shape not in ("det",) else ("<num>" if shape == "num" else token.word)


def request_features(tokens: Sequence[Token]) -> list[int]:
    """The features of a whole request, each once."""
    words = [plain(token) for token in tokens]
    shapes = [shape_of(token.word) or word for token, word in zip(tokens, words, strict=True)]
    found = set()
    edged = ["<s>", *words, "</s>"]
    for word in words:
        found.add(f"w {word}")
    for one, two in pairwise(edged):
        found.add(f"b {one} {two}")
    for at in range(len(edged) - 2):
        found.add(f"t {edged[at]} {edged[at + 1]} {edged[at + 2]}")
        found.add(f"k {edged[at]} {edged[at + 2]}")
    for at in range(len(shapes) - 2):
        found.add(f"s {shapes[at]} {shapes[at + 1]} {shapes[at + 2]}")
    if len(words) > 1:
        found.add(f"f {words[0]} {words[-1]}")
    found.add(f"n {min(len(words), 12)}")
    for word in set(words):
        padded = f" {word} "
        for length in _PIECES:
            for at in range(len(padded) - length + 1):
                found.add(f"c{padded[at : at + length]}")
    return [hashed(feature) for feature in found]


class Places:
    """Where each known feature stands; the others count for nothing.

    Args:
        hashes: sorted.
    """

    def __init__(self, hashes: Hashes) -> None:
        self._hashes = hashes

    def __len__(self) -> int:
        return len(self._hashes)

    def of(self, features: Sequence[int]) -> npt.NDArray[np.int64]:
        """The places of those that are known."""
        wanted = np.array(features, np.uint32)
        at = np.searchsorted(self._hashes, wanted)
        at = np.minimum(at, len(self._hashes) - 1)
        known: npt.NDArray[np.int64] = at[self._hashes[at] == wanted].astype(np.int64)
        return known
