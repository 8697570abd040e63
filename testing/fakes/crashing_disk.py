"""A disk in memory that can fail or lose its power at any write, fsync, truncate, rename or removal.

What was not fsynced is lost in part: a write may be missing, torn, or have its blocks in the wrong order (zeros where
the data should be); a rename, creation or removal whose folder was not synced may be undone, the latest first. After a
failed fsync the pages count as clean although they may never have been written, as Linux does it.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from pipecatapp.errors import StorageError

Fault = Literal["power", "error"]


class PowerCutError(BaseException):
    """The machine is gone. Nothing may catch this: the process has ended."""


@dataclass
class _Inode:
    content: bytearray = field(default_factory=bytearray)
    durable: bytes = b""
    # (offset, data) of a write, (size, None) of a truncation; not yet durable.
    pending: list[tuple[int, bytes | None]] = field(default_factory=list)
    # Ranges that a failed fsync has given up: in the page cache, clean, and maybe not on the platter.
    given_up: list[tuple[int, int]] = field(default_factory=list)


class CrashingDisk:
    """``Files`` with a fault planned at the nth operation that changes the disk."""

    def __init__(self, seed: int = 0) -> None:
        self.random = random.Random(seed)
        self.operations: list[str] = []
        self._names: dict[Path, _Inode] = {}
        self._durable_names: dict[Path, _Inode] = {}
        self._changes: list[tuple[Path, _Inode | None]] = []
        self._locked: set[Path] = set()
        self._faults: dict[int, Fault] = {}
        self._power = True

    def plan(self, after: int, fault: Fault) -> None:
        """Let the operation number ``after`` from now (the first is 0) fail, or be the last before the power cut."""
        self._faults[len(self.operations) + after] = fault

    def cut_power(self) -> None:
        """Lose what was not synced, in part and at random, and come back with what is on the platter."""
        kept = self.random.randint(0, len(self._changes))
        names = dict(self._durable_names)
        for path, inode in self._changes[:kept]:
            _enter(names, path, inode)
        for inode in {id(inode): inode for inode in names.values()}.values():
            content = self._survivor(inode)
            inode.content, inode.durable = bytearray(content), content
            inode.pending, inode.given_up = [], []
        self._names, self._durable_names, self._changes = dict(names), dict(names), []
        self._locked, self._faults, self._power = set(), {}, True

    def kill_process(self) -> None:
        """End the process alone: the page cache stays as it is, the locks go."""
        self._locked, self._faults, self._power = set(), {}, True

    def write_file(self, path: Path, content: bytes) -> None:
        """Put a file there, durable, as another program would have."""
        inode = _Inode(bytearray(content), content)
        self._names[path] = self._durable_names[path] = inode

    def read_file(self, path: Path) -> bytes:
        """The content as a running process sees it."""
        return bytes(self._inode(path).content)

    def names(self) -> list[str]:
        """The names of all files."""
        return sorted(path.name for path in self._names)

    def make_folder(self, folder: Path) -> None:
        self._alive()

    def lock(self, path: Path) -> _Lock:
        self._alive()
        if path in self._locked:
            raise StorageError(f"{path} is locked")
        self._locked.add(path)
        return _Lock(self._locked, path)

    def exists(self, path: Path) -> bool:
        self._alive()
        return path in self._names

    def lines(self, path: Path) -> Iterator[bytes]:
        self._alive()
        *whole, rest = bytes(self._inode(path).content).split(b"\n")
        yield from (line + b"\n" for line in whole)
        if rest:
            yield rest

    def chunks(self, path: Path) -> Iterator[bytes]:
        self._alive()
        yield bytes(self._inode(path).content)

    def create(self, path: Path) -> _Output:
        self._step("create")
        inode = _Inode()
        self._enter(path, inode)
        return _Output(self, inode)

    def append(self, path: Path) -> _Output:
        self._alive()
        return _Output(self, self._inode(path))

    def rename(self, source: Path, target: Path) -> None:
        self._step("rename")
        inode = self._inode(source)
        # One journal entry each, in an order in which no content is ever without a name.
        self._enter(target, inode)
        self._enter(source, None)

    def remove(self, path: Path) -> None:
        self._alive()
        if path in self._names:
            self._step("remove")
            self._enter(path, None)

    def sync_folder(self, folder: Path) -> None:
        self._step("sync_folder")
        self._durable_names, self._changes = dict(self._names), []

    def _enter(self, path: Path, inode: _Inode | None) -> None:
        _enter(self._names, path, inode)
        self._changes.append((path, inode))

    def _inode(self, path: Path) -> _Inode:
        if path not in self._names:
            raise FileNotFoundError(path)
        return self._names[path]

    def _alive(self) -> None:
        if not self._power:
            raise PowerCutError

    def _step(self, name: str) -> None:
        """Count the operation and let the planned fault happen, before it takes effect."""
        self._alive()
        number = len(self.operations)
        self.operations.append(name)
        if fault := self._faults.get(number):
            if fault == "error":
                raise OSError(28, f"planned fault at {name}")
            self._power = False
            raise PowerCutError

    def _survivor(self, inode: _Inode) -> bytes:
        content = bytearray(inode.durable)
        done = self.random.randint(0, len(inode.pending))
        for number, (at, data) in enumerate(inode.pending[: done + 1]):
            if data is None:
                if number < done:
                    del content[at:]
                continue
            kept = data if number < done else data[: self.random.randint(0, len(data))]
            if kept and self.random.random() < 0.3:
                hole = self.random.randint(0, len(kept))
                kept = bytes(hole) + kept[hole:]
            content[at : at + len(kept)] = kept
        return bytes(content)


class _Output:
    def __init__(self, disk: CrashingDisk, inode: _Inode) -> None:
        self._disk, self._inode = disk, inode

    def write(self, data: bytes) -> None:
        try:
            self._disk._step("write")
        except (OSError, PowerCutError):
            # It got as far as it got.
            self._apply(data[: self._disk.random.randint(0, len(data))])
            raise
        self._apply(data)

    def sync(self) -> None:
        try:
            self._disk._step("sync")
        except OSError:
            inode = self._inode
            inode.given_up += [(at, at + len(data)) for at, data in inode.pending if data is not None]
            raise
        self._inode.durable, self._inode.pending = self._on_the_platter(), []

    def _on_the_platter(self) -> bytes:
        content = bytearray(self._inode.content)
        for start, end in self._inode.given_up:
            if self._disk.random.random() < 0.5:
                content[start:end] = bytes(len(content[start:end]))
        return bytes(content)

    def truncate(self, size: int) -> None:
        self._disk._step("truncate")
        del self._inode.content[size:]
        self._inode.pending.append((size, None))
        self._inode.given_up = [(start, min(end, size)) for start, end in self._inode.given_up if start < size]

    def close(self) -> None:
        self._disk._alive()

    def _apply(self, data: bytes) -> None:
        self._inode.pending.append((len(self._inode.content), data))
        self._inode.content += data


class _Lock:
    def __init__(self, locked: set[Path], path: Path) -> None:
        self._locked, self._path = locked, path

    def release(self) -> None:
        self._locked.discard(self._path)


def _enter(names: dict[Path, _Inode], path: Path, inode: _Inode | None) -> None:
    if inode is None:
        names.pop(path, None)
    else:
        names[path] = inode
