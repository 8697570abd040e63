"""Which things are there: news only when that changed for good, not when a detector blinks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from pipecatapp.vision.pictures import Thing

# A new thing must be this sure; one that is known stays with less, or it would come and go at the limit.
SURE = 0.5
STILL_SURE = 0.35
# Looks in a row that must agree. Leaving takes more: a hand before the lens is no departure.
ARRIVES_AFTER = 3
LEAVES_AFTER = 5
# From here on a number is "several" (words.py), and its changes are no news.
MANY = 6


class Scene:
    """Things by label and number, over many looks."""

    def __init__(self) -> None:
        self._kinds: dict[str, int] = {}
        self._known: dict[str, int] = {}
        self._doubts: dict[str, tuple[int, int]] = {}  # label -> the other number, and how often in a row

    @property
    def things(self) -> dict[str, int]:
        """What is there for sure, in the order of the model's classes (people come first in most)."""
        return self._ordered(self._known)

    def now(self, found: Iterable[Thing]) -> dict[str, int]:
        """What one look shows, without waiting for others to agree."""
        counts: Counter[str] = Counter()
        for thing in found:
            if thing.score >= (STILL_SURE if thing.label in self._known else SURE):
                self._kinds[thing.label] = thing.kind
                counts[thing.label] = min(MANY, counts[thing.label] + 1)
        return self._ordered(counts)

    def update(self, found: Iterable[Thing]) -> bool:
        """Take in one look; True when the set of things is another one now."""
        seen = self.now(found)
        changed = False
        for label in {*seen, *self._known, *self._doubts}:
            count, known = seen.get(label, 0), self._known.get(label, 0)
            if count == known:
                self._doubts.pop(label, None)
                continue
            other, times = self._doubts.get(label, (count, 0))
            times = times + 1 if other == count else 1
            self._doubts[label] = (count, times)
            if times >= (ARRIVES_AFTER if count > known else LEAVES_AFTER):
                del self._doubts[label]
                self._known[label] = count
                changed = True
        self._known = {label: count for label, count in self._known.items() if count}
        return changed

    def _ordered(self, counts: Mapping[str, int]) -> dict[str, int]:
        return {label: counts[label] for label in sorted(counts, key=lambda name: (self._kinds.get(name, 0), name))}
