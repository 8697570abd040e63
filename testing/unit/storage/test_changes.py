"""What can be taken back: kept together with the change itself, the latest first, and erased with what it tells of."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipecatapp.domain import Change
from pipecatapp.errors import StorageError
from pipecatapp.ports import JournalEvent
from pipecatapp.storage.erasure import Erasure
from pipecatapp.storage.part import Storage
from testing.fakes.crash_points import FOLDER
from testing.fakes.crashing_disk import ERRORS, CrashingDisk
from testing.fakes.storage import close_storage, storage_in

pytestmark = pytest.mark.unit


def change(text: str, conversation: str = "c") -> Change:
    return Change("lists", text, {"drop": ["1"]}, conversation, "t", at=5.0)


def line(tool: str) -> JournalEvent:
    return JournalEvent("audit", {"entry": {"tool": tool}})


async def test_the_latest_of_a_conversation_is_first_and_what_is_taken_back_is_gone(tmp_path: Path) -> None:
    changes = storage_in(tmp_path).changes
    milk, eggs = await changes.make(change("milk")), await changes.make(change("eggs"))
    other = await changes.make(change("tea", "other"))
    assert [found.text for found in await changes.latest("c")] == ["eggs", "milk"]
    assert [found.text for found in await changes.latest()] == ["tea", "eggs", "milk"]
    await changes.take_back(eggs)
    close_storage(tmp_path)
    changes = storage_in(tmp_path).changes
    assert await changes.latest("c") == [milk]
    assert await changes.get(other.id) == other
    with pytest.raises(LookupError):
        await changes.take_back(eggs, line("list.add"))
    assert (await storage_in(tmp_path).audit.entries())[0] == []
    assert (await changes.make(change("bread"))).id > other.id


def test_a_power_cut_leaves_the_change_and_its_way_back_or_neither() -> None:
    torn = []
    for point in range(40):
        disk = CrashingDisk(point)
        storage = Storage(FOLDER, connect=disk.connect, errors=ERRORS)
        storage.journal.open_now()
        disk.plan(point, "error")
        made = JournalEvent("changes", {"made": {"kind": "lists", "text": "milk", "back": None, "conversation": "c"}})
        try:
            storage.journal.append_all_now([line("list.add"), made])
        except StorageError:
            disk.cut_power()
        else:
            disk.restart()
        again = Storage(FOLDER, connect=disk.connect, errors=ERRORS)
        again.journal.open_now()
        torn.append(tuple(again.journal.position(topic) for topic in ("audit", "changes")))
    assert set(torn) == {(0, 0), (1, 2)}


async def test_a_snapshot_makes_the_same_changes_again(tmp_path: Path) -> None:
    storage = storage_in(tmp_path / "a")
    for text in ("milk", "eggs"):
        await storage.changes.make(change(text))
    await storage.changes.take_back((await storage.changes.latest())[1])
    other = storage_in(tmp_path / "b")
    for event in (await storage.journal.snapshot()).events:
        await other.journal.append(event)
    assert await other.changes.latest() == await storage.changes.latest()


async def test_only_so_many_are_kept(tmp_path: Path) -> None:
    storage = storage_in(tmp_path)
    made = {"kind": "lists", "text": "x", "back": None, "conversation": "c"}
    await storage.journal.run(
        storage.journal.append_all_now, [JournalEvent("changes", {"made": made}) for _ in range(205)]
    )
    assert [found.id for found in await storage.changes.latest(limit=1000)] == list(range(205, 5, -1))


async def test_what_is_forgotten_leaves_the_changes_too(tmp_path: Path) -> None:
    storage = storage_in(tmp_path)
    await storage.changes.make(change("I noted: my locker opens with marzipan."))
    kept = await storage.changes.make(change("I put milk on the shopping list."))
    await storage.erase(Erasure(["My locker opens with marzipan"]))
    assert await storage.changes.latest() == [kept]
    assert b"marzipan" not in b"".join(path.read_bytes() for path in tmp_path.iterdir())
