"""The record file: damage, strangers, full disks."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipecatapp.errors import StorageError
from pipecatapp.memory.records import Embedded, FactAdded, Forgotten, StoredFact, Vector, encode
from pipecatapp.memory.store import RecordStore
from testing.fakes.crashing_disk import CrashingDisk

pytestmark = pytest.mark.unit

FOLDER = Path("/memory")
FILE = FOLDER / "long_term_memory.jsonl"


class Opened:
    """A store, and what it told of vectors while it opened."""

    def __init__(self, disk: CrashingDisk) -> None:
        self.vectors: dict[int, Vector] = {}
        self.books: list[str] = []
        self.store = RecordStore(FOLDER, disk, clock=lambda: 0.0, vector_of=lambda number: self.vectors.get(number))
        self.store.open(self.books.append, self.vectors.__setitem__)

    def texts(self) -> list[str]:
        return [fact.text for fact in self.store.ledger.facts()]

    def keep(self, *texts: str) -> None:
        first = self.store.ledger.next_id
        self.store.commit(
            [FactAdded(StoredFact(first + n, text, "note", "t", 1.0, last_seen=1.0)) for n, text in enumerate(texts)]
        )


@pytest.fixture
def disk() -> CrashingDisk:
    return CrashingDisk()


def reopened(disk: CrashingDisk, before: Opened) -> Opened:
    before.store.close()
    return Opened(disk)


def test_facts_are_there_after_a_restart(disk: CrashingDisk) -> None:
    first = Opened(disk)
    first.keep("one", "two")
    first.store.commit([Embedded(1, Vector("m", "AAAA"))])

    second = reopened(disk, first)

    assert second.texts() == ["one", "two"]
    assert second.vectors == {1: Vector("m", "AAAA")}
    assert second.books == first.books == [first.store.book]
    assert second.store.notices == []


def test_a_compaction_keeps_facts_history_vectors_and_ids(disk: CrashingDisk) -> None:
    first = Opened(disk)
    first.keep("one", "two", "three")
    first.store.commit([FactAdded(StoredFact(4, "two, corrected", "note", "t", 1.0, supersedes=(2,)))])
    first.store.commit([Embedded(1, Vector("m", "AAAA")), Forgotten((4,), 1.0)])
    first.vectors = {1: Vector("m", "AAAA")}
    first.keep("four")
    first.store.commit([Forgotten((5,), 1.0)])

    first.store.compact()
    second = reopened(disk, first)

    assert second.texts() == ["one", "three"]
    assert second.vectors == {1: Vector("m", "AAAA")}
    assert second.store.ledger.next_id == 6
    assert second.store.book == first.store.book
    assert b"two" not in disk.read_file(FILE)


def test_superfluous_lines_ask_for_a_compaction(disk: CrashingDisk) -> None:
    opened = Opened(disk)
    opened.keep("one")
    assert not opened.store.wasteful

    opened.store.commit([Embedded(1, Vector("m", "AAAA"))] * 1100)
    assert opened.store.wasteful

    opened.store.compact()
    assert not opened.store.wasteful


def test_the_end_that_a_kill_tore_is_cut_off(disk: CrashingDisk) -> None:
    first = Opened(disk)
    first.keep("one")
    first.store.close()
    disk.write_file(FILE, disk.read_file(FILE) + encode(FactAdded(StoredFact(2, "torn", "note", "t", 1.0)))[:-1])

    second = Opened(disk)
    second.keep("two")

    assert reopened(disk, second).texts() == ["one", "two"]
    assert second.store.notices == []
    assert disk.names() == [FILE.name]


@pytest.mark.parametrize("line", [0, 1, 2])
def test_a_damaged_line_costs_itself_alone_and_the_file_is_kept(disk: CrashingDisk, line: int) -> None:
    first = Opened(disk)
    first.keep("one", "two")
    first.store.close()
    lines = disk.read_file(FILE).splitlines(keepends=True)
    lines[line] = lines[line].replace(b'"', b"'", 3)
    damaged = b"".join(lines)
    disk.write_file(FILE, damaged)

    second = Opened(disk)

    assert second.texts() == [text for number, text in enumerate(["one", "two"], start=1) if number != line]
    assert "is damaged at line" in second.store.notices[0]
    assert second.store.book != first.store.book
    aside = FOLDER / f"{FILE.name}.damaged-19700101T000000Z"
    assert disk.read_file(aside) == damaged
    assert reopened(disk, second).store.notices == []


@pytest.mark.parametrize("content", [b"\x00\x01\x02", b'{"some": "json"}\n', b"SQLite format 3\x00\n\n", b"\n"])
def test_a_foreign_file_is_set_aside(disk: CrashingDisk, content: bytes) -> None:
    disk.write_file(FILE, content)

    opened = Opened(disk)
    opened.keep("one")

    assert reopened(disk, opened).texts() == ["one"]
    kept = [name for name in disk.names() if "-1970" in name]
    assert [disk.read_file(FOLDER / name) for name in kept] == [content]
    assert kept[0] in opened.store.notices[0]


def test_a_second_foreign_file_gets_a_name_of_its_own(disk: CrashingDisk) -> None:
    for _ in range(2):
        disk.write_file(FILE, b"foreign")
        Opened(disk).store.close()

    assert [name for name in disk.names() if "foreign" in name] == [
        f"{FILE.name}.foreign-19700101T000000Z",
        f"{FILE.name}.foreign-19700101T000000Z-2",
    ]


def test_a_file_of_a_newer_version_is_set_aside_whole(disk: CrashingDisk) -> None:
    first = Opened(disk)
    first.keep("one")
    first.store.close()
    from pipecatapp.memory import records

    newer = records._seal({"format": records.FORMAT, "version": 2, "book": "b", "next": 5})
    content = newer + disk.read_file(FILE).splitlines(keepends=True)[1]
    disk.write_file(FILE, content)

    second = Opened(disk)

    assert second.texts() == []
    assert disk.read_file(FOLDER / f"{FILE.name}.version2-19700101T000000Z") == content


def test_an_empty_file_is_a_new_memory(disk: CrashingDisk) -> None:
    disk.write_file(FILE, b"")

    opened = Opened(disk)
    opened.keep("one")

    assert reopened(disk, opened).texts() == ["one"]
    assert opened.store.notices == []


def test_a_full_disk_refuses_the_fact_and_the_next_one_is_kept(disk: CrashingDisk) -> None:
    opened = Opened(disk)
    opened.keep("one")

    disk.plan(0, "error")
    with pytest.raises(StorageError, match="free some disk space"):
        opened.keep("refused")
    assert opened.texts() == ["one"]
    opened.keep("two")

    assert opened.texts() == ["one", "two"]
    assert reopened(disk, opened).texts() == ["one", "two"]


def test_a_compaction_that_fails_leaves_everything_in_use(disk: CrashingDisk) -> None:
    for operation in range(4):
        opened = Opened(disk)
        opened.keep(f"fact {operation}")
        disk.plan(operation, "error")

        with pytest.raises(StorageError, match="cannot rewrite"):
            opened.store.compact()
        opened.keep(f"after {operation}")
        opened.store.close()

    assert len(Opened(disk).texts()) == 8


def test_one_memory_has_one_process(disk: CrashingDisk) -> None:
    first = Opened(disk)

    with pytest.raises(StorageError, match="locked"):
        Opened(disk)
    first.store.close()
    Opened(disk)


def test_a_closed_store_says_so(disk: CrashingDisk) -> None:
    opened = Opened(disk)
    opened.store.close()

    with pytest.raises(StorageError, match="is closed"):
        opened.keep("one")
    with pytest.raises(StorageError, match="is closed"):
        opened.store.compact()
