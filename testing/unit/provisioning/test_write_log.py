"""What a virtual machine's disk has after a power cut, from a log as QEMU writes it."""

from __future__ import annotations

import io

import pytest

from testing.lab.write_log import DISCARD, ENTRY, FLUSH, FUA, MAGIC, SECTOR, SUPER, replay

pytestmark = pytest.mark.unit

Entry = tuple[int, bytes, int]  # which sector, what every byte of it is, flags


def log_of(*written: Entry) -> io.BytesIO:
    """A log of writes of one sector each; a flush writes none."""
    parts = [SUPER.pack(MAGIC, 1, len(written), SECTOR).ljust(SECTOR, b"\0")]
    for sector, byte, flags in written:
        parts.append(ENTRY.pack(sector, int(bool(byte)), flags, 0).ljust(SECTOR, b"\0"))
        parts.append(byte * SECTOR if byte != b"-" else b"")
    return io.BytesIO(b"".join(parts))


def disk_after(log: io.BytesIO, lost: int, **more: object) -> bytes:
    """One byte for each of three sectors, of which each was `o`."""
    disk = io.BytesIO(b"o" * SECTOR * 3)
    assert replay(log, disk, **more) == lost  # type: ignore[arg-type]
    return disk.getvalue()[::SECTOR]


def test_what_was_flushed_is_there_and_what_came_later_is_not() -> None:
    log = log_of((0, b"a", 0), (1, b"b", 0), (0, b"", FLUSH), (0, b"c", 0), (1, b"d", 0), (2, b"e", 0))

    assert disk_after(log, lost=2) == b"cbo", "the first behind the flush may be a commit"


def test_a_write_that_asked_for_it_is_safe_by_itself() -> None:
    assert disk_after(log_of((0, b"a", 0), (1, b"b", 0), (2, b"c", FUA)), lost=2) == b"ooc"


def test_without_a_flush_nothing_is_there_and_by_chance_any_of_it() -> None:
    assert disk_after(log_of((0, b"a", 0), (1, b"b", 0)), lost=2) == b"ooo"
    answers = iter([False, True])
    assert disk_after(log_of((0, b"a", 0), (0, b"b", 0)), lost=1, keep=lambda: next(answers)) == b"boo"


def test_what_was_discarded_has_no_bytes_in_the_log() -> None:
    log = log_of((0, b"-", DISCARD), (1, b"b", 0), (0, b"", FLUSH))

    assert disk_after(log, lost=0) == b"obo"


def test_a_write_that_was_being_written_down_was_promised_to_nobody() -> None:
    whole = log_of((0, b"a", FUA), (1, b"b", FUA)).getvalue()

    assert disk_after(io.BytesIO(whole[:-1]), lost=0) == b"aoo"
    assert disk_after(io.BytesIO(whole[: -SECTOR - 500]), lost=0) == b"aoo"
    assert disk_after(io.BytesIO(), lost=0) == b"ooo"


def test_what_is_no_log_or_has_a_hole_is_refused() -> None:
    with pytest.raises(ValueError, match="no log"):
        disk_after(io.BytesIO(b"x" * SECTOR), lost=0)
    with pytest.raises(ValueError, match="hole"):
        disk_after(log_of((0, b"\0", 0), (0, b"", 0), (1, b"b", FUA)), lost=0)
