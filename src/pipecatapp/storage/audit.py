"""The audit log: one JSON line for everything that was asked, decided or done, only ever added to.

Each line has a number ``n``, the ``hash`` of the line before it as ``prev``, and the SHA-256 of its own other fields as
``hash``: a line that was changed, removed or put in between breaks the chain, and ``verify`` says where. A line is
written with ``fsync``; one that a kill tore is cut off at the next start.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from pipecatapp.domain import AuditEntry
from pipecatapp.errors import StorageError

logger = logging.getLogger(__name__)

START = "0" * 64  # in place of the hash before the first line
_BLOCK = 1 << 16
P = ParamSpec("P")
T = TypeVar("T")


class AuditFile:
    """``ports.AuditLog`` in one file that only its owner can read.

    Args:
        path: its name; the folder is created.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = asyncio.Lock()
        self._last: tuple[int, str] | None = None

    async def record(self, entry: AuditEntry) -> Mapping[str, Any]:
        """Add a line; when it returns, it lies on the disk."""
        async with self._lock:
            return await self._in_thread(self._record, entry)

    async def entries(self, before: int | None = None, limit: int = 50) -> tuple[list[Mapping[str, Any]], bool]:
        """The newest lines (older than number ``before``), newest first, and whether there are older ones."""
        async with self._lock:
            return await self._in_thread(self._entries, before, limit)

    async def verify(self) -> str:
        """Where the chain is broken first, as a sentence; empty when it is whole."""
        async with self._lock:
            return await self._in_thread(verify, self._path)

    async def _in_thread(self, work: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
        try:
            task = asyncio.ensure_future(asyncio.to_thread(work, *arguments, **named))
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            await asyncio.wait([task])  # two threads must not write at once
            raise
        except OSError as error:
            raise StorageError(f"{self._path}: {error.strerror}; make room, or check its owner") from error

    def _record(self, entry: AuditEntry) -> Mapping[str, Any]:
        if self._last is None:
            self._last = self._open()
        number, prev = self._last
        line: dict[str, Any] = {"n": number + 1, **asdict(entry), "prev": prev}
        line["hash"] = hash_of(line)
        file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
        try:
            rest = memoryview(_encoded(line) + b"\n")
            while rest:
                rest = rest[os.write(file, rest) :]
            os.fsync(file)
        except OSError:
            self._last = None  # a part of the line may be there: look again
            raise
        finally:
            os.close(file)
        self._last = line["n"], line["hash"]
        return line

    def _open(self) -> tuple[int, str]:
        """Create the file or cut off a torn line; the number and hash of the last whole line."""
        self._path.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
        file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            end = os.lseek(file, 0, os.SEEK_END)
            whole = _end_of_last_line(file, end)
            if whole < end:
                logger.warning("%s ended in a torn line; it is cut off", self._path)
                os.ftruncate(file, whole)
            os.fsync(file)
        finally:
            os.close(file)
        folder = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        for line in _backwards(self._path):
            try:
                record = json.loads(line)
                return int(record["n"]), str(record["hash"])
            except (ValueError, KeyError, TypeError):
                logger.error("%s has an unreadable last line: somebody else wrote there", self._path)
        return 0, START

    def _entries(self, before: int | None, limit: int) -> tuple[list[Mapping[str, Any]], bool]:
        found: list[Mapping[str, Any]] = []
        for line in _backwards(self._path):
            try:
                record = json.loads(line)
                number = int(record["n"])
            except (ValueError, KeyError, TypeError):
                continue
            if before is not None and number >= before:
                continue
            if len(found) == limit:
                return found, True
            found.append(record)
        return found, False


def verify(path: Path) -> str:
    """Where the chain is broken first, as a sentence; empty when it is whole."""
    number, prev = 0, START
    try:
        with path.open("rb") as file:
            for line in file:
                if not line.endswith(b"\n"):
                    return ""  # torn: cut off before the next line is written
                try:
                    record = json.loads(line)
                    links = record["n"] == number + 1, record["prev"] == prev, record["hash"] == hash_of(record)
                except (ValueError, KeyError, TypeError):
                    return f"the line after number {number} cannot be read"
                if not all(links):
                    return f"the line after number {number} is not the one that was written there"
                number, prev = record["n"], record["hash"]
    except FileNotFoundError:
        return ""
    return ""


def hash_of(record: Mapping[str, Any]) -> str:
    """The SHA-256 of a line's fields but its own hash."""
    return hashlib.sha256(_encoded({key: value for key, value in record.items() if key != "hash"})).hexdigest()


def _encoded(record: Mapping[str, Any]) -> bytes:
    return json.dumps(record, separators=(",", ":"), default=_plain).encode()


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"cannot store {type(value).__name__}")


def _end_of_last_line(file: int, end: int) -> int:
    """Where the last whole line ends."""
    while end > 0:
        start = max(0, end - _BLOCK)
        found = os.pread(file, end - start, start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        end = start
    return 0


def _backwards(path: Path) -> Iterator[bytes]:
    """The whole lines of a file, the last one first, without their newlines."""
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return
    with file:
        position = file.seek(0, os.SEEK_END)
        rest = b""
        torn = True  # what stands behind the last newline
        while position > 0:
            start = max(0, position - _BLOCK)
            file.seek(start)
            lines = (file.read(position - start) + rest).split(b"\n")
            position = start
            rest = lines[0]
            for line in reversed(lines[1:]):
                if torn:
                    torn = False
                    continue
                if line:
                    yield line
        if rest and not torn:
            yield rest
