"""Calls that wait for a person, in the journal."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from pipecatapp.domain import ApprovalRequest, ApprovalState, Preview, Risk
from pipecatapp.errors import StorageError
from testing.fakes.storage import close_storage, storage_in

pytestmark = pytest.mark.unit

REQUEST = ApprovalRequest(
    "a1", "d" * 64, "c", "t", "ssh.run_command", {"host": "node3", "list": [1, {"x": None}]}, Risk.DANGER,
    Preview("Run it.", "a key", "node3"), "run it", 1.0, 121.0, ApprovalState.STARTED, "page",
)  # fmt: skip


async def test_what_waits_comes_back_as_it_was(tmp_path: Path) -> None:
    assert await storage_in(tmp_path).approvals.load() == []
    other = replace(REQUEST, id="a2", state=ApprovalState.PENDING, by="")
    await storage_in(tmp_path).approvals.save([REQUEST, other])
    close_storage(tmp_path)
    assert await storage_in(tmp_path).approvals.load() == [REQUEST, other]
    changed = replace(REQUEST, state=ApprovalState.LOST)
    await storage_in(tmp_path).approvals.save([changed])
    close_storage(tmp_path)
    assert await storage_in(tmp_path).approvals.load() == [changed]
    await storage_in(tmp_path).approvals.save([])
    assert await storage_in(tmp_path).approvals.load() == []


async def test_saving_the_same_again_writes_nothing(tmp_path: Path) -> None:
    storage = storage_in(tmp_path)
    await storage.approvals.save([REQUEST])
    before = await storage.journal.run(storage.journal.position, "approvals")
    await storage.approvals.save([REQUEST])
    assert await storage.journal.run(storage.journal.position, "approvals") == before


async def test_a_request_of_a_newer_version_is_refused_in_a_sentence(tmp_path: Path) -> None:
    storage = storage_in(tmp_path)
    await storage.approvals.save([REQUEST])
    await storage.journal.run(storage.journal.database.execute, 'UPDATE approvals SET request = \'{"id": "a1"}\'')
    with pytest.raises(StorageError, match="cannot be understood"):
        await storage.approvals.load()


async def test_a_disk_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file where the folder should be")
    with pytest.raises(StorageError, match=r"journal\.db"):
        await storage_in(tmp_path / "state").approvals.save([REQUEST])
