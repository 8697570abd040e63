"""Linear classifiers in numpy: one-versus-rest with the squared hinge loss (as in LIBLINEAR), sparse and dense rows.

Each class has a score: above zero it is one, far below it is none. That makes scores fit to tell when nothing fits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipecatapp.routing.features import Floats, Places, SparseRow

_SPARSE_ROUNDS, _SPARSE_RATE = 3, 0.5
_DENSE_ROUNDS, _DENSE_RATE, _DENSE_DECAY, _DENSE_BATCH = 20, 0.02, 1e-4, 256
# Small sets are gone over more often: so many steps at least.
_STEPS = 12_000


@dataclass(frozen=True, slots=True)
class Linear:
    """``weights`` (features x classes) and ``bias`` (classes)."""

    weights: Floats
    bias: Floats

    def sparse(self, row: SparseRow) -> Floats:
        """The score of each class for a sparse row."""
        scores: Floats = row.weights @ self.weights[row.places] + self.bias
        return scores

    def dense(self, rows: Floats) -> Floats:
        """The scores for dense rows, one row each."""
        scores: Floats = rows @ self.weights + self.bias
        return scores


def fit_sparse(rows: Sequence[SparseRow], labels: Places, features: int, classes: int) -> Linear:
    """Stochastic gradient descent, one row at a time, with a rate that falls to nothing."""
    weights = np.zeros((features, classes), np.float32)
    bias = np.full(classes, -1.0, np.float32)
    order = np.random.default_rng(0)
    rounds = max(_SPARSE_ROUNDS, min(40, _STEPS // max(1, len(rows))))
    for number in range(rounds):
        rate = np.float32(_SPARSE_RATE * (1 - number / rounds))
        for at in order.permutation(len(rows)):
            row = rows[at]
            signs = np.full(classes, -1.0, np.float32)
            signs[labels[at]] = 1.0
            scores = row.weights @ weights[row.places] + bias
            step = np.maximum(0.0, 1 - signs * scores) * signs * rate
            weights[row.places] += row.weights[:, None] * step
            bias += np.float32(0.1) * step
    return Linear(weights, bias)


def fit_dense(rows: Floats, labels: Places, classes: int) -> Linear:
    """Adam over small batches, with weight decay."""
    signs = np.full((len(rows), classes), -1.0, np.float32)
    signs[np.arange(len(rows)), labels] = 1.0
    parameters = [np.zeros((rows.shape[1], classes), np.float32), np.full(classes, -1.0, np.float32)]
    means, squares = ([np.zeros_like(value) for value in parameters] for _ in range(2))
    order = np.random.default_rng(0)
    rounds = max(_DENSE_ROUNDS, min(200, _STEPS // max(1, len(rows))))
    step = 0
    for number in range(rounds):
        rate = _DENSE_RATE * (1 - number / rounds)
        shuffled = order.permutation(len(rows))
        for start in range(0, len(rows), _DENSE_BATCH):
            batch = shuffled[start : start + _DENSE_BATCH]
            weights, bias = parameters
            missing = np.maximum(0.0, 1 - signs[batch] * (rows[batch] @ weights + bias))
            slope = -2 * missing * signs[batch] / len(batch)
            step += 1
            for at, gradient in enumerate((rows[batch].T @ slope + _DENSE_DECAY * weights, slope.sum(axis=0))):
                means[at] = 0.9 * means[at] + 0.1 * gradient
                squares[at] = 0.99 * squares[at] + 0.01 * gradient**2
                fair_mean, fair_square = means[at] / (1 - 0.9**step), squares[at] / (1 - 0.99**step)
                parameters[at] -= (rate * fair_mean / (np.sqrt(fair_square) + 1e-8)).astype(np.float32)
    return Linear(*parameters)
