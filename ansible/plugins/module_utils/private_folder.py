"""A folder of secrets: for its owner alone, each file whole or not there, one writer at a time."""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import yaml

_UNFINISHED = ".unfinished-"


class VaultError(Exception):
    """The vault cannot be used as it is; the text says why and what to do."""


class PrivateFolder:
    """The folder. ``dry``: nothing is written, what would be made lives in memory."""

    def __init__(self, path: Path, *, dry: bool = False) -> None:
        self.path = path
        self.made: list[str] = []
        self._dry = dry
        self._unwritten: dict[str, bytes] = {}

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """The folder, made where it is missing, and nobody else in it."""
        if self._dry and not self.path.exists():
            yield
            return
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        _refuse_public(self.path, stat.S_ISDIR)
        lock = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not self._dry:
                self._sweep()
            yield
        finally:
            os.close(lock)

    def read(self, name: str) -> bytes | None:
        """A file's content; None where there is none."""
        if name in self._unwritten:
            return self._unwritten[name]
        path = self.path / name
        try:
            _refuse_public(path, stat.S_ISREG)
            return path.read_bytes()
        except FileNotFoundError:
            return None

    def mapping(self, name: str) -> dict[str, Any]:
        """What a file of YAML maps; empty where there is none.

        Raises:
            VaultError: it cannot be read as such.
        """
        try:
            found = yaml.safe_load(self.read(name) or b"{}")
        except yaml.YAMLError:
            found = None
        if not isinstance(found, dict):
            raise VaultError(f"{self.path}/{name} cannot be read; restore the vault from a backup (pipecatapp restore)")
        return found

    def write(self, name: str, content: bytes) -> None:
        """Replace a file: whole or not at all, readable by the owner alone."""
        self.made.append(name)
        if self._dry:
            self._unwritten[name] = content
            return
        path = self.path / name
        for folder in reversed(path.relative_to(self.path).parents[:-1]):
            (self.path / folder).mkdir(mode=0o700, exist_ok=True)
            _refuse_public(self.path / folder, stat.S_ISDIR)
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=_UNFINISHED)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
        _sync(path.parent)

    def remove(self, name: str) -> None:
        """Remove a file that need not be there, and with the last one its folder."""
        path = self.path / name
        if path.exists() and not self._dry:
            path.unlink()
            _sync(path.parent)
            if path.parent != self.path and not any(path.parent.iterdir()):
                path.parent.rmdir()
                _sync(path.parent.parent)

    def _sweep(self) -> None:
        """Remove what a crash left half written."""
        for leftover in self.path.rglob(f"{_UNFINISHED}*"):
            leftover.unlink()


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _refuse_public(path: Path, is_kind: Callable[[int], bool]) -> None:
    found = path.lstat()
    if not is_kind(found.st_mode):
        raise VaultError(f"{path} is not what belongs there; move it away and restore the vault from a backup")
    if found.st_uid != os.geteuid():
        raise VaultError(f"{path} belongs to another user; run as that user, or: chown -R {os.geteuid()} {path}")
    if found.st_mode & 0o077:
        raise VaultError(f"others can read {path}; if nobody did: chmod -R go= {path}, else make all secrets anew, too")
