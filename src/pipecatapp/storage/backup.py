"""A backup: everything that must survive, in one compressed archive that says its form and its end.

Its entries are files and folders below ``settings/`` (what people edit), ``state/`` (what the agent keeps) and
``vault/`` (the secrets of a cluster), between ``manifest.json`` and ``end``. There are no links and no devices in it,
and none is made of it: whoever could write the state folder cannot lead root elsewhere.
"""

from __future__ import annotations

import contextlib
import grp
import io
import json
import os
import shutil
import stat
import tarfile
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from pipecatapp.errors import StorageError

FORMAT = 1
_MANIFEST, _END = "manifest.json", "end"
_CHUNK = 1 << 20
_BROKEN = (tarfile.TarError, zlib.error, EOFError, OSError)
# What is below a part: the name in it, the entry, its content where it is a file.
Entries = Iterator[tuple[PurePosixPath, tarfile.TarInfo, IO[bytes] | None]]


@dataclass(frozen=True, slots=True)
class Manifest:
    """What an archive says of itself. ``made_at`` in seconds since 1970."""

    format: int
    version: str
    made_at: float
    parts: tuple[str, ...]


class BackupWriter:
    """Writes an archive; ``finish`` makes it whole.

    Args:
        file: where to.
        manifest: its first entry; None for an archive that is only a part of another one.
    """

    def __init__(self, file: IO[bytes], manifest: Manifest | None = None) -> None:
        self._plain = manifest is None
        self._tar = tarfile.open(fileobj=file, mode="w|" if manifest is None else "w:gz", format=tarfile.PAX_FORMAT)  # noqa: SIM115
        if manifest is not None:
            self._add_bytes(_MANIFEST, json.dumps(asdict(manifest)).encode())

    def add_folder(self, name: str, folder: Path, leave_out: Callable[[str], bool] = lambda _: False) -> int:
        """Add what is in a folder, below ``name``; how many files. Links and what is no file are left out."""
        count = 0
        for place, folders, files, descriptor in os.fwalk(folder, follow_symlinks=False):
            inside = PurePosixPath(place).relative_to(folder)
            folders[:] = sorted(one for one in folders if not leave_out(str(inside / one)))
            self.add_entry(_entry(str(PurePosixPath(name) / inside), os.fstat(descriptor), tarfile.DIRTYPE), None)
            for one in sorted(files):
                if not leave_out(str(inside / one)):
                    count += self._add_file(str(PurePosixPath(name) / inside / one), one, descriptor)
        return count

    def add_file(self, name: str, file: Path) -> None:
        """Add one file under this name."""
        self._add_file(name, str(file), None)

    def add_entry(self, entry: tarfile.TarInfo, content: IO[bytes] | None) -> None:
        """Add an entry of another archive."""
        self._tar.addfile(entry, content)

    def finish(self) -> None:
        """Mark the end, without which nobody takes it for whole."""
        if not self._plain:
            self._add_bytes(_END, b"")
        self._tar.close()

    def _add_file(self, name: str, path: str, folder: int | None) -> int:
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
        except PermissionError:
            raise
        except OSError:
            return 0  # gone by now, or a link
        with os.fdopen(descriptor, "rb") as file:
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode):
                return 0
            self._tar.addfile(_entry(name, found, tarfile.REGTYPE), file)
        return 1

    def _add_bytes(self, name: str, content: bytes) -> None:
        entry = tarfile.TarInfo(name)
        entry.size, entry.mode, entry.mtime = len(content), 0o600, int(time.time())
        self._tar.addfile(entry, io.BytesIO(content))


def _entry(name: str, found: os.stat_result, kind: bytes) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type, entry.mode, entry.mtime = kind, stat.S_IMODE(found.st_mode), int(found.st_mtime)
    entry.size = found.st_size if kind == tarfile.REGTYPE else 0
    with contextlib.suppress(KeyError):
        entry.gname = grp.getgrgid(found.st_gid).gr_name
    return entry


