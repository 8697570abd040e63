"""Which expert a request is for, decided without a language model where the case is clear; else it abstains.

Two looks at a request. The first, over its words and pieces of words, takes a fraction of a millisecond; where it
leaves no doubt it decides. Otherwise the second looks at meaning too: the first layers of the sentence embedding model
(memory), whose scores are added. Learned from examples at start, in numpy, in a few seconds for a thousand of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pipecatapp.routing.features import Floats, SparseRow, Vocabulary
from pipecatapp.routing.linear import Linear, fit_dense, fit_sparse

# Sentences to rows, from the first layers of an embedding model.
Meanings = Callable[[Sequence[str]], Floats]

# The first look decides alone when the best class is on its side of zero and this far before the second.
_CLEAR_LEAD = 1.0
_MEANING_WEIGHT = 2.0
# Of the requests that are for nobody, the share that must be refused.
REFUSED = 0.97
# Every so many-th example is not learned from but decides where to abstain.
_FOLD = 5
_CERTAIN = 1e3


@dataclass(frozen=True, slots=True)
class Decision:
    """``label`` is the class, None when it abstains; ``score`` its lead over "none of these"."""

    label: str | None
    score: float


@dataclass(frozen=True, slots=True)
class _Look:
    """The dense half: how rows are scaled before they are scored."""

    meanings: Meanings
    mean: Floats
    spread: Floats
    linear: Linear

    def scores(self, texts: Sequence[str]) -> Floats:
        return self.linear.dense(_scaled(self.meanings(texts), self.mean, self.spread))


class RequestClassifier:
    """Sorts requests into classes, or into none. ``fit`` makes one. Blocks for the time given in the module's text."""

    def __init__(self, labels: Sequence[str], vocabulary: Vocabulary, words: Linear, meaning: _Look | None) -> None:
        self.labels = tuple(labels)
        self.threshold = 0.0
        self._vocabulary = vocabulary
        self._words = words
        self._meaning = meaning

    @classmethod
    def fit(
        cls,
        examples: Mapping[str, Sequence[str]],
        others: Sequence[str],
        meanings: Meanings | None = None,
        *,
        refused: float = REFUSED,
    ) -> RequestClassifier:
        """Learn classes from examples, and where to abstain from those that were not learned from.

        Args:
            examples: class to requests.
            others: requests that are in no class.
            meanings: rows for sentences; None: words alone decide.
            refused: share of the other requests that must be refused.

        Raises:
            ValueError: there is no class, or nothing to tell classes from.
        """
        if not examples or not all(examples.values()) or not others:
            raise ValueError("a classifier needs examples of each class, and others")
        kept = {label: [text for at, text in enumerate(texts) if at % _FOLD] for label, texts in examples.items()}
        rows = _embedded([*(text for texts in examples.values() for text in texts), *others], meanings)
        probe = cls._learned(kept, [text for at, text in enumerate(others) if at % _FOLD], meanings, rows)
        made = cls._learned(examples, others, meanings, rows)
        made.threshold = probe.threshold_for(others[::_FOLD], refused)
        return made

    @classmethod
    def learn(
        cls, examples: Mapping[str, Sequence[str]], others: Sequence[str], meanings: Meanings | None
    ) -> RequestClassifier:
        """The same with a threshold of 0, for a caller who sets it from examples of its own."""
        rows = _embedded([*(text for texts in examples.values() for text in texts), *others], meanings)
        return cls._learned(examples, others, meanings, rows)

    @classmethod
    def _learned(
        cls,
        examples: Mapping[str, Sequence[str]],
        others: Sequence[str],
        meanings: Meanings | None,
        embedded: Mapping[str, Floats],
    ) -> RequestClassifier:
        labels = sorted(examples)
        texts = [text for label in labels for text in examples[label]]
        marks = [at for at, label in enumerate(labels) for _ in examples[label]]
        # "None of these" is a class of its own, the last.
        numbers = np.array([*marks, *[len(labels)] * len(others)])
        vocabulary = Vocabulary(texts)
        everything = [*texts, *others]
        rows: list[SparseRow] = [vocabulary.row(text) for text in everything]
        words = fit_sparse(rows, numbers, len(vocabulary), len(labels) + 1)
        if meanings is None:
            return cls(labels, vocabulary, words, None)
        dense = np.stack([embedded[text] for text in everything])
        mean, spread = dense.mean(axis=0), dense.std(axis=0) + np.float32(1e-6)
        linear = fit_dense(_scaled(dense, mean, spread), numbers, len(labels) + 1)
        return cls(labels, vocabulary, words, _Look(meanings, mean, spread, linear))

    def classify(self, text: str) -> Decision:
        """The class of a request; abstains when the score does not reach the threshold."""
        at, score = self._best(text)
        return Decision(self.labels[at] if score > self.threshold else None, score)

    def threshold_for(self, others: Sequence[str], refused: float) -> float:
        """The score that this share of the other requests does not reach."""
        return float(np.quantile([self._best(text)[1] for text in others], refused))

    def _best(self, text: str) -> tuple[int, float]:
        """The best class and its lead over none of them: beyond all others where there is no doubt."""
        row = self._vocabulary.row(text)
        if not len(row.places):
            return 0, -_CERTAIN
        scores = self._words.sparse(row)
        if self._meaning is not None:
            second, first = np.partition(scores, -2)[-2:]
            best = int(scores.argmax())
            if first > 0 and first - second > _CLEAR_LEAD and best < len(self.labels):
                return best, _CERTAIN + float(first)
            scores = scores + np.float32(_MEANING_WEIGHT) * self._meaning.scores([text])[0]
        known = scores[:-1]
        best = int(known.argmax())
        return best, float(known[best] - scores[-1])


def _embedded(texts: Sequence[str], meanings: Meanings | None) -> dict[str, Floats]:
    """The row of each text, made once."""
    return dict(zip(texts, meanings(texts), strict=True)) if meanings is not None else {}


def _scaled(rows: Floats, mean: Floats, spread: Floats) -> Floats:
    centred = (rows - mean) / spread
    scaled: Floats = centred / np.linalg.norm(centred, axis=1, keepdims=True)
    return scaled
