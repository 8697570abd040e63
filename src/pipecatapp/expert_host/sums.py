"""Checksums of large files, taken once: a file that has not changed keeps its sum on the disk."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import threading
import time
from pathlib import Path

from pipecatapp.storage.atomic import replace_file

_CHUNK = 1 << 20
_SAMPLE = 32 << 20


class InterruptedSumError(Exception):
    """The program ends."""


class Sums:
    """The sha256 of files.

    Args:
        memory: where they are kept.
    """

    def __init__(self, memory: Path) -> None:
        self._memory = memory
        self._known: dict[str, str] = {}
        self._stop = threading.Event()
        with contextlib.suppress(OSError, ValueError):
            kept = json.loads(memory.read_text())
            self._known = {str(key): str(value) for key, value in kept.items()} if isinstance(kept, dict) else {}

    def stop(self) -> None:
        """End whatever is being read: a thread cannot be cancelled."""
        self._stop.set()

    def of(self, file: Path) -> str:
        """The sum of a file; blocks while it is read.

        Raises:
            OSError: it cannot be read.
            InterruptedSumError: the program ends.
        """
        status = file.stat()
        key = f"{file.resolve()}:{status.st_ino}:{status.st_size}:{status.st_mtime_ns}"
        if key not in self._known:
            self._known[key] = self._read(file)
            # An hour's reading is not lost because the disk is full.
            with contextlib.suppress(OSError):
                replace_file(self._memory, json.dumps(self._known, indent=1))
        return self._known[key]

    def _read(self, file: Path) -> str:
        digest = hashlib.sha256()
        with file.open("rb") as stream:
            while chunk := stream.read(_CHUNK):
                digest.update(chunk)
                if self._stop.is_set():
                    raise InterruptedSumError(file.name)
        return digest.hexdigest()


def disk_mb_s(file: Path) -> float:
    """How fast the disk reads this file, in MB a second, not what memory holds of it; 0: too small to tell."""
    with contextlib.suppress(OSError), file.open("rb", buffering=0) as stream:
        descriptor = stream.fileno()
        size = os.fstat(descriptor).st_size
        if size < _SAMPLE:
            return 0.0
        start = (size - _SAMPLE) // 2
        os.posix_fadvise(descriptor, start, _SAMPLE, os.POSIX_FADV_DONTNEED)
        began, left = time.monotonic(), _SAMPLE
        stream.seek(start)
        while left > 0 and (chunk := stream.read(_CHUNK)):
            left -= len(chunk)
        return (_SAMPLE - left) / 1e6 / max(1e-6, time.monotonic() - began)
    return 0.0