class BackupReader:
    """Reads an archive.

    Raises:
        StorageError: it is none, or one in a newer form.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._tar = _opened(file, "r:gz")
        first = _following(self._tar)
        if first is None or first.name != _MANIFEST:
            raise StorageError("the file is no backup of this program")
        content = self._tar.extractfile(first)
        try:
            said = json.loads(content.read(_CHUNK) if content else b"")
            form = int(said["format"])
            if form > FORMAT:
                raise StorageError(
                    f"the backup was made by version {said['version']}, in a newer form; update this program, then"
                    " restore it"
                )
            self.manifest = Manifest(form, str(said["version"]), float(said["made_at"]), tuple(map(str, said["parts"])))
        except (ValueError, KeyError, TypeError, *_BROKEN) as error:
            raise StorageError("the file is no backup of this program, or the beginning of one") from error

    def entries(self, part: str) -> Entries:
        """The entries below a part, with their names in it.

        Raises:
            StorageError: the archive is torn, or has what no backup has.
        """
        whole = False
        while (entry := _following(self._tar)) is not None:
            whole = whole or entry.name == _END
            named = _named(entry)
            if named is not None and named[0] == part:
                yield named[1], entry, self._tar.extractfile(entry) if entry.isreg() else None
        if not whole or not self._is_read_to_its_end():
            raise StorageError("the backup is torn: its end is missing; take another one")

    def _is_read_to_its_end(self) -> bool:
        """Whether what is behind the last entry is there: the checksum of the compressed file is among it."""
        try:
            while self._tar.fileobj is not None and self._tar.fileobj.read(_CHUNK):
                pass
        except _BROKEN:
            return False
        return True


def entries_of_part(file: IO[bytes], part: str) -> Entries:
    """The entries of an archive that is only a part of another one, as another user sends them through a pipe."""
    tar = _opened(file, "r|")
    while (entry := _following(tar)) is not None:
        named = _named(entry)
        if named is None or named[0] != part:
            raise StorageError(f"{entry.name!r} does not belong into the part {part}")
        yield named[1], entry, tar.extractfile(entry) if entry.isreg() else None


def _following(tar: tarfile.TarFile) -> tarfile.TarInfo | None:
    try:
        return tar.next()
    except _BROKEN as error:
        raise StorageError(f"the backup cannot be read: {error}; take another one") from error


def _opened(file: IO[bytes], mode: str) -> tarfile.TarFile:
    try:
        return tarfile.open(fileobj=file, mode=mode)  # type: ignore[call-overload, no-any-return]
    except _BROKEN as error:
        raise StorageError(f"the file is no backup of this program ({error})") from error


def _named(entry: tarfile.TarInfo) -> tuple[str, PurePosixPath] | None:
    """The part of an entry and its name in it; None for what stands around the parts."""
    path = PurePosixPath(entry.name)
    if entry.name in (_MANIFEST, _END):
        return None
    if path.is_absolute() or ".." in path.parts or not path.parts or not (entry.isreg() or entry.isdir()):
        raise StorageError(f"the backup has an entry that no backup has: {entry.name!r}; do not use it")
    return path.parts[0], PurePosixPath(*path.parts[1:])


def unpack(entries: Entries, folder: Path, *, keep_group: bool = False) -> int:
    """Write entries into a folder that is new and ours; how many files there are. Owners are who runs this.

    Args:
        keep_group: the files belong to the archive's groups, where this machine has such.
    """
    count = 0
    modes: list[tuple[Path, int]] = []
    for name, entry, content in entries:
        path = folder / name
        mode = entry.mode & 0o755
        if content is None:
            path.mkdir(mode=0o700, exist_ok=path == folder)
            modes.append((path, mode))
            continue
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            shutil.copyfileobj(content, file, _CHUNK)
            if keep_group:
                os.fchown(descriptor, -1, _group(entry.gname))
            os.fchmod(descriptor, mode)
        os.utime(path, (entry.mtime, entry.mtime))
        count += 1
    for path, mode in reversed(modes):
        path.chmod(mode)
    return count


def _group(name: str) -> int:
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        return -1
