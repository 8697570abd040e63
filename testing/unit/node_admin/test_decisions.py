"""The folder of an agent that was taken over: what lies there hangs no unit, fills no disk and is not followed."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from node_admin.decisions import Decisions
from node_admin.errors import RefusedError
from node_admin.requests import Request

pytestmark = [pytest.mark.unit, pytest.mark.timeout(60)]

YES = "0123456789abcdef"
RECORD = {
    "tool": "nodes.heal", "arguments": {}, "preview": {}, "state": "started", "by": "page", "expires_at": 2e9,
}  # fmt: skip
ENDLESS = """CREATE VIEW approvals AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)
SELECT CAST(-i AS TEXT) AS id, '' AS request FROM n"""


def journal(
    folder: Path, table: str = "CREATE TABLE approvals (id, request)", record: str = json.dumps(RECORD)
) -> Path:
    with closing(sqlite3.connect(folder / "journal.db")) as database:
        database.execute(table)
        if "TABLE" in table:
            database.execute("INSERT INTO approvals VALUES (?, ?)", (YES, record))
        database.commit()
    return folder / "journal.db"


@pytest.fixture
def agreed(tmp_path: Path) -> Callable[[], object]:
    (tmp_path / "tmp").mkdir()
    (tmp_path / "agent").mkdir()
    decisions = Decisions(tmp_path / "agent/journal.db", tmp_path / "tmp", os.getuid(), clock=lambda: 0.0, answer_s=0.5)
    return lambda: decisions.agreed(Request("heal", "", YES))


def test_a_plain_record_is_read(tmp_path: Path, agreed: Callable[[], object]) -> None:
    journal(tmp_path / "agent")
    assert agreed() == {}


@pytest.mark.parametrize("name", ["journal.db", "journal.db-wal"])
@pytest.mark.parametrize("kind", ["pipe", "endless", "link", "long"])
def test_what_is_no_file_of_the_agents_is_refused(
    tmp_path: Path, agreed: Callable[[], object], name: str, kind: str
) -> None:
    file = journal(tmp_path / "agent").with_name(name)
    other = tmp_path / "other"
    other.mkdir()
    if kind == "link":
        file = journal(other).with_name(name)
        file.touch()
        (tmp_path / "agent" / name).unlink(missing_ok=True)
        (tmp_path / "agent" / name).symlink_to(file)
    else:
        file.unlink(missing_ok=True)
        if kind == "pipe":
            os.mkfifo(file)
        elif kind == "endless":
            file.symlink_to("/dev/zero")
        else:
            file.touch()
            os.truncate(file, 1 << 42)

    with pytest.raises(RefusedError, match="cannot be read"):
        agreed()
    assert list((tmp_path / "tmp").iterdir()) == []


@pytest.mark.parametrize("record", ["[" * 100_000, "x" * (9 << 20)])
def test_a_record_that_breaks_who_reads_it_is_refused(
    tmp_path: Path, agreed: Callable[[], object], record: str
) -> None:
    journal(tmp_path / "agent", record=record)
    with pytest.raises(RefusedError, match="cannot be read"):
        agreed()


def test_a_table_without_end_ends(tmp_path: Path, agreed: Callable[[], object]) -> None:
    journal(tmp_path / "agent", ENDLESS)
    with pytest.raises(RefusedError, match="cannot be read"):
        agreed()
