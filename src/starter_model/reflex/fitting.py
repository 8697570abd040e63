"""Fits the judges in numpy: the linear one, the network (gradient by hand), the tagger (averaged perceptron)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from pipecatapp.reflex.features import hashed, plain, request_features
from pipecatapp.reflex.network import LONGEST, MEANING, Meaning
from pipecatapp.reflex.tagger import OUT, word_features
from pipecatapp.reflex.tokens import Token

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
_LINEAR_ROUNDS, _LINEAR_RATE, _KEPT_FEATURES, _SEEN = 4, 0.4, 60_000, 4
_DROPPED = 0.3
_NET_ROUNDS, _NET_RATE, _NET_BATCH, _FILTERS, _OWN, _KNOWN, _WORD_DROPPED = 4, 2e-3, 128, 128, 32, 3000, 0.08
_TAG_ROUNDS, _TAG_KEPT = 4, 330_000


def fit_linear(
    requests: Sequence[Sequence[Token]], marks: Ints, classes: int
) -> tuple[npt.NDArray[np.uint32], Floats, Floats]:
    """Softmax regression with a rate of its own for each feature. Returns hashes (sorted), weights and bias.

    A third of the features is hidden at each step, so that no single one is relied upon.
    """
    rows = [np.array(request_features(tokens), np.uint32) for tokens in requests]
    hashes, counts = np.unique(np.concatenate(rows), return_counts=True)
    floor = max(_SEEN, int(np.sort(counts)[-min(_KEPT_FEATURES, len(counts))]))
    hashes = hashes[counts >= floor]
    places = []
    for row in rows:
        at = np.minimum(np.searchsorted(hashes, row), len(hashes) - 1)
        places.append(at[hashes[at] == row].astype(np.int32))
    weights = np.zeros((len(hashes), classes), np.float32)
    bias = np.zeros(classes, np.float32)
    paid = np.full(len(hashes), 1e-2, np.float32)
    rng = np.random.default_rng(1)
    for number in range(_LINEAR_ROUNDS):
        rate = np.float32(_LINEAR_RATE * (1 - number / _LINEAR_ROUNDS))
        for at in rng.permutation(len(rows)):
            seen = places[at][rng.random(len(places[at])) > _DROPPED]
            if not len(seen):
                continue
            length = np.float32(1 / np.sqrt(len(seen)))
            scores = weights[seen].sum(axis=0) * length + bias
            slope = np.exp(scores - scores.max())
            slope /= slope.sum()
            slope[marks[at]] -= 1
            paid[seen] += (slope @ slope) * length * length
            weights[seen] -= (rate * length / np.sqrt(paid[seen]))[:, None] * slope
            bias -= np.float32(0.002) * slope
    return hashes, weights, bias


def known_words(requests: Sequence[Sequence[Token]]) -> list[str]:
    """The frequent words, which the network learns a vector of its own for."""
    counts = Counter(plain(token) for tokens in requests for token in tokens)
    return sorted(word for word, count in counts.most_common(_KNOWN) if count > 20)


class NetworkFit:
    """Fits the network with Adam.

    Args:
        known: the words with a vector of their own.
        classes: how many there are.
        meaning: the vector of a word.
    """

    def __init__(self, known: Sequence[str], classes: int, meaning: Meaning) -> None:
        rng = np.random.default_rng(2)
        self._rng = rng
        self._known = {word: at for at, word in enumerate(known, start=1)}
        width = 3 * (MEANING + _OWN)
        self.parameters: dict[str, Floats] = {
            "own": rng.normal(0, 0.1, (len(known) + 1, _OWN)).astype(np.float32),
            "conv": rng.normal(0, (2 / width) ** 0.5, (width, _FILTERS)).astype(np.float32),
            "conv_bias": np.zeros(_FILTERS, np.float32),
            "out": rng.normal(0, 0.05, (2 * _FILTERS, classes)).astype(np.float32),
            "out_bias": np.zeros(classes, np.float32),
        }
        self._first = {name: np.zeros_like(value) for name, value in self.parameters.items()}
        self._second = {name: np.zeros_like(value) for name, value in self.parameters.items()}
        self._steps = 0
        self._vectors: dict[str, int] = {"": 0}
        self._table: list[Floats] = [np.zeros(MEANING, np.float32)]
        self._meaning = meaning

    def _places(self, tokens: Sequence[Token]) -> tuple[list[int], list[int]]:
        own, vectors = [], []
        for token in tokens[:LONGEST]:
            word = plain(token)
            own.append(self._known.get(word, 0))
            key = "" if word[0] == "<" else token.word
            if key not in self._vectors:
                vector = self._meaning(key)
                self._vectors[key] = 0 if vector is None else len(self._table)
                if vector is not None:
                    self._table.append(vector)
            vectors.append(self._vectors[key])
        return own, vectors

    def fit(self, requests: Sequence[Sequence[Token]], marks: Ints) -> None:
        """Go over the requests, those of like length together."""
        placed = [self._places(tokens) for tokens in requests]
        table = np.stack(self._table)
        lengths = np.array([max(1, len(own)) for own, _ in placed])
        for number in range(_NET_ROUNDS):
            rate = _NET_RATE * (1 - number / _NET_ROUNDS) + 1e-4
            order = np.lexsort((self._rng.random(len(placed)), lengths))
            batches = [order[start : start + _NET_BATCH] for start in range(0, len(order), _NET_BATCH)]
            for at in self._rng.permutation(len(batches)):
                self._step([placed[i] for i in batches[at]], marks[batches[at]], table, rate)

    def _step(self, placed: Sequence[tuple[list[int], list[int]]], marks: Ints, table: Floats, rate: float) -> None:
        count, longest = len(placed), max(1, max(len(own) for own, _ in placed))
        own, vectors = np.zeros((count, longest), np.int64), np.zeros((count, longest), np.int64)
        there = np.zeros((count, longest), np.float32)
        for at, (first, second) in enumerate(placed):
            own[at, : len(first)], vectors[at, : len(second)], there[at, : len(first)] = first, second, 1
        p, rng = self.parameters, self._rng
        heard = there * (rng.random(there.shape) > _WORD_DROPPED)
        rows = np.zeros((count, longest + 2, MEANING + _OWN), np.float32)
        rows[:, 1:-1, :MEANING] = table[vectors] * heard[..., None]
        rows[:, 1:-1, MEANING:] = p["own"][own] * heard[..., None]
        triples = np.concatenate([rows[:, :-2], rows[:, 1:-1], rows[:, 2:]], axis=2).reshape(count * longest, -1)
        hidden = np.maximum(0, triples @ p["conv"] + p["conv_bias"]).reshape(count, longest, _FILTERS)
        hidden *= there[..., None]
        top = hidden.argmax(axis=1)
        share = there / there.sum(axis=1, keepdims=True).clip(1)
        pooled = np.concatenate([hidden.max(axis=1), (hidden * share[..., None]).sum(axis=1)], axis=1)
        kept = (rng.random(pooled.shape) > 0.25) / np.float32(0.75)
        pooled = (pooled * kept).astype(np.float32)
        scores = pooled @ p["out"] + p["out_bias"]
        slope = np.exp(scores - scores.max(axis=1, keepdims=True))
        slope /= slope.sum(axis=1, keepdims=True)
        slope[np.arange(count), marks] -= 1
        slope /= count
        back = ((slope @ p["out"].T) * kept).astype(np.float32)
        hidden_slope = back[:, None, _FILTERS:] * share[..., None]
        ranks = np.arange(count)[:, None], top, np.arange(_FILTERS)[None, :]
        hidden_slope[ranks] += back[:, :_FILTERS]
        hidden_slope *= hidden > 0
        flat = hidden_slope.reshape(count * longest, _FILTERS)
        row_slope = (flat @ p["conv"].T).reshape(count, longest, 3, MEANING + _OWN)[..., MEANING:]
        own_slope = np.zeros((count, longest + 2, _OWN), np.float32)
        for shift in range(3):
            own_slope[:, shift : shift + longest] += row_slope[:, :, shift]
        own_sum = np.zeros_like(p["own"])
        np.add.at(own_sum, own, own_slope[:, 1:-1] * heard[..., None])
        self._adam(
            {
                "own": own_sum, "conv": triples.T @ flat, "conv_bias": flat.sum(axis=0),
                "out": pooled.T @ slope, "out_bias": slope.sum(axis=0),
            },
            rate,
        )  # fmt: skip

    def _adam(self, slopes: dict[str, Floats], rate: float) -> None:
        self._steps += 1
        for name, slope in slopes.items():
            first, second = self._first[name], self._second[name]
            first += np.float32(0.1) * (slope - first)
            second += np.float32(0.001) * (slope * slope - second)
            fair = first / np.float32(1 - 0.9**self._steps)
            spread = np.sqrt(second / np.float32(1 - 0.999**self._steps)) + np.float32(1e-8)
            self.parameters[name] -= np.float32(rate) * fair / spread


def fit_tagger(
    tools: Sequence[str],
    requests: Sequence[Sequence[Token]],
    tags: Sequence[Sequence[str]],
    arguments: dict[str, list[str]],
    clusters: dict[str, int],
) -> tuple[npt.NDArray[np.uint32], Floats]:
    """An averaged perceptron over whole readings. Returns the hashes (sorted) and weights that count most."""
    grids, moves, wanted = [], [], []
    for tool, tokens, marks in zip(tools, requests, tags, strict=True):
        names = [OUT, *arguments[tool]]
        seen = word_features(tokens, lambda word: clusters.get(word, -1))
        grids.append(np.array([[[hashed(f"{tool} {n} {f}") for f in at] for n in names] for at in seen], np.uint32))
        moves.append(np.array([[hashed(f"{tool} {a}>{b}") for b in names] for a in names], np.uint32))
        wanted.append(np.array([names.index(mark) for mark in marks]))
    hashes = np.unique(np.concatenate([*(grid.ravel() for grid in grids), *(move.ravel() for move in moves)]))
    places = [np.searchsorted(hashes, grid) for grid in grids]
    paths = [np.searchsorted(hashes, move) for move in moves]
    weights, summed = np.zeros(len(hashes), np.float32), np.zeros(len(hashes), np.float32)
    rng, clock = np.random.default_rng(3), 0
    for _ in range(_TAG_ROUNDS):
        for at in rng.permutation(len(places)):
            clock += 1
            grid, move, right = places[at], paths[at], wanted[at]
            got = _read(weights[grid].sum(axis=2), weights[move])
            wrong = np.flatnonzero(got != right)
            if not len(wrong):
                continue
            for place, sign in ((right, 1.0), (got, -1.0)):
                touched = np.concatenate([grid[wrong, place[wrong]].ravel(), move[place[:-1], place[1:]]])
                np.add.at(weights, touched, np.float32(sign))
                np.add.at(summed, touched, np.float32(sign * clock))
    mean = weights - summed / np.float32(max(1, clock))
    kept = np.argsort(-np.abs(mean))[:_TAG_KEPT]
    kept = np.sort(kept[np.abs(mean[kept]) > 0.02])
    return hashes[kept], mean[kept]


def _read(scores: Floats, moves: Floats) -> Ints:
    """The best reading, by Viterbi."""
    sums, came = scores[0], []
    for at in range(1, len(scores)):
        paths = sums[:, None] + moves
        came.append(paths.argmax(axis=0))
        sums = paths.max(axis=0) + scores[at]
    found = [int(sums.argmax())]
    for step in reversed(came):
        found.append(int(step[found[-1]]))
    return np.array(found[::-1])
