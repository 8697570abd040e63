"""What was deleted leaves the file, and what the file is good for."""

from __future__ import annotations

import random
import re
from pathlib import Path

import pytest

from pipecatapp.errors import StorageError
from pipecatapp.storage.database import DamagedError, Database

pytestmark = pytest.mark.unit

MARK = re.compile(rb"W\d+x\d+xZ|Zx\d+x\d+W")


@pytest.mark.parametrize("seed", [1, 13, 15, 2])
def test_nothing_that_was_deleted_is_left_in_any_byte_after_scrubbing(tmp_path: Path, seed: int) -> None:
    luck = random.Random(seed)
    database = Database(tmp_path / "a.db")
    database.execute("CREATE TABLE t(id INTEGER PRIMARY KEY, a TEXT, b TEXT)")
    database.execute("CREATE INDEX i ON t(b)")
    live: dict[int, str] = {}
    for step in range(600):
        words = f"W{seed}x{step}xZ" + "y" * luck.choice([1, 50, 300, 900, 6000])
        place = luck.choice(list(live)) if live and luck.random() < 0.5 else luck.randrange(10**6)
        if place in live and luck.random() < 0.7:
            database.execute("DELETE FROM t WHERE id = ?", (place,))
            del live[place]
            continue
        database.execute("INSERT OR REPLACE INTO t VALUES (?, ?, ?)", (place, words, words[::-1]))
        live[place] = words

    database.scrub()

    known = {mark for words in live.values() for mark in MARK.findall((words + words[::-1]).encode())}
    content = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert set(MARK.findall(content)) == known
    assert database.execute("SELECT count(*) FROM t") == [(len(live),)]
    database.close()


def test_a_transaction_that_fails_has_not_happened(tmp_path: Path) -> None:
    database = Database(tmp_path / "a.db")
    database.execute("CREATE TABLE t(id INTEGER PRIMARY KEY)")

    def add(*numbers: int) -> None:
        with database.transaction():
            for number in numbers:
                database.execute("INSERT INTO t VALUES (?)", (number,))

    add(1)
    with pytest.raises(StorageError, match="UNIQUE"):
        add(2, 1)
    with pytest.raises(StorageError, match="too large"):
        add(3, 1 << 70)
    assert database.execute("SELECT id FROM t") == [(1,)]
    database.close()


def test_a_file_that_is_no_database_is_known_as_one(tmp_path: Path) -> None:
    (tmp_path / "a.db").write_bytes(b"something else" * 1000)
    with pytest.raises(DamagedError, match="is damaged"):
        Database(tmp_path / "a.db")


def test_what_is_safe_needs_the_strictest_settings(tmp_path: Path) -> None:
    database = Database(tmp_path / "a.db")
    found = {name: database.one(f"PRAGMA {name}") for name in ("journal_mode", "synchronous", "secure_delete")}
    assert found == {"journal_mode": ("wal",), "synchronous": (3,), "secure_delete": (1,)}
    database.close()


def test_a_second_program_is_told_whose_it_is(tmp_path: Path) -> None:
    first = Database(tmp_path / "a.db")
    first.execute("CREATE TABLE t(id INTEGER PRIMARY KEY)")
    with pytest.raises(StorageError, match="used by another program"):
        Database(tmp_path / "a.db")
    first.close()
