"""Chooses the tools that fit a request: shared words, words of like meaning, and what everyday speech is about.

Four judges, added up: BM25's weight of shared stems; for each word of the request the most alike word of the tool; the
likeness of both as a whole; and the same three for the concepts that the request evokes. Where a tool says how people
ask for it (``ToolSpec.asks``), the most alike of these counts too.
"""

from __future__ import annotations

import asyncio
import math
import threading
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from pipecatapp.domain import ToolSpec
from pipecatapp.tools.choice.everyday import Concept, concepts, evoked, vocabulary
from pipecatapp.tools.choice.terms import shapes, stem, telling, trigrams, words
from pipecatapp.tools.choice.vectors import Floats, WordVectors, word_vectors

_NAME, _DESCRIPTION, _ARGUMENT = 2.0, 1.0, 0.6  # what a word counts where it stands
_ALIKE = 0.25  # below this likeness two words have nothing to do with each other
_SHARED, _NEAREST, _WHOLE = 1.0, 1.0, 0.5
_EVOKED, _LONGER, _FURTHER = 1.0, 0.25, 0.15  # a concept; each further word of its phrase; each further concept
_ASKED = 0.8
_LEAST, _BEHIND = 0.2, 0.25  # of the best one: every tool that is offered costs tokens
_SHAPE = 0.7
_TYPO = 0.6  # the share of trigrams that a misspelled word has in common with the one that was meant
_BEGINNING, _TURNED = 0.15, 0.15  # and what it counts that they begin alike, that only the order of letters is wrong
_TYPO_LETTERS = 4


class ToolIndex:
    """One set of tools, ready to be searched."""

    def __init__(self, tools: Sequence[ToolSpec], vectors: WordVectors) -> None:
        self.tools = list(tools)
        self._vectors = vectors
        # A tool is a text; each way to ask for it is a further one.
        texts = [_weighted(tool) for tool in tools]
        self._asks = [(owner, len(texts) + n) for n, (owner, _) in enumerate(_asks(tools))]
        texts += [dict.fromkeys(telling(words(ask)), 1.0) for _, ask in _asks(tools)]
        self._size = len(texts)
        self._stems = [_by_stem(text) for text in texts]
        counted = Counter(key for stems in self._stems[: len(tools)] for key in stems)
        self._rarity = {key: math.log(1 + (len(tools) - n + 0.5) / (n + 0.5)) for key, n in counted.items()}
        self._holders: dict[str, list[tuple[int, float]]] = {}
        for number, stems in enumerate(self._stems):
            for key, weight in stems.items():
                self._holders.setdefault(key, []).append((number, weight))
        self._rows = {word: row for row, word in enumerate(sorted({word for text in texts for word in text}))}
        self._matrix = self._vectors_of(list(self._rows))
        flat = [(self._rows[word], weight) for text in texts for word, weight in (text or {"": 0.0}).items() if word]
        self._flat = np.array([row for row, _ in flat], dtype=np.int64)
        self._weights = np.array([min(weight, 1.5) for _, weight in flat], dtype=np.float32)
        lengths = [max(1, len(text)) for text in texts]
        self._starts = np.cumsum([0, *lengths[:-1]])
        self._wholes = self._whole_texts(texts)
        self._typos: dict[str, set[str]] = {}
        for word in {*self._rows, *vocabulary()}:
            for piece in trigrams(word):
                self._typos.setdefault(piece, set()).add(word)
        self._concepts: Mapping[Concept, Floats] = {
            concept: self._judged(dict.fromkeys(concept, 1.0)) for concept in concepts()
        }

    def best(self, request: str, limit: int) -> list[tuple[ToolSpec, float]]:
        """The tools with the highest scores, best first; equal ones in the order of the tools."""
        scores = self.scores(request)
        order = np.argsort(-scores, kind="stable")[:limit]
        return [(self.tools[index], float(scores[index])) for index in order]

    def scores(self, request: str) -> Floats:
        """How well each tool fits."""
        said = [self._meant(word) for word in words(request)]
        scores = self._judged({word: self._vectors.weight(word) for word in telling(said)})
        found = [(1 + _LONGER * (length - 1)) * self._concepts[concept] for concept, length in evoked(said).items()]
        found += [_SHAPE * self._judged(dict.fromkeys(about, 1.0)) for about in shapes(request)]
        strongest = np.zeros_like(scores)
        for concept in found:
            strongest = np.maximum(strongest, concept) + _FURTHER * np.minimum(strongest, concept)
        scores = scores + _EVOKED * strongest
        tools = scores[: len(self.tools)].copy()
        for owner, number in self._asks:
            tools[owner] = max(tools[owner], _ASKED * scores[number])
        return tools

    def _judged(self, asked: Mapping[str, float]) -> Floats:
        """The first three judges."""
        total = sum(asked.values()) or 1.0
        shared = np.zeros(self._size, dtype=np.float32)
        for word, weight in asked.items():
            key = stem(word)
            rarity = self._rarity.get(key)
            if rarity is not None:
                for number, there in self._holders[key]:
                    shared[number] += rarity * there * (0.5 + weight / 2)
        known = [(vector, weight) for word, weight in asked.items() if (vector := self._vectors.of(word)) is not None]
        scores = shared * np.float32(_SHARED / (4 * max(1.0, total)))
        if not known:
            return scores
        request = np.array([vector for vector, _ in known], dtype=np.float32)
        weights = np.array([weight for _, weight in known], dtype=np.float32)
        alike = np.maximum(request @ self._matrix.T - np.float32(_ALIKE), 0) / np.float32(1 - _ALIKE)
        nearest = np.maximum.reduceat(alike[:, self._flat] * self._weights, self._starts, axis=1)
        scores += _NEAREST * (nearest * weights[:, None]).sum(axis=0) / weights.sum()
        whole = (request * weights[:, None]).sum(axis=0)
        alike_as_a_whole: Floats = (self._wholes @ whole) / np.float32(np.linalg.norm(whole) + 1e-9)
        return np.asarray(scores + np.float32(_WHOLE) * alike_as_a_whole, dtype=np.float32)

    def _vectors_of(self, found: Sequence[str]) -> Floats:
        rows = np.zeros((len(found), self._vectors.dimensions), dtype=np.float32)
        for number, word in enumerate(found):
            if (vector := self._vectors.of(word)) is not None:
                rows[number] = vector
        return rows

    def _whole_texts(self, texts: Sequence[Mapping[str, float]]) -> Floats:
        rows = np.zeros((len(texts), self._vectors.dimensions), dtype=np.float32)
        for number, text in enumerate(texts):
            for word, weight in text.items():
                rows[number] += self._matrix[self._rows[word]] * (weight * self._rarity.get(stem(word), 1.0))
        lengths = np.linalg.norm(rows, axis=1, keepdims=True) + 1e-9
        return np.asarray(rows / lengths, dtype=np.float32)

    def _meant(self, word: str) -> str:
        """The word, or the one that it is a misspelling of."""
        if len(word) < _TYPO_LETTERS or word.isdigit() or word in self._vectors or stem(word) in self._rarity:
            return word
        pieces = trigrams(word)
        shared = Counter(candidate for piece in pieces for candidate in self._typos.get(piece, ()))
        likest, most = word, _TYPO
        for candidate, number in sorted(shared.items()):
            alike = 2 * number / (len(pieces) + len(candidate))
            alike += _BEGINNING * (candidate[0] == word[0]) + _TURNED * (sorted(candidate) == sorted(word))
            if alike > most:
                likest, most = candidate, alike
        return likest


