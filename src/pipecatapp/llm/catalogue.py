"""The models of ``models.yaml``: what they are, where they come from, which of them suit this PC, which are here."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from pipecatapp.errors import ConfigurationError, UnknownChoiceError
from pipecatapp.machine import CpuClass, Machine

Purpose = Literal["main", "stt", "tts", "embedding", "vision"]
PURPOSES: tuple[Purpose, ...] = ("main", "stt", "tts", "embedding", "vision")
# What a model may take of a PC's memory; the rest is for speech, the app and the system.
RAM_SHARE = 0.7

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Piece(_Strict):
    """A member of a wheel of the package index, that is a file of a model or a stretch of one.

    Attributes:
        wheel: project and exact version.
        sha256: of the wheel.
        member: its name in the archive; nothing is ever written to a path of that name.
    """

    wheel: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*==[A-Za-z0-9][A-Za-z0-9.]*$")]
    sha256: Sha256
    member: str

    @property
    def project(self) -> str:
        """The project's name."""
        return self.wheel.partition("==")[0]

    @property
    def file(self) -> str:
        """The wheel's file name."""
        project, _, version = self.wheel.partition("==")
        return f"{re.sub(r'[-_.]+', '_', project).lower()}-{version}-py3-none-any.whl"


class ModelPart(_Strict):
    """One file of a model. Its checksum is what it is; the rest says where it may be had.

    Attributes:
        size: in bytes, where it is known.
        url: at its publisher's.
        pieces: in the package index, joined in this order.
    """

    name: FileName
    sha256: Sha256
    size: int | None = Field(None, gt=0)
    url: Annotated[str, Field(pattern=r"^https?://")] | None = None
    pieces: tuple[Piece, ...] = ()

    @model_validator(mode="after")
    def _can_be_had(self) -> ModelPart:
        if self.url is None and not self.pieces:
            raise ValueError(f"{self.name} needs url or pieces")
        if self.pieces and self.size is None:
            raise ValueError(f"{self.name} has pieces and needs its size in bytes")
        return self


class Variant(_Strict):
    """One quantization of a model, from the oldest CPU class that it suits.

    Attributes:
        reads_mb: what is read for one token, where that is less than all: of a mixture of experts the active ones.
    """

    quantization: str
    cpu: CpuClass
    size_mb: int
    reads_mb: int | None = Field(None, gt=0)
    files: tuple[ModelPart, ...] = Field(min_length=1)


class Automatic(_Strict):
    """From which PC on a model is taken without being asked for by name."""

    cpu: CpuClass
    cores: int = 1


class Model(_Strict):
    """One model of the catalogue; the fields are explained at the top of ``models.yaml``."""

    name: FileName
    title: str
    licence: str
    ram_mb: int
    context: int | None = None
    prompt_style: Literal["full", "compact"] = "full"
    auto: Automatic | None = None
    variants: tuple[Variant, ...] = Field(min_length=1)

    def variant_for(self, machine: Machine) -> Variant | None:
        """The best variant for this CPU, None when none runs well on it."""
        return next((variant for variant in self.variants if machine.cpu.at_least(variant.cpu)), None)

    def fits(self, machine: Machine) -> bool:
        """Whether it runs here: a variant for the CPU, and memory left for the rest."""
        return self.variant_for(machine) is not None and self.ram_mb <= machine.ram_mb * RAM_SHARE

    def suits(self, machine: Machine) -> bool:
        """Whether this PC is quick enough to take it without being asked."""
        wanted = self.auto
        return bool(
            wanted and self.fits(machine) and machine.cpu.at_least(wanted.cpu) and machine.cores >= wanted.cores
        )


@dataclass(frozen=True, slots=True)
class Entry:
    """A model and what it is for."""

    purpose: Purpose
    model: Model


class Catalogue:
    """All models by purpose, best first."""

    def __init__(self, models: dict[Purpose, list[Model]]) -> None:
        self._models = models

    @classmethod
    def load(cls, path: Path) -> Catalogue:
        """Read and check a ``models.yaml``.

        Raises:
            ConfigurationError: it cannot be read or says something wrong; the text names the place.
        """
        try:
            data = yaml.safe_load(path.read_text())
            models = {
                purpose: [Model.model_validate(item) for item in data.get(f"{purpose}_models") or []]
                for purpose in PURPOSES
            }
        except OSError as error:
            raise ConfigurationError(f"the catalogue {path} cannot be read: {error.strerror}") from error
        except (yaml.YAMLError, AttributeError) as error:
            raise ConfigurationError(f"the catalogue {path} is no YAML mapping: {error}") from error
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(str(part) for part in first["loc"])
            raise ConfigurationError(f"the catalogue {path} is wrong at {place}: {first['msg']}") from error
        return cls(models)

    def __iter__(self) -> Iterator[Entry]:
        for purpose in PURPOSES:
            for model in self._models.get(purpose, []):
                yield Entry(purpose, model)

    def find(self, name: str) -> Entry:
        """The model of that name.

        Raises:
            UnknownChoiceError: there is none; lists the names.
        """
        for entry in self:
            if entry.model.name == name:
                return entry
        raise UnknownChoiceError("model", name, [entry.model.name for entry in self])

    def of(self, purpose: Purpose) -> list[Model]:
        """The models for a purpose, best first."""
        return list(self._models.get(purpose, []))

    def shared_files(self) -> set[str]:
        """The checksums of files that more than one model has."""
        sums = Counter(sha for entry in self for sha in {part.sha256 for v in entry.model.variants for part in v.files})
        return {sha for sha, models in sums.items() if models > 1}

    def for_machine(self, machine: Machine) -> list[Entry]:
        """The best model for each purpose that this PC takes without being asked."""
        return [Entry(purpose, models[0]) for purpose in PURPOSES if (models := self.suiting(purpose, machine))]

    def suiting(self, purpose: Purpose, machine: Machine) -> list[Model]:
        """The models for a purpose that this PC takes without being asked, best first."""
        return [model for model in self.of(purpose) if model.suits(machine)]


def installed_variant(models: Path, model: Model) -> Variant | None:
    """The variant whose files are all here. Files appear under their name only when whole."""
    folder = models / model.name
    return next((v for v in model.variants if all((folder / part.name).is_file() for part in v.files)), None)
