"""Finding facts by their words: BM25 over an inverted index that grows and shrinks with the facts."""

from __future__ import annotations

import re
import unicodedata
from array import array
from collections import Counter
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from pipecatapp.languages import language

# Robertson's usual constants; facts are short, so their length says little.
_K1 = 1.2
_B = 0.4

_ROOM = 1024

_TOKENS = re.compile(r"[^\W_]+")
_LANGUAGE = language()


def words(text: str) -> list[str]:
    """The words that a text can be found by: lower case, without accents, stopwords and endings."""
    plain = unicodedata.normalize("NFKD", text.casefold())
    plain = "".join(character for character in plain if not unicodedata.combining(character))
    return [_LANGUAGE.stem(word) for word in _TOKENS.findall(plain) if word not in _LANGUAGE.stop_words.facts]


class KeywordIndex:
    """The inverted index. Not safe for use by two threads at once: the caller holds a lock."""

    def __init__(self) -> None:
        self._slot_of: dict[int, int] = {}
        # Longer than what is in use: then a fact is added in place, and what a search holds stays as it is.
        self._used = 0
        self._ids = np.empty(_ROOM, np.int64)
        self._lengths = np.empty(_ROOM, np.float32)
        # term -> slots and counts, in the order in which the facts came
        self._postings: dict[str, tuple[array[int], array[int]]] = {}
        self._total_length = 0.0
        self._dead = 0

    def __len__(self) -> int:
        return len(self._slot_of)

    def __contains__(self, fact_id: int) -> bool:
        return fact_id in self._slot_of

    def add(self, fact_id: int, text: str) -> None:
        """Make the fact findable. A fact that is there already stays as it is."""
        if fact_id in self._slot_of:
            return
        counts = Counter(words(text))
        slot = self._used
        if slot == len(self._ids):
            self._ids = np.concatenate([self._ids, np.empty_like(self._ids)])
            self._lengths = np.concatenate([self._lengths, np.empty_like(self._lengths)])
        length = float(sum(counts.values()))
        self._slot_of[fact_id] = slot
        self._ids[slot], self._lengths[slot] = fact_id, length
        self._used += 1
        self._total_length += length
        for term, count in counts.items():
            slots, times = self._postings.setdefault(term, (array("I"), array("B")))
            slots.append(slot)
            times.append(min(count, 255))

    def remove(self, fact_id: int) -> None:
        """Let the fact no longer be found; nothing happens when it is not there."""
        slot = self._slot_of.pop(fact_id, None)
        if slot is None:
            return
        self._ids[slot] = -1
        self._total_length -= float(self._lengths[slot])
        self._dead += 1
        if self._dead > 1000 and self._dead > len(self._slot_of):
            self._close_gaps()

    def scores(self, query: str) -> Scores:
        """How well each fact fits the query, 0 to 1: 1 for one of average length that has all the words."""
        found = np.zeros(self._used, np.float32)
        best = 0.0
        living = max(1, len(self._slot_of))
        average = max(1.0, self._total_length / living)
        for term in dict.fromkeys(words(query)):
            postings = self._postings.get(term)
            # A word that no fact has counts too: what is asked for is not there.
            frequency = len(postings[0]) if postings else 0
            weight = float(np.log1p((max(living, frequency) - frequency + 0.5) / (frequency + 0.5)))
            best += weight
            if postings is None:
                continue
            slots = np.frombuffer(postings[0], np.uint32)
            times = np.frombuffer(postings[1], np.uint8).astype(np.float32)
            norms = self._lengths[slots]
            norms *= np.float32(_K1 * _B / average)
            norms += times
            norms += np.float32(_K1 * (1 - _B))
            times *= np.float32(weight * (_K1 + 1))
            times /= norms
            found[slots] += times
        if best:
            found *= np.float32(1 / best)
            np.minimum(found, 1.0, out=found)
        ids = self._ids[: self._used]
        if self._dead:
            found[ids < 0] = 0.0
        return Scores(ids, found, self._slot_of)

    def _close_gaps(self) -> None:
        """Forget the slots of removed facts."""
        alive = self._ids[: self._used] >= 0
        new_slot = np.cumsum(alive) - 1
        postings: dict[str, tuple[array[int], array[int]]] = {}
        for term, (slots, times) in self._postings.items():
            kept = alive[np.frombuffer(slots, np.uint32)]
            if kept.any():
                moved = new_slot[np.frombuffer(slots, np.uint32)[kept]].astype(np.uint32)
                counts = np.frombuffer(times, np.uint8)[kept]
                postings[term] = (array("I", moved.tobytes()), array("B", counts.tobytes()))
        self._postings = postings
        self._lengths = np.concatenate([self._lengths[: self._used][alive], np.empty(_ROOM, np.float32)])
        self._ids = np.concatenate([self._ids[: self._used][alive], np.empty(_ROOM, np.int64)])
        self._used = int(alive.sum())
        self._slot_of = {fact_id: slot for slot, fact_id in enumerate(self._ids[: self._used].tolist())}
        self._dead = 0


class Scores:
    """The answer to one query; valid until the index changes."""

    def __init__(self, ids: npt.NDArray[np.int64], scores: npt.NDArray[np.float32], slot_of: dict[int, int]) -> None:
        self._ids, self._scores, self._slot_of = ids, scores, slot_of

    def best(self, limit: int) -> list[int]:
        """The facts that share at least one word with the query, the best first."""
        candidates = np.flatnonzero(self._scores)
        if len(candidates) > limit:
            candidates = candidates[np.argpartition(-self._scores[candidates], limit - 1)[:limit]]
        ranked = candidates[np.lexsort((-self._ids[candidates], -self._scores[candidates]))]
        return [int(fact_id) for fact_id in self._ids[ranked]]

    def of(self, ids: Iterable[int]) -> npt.NDArray[np.float32]:
        """The scores of these facts; 0 for one that is not in the index."""
        slots = np.array([self._slot_of.get(fact_id, -1) for fact_id in ids], np.int64)
        if not len(self._scores):
            return np.zeros(len(slots), np.float32)
        return np.where(slots >= 0, self._scores[slots], np.float32(0))
