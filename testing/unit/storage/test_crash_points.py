"""A power cut at any instant loses nothing that was acknowledged."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipecatapp.errors import StorageError
from pipecatapp.ports import JournalEvent
from pipecatapp.storage.part import Storage
from testing.fakes.crash_points import FOLDER, run_crash_points, state_of
from testing.fakes.crashing_disk import ERRORS, CrashingDisk

pytestmark = pytest.mark.unit


def opened(disk: CrashingDisk) -> Storage:
    storage = Storage(FOLDER, connect=disk.connect, errors=ERRORS)
    storage.journal.open_now()
    return storage


def note(storage: Storage, number: int) -> None:
    storage.journal.append_now(JournalEvent("audit", {"entry": {"tool": f"tool {number}"}}))


def test_nothing_acknowledged_is_lost_at_any_of_two_hundred_crash_points() -> None:
    verdict = run_crash_points(stories=1, seed=1)

    assert verdict.crash_points >= 150
    assert verdict.disk_errors >= 30
    assert (verdict.lost, verdict.unreadable) == (0, 0), verdict.details[:2]


@pytest.mark.parametrize("seed", range(8))
def test_what_follows_a_sync_that_failed_and_a_kill_is_not_lost(seed: int) -> None:
    disk = CrashingDisk(seed)
    first = opened(disk)
    note(first, 1)
    before = len(disk.operations)
    note(first, 2)
    syncing = before + disk.operations[before:].index("sync") - before
    disk.plan(syncing, "error")
    with pytest.raises(StorageError):
        note(first, 3)
    disk.restart()

    second = opened(disk)
    note(second, 4)
    acknowledged = state_of(second)
    disk.cut_power()

    assert state_of(opened(disk)) == acknowledged


def test_a_full_disk_refuses_and_the_next_change_is_kept() -> None:
    disk = CrashingDisk()
    storage = opened(disk)
    note(storage, 1)
    kept = state_of(storage)
    disk.plan(0, "error")

    with pytest.raises(StorageError, match="free some disk space"):
        note(storage, 2)

    assert state_of(storage) == kept
    note(storage, 3)
    wanted = state_of(storage)
    disk.cut_power()
    assert state_of(opened(disk)) == wanted


def test_nothing_is_made_before_it_is_used(tmp_path: Path) -> None:
    Storage(tmp_path / "never opened")
    assert list(tmp_path.iterdir()) == []
