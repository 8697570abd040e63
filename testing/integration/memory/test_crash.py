"""The whole memory, FAISS file included, killed at every operation on the disk."""

from __future__ import annotations

import random
from contextlib import suppress
from pathlib import Path

import pytest

from pipecatapp.memory.fact_index import FactIndex, NewFact
from testing.fakes.crashing_disk import CrashingDisk, PowerCutError
from testing.fakes.embedding import HashEmbedder

pytestmark = pytest.mark.integration

FOLDER = Path("/memory")
EMBEDDER = HashEmbedder(16)


def open_book(disk: CrashingDisk) -> FactIndex:
    book = FactIndex(FOLDER, disk, model="toy", clock=lambda: 0.0)
    book.open()
    return book


def tell(disk: CrashingDisk, seed: int, kept: dict[int, str]) -> None:
    """A few changes, with the vectors and the upkeep that follow them; ``kept`` is what was acknowledged."""
    rng = random.Random(seed)
    book = open_book(disk)
    for step in range(5):
        match rng.choice(["add", "add", "correct", "forget", "reopen"]):
            case "correct" if kept:
                old = rng.choice(sorted(kept))
                new = book.correct(old, f"corrected word{step}", "t")
                assert new is not None
                del kept[old]
                kept[new.id] = new.text
            case "forget" if kept:
                (gone,) = book.forget([rng.choice(sorted(kept))])
                del kept[gone.id]
            case "reopen":
                book.close()
                book = open_book(disk)
            case _:
                for fact in book.add([NewFact(f"thing{seed} word{step}")]):
                    kept[fact.id] = fact.text
        facts = book.lacking_vectors(4)
        if facts:
            book.embed(facts, EMBEDDER.embed_now([fact.text for fact in facts]))
        book.maintain()
    book.close()


@pytest.mark.parametrize("seed", range(4))
def test_after_any_kill_every_acknowledged_fact_is_found_by_meaning_and_by_words(seed: int) -> None:
    whole = CrashingDisk()
    tell(whole, seed, {})
    assert len(whole.operations) > 20

    for point in range(len(whole.operations)):
        disk = CrashingDisk(point)
        disk.plan(point, "power")
        kept: dict[int, str] = {}
        with suppress(PowerCutError):
            tell(disk, seed, kept)
        disk.cut_power()

        book = open_book(disk)
        facts = book.lacking_vectors(10)
        if facts:
            book.embed(facts, EMBEDDER.embed_now([fact.text for fact in facts]))
        stored = {fact.id: fact.text for fact in book.facts()}
        # At most the one change in flight is more, or a change of one fact.
        assert len(stored.items() ^ kept.items()) <= 2, (point, stored, kept)
        assert len(kept.items() - stored.items()) <= 1
        for text in stored.values():
            found = book.find(text, EMBEDDER.embed_now([text])[0], 1)
            assert [fact.text for fact, _ in found] == [text]
            assert [fact.text for fact, _ in book.find(text, None, 1)] == [text]
        book.close()
