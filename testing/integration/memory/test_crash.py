"""The whole memory on a disk that crashes at every operation, with an index file that may be old, gone or torn."""

from __future__ import annotations

import random
import shutil
from contextlib import suppress
from pathlib import Path

import pytest

from pipecatapp.errors import StorageError
from pipecatapp.memory.fact_index import FactIndex, NewFact
from pipecatapp.storage.part import Storage
from testing.fakes.crash_points import FOLDER, run_crash_points
from testing.fakes.crashing_disk import ERRORS, CrashingDisk, PowerCutError
from testing.fakes.embedding import HashEmbedder

pytestmark = pytest.mark.integration

EMBEDDER = HashEmbedder(16)


def open_index(disk: CrashingDisk, folder: Path) -> FactIndex:
    storage = Storage(FOLDER, clock=lambda: 0.0, connect=disk.connect, errors=ERRORS)
    index = FactIndex(folder, storage.journal, storage.facts, model="toy", clock=lambda: 0.0)
    index.open()
    return index


def tell(disk: CrashingDisk, folder: Path, seed: int, kept: dict[int, str]) -> None:
    """A few changes, with the vectors and the upkeep that follow them; ``kept`` is what was acknowledged."""
    rng = random.Random(seed)
    index = open_index(disk, folder)
    for step in range(5):
        match rng.choice(["add", "add", "correct", "forget", "reopen"]):
            case "correct" if kept:
                old = rng.choice(sorted(kept))
                new = index.correct(old, f"corrected word{step}", "t")
                assert new is not None
                del kept[old]
                kept[new.id] = new.text
            case "forget" if kept:
                (gone,) = index.forget([rng.choice(sorted(kept))])
                del kept[gone.id]
            case "reopen":
                index.close()
                disk.restart_files()
                index = open_index(disk, folder)
            case _:
                for fact in index.add([NewFact(f"thing{seed} word{step}")]):
                    kept[fact.id] = fact.text
        if step == 2 and folder.exists():
            shutil.copytree(folder, folder.with_name("old"), dirs_exist_ok=True)
        embed(index)
        index.maintain()
    index.close()


def embed(index: FactIndex) -> None:
    if facts := index.lacking_vectors(10):
        index.embed(facts, EMBEDDER.embed_now([fact.text for fact in facts]))


def age(folder: Path, luck: random.Random) -> None:
    """Let the index file be as the power cut may leave it."""
    file = folder / "long_term_memory.faiss"
    match luck.choice(["new", "old", "gone", "torn"]):
        case "old" if (old := folder.with_name("old") / file.name).exists():
            shutil.copy(old, file)
        case "gone":
            file.unlink(missing_ok=True)
        case "torn" if file.exists():
            file.write_bytes(file.read_bytes()[:-100])


@pytest.mark.parametrize("seed", range(3))
def test_after_any_crash_every_acknowledged_fact_is_found_by_meaning_and_by_words(tmp_path: Path, seed: int) -> None:
    whole = CrashingDisk()
    tell(whole, tmp_path / "whole", seed, {})
    assert len(whole.operations) > 100

    for point in range(0, len(whole.operations), 2):
        folder = tmp_path / f"at-{point}"
        folder.mkdir()
        disk = CrashingDisk(point)
        disk.plan(point, "power")
        kept: dict[int, str] = {}
        with suppress(PowerCutError, StorageError):
            tell(disk, folder / "state", seed, kept)
        disk.cut_power()
        age(folder / "state", random.Random(point))

        index = open_index(disk, folder / "state")
        embed(index)
        stored = {fact.id: fact.text for fact in index.facts()}
        # At most the one change in flight is more, or a change of one fact.
        assert len(stored.items() ^ kept.items()) <= 2, (point, stored, kept)
        assert len(kept.items() - stored.items()) <= 1
        for text in stored.values():
            found = index.find(text, EMBEDDER.embed_now([text])[0], 1)
            assert [fact.text for fact, _ in found] == [text]
            assert [fact.text for fact, _ in index.find(text, None, 1)] == [text]
        index.close()
        shutil.rmtree(folder)


def test_nothing_acknowledged_is_lost_at_any_of_fifteen_hundred_crash_points() -> None:
    verdict = run_crash_points(stories=8)

    assert verdict.crash_points >= 1500
    assert verdict.disk_errors >= 300
    assert (verdict.lost, verdict.unreadable) == (0, 0), verdict.details[:2]
