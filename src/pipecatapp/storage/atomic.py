"""Files that are there whole or not at all, whatever ends the program or the machine.

A file is replaced by writing another one beside it, syncing it, renaming it over the old one and syncing the folder:
when the call returns, the new content survives a power cut; before, it is the old or the new. A line is appended with
one write on a line of its own. What a cut left under a temporary name (``.NAME.*.new``) is removed by the next writer.

Everything here blocks on the disk and raises OSError.
"""

from __future__ import annotations

import contextlib
import glob
import os
import secrets
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

# Left behind by a cut, a temporary file is older than any write could last.
_ABANDONED_S = 3600.0


def sync_folder(folder: Path) -> None:
    """Return when all creations, renames and removals in the folder survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_folder(folder: Path, mode: int = 0o750) -> None:
    """Create the folder and its parents where they are missing, each one's name synced in the one above."""
    if folder.is_dir():
        return
    make_folder(folder.parent, mode)
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=mode)
        sync_folder(folder.parent)


@contextlib.contextmanager
def replacing(path: Path, mode: int = 0o600) -> Iterator[IO[bytes]]:
    """A binary file to write the new content of ``path`` to; it takes the place of the old one when the block ends.

    Where the block raises, the old file stays and the new one is removed. ``mode`` is exact: no umask changes it, and
    nobody whom it shuts out can read the file at any moment.
    """
    with _fresh(path, mode) as (fresh, file):
        yield file
        sync_file(file)
        fresh.replace(path)
    sync_folder(path.parent)


def replace_file(path: Path, content: bytes | str, mode: int = 0o600) -> None:
    """Let this be the content of the file, which has exactly these permissions; readers see the old or the new."""
    with replacing(path, mode) as file:
        file.write(content.encode() if isinstance(content, str) else content)


def create_file(path: Path, content: bytes | str, mode: int = 0o600, owner: os.stat_result | None = None) -> bool:
    """Create the file whole; False, and nothing happens, where something has that name: of two at once one wins.

    ``owner``: whose it becomes (what ``stat`` says of another file).
    """
    with _fresh(path, mode) as (fresh, file):
        file.write(content.encode() if isinstance(content, str) else content)
        if owner is not None:
            os.fchown(file.fileno(), owner.st_uid, owner.st_gid)
        sync_file(file)
        try:
            path.hardlink_to(fresh)
        except FileExistsError:
            return False
    sync_folder(path.parent)
    return True


def move(source: Path, target: Path) -> None:
    """Give a finished file or folder, contents and all, another name on its file system, in place of what had it."""
    for path in [source, *source.rglob("*")] if source.is_dir() else [source]:
        if path.is_symlink():
            continue
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    source.replace(target)
    sync_folder(target.parent)
    if source.parent != target.parent:
        sync_folder(source.parent)


def remove(path: Path) -> None:
    """Delete the file, so that a power cut does not bring it back; nothing happens when there is none."""
    with contextlib.suppress(FileNotFoundError):
        path.unlink()
        sync_folder(path.parent)


def append_lines(path: Path, lines: bytes, mode: int = 0o600, *, sync: bool = True) -> None:
    """Add whole lines at the end of a file, which is created with these permissions where it is missing.

    Behind what a kill tore they begin on a line of their own. ``sync`` False: they are there after a kill, perhaps not
    after a power cut.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, mode)
    try:
        end = os.lseek(descriptor, 0, os.SEEK_END)
        rest = memoryview(b"\n" + lines if end and os.pread(descriptor, 1, end - 1) != b"\n" else lines)
        while rest:
            rest = rest[os.write(descriptor, rest) :]
        if sync:
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
    if sync and not end:
        sync_folder(path.parent)


@contextlib.contextmanager
def _fresh(path: Path, mode: int) -> Iterator[tuple[Path, IO[bytes]]]:
    """A new file beside ``path``; what still has its temporary name afterwards is removed."""
    make_folder(path.parent)
    _remove_abandoned(path)
    fresh = path.with_name(f".{path.name}.{secrets.token_hex(4)}.new")
    # For us alone until it has the permissions that it shall have.
    descriptor = os.open(fresh, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(descriptor, mode)
            yield fresh, file
    finally:
        fresh.unlink(missing_ok=True)


def sync_file(file: IO[bytes]) -> None:
    """Have what was written so far survive a power cut."""
    file.flush()
    os.fsync(file.fileno())


def _remove_abandoned(path: Path) -> None:
    """Delete what writers that were killed left of this file."""
    for old in path.parent.glob(f".{glob.escape(path.name)}.*.new"):
        with contextlib.suppress(OSError):
            if time.time() - old.stat().st_mtime > _ABANDONED_S:
                old.unlink()
