"""The files of the gate: what waits survives any kill, and what was done cannot be changed unseen."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipecatapp.domain import ApprovalRequest, ApprovalState, AuditEntry, Preview, Risk
from pipecatapp.errors import StorageError
from pipecatapp.storage.approvals import ApprovalFile
from pipecatapp.storage.audit import AuditFile
from testing.fakes.crashing_disk import CrashingDisk, PowerCutError

pytestmark = pytest.mark.unit

REQUEST = ApprovalRequest(
    "a1", "d" * 64, "c", "t", "ssh.run_command", {"host": "node3", "list": [1, {"x": None}]}, Risk.DANGER,
    Preview("Run it.", "a key", "node3"), "run it", 1.0, 121.0, ApprovalState.STARTED, "page",
)  # fmt: skip


def entry(number: int = 0, **changes: Any) -> AuditEntry:
    return replace(
        AuditEntry(1.0, "c", "t", "ssh.run_command", "danger", {"n": number}, "approved", "page", "d"), **changes
    )


# --- what waits


async def test_what_waits_comes_back_as_it_was(tmp_path: Path) -> None:
    file = ApprovalFile(tmp_path / "state/approvals.json")
    assert await file.load() == []
    other = replace(REQUEST, id="a2", state=ApprovalState.PENDING, by="")
    await file.save([REQUEST, other])
    assert await ApprovalFile(tmp_path / "state/approvals.json").load() == [REQUEST, other]
    assert (tmp_path / "state/approvals.json").stat().st_mode & 0o077 == 0
    await file.save([])
    assert await file.load() == []


@pytest.mark.parametrize("content", ["", "{", '{"v": 9}', '{"v": 1, "requests": [{}]}', "[]", "null"])
async def test_a_file_that_cannot_be_understood_is_set_aside(tmp_path: Path, content: str) -> None:
    path = tmp_path / "approvals.json"
    path.write_text(content)
    file = ApprovalFile(path)
    assert await file.load() == []
    (kept,) = tmp_path.glob("approvals.json.unreadable-*")
    assert kept.read_text() == content
    await file.save([REQUEST])
    assert await file.load() == [REQUEST]


async def test_a_power_cut_at_any_moment_leaves_the_old_or_the_new(tmp_path: Path) -> None:
    states = [[], [REQUEST], [REQUEST, replace(REQUEST, id="a2")], []]
    path = Path("/state/approvals.json")
    for point in range(60):
        disk = CrashingDisk(point)
        file = ApprovalFile(path, disk)
        disk.plan(point, "power")
        acknowledged = 0
        try:
            for number, state in enumerate(states[1:], start=1):
                await file.save(state)
                acknowledged = number
        except PowerCutError:
            disk.cut_power()
            assert await ApprovalFile(path, disk).load() in states[acknowledged : acknowledged + 2]
        else:
            assert point > 12
            return
    raise AssertionError("the story never ended")


async def test_a_disk_that_refuses_is_told(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file where the folder should be")
    with pytest.raises(StorageError, match=r"approvals\.json"):
        await ApprovalFile(tmp_path / "state/approvals.json").save([REQUEST])


# --- what was done


async def test_lines_are_numbered_chained_and_read_newest_first(tmp_path: Path) -> None:
    path = tmp_path / "audit/audit.jsonl"
    audit = AuditFile(path)
    assert await audit.entries() == ([], False)
    await asyncio.gather(*(audit.record(entry(number)) for number in range(20)))
    again = AuditFile(path)
    assert (await again.record(entry(20)))["n"] == 21
    newest, more = await again.entries(limit=5)
    assert [line["n"] for line in newest] == [21, 20, 19, 18, 17]
    assert more
    oldest, more = await again.entries(before=4, limit=5)
    assert [line["n"] for line in oldest] == [3, 2, 1]
    assert not more
    assert await again.verify() == ""
    assert path.stat().st_mode & 0o077 == 0


async def test_a_torn_line_is_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    await AuditFile(path).record(entry())
    whole = path.read_bytes()
    for torn in (b"{", whole[:-1], b"\xff" * 70_000):
        path.write_bytes(whole + torn)
        audit = AuditFile(path)
        assert len((await audit.entries())[0]) == 1
        assert (await audit.record(entry(1)))["n"] == 2
        assert path.read_bytes().startswith(whole)
        assert await audit.verify() == ""


@pytest.mark.parametrize("change", ["edit", "remove", "swap", "insert", "number"])
async def test_tampering_shows(tmp_path: Path, change: str) -> None:
    path = tmp_path / "audit.jsonl"
    audit = AuditFile(path)
    for number in range(5):
        await audit.record(entry(number))
    lines = path.read_text().splitlines()
    match change:
        case "edit":
            lines[2] = lines[2].replace('"approved"', '"refused"')
        case "remove":
            del lines[2]
        case "swap":
            lines[1], lines[2] = lines[2], lines[1]
        case "insert":
            lines.insert(2, lines[1])
        case "number":
            lines[4] = json.dumps({**json.loads(lines[4]), "n": 9})
    path.write_text("\n".join(lines) + "\n")
    assert "the line after number" in await AuditFile(path).verify()


async def test_long_lines_are_read_backwards_whole(tmp_path: Path) -> None:
    audit = AuditFile(tmp_path / "audit.jsonl")
    for size in (10, 70_000, 65_536, 1, 200_000):
        await audit.record(entry(arguments={"text": "ä" * size}))
    lines, _ = await audit.entries()
    assert [len(line["arguments"]["text"]) for line in lines] == [200_000, 1, 65_536, 70_000, 10]


async def test_a_log_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "audit").write_text("a file where the folder should be")
    with pytest.raises(StorageError, match=r"audit\.jsonl"):
        await AuditFile(tmp_path / "audit/audit.jsonl").record(entry())
