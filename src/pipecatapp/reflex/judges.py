"""The judges of the reflex over one trained file (``reflex.npz``), and how sure they are together.

Three fail differently: a linear one over words and pieces of words; a small network over what words mean,
in their order;
and a memory of the words that stand around a tool's arguments, which knows when it has never heard such a thing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pipecatapp.reflex.checks import fits
from pipecatapp.reflex.features import Places, hashed, plain, request_features
from pipecatapp.reflex.network import Meaning, Network
from pipecatapp.reflex.tagger import CLEAREST, OUT, Tagger
from pipecatapp.reflex.tokens import Token, tokens_of

Floats = npt.NDArray[np.float32]
FILE = Path(__file__).with_name("reflex.npz")
_UNKNOWN_CLUSTER = -1
_BITS = 7
_SIGNS = 19
# Both judges must give the label this much: less is no agreement, however sure one of them is.
_AGREED = 0.7


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the judges say of a request.

    ``label`` is a tool, ``expert NAME``, ``cannot WISH``, ``mind`` or ``talk``. ``signs`` are what the confidence is
    made of, ``confidence`` (0 to 1) how often such a judgement is right. ``second`` is the next best label. ``named``
    is how sure the label alone is, whatever its arguments; ``wish`` how sure it is that something is wanted which is
    not here.
    """

    label: str
    arguments: Mapping[str, str]
    confidence: float
    signs: Floats
    second: str
    named: float
    wish: float


