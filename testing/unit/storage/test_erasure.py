"""What concerns a forgotten fact, in whatever it was written down."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from pipecatapp.storage.erasure import Erasure, erase_lines
from pipecatapp.storage.event_log import EventLog
from pipecatapp.storage.retention import Retention

pytestmark = pytest.mark.unit

FORGOTTEN = Erasure(["My locker opens with marzipan.", "Anna"], ["t7", ""])


@pytest.mark.parametrize(
    ("value", "concerned"),
    [
        ("my locker opens  with MARZIPAN!", True),
        ("Please note: my locker opens with marzipan, and hurry", True),
        ("my locker opens with marzipans", False),
        ("the locker opens with marzipan", False),
        ("anna", True),
        ("Anna is my sister", False),
        ({"a": [1, None, {"b": ["my locker opens with marzipan"]}]}, True),
        ({"turn": "t7", "type": "user"}, True),
        ({"turn": {"id": "t7"}}, True),
        ({"heard": "t7", "text": "hm"}, True),
        ({"turn": "", "heard": None, "n": 1.5}, False),
        ({"turn": {"id": ["t7"]}}, False),
    ],
)
def test_it_is_found_in_text_and_in_json(value: object, concerned: bool) -> None:
    assert FORGOTTEN.concerns(value) is concerned


def test_lines_are_taken_out_of_a_file_and_the_rest_stays_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    kept = [b'{"a": "one"}\n', b"no json\n", b"[" * 100_000 + b"\n", b'{"torn']
    gone = [b'{"a": "My locker opens with marzipan"}\n', b'torn: {"my locker opens with marzipan\n', b'{"turn":"t7"}\n']
    path.write_bytes(kept[0] + gone[0] + kept[1] + gone[1] + gone[2] + kept[2] + kept[3])
    path.chmod(0o640)
    assert erase_lines(path, FORGOTTEN) == 3
    assert path.read_bytes() == b"".join(kept)
    assert path.stat().st_mode & 0o777 == 0o640
    before = path.stat().st_ino
    assert erase_lines(path, FORGOTTEN) == 0
    assert path.stat().st_ino == before


def test_nothing_is_forgotten_by_nothing() -> None:
    assert not Erasure([], []).concerns({"turn": "", "text": ""})
    assert not Erasure(["...", ""]).concerns("...")


def test_a_long_text_of_any_kind_is_searched_in_a_moment() -> None:
    erasure = Erasure(["a a a a a b", "my locker opens with marzipan"])
    began = time.process_time()
    for text in ("a " * 50_000, " " * 100_000, "my locker opens with " * 5_000, "\u00df" * 100_000, "a-" * 50_000):
        assert not erasure.concerns(text)
    assert time.process_time() - began < 2.0


def test_events_are_taken_out_of_the_files(tmp_path: Path) -> None:
    log = EventLog(tmp_path)
    for number, text in enumerate(["hello", "my locker opens with marzipan", "bye"], start=1):
        log.append("c", json.dumps({"seq": number, "type": "user", "text": text}))
    log.erase(FORGOTTEN)
    assert [record["text"] for record in log.load("c")] == ["hello", "bye"]
    assert b"marzipan" not in (tmp_path / "c.jsonl").read_bytes()
    log.close()


async def test_events_that_are_too_old_leave_the_files(tmp_path: Path) -> None:
    log = EventLog(tmp_path)
    now = time.time()
    for number, days in enumerate((50, 31, 29, 1), start=1):
        log.append("c", json.dumps({"seq": number, "type": "user", "text": "x", "at": now - days * 86_400}))
    await log.expire(0)
    assert len(log.load("c")) == 4
    await log.expire(30)
    assert [record["seq"] for record in log.load("c")] == [3, 4]
    log.close()


async def test_what_is_too_old_is_looked_for_at_the_start_and_again(caplog: pytest.LogCaptureFixture) -> None:
    import asyncio

    asked: list[int] = []
    enough = asyncio.Event()

    async def fails(days: int) -> None:
        raise OSError(28, "No space left on device")

    async def expire(days: int) -> None:
        asked.append(days)
        if len(asked) == 3:
            enough.set()

    retention = Retention(30, [fails, expire], every_s=0.0)
    retention.start()
    await asyncio.wait_for(enough.wait(), 60)
    await retention.stop()
    assert asked[:3] == [30, 30, 30]
    assert "No space left" in caplog.text
