"""Named states on a disk that crashes: what is remembered is the old or the new, and both can be read."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import pytest

from pipecatapp.errors import StorageError
from pipecatapp.memory.fact_index import FactIndex, NewFact
from pipecatapp.memory.records import FactAdded
from pipecatapp.memory.states import States
from testing.fakes.crashing_disk import CrashingDisk, PowerCutError
from testing.fakes.embedding import HashEmbedder

pytestmark = pytest.mark.integration

FOLDER = Path("/memory")
EMBEDDER = HashEmbedder(16)


class Story:
    """Facts are saved as a state, changed, and the state is loaded again."""

    def __init__(self, seed: int) -> None:
        self.disk = CrashingDisk(seed)
        self.states = States(
            FOLDER / "states",
            None,  # type: ignore[arg-type]
            None,  # type: ignore[arg-type]
            None,  # type: ignore[arg-type]
            files=self.disk,
            clock=lambda: 1.0,
        )
        self.book = self._opened()
        self.at = "begin"

    def run(self) -> None:
        """Every step is acknowledged in ``at``."""
        self._add("a", "b", "c")
        self.book.correct(1, "a, corrected", "t")
        self.at = "added"
        self.states._write("s", self.book.everything(), iter([("c", {"heard": "t", "text": "hm"})]))
        self.at = "saved"
        self._add("d")
        self.book.forget([2])
        self.at = "changed"
        self.book.replace(self.states._read("s").facts)
        self.at = "loaded"
        self._add("e")
        self.at = "end"

    def _add(self, *texts: str) -> None:
        facts = self.book.add([NewFact(text) for text in texts])
        self.book.embed(facts[:1], EMBEDDER.embed_now([facts[0].text]))

    def _opened(self) -> FactIndex:
        book = FactIndex(FOLDER, self.disk, model="toy", clock=lambda: 1.0)
        book.open()
        return book

    def reopened(self) -> tuple[list[str], list[FactAdded] | None]:
        """What is remembered after the crash, and what the state holds (None: there is none)."""
        self.disk.cut_power()
        self.book = self._opened()
        texts = sorted(fact.text for fact in self.book.facts())
        if not self.disk.exists(FOLDER / "states/s/state.jsonl"):
            return texts, None
        return texts, self.states._read("s").facts


def length() -> int:
    story = Story(0)
    begun = len(story.disk.operations)
    story.run()
    return len(story.disk.operations) - begun


AFTER: dict[str, Sequence[Sequence[str]]] = {
    "added": [["a, corrected", "b", "c"]],
    "saved": [["a, corrected", "b", "c"], ["a, corrected", "b", "c", "d"], ["a, corrected", "c", "d"]],
    "changed": [["a, corrected", "c", "d"], ["a, corrected", "b", "c"]],
    "loaded": [["a, corrected", "b", "c"], ["a, corrected", "b", "c", "e"]],
    "end": [["a, corrected", "b", "c", "e"]],
}


@pytest.mark.parametrize("fault", ["power", "error"])
def test_a_crash_while_saving_or_loading_leaves_what_was_or_what_will_be(fault: str) -> None:
    points = 0
    for point in range(length()):
        for seed in range(13):
            story = Story(seed)
            story.disk.plan(point, fault)  # type: ignore[arg-type]
            with suppress(PowerCutError, StorageError):
                story.run()
            points += 1
            texts, state = story.reopened()
            where = f"{fault} at {point}, seed {seed}, after {story.at}"
            if story.at in AFTER:
                assert texts in AFTER[story.at], where
            if story.at in ("saved", "changed", "loaded", "end"):
                assert state is not None, where
            if state is not None:
                assert sorted(kept.fact.text for kept in state) == ["a", "a, corrected", "b", "c"], where
            story.book.replace(story.book.everything())
            assert sorted(fact.text for fact in story.book.facts()) == texts, where
    assert points > 400


def test_a_loaded_state_has_its_history_and_its_vectors() -> None:
    story = Story(0)
    story.run()
    (corrected,) = [fact for fact in story.book.facts() if fact.text == "a, corrected"]
    assert [old.text for old in story.book.history(corrected.id)] == ["a"]
    assert story.book.without_vector == 3  # of b, c and the correction; e has one
    story.book.close()
    again = story._opened()
    assert again.open is not None
    assert sorted(fact.text for fact in again.facts()) == ["a, corrected", "b", "c", "e"]
