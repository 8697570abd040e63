"""What version 0.2 left is taken over once, whenever it is killed, and kept for thirty days."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from pipecatapp.domain import ApprovalState
from pipecatapp.storage.part import Storage
from testing.fakes.storage import close_storage, storage_in

pytestmark = pytest.mark.unit

OLD = Path(__file__).parents[2] / "fixtures/state-0.2.0"
DAY = 86_400


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The state folder of version 0.2.0, written by that version's own code."""
    return Path(shutil.copytree(OLD, tmp_path / "state"))


async def texts(folder: Path) -> list[str]:
    storage = storage_in(folder)
    return await storage.journal.run(lambda: [fact.text for fact in storage.facts.live(storage.journal.database)])


async def test_everything_is_taken_over(folder: Path) -> None:
    storage = storage_in(folder)
    await storage.journal.open()

    assert storage.journal.notices == []
    assert await texts(folder) == [
        "The spare key is under the flowerpot.",
        "We are allergic to hazelnuts.",
        "My dentist is called Okafor.",
        "My locker opens with marzipanschwein.",
    ]
    database = storage.journal.database
    facts = await storage.journal.run(lambda: list(storage.facts.live(database)))
    assert (facts[1].seen, facts[1].turn, facts[1].kind) == (2, "t3", "note")
    history = await storage.journal.run(storage.facts.history, database, facts[2].id)
    assert [old.text for old in history] == ["My dentist is called Olsen."]
    assert await storage.journal.run(storage.facts.with_vector, database, "toy") == [1, 2, 3, 4, 5]
    assert await storage.journal.run(storage.facts.next_id, database) == 6
    header = json.loads((OLD / "long_term_memory.jsonl").read_text().splitlines()[0])
    assert await storage.journal.run(lambda: storage.journal.identity) == header["book"]
    kitchen = await storage.conversations.load("kitchen")
    assert [record.turn.id for record in kitchen] == ["t2", "t3"]
    assert kitchen[0].turn.tool_calls[0].arguments == {"text": "The spare key is under the flowerpot."}
    assert (kitchen[1].turn.assistant_text, kitchen[1].turn.interrupted) == ("Once upon a time", True)
    assert [record.turn.user_text for record in await storage.conversations.load("study")] == ["good evening"]
    waiting = await storage.approvals.load()
    assert [(request.id, request.state) for request in waiting] == [
        ("a1", ApprovalState.PENDING),
        ("a2", ApprovalState.STARTED),
    ]
    assert [line["decision"] for line in (await storage.audit.entries())[0]] == ["executed", "approved", "requested"]
    assert await storage.audit.verify() == ""


async def test_the_old_files_are_kept_for_thirty_days_and_read_no_more(folder: Path) -> None:
    await storage_in(folder).journal.open()
    close_storage(folder)
    (copy,) = folder.glob("migrated.*")
    for name in ("long_term_memory.jsonl", "conversations/kitchen.jsonl", "approvals.json", "audit/audit.jsonl"):
        assert (copy / name).read_bytes() == (OLD / name).read_bytes()
        assert not (folder / name).exists()
    assert (folder / "states/before the move/state.jsonl").exists()
    assert (folder / "long_term_memory.faiss").exists()

    now = copy.stat().st_mtime
    for days, kept in ((29, True), (31, False)):
        storage = Storage(folder, clock=lambda days=days: now + days * DAY)  # type: ignore[misc]
        await storage.journal.open()
        assert copy.exists() is kept
        assert len(await storage.conversations.load("kitchen")) == 2
        await storage.stop()


async def test_what_cannot_be_read_costs_itself_alone(folder: Path) -> None:
    facts = folder / "long_term_memory.jsonl"
    lines = facts.read_bytes().splitlines(keepends=True)
    lines[2] = lines[2].replace(b'"', b"'", 3)
    facts.write_bytes(b"".join(lines) + b'{"crc":"torn')
    with (folder / "conversations/kitchen.jsonl").open("ab") as file:
        file.write(b"[]\n{}\n" + b"[" * 100_000 + b"\n")
    (folder / "conversations/not a conversation.jsonl").write_text("{}\n")
    (folder / "approvals.json").write_text("{")
    with (folder / "audit/audit.jsonl").open("ab") as file:
        file.write(b'{"n": 4}\nx\n')

    storage = storage_in(folder)
    await storage.journal.open()

    assert len(await texts(folder)) == 3
    assert len(await storage.conversations.load("kitchen")) == 2
    assert await storage.approvals.load() == []
    assert len((await storage.audit.entries())[0]) == 3
    notices = "; ".join(storage.journal.notices)
    assert "long_term_memory.jsonl is damaged at line 3" in notices
    assert "kitchen.jsonl: 3 lines cannot be read" in notices
    assert "approvals.json cannot be understood" in notices
    assert "audit.jsonl: 2 lines cannot be read" in notices


@pytest.mark.parametrize("content", [b"\x00\x01\x02", b'{"some": "json"}\n', b"SQLite format 3\x00\n\n"])
async def test_a_foreign_file_is_no_reason_not_to_start(folder: Path, content: bytes) -> None:
    (folder / "long_term_memory.jsonl").write_bytes(content)
    assert await texts(folder) == []
    assert len(await storage_in(folder).conversations.all()) == 2
    (copy,) = folder.glob("migrated.*/long_term_memory.jsonl")
    assert copy.read_bytes() == content


async def test_files_of_an_old_version_that_ran_again_are_put_aside(folder: Path) -> None:
    await storage_in(folder).journal.open()
    close_storage(folder)
    shutil.copytree(OLD / "conversations", folder / "conversations")
    await storage_in(folder).journal.open()
    assert not (folder / "conversations").exists()
    assert len(list(folder.glob("migrated.*"))) == 2
