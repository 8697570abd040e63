"""The few file operations that the memory's durability rests on, as a seam: tests put a disk there that crashes.

The rules of the house: what is acknowledged has been fsynced; a file is replaced by writing another one, fsyncing it,
renaming it over the old one and fsyncing the folder.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Protocol

from pipecatapp.errors import StorageError


class OutputFile(Protocol):
    """A file that is being written. Every method raises OSError."""

    def write(self, data: bytes) -> None:
        """Add bytes at the end."""

    def sync(self) -> None:
        """Return when everything written so far survives a power cut."""

    def truncate(self, size: int) -> None:
        """Cut the file to ``size`` bytes."""

    def close(self) -> None:
        """Let go of it. Promises nothing about durability."""


class Lock(Protocol):
    """Held until ``release``, or until the process ends in whatever way."""

    def release(self) -> None:
        """Let the next one in."""


class Files(Protocol):
    """A file system. Every method raises OSError; ``lock`` StorageError when another process has the lock."""

    def make_folder(self, folder: Path) -> None:
        """Create it and its parents where they are missing."""

    def lock(self, path: Path) -> Lock:
        """Take the lock that this file stands for, at once or not at all."""

    def exists(self, path: Path) -> bool:
        """Whether something has that name."""

    def lines(self, path: Path) -> Iterator[bytes]:
        """The lines with their newline; the last one may lack it."""

    def chunks(self, path: Path) -> Iterator[bytes]:
        """The content in pieces of at most a megabyte."""

    def create(self, path: Path) -> OutputFile:
        """An empty file, in place of what had that name."""

    def append(self, path: Path) -> OutputFile:
        """The existing file, to add to its end."""

    def rename(self, source: Path, target: Path) -> None:
        """Move ``source`` over ``target``; everyone sees either the old or the new file."""

    def remove(self, path: Path) -> None:
        """Delete the file; nothing happens when there is none."""

    def sync_folder(self, folder: Path) -> None:
        """Return when all creations, renames and removals in the folder survive a power cut."""


class RealFiles:
    """The operating system's files. New ones are readable for their owner alone: people's memories lie in them."""

    def make_folder(self, folder: Path) -> None:
        """Create it and its parents where they are missing, closed to other users."""
        folder.mkdir(mode=0o750, parents=True, exist_ok=True)

    def lock(self, path: Path) -> Lock:
        """Take an flock on the file; its content is the holder's process id."""
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip()
            os.close(descriptor)
            raise StorageError(
                f"{path} is locked by process {holder or 'unknown'}; stop that one first (only one may use a memory)"
            ) from None
        except OSError:
            os.close(descriptor)
            raise
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        return _RealLock(descriptor)

    def exists(self, path: Path) -> bool:
        """Whether something has that name, a dangling link too."""
        return os.path.lexists(path)

    def lines(self, path: Path) -> Iterator[bytes]:
        """The lines with their newline, read as they are asked for."""
        with path.open("rb", buffering=1 << 20) as file:
            yield from file

    def chunks(self, path: Path) -> Iterator[bytes]:
        """The content, read as it is asked for."""
        with path.open("rb", buffering=0) as file:
            while chunk := file.read(1 << 20):
                yield chunk

    def create(self, path: Path) -> OutputFile:
        """An empty file that only its owner can read."""
        return _RealOutput(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)

    def append(self, path: Path) -> OutputFile:
        """The existing file, every write going to its end."""
        return _RealOutput(path, os.O_WRONLY | os.O_APPEND)

    def rename(self, source: Path, target: Path) -> None:
        """Atomic on one file system."""
        source.replace(target)

    def remove(self, path: Path) -> None:
        """Delete the file if it is there."""
        path.unlink(missing_ok=True)

    def sync_folder(self, folder: Path) -> None:
        """Fsync the folder itself."""
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


class _RealLock:
    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def release(self) -> None:
        # The file stays: removing it would let two processes lock two files of the same name.
        os.close(self._descriptor)


class _RealOutput:
    def __init__(self, path: Path, flags: int) -> None:
        self._file: IO[bytes] = os.fdopen(os.open(path, flags | os.O_CLOEXEC, 0o600), "wb", buffering=0)

    def write(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            rest = rest[self._file.write(rest) :]

    def sync(self) -> None:
        os.fsync(self._file.fileno())

    def truncate(self, size: int) -> None:
        os.ftruncate(self._file.fileno(), size)

    def close(self) -> None:
        self._file.close()


def set_aside(files: Files, path: Path, why: str, now: float) -> Path:
    """Give the file a name that says why and when, so that nothing overwrites it."""
    target = _free_name(files, path, why, now)
    files.rename(path, target)
    files.sync_folder(path.parent)
    return target


def keep_copy(files: Files, path: Path, why: str, now: float) -> Path:
    """Copy the file to a name that says why and when; the original stays in use."""
    target = _free_name(files, path, why, now)
    output = files.create(target)
    try:
        for chunk in files.chunks(path):
            output.write(chunk)
        output.sync()
    finally:
        output.close()
    files.sync_folder(path.parent)
    return target


def _free_name(files: Files, path: Path, why: str, now: float) -> Path:
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now))
    target = path.with_name(f"{path.name}.{why}-{stamp}")
    number = 1
    while files.exists(target):
        number += 1
        target = path.with_name(f"{path.name}.{why}-{stamp}-{number}")
    return target
