"""The journal: one order, one writer, what is safe, what is erased, and what becomes of a damaged file."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pipecatapp.errors import CompactedError, StaleAppendError, StorageError
from pipecatapp.ports import Journal, JournalEvent
from pipecatapp.storage.part import Storage
from testing.fakes.storage import close_storage, storage_in

pytestmark = pytest.mark.unit


def audited(number: int) -> JournalEvent:
    return JournalEvent("audit", {"entry": {"tool": f"tool {number}"}})


def told(number: int, text: str = "hm") -> JournalEvent:
    record = {"id": number, "op": "fact", "text": text, "kind": "told", "turn": "t", "created": 1.0, "seen": 1}
    return JournalEvent("facts", {"records": [{**record, "last": 1.0, "old": []}]})


async def tables(storage: Storage) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for event in (await storage.journal.snapshot()).events:
        found.setdefault(event.topic, []).append(event.body)
    return found


async def test_events_have_one_order_over_all_topics_and_are_replayed_in_it(tmp_path: Path) -> None:
    journal: Journal = storage_in(tmp_path).journal
    assert await journal.append(audited(1)) == 1
    assert await journal.append(told(1)) == 2
    assert await journal.append(audited(2)) == 3
    entries = [entry async for entry in journal.replay(2)]
    assert [(entry.sequence, entry.term, entry.event) for entry in entries] == [(2, 1, told(1)), (3, 1, audited(2))]


async def test_of_writers_who_expect_the_same_exactly_one_wins(tmp_path: Path) -> None:
    journal = storage_in(tmp_path).journal
    last = await journal.append(audited(0))
    outcomes = await asyncio.gather(
        *(journal.append(audited(number), expected=last) for number in range(1, 10)), return_exceptions=True
    )
    assert sum(isinstance(outcome, int) for outcome in outcomes) == 1
    assert sum(isinstance(outcome, StaleAppendError) for outcome in outcomes) == 8
    assert [entry.sequence async for entry in journal.replay()] == [1, 2]


async def test_what_is_expected_is_the_last_event_of_the_topic(tmp_path: Path) -> None:
    journal = storage_in(tmp_path).journal
    assert await journal.append(told(1), expected=0) == 1
    assert await journal.append(audited(1), expected=0) == 2
    assert await journal.append(told(2), expected=1) == 3
    with pytest.raises(StaleAppendError, match="the last event about facts is 3, not 2"):
        await journal.append(told(3), expected=2)


async def test_a_writer_of_an_earlier_term_is_refused(tmp_path: Path) -> None:
    storage = storage_in(tmp_path)
    journal = storage.journal
    await journal.append(audited(1))
    # Somebody else took over, and this one has not noticed.
    await journal.run(journal.note, "term", journal.term + 1)
    with pytest.raises(StaleAppendError, match="another agent has taken over"):
        await journal.append(audited(2))
    assert len((await storage.audit.entries())[0]) == 1


async def test_each_life_has_a_higher_term(tmp_path: Path) -> None:
    for term in (1, 2, 3):
        await storage_in(tmp_path).journal.open()
        assert storage_in(tmp_path).journal.term == term
        close_storage(tmp_path)


async def test_an_event_that_its_table_refuses_has_not_happened(tmp_path: Path) -> None:
    storage = storage_in(tmp_path)
    await storage.journal.append(told(1))
    with pytest.raises(ValueError, match="op"):
        await storage.journal.append(JournalEvent("facts", {"records": [{"no": "record"}]}))
    with pytest.raises(ValueError, match="weather"):
        await storage.journal.append(JournalEvent("weather", {}))
    assert [entry.event async for entry in storage.journal.replay()] == [told(1)]
    assert await storage.journal.append(told(2)) == 2


async def test_a_snapshot_makes_the_same_tables_elsewhere(tmp_path: Path) -> None:
    here, there = storage_in(tmp_path / "here"), storage_in(tmp_path / "there")
    for number in range(1, 6):
        await here.journal.append(told(number))
        await here.journal.append(audited(number))
    await here.journal.erase("facts", ["5"])
    turn = {
        "turn": {
            "id": "t1", "user_text": "a", "assistant_text": "b", "source": "typed", "started_at": 1.0,
            "interrupted": False, "tool_calls": [], "cost": {"usage": {}}, "expert": "",
        },
        "messages": [["user", "a"]],
    }  # fmt: skip
    for body in ({"record": turn}, {"cleared": True}, {"record": {**turn, "turn": {**turn["turn"], "id": "t2"}}}):  # type: ignore[dict-item]
        await here.journal.append(JournalEvent("conversations", {"conversation": "c", "at": 2.0, **body}))

    snapshot = await here.journal.snapshot()
    for event in snapshot.events:
        await there.journal.append(event)

    assert snapshot.sequence == 14
    assert await tables(there) == await tables(here)
    assert [record.turn.id for record in await there.conversations.load("c")] == ["t2"]


async def test_erased_events_are_gone_for_whoever_was_away(tmp_path: Path) -> None:
    journal = storage_in(tmp_path).journal
    await journal.append(told(1, "the secret"))
    await journal.append(audited(1))
    assert await journal.erase("facts", ["1"]) == 3
    with pytest.raises(CompactedError, match="before 3"):
        [entry async for entry in journal.replay(1)]
    (entry,) = [entry async for entry in journal.replay(3)]
    assert entry.event == JournalEvent("facts", {"erase": ["1"]})
    assert await journal.append(audited(2)) == 4


async def test_the_sequence_goes_on_after_a_compaction_and_a_restart(tmp_path: Path) -> None:
    journal = storage_in(tmp_path).journal
    for number in range(3):
        await journal.append(audited(number))
    await journal.run(journal.compact_now)
    close_storage(tmp_path)
    journal = storage_in(tmp_path).journal
    assert await journal.append(audited(3), expected=3) == 4


async def test_events_are_trimmed_and_their_effect_stays(tmp_path: Path) -> None:
    storage = storage_in(tmp_path)

    def many() -> None:
        storage.journal.database.execute("PRAGMA synchronous=OFF")
        for number in range(9000):
            storage.journal.append_now(audited(number))

    await storage.journal.run(many)
    kept = await storage.journal.run(storage.journal.database.one, "SELECT min(sequence), count(*) FROM events")
    assert kept == (4097, 4904)
    assert (await storage.audit.entries(limit=1))[0][0]["n"] == 9000


async def test_other_users_cannot_read_it(tmp_path: Path) -> None:
    storage = storage_in(tmp_path / "new")
    await storage.journal.append(audited(1))
    assert (tmp_path / "new").stat().st_mode & 0o007 == 0
    files = list((tmp_path / "new").iterdir())
    assert {file.name for file in files} >= {"journal.db", "journal.db-wal"}
    assert {file.stat().st_mode & 0o077 for file in files} == {0}


def test_the_lock_names_its_holder_and_ends_with_its_process(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from pipecatapp.storage.part import Storage;"
        "Storage(Path(sys.argv[1])).journal.open_now(); print('open', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": "src"},
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"open\n"
        second = Storage(tmp_path)
        with pytest.raises(StorageError, match=f"locked by process {holder.pid}"):
            second.journal.open_now()
        holder.kill()
    second.journal.open_now()
    second.journal.close_now()


async def test_a_closed_journal_says_so(tmp_path: Path) -> None:
    storage = Storage(tmp_path)
    await storage.journal.append(audited(1))
    await storage.stop()
    await storage.stop()
    with pytest.raises(StorageError, match="is closed"):
        await storage.journal.append(audited(2))


async def test_a_file_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    await storage_in(tmp_path).journal.append(audited(1))
    close_storage(tmp_path)
    with sqlite3.connect(tmp_path / "journal.db") as database:
        database.execute("PRAGMA user_version=99")
    database.close()
    before = (tmp_path / "journal.db").read_bytes()
    with pytest.raises(StorageError, match="newer version"):
        await storage_in(tmp_path).journal.open()
    assert (tmp_path / "journal.db").read_bytes() == before


@pytest.mark.parametrize("damage", ["a page", "the header", "foreign", "truncated"])
async def test_of_a_damaged_file_what_can_be_read_is_saved_and_the_file_kept(tmp_path: Path, damage: str) -> None:
    storage = storage_in(tmp_path)
    for number in range(1, 200):
        await storage.journal.append(told(number, f"fact {number} " + "x" * 200))
    identity = await storage.journal.run(lambda: storage.journal.identity)
    close_storage(tmp_path)
    path = tmp_path / "journal.db"
    content = bytearray(path.read_bytes())
    match damage:
        case "a page":
            place = content.index(b"fact 100 ") // 4096 * 4096
            content[place : place + 4096] = os.urandom(4096)
        case "the header":
            content[:16] = b"sixteen of these"
        case "foreign":
            content = bytearray(b"something else" * 1000)
        case "truncated":
            content = content[: len(content) // 2]
    path.write_bytes(content)

    after = storage_in(tmp_path)
    await after.journal.open()

    (notice,) = after.journal.notices
    assert "is damaged" in notice
    (aside,) = [file for file in tmp_path.iterdir() if "damaged" in file.name]
    assert aside.read_bytes() == bytes(content)
    assert aside.name in notice
    assert await after.journal.run(lambda: after.journal.identity) != identity
    saved = len(await after.journal.run(lambda: list(after.facts.live(after.journal.database))))
    assert saved >= {"a page": 150, "truncated": 1}.get(damage, 0)
    await after.journal.append(told(500))
    close_storage(tmp_path)
    again = storage_in(tmp_path)
    await again.journal.open()
    assert again.journal.notices == []
    assert [file.name for file in tmp_path.iterdir() if file.name.startswith(".")] == []
