"""A disk in memory under SQLite that can fail or lose its power at any write, truncation, sync, creation or removal.

It is a VFS of APSW, which brings a SQLite of its own. What was not synced is lost in part: of each pending write any of
its 512-byte sectors may be missing, whatever came after it; the name of a new file may be missing until it was synced,
and a removal without a sync of the folder may be undone. After a failed sync the pages count as clean although they may
never have been written, as Linux does it.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, cast

import apsw

from pipecatapp.storage.database import Connection

Fault = Literal["power", "error"]
ERRORS: tuple[type[Exception], ...] = (apsw.Error,)
SECTOR = 512
_numbers = itertools.count()


class PowerCutError(Exception):
    """The machine is gone: the process that sees this has ended."""


@dataclass
class _Inode:
    content: bytearray = field(default_factory=bytearray)
    durable: bytes = b""
    # (offset, data) of a write, (size, None) of a truncation; not yet durable.
    pending: list[tuple[int, bytes | None]] = field(default_factory=list)

    def written(self, keeps: Callable[[], bool] = lambda: True) -> bytes:
        """What is on the platter when those sectors and truncations are written that ``keeps`` says yes to."""
        content = bytearray(self.durable)
        for at, data in self.pending:
            if data is None:
                if keeps():
                    del content[at:]
                continue
            for start in range(0, len(data), SECTOR):
                if keeps():
                    _put(content, data[start : start + SECTOR], at + start)
        return bytes(content)


class CrashingDisk:
    """The disk. ``connect`` goes to ``SqliteJournal``; a planned fault happens at the nth operation that changes it."""

    def __init__(self, seed: int = 0) -> None:
        self.random = random.Random(seed)
        self.operations: list[str] = []
        self.powered = True
        self.names: dict[str, _Inode] = {}
        self._durable_names: dict[str, _Inode] = {}
        self._changes: list[tuple[str, _Inode | None]] = []
        self._faults: dict[int, Fault] = {}
        self._life = _Life(self)

    def connect(self, path: Path) -> Connection:
        """A connection to the file of this name."""
        if str(path) not in self.names:  # as the program does: the empty file first, synced with its folder
            self.names[str(path)] = self._durable_names[str(path)] = _Inode()
        return cast("Connection", apsw.Connection(str(path), vfs=self._life.name))

    def plan(self, after: int, fault: Fault) -> None:
        """Let the operation number ``after`` from now (the first is 0) fail, or be the last before the power cut."""
        self._faults[len(self.operations) + after] = fault

    def cut_power(self) -> None:
        """Lose what was not synced, in part and at random, and come back with what is on the platter."""
        names = dict(self._durable_names)
        for name, inode in self._changes[: self.random.randint(0, len(self._changes))]:
            _enter(names, name, inode)
        for inode in {id(inode): inode for inode in names.values()}.values():
            content = self.survivor(inode)
            inode.content, inode.durable, inode.pending = bytearray(content), content, []
        self.names, self._durable_names, self._changes = dict(names), dict(names), []
        self.restart()

    def restart(self) -> None:
        """The process alone has ended: what it wrote is there, and nothing is planned any more."""
        self.restart_files()
        self._faults, self.powered = {}, True

    def restart_files(self) -> None:
        """The files are closed, in whatever way; what is planned stays planned."""
        self._life.dead = True
        self._life = _Life(self)

    def bytes(self) -> bytes:
        """All bytes of all files, as a running process sees them."""
        return b"\0".join(bytes(inode.content) for inode in self.names.values())

    # For the files.

    def step(self, name: str) -> None:
        """Count the operation and let the planned fault happen, before it takes effect."""
        self.alive()
        number = len(self.operations)
        self.operations.append(name)
        if fault := self._faults.get(number):
            if fault == "error":
                raise apsw.IOError(f"planned fault at {name}")
            self.powered = False
            raise PowerCutError

    def alive(self) -> None:
        """Nothing happens on a machine without power."""
        if not self.powered:
            raise PowerCutError

    def enter(self, path: str, inode: _Inode | None, *, synced: bool = False) -> None:
        """Give a file a name, or (None) take the name away."""
        _enter(self.names, path, inode)
        self._changes.append((path, inode))
        if synced:
            self._durable_names, self._changes = dict(self.names), []

    def name_is_durable(self, path: str) -> None:
        """SQLite syncs the folder of a new log with its first sync."""
        if (inode := self.names.get(path)) is not None:
            self._durable_names[path] = inode
            self._changes = [change for change in self._changes if change[0] != path]

    def survivor(self, inode: _Inode) -> bytes:
        """What of a file is on the platter when the power goes."""
        return inode.written(lambda: self.random.random() < 0.5)


class _Life(apsw.VFS):
    """The disk as one life of the process has it. When that is over, nothing it still does has any effect."""

    def __init__(self, disk: CrashingDisk) -> None:
        self.name = f"crashing-{next(_numbers)}"
        self.dead = False
        self.disk = disk
        super().__init__(self.name, "")

    def xOpen(self, name: Any, flags: list[int]) -> Any:  # noqa: N802
        path = name.filename() if isinstance(name, apsw.URIFilename) else (name or f"temporary-{next(_numbers)}")
        if path not in self.disk.names:
            self.disk.step("create")
            self.disk.enter(path, _Inode())
        flags[1] = flags[0]
        return _File(self, path, self.disk.names[path])

    def xDelete(self, filename: str, syncdir: bool) -> None:  # noqa: N802
        if self.dead:
            return
        if filename not in self.disk.names:
            raise apsw.IOError(f"there is no {filename}")
        self.disk.step("delete")
        self.disk.enter(filename, None, synced=syncdir)

    def xAccess(self, pathname: str, flags: int) -> bool:  # noqa: N802
        inode = self.disk.names.get(pathname)
        return inode is not None and (flags != apsw.SQLITE_ACCESS_EXISTS or bool(inode.content))

    def xFullPathname(self, name: str) -> str:  # noqa: N802
        return name


class _File:
    """One open file."""

    def __init__(self, life: _Life, path: str, inode: _Inode) -> None:
        self._life, self._path, self._inode = life, path, inode
        self._disk = life.disk

    def xRead(self, amount: int, offset: int) -> bytes:  # noqa: N802
        if not self._life.dead:
            self._disk.alive()
        return bytes(self._inode.content[offset : offset + amount])

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802
        if self._life.dead:
            return
        try:
            self._disk.step("write")
        except (apsw.Error, PowerCutError):
            # It got as far as it got.
            self._apply(data[: self._disk.random.randint(0, len(data))], offset)
            raise
        self._apply(bytes(data), offset)

    def xTruncate(self, size: int) -> None:  # noqa: N802
        if not self._life.dead:
            self._disk.step("truncate")
            del self._inode.content[size:]
            self._inode.pending.append((size, None))

    def xSync(self, flags: int) -> None:  # noqa: N802
        if self._life.dead:
            return
        try:
            self._disk.step("sync")
        except apsw.Error:
            # The pages are clean now, and perhaps not on the platter: what a later sync says of them is no promise.
            self._inode.durable, self._inode.pending = self._disk.survivor(self._inode), []
            raise
        self._inode.durable, self._inode.pending = self._inode.written(), []
        self._disk.name_is_durable(self._path)

    def xFileSize(self) -> int:  # noqa: N802
        return len(self._inode.content)

    def xClose(self) -> None:  # noqa: N802
        return None

    def xLock(self, level: int) -> None:  # noqa: N802
        return None

    def xUnlock(self, level: int) -> None:  # noqa: N802
        return None

    def xCheckReservedLock(self) -> bool:  # noqa: N802
        return False

    def xFileControl(self, op: int, ptr: int) -> bool:  # noqa: N802
        return False

    def xSectorSize(self) -> int:  # noqa: N802
        return 4096

    def xDeviceCharacteristics(self) -> int:  # noqa: N802
        # As SQLite takes every disk under Linux: a torn write damages nothing beside the bytes that were written.
        return apsw.SQLITE_IOCAP_POWERSAFE_OVERWRITE

    def _apply(self, data: bytes, offset: int) -> None:
        _put(self._inode.content, data, offset)
        self._inode.pending.append((offset, bytes(data)))


def _put(content: bytearray, data: bytes, at: int) -> None:
    content.extend(bytes(max(0, at - len(content))))
    content[at : at + len(data)] = data


def _enter(names: dict[str, _Inode], path: str, inode: _Inode | None) -> None:
    if inode is None:
        names.pop(path, None)
    else:
        names[path] = inode
