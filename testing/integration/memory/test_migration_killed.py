"""What version 0.2 left is taken over whenever it is killed."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from pipecatapp.storage.part import Storage
from testing.fakes.storage import close_storage, storage_in

pytestmark = pytest.mark.integration

OLD = Path(__file__).parents[2] / "fixtures/state-0.2.0"


async def texts(folder: Path) -> list[str]:
    storage = storage_in(folder)
    return await storage.journal.run(lambda: [fact.text for fact in storage.facts.live(storage.journal.database)])


# So many calls of the operating system change something while it is taken over.
_CALLS = ("open", "replace", "rename", "unlink", "rmdir", "mkdir", "fsync", "link", "utime", "truncate", "ftruncate")


def _killed_at(folder: Path, point: int) -> bool:
    """Take over in a child that dies before its nth change of the disk; whether it died."""
    child = os.fork()
    if child == 0:
        count = 0

        def counted(real):  # type: ignore[no-untyped-def]
            def call(*arguments, **named):  # type: ignore[no-untyped-def]
                nonlocal count
                count += 1
                if count > point:
                    os._exit(9)
                return real(*arguments, **named)

            return call

        for name in _CALLS:
            setattr(os, name, counted(getattr(os, name)))
        Storage(folder).journal.open_now()
        os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status) == 9


async def test_a_kill_at_any_instant_leaves_the_old_or_the_new(tmp_path: Path) -> None:
    await storage_in(Path(shutil.copytree(OLD, tmp_path / "whole"))).journal.open()
    wanted = await texts(tmp_path / "whole")
    points = new = 0
    while True:
        folder = Path(shutil.copytree(OLD, tmp_path / f"killed-{points}"))
        died = _killed_at(folder, points)
        new += (folder / "journal.db").exists()

        assert await texts(folder) == wanted
        storage = storage_in(folder)
        assert [record.turn.id for record in await storage.conversations.load("kitchen")] == ["t2", "t3"]
        assert len(await storage.approvals.load()) == 2
        assert len((await storage.audit.entries())[0]) == 3
        assert storage.journal.notices == []
        kept = [
            path.name for path in folder.rglob("*") if path.name in ("audit.jsonl", "approvals.json", "study.jsonl")
        ]
        assert sorted(kept) == ["approvals.json", "audit.jsonl", "study.jsonl"]
        assert not (folder / ".journal.new").exists()
        close_storage(folder)
        shutil.rmtree(folder)
        points += 1
        if not died:
            break
    assert points > 30
    assert 0 < new < points
