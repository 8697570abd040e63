"""The audit log: what was done cannot be changed unseen, and what was forgotten can be taken out."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipecatapp.domain import AuditEntry
from pipecatapp.storage.erasure import Erasure
from testing.fakes.storage import close_storage, storage_in

pytestmark = pytest.mark.unit


def entry(number: int = 0, **changes: Any) -> AuditEntry:
    return replace(
        AuditEntry(1.0, "c", "t", "ssh.run_command", "danger", {"n": number}, "approved", "page", "d"), **changes
    )


async def test_lines_are_numbered_chained_and_read_newest_first(tmp_path: Path) -> None:
    audit = storage_in(tmp_path).audit
    assert await audit.entries() == ([], False)
    await asyncio.gather(*(audit.record(entry(number)) for number in range(20)))
    close_storage(tmp_path)
    again = storage_in(tmp_path).audit
    assert (await again.record(entry(20)))["n"] == 21
    newest, more = await again.entries(limit=5)
    assert [line["n"] for line in newest] == [21, 20, 19, 18, 17]
    assert more
    oldest, more = await again.entries(before=4, limit=5)
    assert [line["n"] for line in oldest] == [3, 2, 1]
    assert not more
    assert [line["n"] for line in (await again.entries(before=1 << 70, limit=1))[0]] == [21]
    assert await again.verify() == ""


@pytest.mark.parametrize("change", ["edit", "remove", "swap", "number", "unreadable"])
async def test_tampering_shows(tmp_path: Path, change: str) -> None:
    for number in range(5):
        await storage_in(tmp_path).audit.record(entry(number))
    close_storage(tmp_path)
    with sqlite3.connect(tmp_path / "journal.db") as database:
        lines = {n: json.loads(line) for n, line in database.execute("SELECT n, line FROM audit")}
        match change:
            case "edit":
                lines[3]["decision"] = "refused"
            case "remove":
                database.execute("DELETE FROM audit WHERE n = 3")
                del lines[3]
            case "swap":
                lines[2], lines[3] = lines[3], lines[2]
            case "number":
                lines[5]["n"] = 9
            case "unreadable":
                del lines[3]["hash"]
        database.executemany("UPDATE audit SET line = ? WHERE n = ?", [(json.dumps(v), n) for n, v in lines.items()])
    database.close()
    assert "the line after number" in await storage_in(tmp_path).audit.verify()


async def test_what_was_forgotten_leaves_a_line_that_keeps_its_place(tmp_path: Path) -> None:
    storage = storage_in(tmp_path)
    audit = storage.audit
    await audit.record(entry(1))
    await audit.record(entry(2, tool="memory.remember", arguments={"text": "My locker opens with marzipan."}))
    await audit.record(entry(3))

    await storage.journal.run(audit.erase_now, Erasure(["my locker opens with marzipan"]))

    lines, _ = await audit.entries()
    assert [line["arguments"] for line in reversed(lines)] == [{"n": 1}, {}, {"n": 3}]
    assert [line.get("erased", False) for line in reversed(lines)] == [False, True, False]
    assert await audit.verify() == ""
    assert (await audit.record(entry(4)))["n"] == 4
    assert await audit.verify() == ""


async def test_half_a_character_costs_no_line(tmp_path: Path) -> None:
    audit = storage_in(tmp_path).audit
    assert (await audit.record(entry(arguments={"text": "x \ud83d y"})))["arguments"] == {"text": "x ? y"}
    assert await audit.verify() == ""