class MeaningChooser:
    """``ports.ToolChooser``. The index is made anew, in a thread, when the set of tools has changed.

    Args:
        vectors: the words it knows; None: the table that comes with the program.
    """

    def __init__(self, vectors: WordVectors | None = None) -> None:
        self._vectors = vectors
        self._index: ToolIndex | None = None
        self._lock = threading.Lock()

    async def choose(self, words: str, tools: Sequence[ToolSpec], limit: int) -> list[ToolSpec]:
        """The tools that fit best, best first; fewer where the others are far behind, none for small talk."""
        if not tools:
            return []
        if self._index is None or self._index.tools != list(tools):
            await asyncio.to_thread(self._renew, tools)
        return self.choose_now(words, tools, limit)

    def choose_now(self, words: str, tools: Sequence[ToolSpec], limit: int) -> list[ToolSpec]:
        """The same, the index too, without waiting."""
        found = self._renew(tools).best(words, limit)
        least = max(_LEAST, _BEHIND * found[0][1]) if found else 0.0
        return [tool for tool, score in found if score >= least]

    def _renew(self, tools: Sequence[ToolSpec]) -> ToolIndex:
        with self._lock:
            if self._index is None or self._index.tools != list(tools):
                self._index = ToolIndex(tools, self._vectors or word_vectors())
            return self._index


def _weighted(tool: ToolSpec) -> dict[str, float]:
    """The words of a tool, with what they count."""
    found: dict[str, float] = {}
    arguments = " ".join(tool.parameters.get("properties", ()))
    for text, weight in ((tool.name, _NAME), (tool.description, _DESCRIPTION), (arguments, _ARGUMENT)):
        for word in telling(words(text)):
            found[word] = max(found.get(word, 0.0), weight)
    return found or {"tool": _ARGUMENT}


def _by_stem(text: Mapping[str, float]) -> dict[str, float]:
    found: dict[str, float] = {}
    for word, weight in text.items():
        found[stem(word)] = max(found.get(stem(word), 0.0), weight)
    return found


def _asks(tools: Sequence[ToolSpec]) -> list[tuple[int, str]]:
    return [(number, ask) for number, tool in enumerate(tools) for ask in tool.asks if words(ask)]