class Judges:
    """Judges requests. Takes some milliseconds each and blocks for them.

    Args:
        stored: the arrays of the trained file.
        meaning: the vector of a word.
    """

    def __init__(self, stored: Mapping[str, npt.NDArray[np.generic]], meaning: Meaning) -> None:
        about = json.loads(str(stored["about"]))
        self.labels: list[str] = about["labels"]
        self.recipe: str = about["recipe"]
        self.arguments: dict[str, list[str]] = about["arguments"]
        self._meaning = meaning
        self._places = Places(np.asarray(stored["linear_hashes"], np.uint32))
        self._linear = np.asarray(stored["linear_weights"], np.int8)
        self._linear_scale = np.asarray(stored["linear_scale"], np.float32)
        self._linear_bias = np.asarray(stored["linear_bias"], np.float32)
        own, conv, conv_bias, out, out_bias = (
            np.asarray(stored[f"network_{name}"], np.float32)
            for name in ("own", "conv", "conv_bias", "out", "out_bias")
        )
        known = {word: at for at, word in enumerate(about["known"], start=1)}
        self._network = Network(known, own, conv, conv_bias, out, out_bias, meaning)
        self._tagger = Tagger(
            self.arguments,
            [_weights_of(stored, reader) for reader in range(2)],
            self.cluster,
        )
        self._around = frozenset(np.asarray(stored["around"], np.uint32).tolist())
        self._sure = np.asarray(stored["sure"], np.float32)

    @classmethod
    def load(cls, meaning: Meaning, file: Path = FILE) -> Judges:
        """The trained file.

        Raises:
            OSError: there is none.
        """
        with np.load(file) as stored:
            return cls({name: stored[name] for name in stored.files}, meaning)

    def cluster(self, word: str) -> int:
        """The kind that a word is of: words of like meaning share it."""
        return cluster_of(self._meaning, word)

    def judge(self, text: str) -> Judgement:
        """What the request wants, and how sure that is."""
        tokens = tokens_of(text)
        one, two = self._linear_scores(tokens), self._network.scores(tokens)
        first, second = log_softmax(one), log_softmax(two)
        both = first + second
        order = both.argsort()[::-1]
        at = int(order[0])
        label = self.labels[at]
        reading = self._tagger.read(label, text, tokens)
        found, clear = dict(reading.arguments), reading.clear
        new_words, new_pairs = self._unheard(label, tokens, reading.tags)
        lead = float(log_softmax(both)[at])
        count = len(tokens)
        signs = np.zeros(_SIGNS, np.float32)
        signs[:] = (
            1.0, first[at], second[at], lead, first.argmax() == at, second.argmax() == at, min(clear, 10.0) / 10.0,
            min(clear, CLEAREST) / CLEAREST, reading.agreed, new_words, new_pairs, fits(label, found),
            min(count, 20) / 20.0, np.exp(first[at]), np.exp(second[at]), min(new_words * count, 3.0) / 3.0,
            min(new_pairs * count, 6.0) / 6.0, reading.agreed * min(clear, 30.0) / 30.0, len(found) / 3.0,
        )  # fmt: skip
        logit = float(signs @ self._sure) if len(self._sure) == len(signs) else 0.0
        agreed = min(float(np.exp(first[at])), float(np.exp(second[at])))
        confidence = 1.0 / (1.0 + float(np.exp(-logit)))
        confidence = confidence if agreed >= _AGREED else min(confidence, agreed)
        chances = np.exp(log_softmax(both))
        wish = sum(float(chances[i]) for i, name in enumerate(self.labels) if name.startswith("cannot "))
        named = agreed * (1.0 - new_words) ** 2
        return Judgement(label, found, confidence, signs, self.labels[int(order[1])], named, wish)

    def mark(self, tool: str, text: str, tokens: Sequence[Token]) -> tuple[dict[str, str], list[str], float]:
        """The arguments of this tool in the words, the tag of each word, and how clear the tags are."""
        reading = self._tagger.read(tool, text, tokens)
        return dict(reading.arguments), list(reading.tags), reading.clear

    def _linear_scores(self, tokens: Sequence[Token]) -> Floats:
        places = self._places.of(request_features(tokens))
        if not len(places):
            return self._linear_bias
        summed = self._linear[places].sum(axis=0, dtype=np.int32).astype(np.float32)
        found: Floats = summed * self._linear_scale / np.float32(np.sqrt(len(places))) + self._linear_bias
        return found

    def _unheard(self, label: str, tokens: Sequence[Token], tags: Sequence[str]) -> tuple[float, float]:
        """Of the words around the arguments, and of their pairs, the share that was never heard with this label."""
        around = frame(tokens, tags)
        words = [word for word in around if word[:1] != "["]
        new = sum(hashed(f"{label} {word}") not in self._around for word in words)
        pairs = list(zip(["<", *around], [*around, ">"], strict=True))
        unheard = sum(hashed(f"{label} {a} {b}") not in self._around for a, b in pairs)
        return new / max(1, len(words)), unheard / len(pairs)


def _weights_of(stored: Mapping[str, npt.NDArray[np.generic]], reader: int) -> dict[int, float]:
    hashes = np.asarray(stored[f"tag_hashes_{reader}"], np.uint32).tolist()
    weights = np.asarray(stored[f"tag_weights_{reader}"], np.float32).tolist()
    return dict(zip(hashes, weights, strict=True))


def frame(tokens: Sequence[Token], tags: Sequence[str]) -> list[str]:
    """The words around the arguments, each argument as its name in brackets."""
    found: list[str] = []
    for token, tag in zip(tokens, tags, strict=True):
        piece = plain(token) if tag == OUT else f"[{tag}]"
        if tag == OUT or not found or found[-1] != piece:
            found.append(piece)
    return found


def cluster_of(meaning: Meaning, word: str) -> int:
    """A number that words of like meaning share: the signs of their first principal components."""
    vector = meaning(word)
    if vector is None:
        return _UNKNOWN_CLUSTER
    return int(sum(1 << bit for bit in range(_BITS) if vector[bit] > 0))


def log_softmax(scores: Floats) -> Floats:
    """The scores as logarithms of probabilities."""
    shifted = scores - scores.max()
    found: Floats = shifted - np.log(np.exp(shifted).sum())
    return found
