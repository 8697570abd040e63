"""Finds the arguments of a tool in a request: a linear chain of tags over words, by Viterbi."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from pipecatapp.reflex.features import Hashes, hashed
from pipecatapp.reflex.tokens import EXACT, Token, shape_of, span_text

OUT = "-"
Floats = npt.NDArray[np.float32]


def word_features(tokens: Sequence[Token], cluster: Callable[[str], int]) -> list[list[str]]:
    """What is seen at each word: itself, its neighbours, their shapes and kinds."""
    count = len(tokens)
    words = ["<s>", "<s>", *(token.word for token in tokens), "</s>", "</s>"]
    shapes = ["", "", *(shape_of(token.word) or f"k{cluster(token.word)}" for token in tokens), "", ""]
    cuts = [True, True, *(token.cut for token in tokens), True, True]
    found = []
    for at in range(2, count + 2):
        word, before, after = words[at], words[at - 1], words[at + 1]
        shape, shape_before, shape_after = shapes[at], shapes[at - 1], shapes[at + 1]
        found.append(
            [
                f"0{word}", f"1{before}", f"2{after}", f"3{words[at - 2]}", f"4{words[at + 2]}", f"5{shape}",
                f"6{shape_before}", f"7{shape_after}", f"8{before} {word}", f"9{word} {after}",
                f"a{shape_before} {shape}",
                f"b{shape} {shape_after}", f"c{before} {after}", f"d{word[-3:]}", f"e{word[:3]}",
                f"f{words[at - 2]} {before}", f"g{after} {words[at + 2]}", f"h{min(at - 2, 3)}",
                f"i{min(count + 1 - at, 3)}",
                f"j{shape_before} {shape} {shape_after}", f"k{cuts[at - 1]}{cuts[at]}", f"l{before} {shape}",
                f"m{shape} {after}",
                "n",
            ]
        )  # fmt: skip
    return found


class Tagger:
    """Marks the words of each argument.

    Args:
        arguments: those of each tool.
        hashes: of the weights, sorted.
        weights: as many.
        cluster: the kind that a word is of.
    """

    def __init__(
        self,
        arguments: Mapping[str, Sequence[str]],
        hashes: Hashes,
        weights: Floats,
        cluster: Callable[[str], int],
    ) -> None:
        self._arguments = arguments
        self._weights = dict(zip(hashes.tolist(), weights.tolist(), strict=True))
        self._cluster = cluster

    def tags(self, tool: str, tokens: Sequence[Token]) -> tuple[list[str], float]:
        """The tag of each word, and how far the second best reading of any word is behind (0: as good)."""
        names = [OUT, *self._arguments.get(tool, ())]
        if not tokens or len(names) == 1:
            return [OUT] * len(tokens), 9.0
        scores = np.array(
            [
                [sum(self._weights.get(hashed(f"{tool} {name} {f}"), 0.0) for f in seen) for name in names]
                for seen in word_features(tokens, self._cluster)
            ]
        )
        moves = np.array(
            [[self._weights.get(hashed(f"{tool} {a}>{b}"), 0.0) for b in names] for a in names]
        )  # fmt: skip
        forward, backward = _best_sums(scores, moves), _best_sums(scores[::-1], moves.T)[::-1]
        through = forward + backward - scores
        best = through.argmax(axis=1)
        ranked = np.sort(through, axis=1)
        return [names[at] for at in best], float((ranked[:, -1] - ranked[:, -2]).min())

    def arguments(self, tool: str, text: str, tokens: Sequence[Token]) -> tuple[dict[str, str], list[str], float]:
        """The arguments as they stand in the request, the tags, and how clear the tags are."""
        tags, clear = self.tags(tool, tokens)
        found = {}
        for name in self._arguments.get(tool, ()):
            marks = [tag == name for tag in tags]
            if any(marks):
                found[name] = span_text(text, tokens, marks, exact=name in EXACT)
        return found, tags, clear


def _best_sums(scores: npt.NDArray[np.float64], moves: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The score of the best reading that ends at each word with each tag."""
    sums = np.empty_like(scores)
    sums[0] = scores[0]
    for at in range(1, len(scores)):
        sums[at] = scores[at] + (sums[at - 1][:, None] + moves).max(axis=0)
    return sums
