"""Finds the arguments of a tool in a request: a linear chain of tags over words, by Viterbi."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipecatapp.reflex.features import hashed
from pipecatapp.reflex.tokens import EXACT, Token, shape_of, span_text

OUT = "-"
# So clear is what has no arguments.
CLEAREST = 60.0


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


@dataclass(frozen=True, slots=True)
class Reading:
    """The arguments, the tag of each word, how far the second best reading of any word is behind (0: as good), and the
    share of the readers that read it so alone."""

    arguments: Mapping[str, str]
    tags: Sequence[str]
    clear: float
    agreed: float


class Tagger:
    """Marks the words of each argument: two readers that learned from different requests, added up.

    Args:
        arguments: those of each tool.
        readers: the weights of each reader by the hash of what they are for.
        cluster: the kind that a word is of.
    """

    def __init__(
        self,
        arguments: Mapping[str, Sequence[str]],
        readers: Sequence[Mapping[int, float]],
        cluster: Callable[[str], int],
    ) -> None:
        self._arguments = arguments
        self._readers = readers
        self._cluster = cluster

    def read(self, tool: str, text: str, tokens: Sequence[Token]) -> Reading:
        """The arguments as they stand in the request, and how clear they are."""
        names = [OUT, *self._arguments.get(tool, ())]
        if not tokens or len(names) == 1:
            return Reading({}, [OUT] * len(tokens), CLEAREST, 1.0)
        hashes = [[[hashed(f"{tool} {name} {f}") for f in seen] for name in names] for seen in self._seen(tokens)]
        steps = [[hashed(f"{tool} {a}>{b}") for b in names] for a in names]
        alone = []
        all_scores = np.zeros((len(tokens), len(names)))
        all_moves = np.zeros((len(names), len(names)))
        for weights in self._readers:
            scores = np.array([[sum(weights.get(h, 0.0) for h in name) for name in word] for word in hashes])
            moves = np.array([[weights.get(step, 0.0) for step in row] for row in steps])
            alone.append(_through(scores, moves).argmax(axis=1))
            all_scores += scores
            all_moves += moves
        through = _through(all_scores, all_moves)
        best = through.argmax(axis=1)
        ranked = np.sort(through, axis=1)
        agreed = float(np.mean([bool((one == best).all()) for one in alone]))
        tags = [names[at] for at in best]
        found = {}
        for name in names[1:]:
            marks = [tag == name for tag in tags]
            if any(marks):
                found[name] = span_text(text, tokens, marks, exact=name in EXACT)
        return Reading(found, tags, float((ranked[:, -1] - ranked[:, -2]).min()), agreed)

    def _seen(self, tokens: Sequence[Token]) -> list[list[str]]:
        return word_features(tokens, self._cluster)


def _through(scores: npt.NDArray[np.float64], moves: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """For each word and tag the score of the best reading that goes through it."""
    forward, backward = _best_sums(scores, moves), _best_sums(scores[::-1], moves.T)[::-1]
    found: npt.NDArray[np.float64] = forward + backward - scores
    return found


def _best_sums(scores: npt.NDArray[np.float64], moves: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The score of the best reading that ends at each word with each tag."""
    sums = np.empty_like(scores)
    sums[0] = scores[0]
    for at in range(1, len(scores)):
        sums[at] = scores[at] + (sums[at - 1][:, None] + moves).max(axis=0)
    return sums
