"""What a disk has after its power was cut: what its computer flushed, and of the rest what chance lets it keep.

QEMU's filter ``blklogwrites`` writes down all that a virtual machine sends to its disk, in the order in which it does
(the format of Linux's dm-log-writes). A disk with a cache promises no more than what a flush that ended, or a write
that asked for it, made safe.

QEMU's NVMe disk takes a write that asks for it and does not pass that on. Linux sends such a one, a file system's
commit, right behind a flush: the first write behind each counts as one. A disk may always keep more than it promised.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

MAGIC = 0x6A736677736872
SECTOR = 512
FLUSH, FUA, DISCARD = 1, 2, 4
# The log's first sector: its magic number, version, entries and sector's size; each entry's: where, how long, what.
SUPER = struct.Struct("<QQQI")
ENTRY = struct.Struct("<QQQQ")


@dataclass(frozen=True)
class Write:
    """One entry: sectors, and where in the log their bytes are; a discard has none."""

    sector: int
    sectors: int
    flags: int
    data: int


def entries(log: BinaryIO) -> Iterator[Write]:
    """All that was sent to the disk, in order. What was being written down when the power went is not among it.

    Raises:
        ValueError: it is no log, or has a hole: the program was killed between two writes of which the later one is
            there.
    """
    end = log.seek(0, os.SEEK_END)
    if not end:
        return
    log.seek(0)
    magic, version, _, sector = SUPER.unpack(log.read(SUPER.size))
    # The first sector is written with the first flush.
    if (magic, version, sector) not in ((MAGIC, 1, SECTOR), (0, 0, 0)):
        raise ValueError("this is no log of blklogwrites with sectors of 512 bytes")
    at = SECTOR
    while at + ENTRY.size <= end:
        log.seek(at)
        where, count, flags, _ = ENTRY.unpack(log.read(ENTRY.size))
        if not count and not flags:
            raise ValueError("the log has a hole: it was cut off inside a write, try again")
        data = at + SECTOR
        at = data + (0 if flags & DISCARD else count * SECTOR)
        if at <= end or not count:
            yield Write(where, count, flags, data)


def replay(log: BinaryIO, disk: BinaryIO, keep: Callable[[], bool] = lambda: False) -> int:
    """Bring a disk from what it was when its computer started to what it is after a power cut.

    Args:
        log: what was sent to it since.
        disk: it.
        keep: whether one write survives that nobody made safe; disks write in any order.

    Returns:
        How many writes are lost.
    """
    written = list(entries(log))
    safe = max((place + 1 for place, write in enumerate(written) if write.flags & FLUSH), default=-1)
    lost = 0
    for place, write in enumerate(written):
        # What a discarded sector has then is nobody's promise: leave it.
        if not write.sectors or write.flags & DISCARD:
            continue
        if place <= safe or write.flags & FUA or keep():
            log.seek(write.data)
            disk.seek(write.sector * SECTOR)
            disk.write(log.read(write.sectors * SECTOR))
        else:
            lost += 1
    return lost
