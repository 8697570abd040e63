"""What an expert is, as the job's file says it, and where this rank of it is, as Nomad's environment says it."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from pipecatapp.errors import ConfigurationError
from pipecatapp.llm.gguf import split_parts
from pipecatapp.machine import CpuClass

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,100}$")]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class EngineKind(StrEnum):
    """The ways to run a model, the fastest first."""

    PLAIN = "plain"
    RPC = "rpc"
    RING = "ring"


class ModelWish(BaseModel):
    """One model that the expert may run; of the list the first that can be run is.

    Attributes:
        file: its (first) file, below ``models_dir/name``, or an absolute path.
        files: all files of a model in parts, by name; empty: they follow from ``file``.
        sha256: of each file, by name; of a file without one the ranks are compared with each other.
        size: of all files, in bytes; 0: nobody said.
        context: most tokens that are worth their memory.
        cpu: the oldest class of CPU that it suits.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    name: Name
    file: str
    files: tuple[Name, ...] = ()
    sha256: Mapping[str, Sha256] = {}
    size: Annotated[int, Field(ge=0)] = 0
    context: Annotated[int, Field(gt=0)] | None = None
    cpu: CpuClass = CpuClass.CORE2

    @field_validator("file")
    @classmethod
    def _is_a_file(cls, value: str) -> str:
        path = Path(value)
        if path.suffix != ".gguf" or ".." in path.parts or (not path.is_absolute() and len(path.parts) > 1):
            raise ValueError(f"{value!r} is no name of a .gguf file")
        return value

    def path(self, models_dir: Path) -> Path:
        """Where its first file is, or will be."""
        return models_dir / self.name / self.file

    def paths(self, models_dir: Path) -> tuple[Path, ...]:
        """Where all of its files are, the first one first."""
        first = self.path(models_dir)
        return tuple(first.with_name(name) for name in self.files) or split_parts(first)


class Programs(BaseModel):
    """The engines' programs; one that is not named, or not there, is an engine that cannot be used."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    llama_server: Path | None = None
    rpc_server: Path | None = None
    prima_server: Path | None = None

    @property
    def prima_rank(self) -> Path | None:
        """What the ranks of a ring behind the first one run; it is built beside the server."""
        return self.prima_server.with_name("llama-cli") if self.prima_server else None


class ConsulAt(BaseModel):
    """The Consul agent of this machine."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    address: str
    ca_file: Path | None = None
    token_file: Path | None = None


class ExpertSpec(BaseModel):
    """One expert. The file holds no secret: keys and tokens lie in files of their own.

    Attributes:
        worker_count: machines that it may use.
        models: in order of wish.
        models_dir: below it the models lie, each in a folder of its name.
        context: tokens for each request.
        parallel: requests at a time.
        reserve_mb: of the memory that each machine has free when the expert starts, what stays free.
        engines: which ways to run it are allowed.
        state_dir: in a folder of the job's name below it are logs, checksums and the tensors that an RPC server keeps.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    job_name: Name
    service_name: Name
    worker_count: int = Field(1, ge=0)
    models: tuple[ModelWish, ...] = Field(min_length=1)
    models_dir: Path
    context: int = Field(4096, gt=0)
    parallel: int = Field(1, ge=1, le=16)
    programs: Programs = Programs()
    reserve_mb: int = Field(700, ge=0)
    engines: frozenset[EngineKind] = frozenset(EngineKind)
    consul: ConsulAt | None = None
    api_key_file: Path
    state_dir: Path = Path("/var/lib/pipecatapp/experts")

    @property
    def folder(self) -> Path:
        """What this machine keeps of this expert and of no other."""
        return self.state_dir / self.job_name

    def wish(self, name: str) -> ModelWish | None:
        """The model of this name."""
        return next((wish for wish in self.models if wish.name == name), None)

    def context_of(self, wish: ModelWish, trained: int) -> int:
        """Tokens of context for each request to this model."""
        return min(self.context, wish.context or self.context, trained)


def read_spec(path: Path) -> ExpertSpec:
    """Read the job's file.

    Raises:
        ConfigurationError: it is not there, or says what makes no sense; names the field.
    """
    try:
        return ExpertSpec.model_validate_json(path.read_bytes())
    except OSError as error:
        raise ConfigurationError(f"the expert's file {path} cannot be read: {error.strerror}") from error
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"])) or "the file"
        raise ConfigurationError(
            f"{path}: {field}: {first['msg']}; deploy the expert again (deploy_expert.yaml writes this file)"
        ) from error


class Place(BaseModel):
    """Where one rank is.

    Attributes:
        rank: 0 is the head.
        run: names this run of this supervisor: another one after each start.
        host: the address that everything of it listens on.
    """

    model_config = ConfigDict(frozen=True)

    rank: int = Field(ge=0)
    run: str
    host: str
    api: int
    control: int
    data: int
    signal: int

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Place:
        """As Nomad tells its tasks.

        Raises:
            ConfigurationError: this is not started by Nomad, or its job lacks a port.
        """
        ports = {label: environment.get(f"NOMAD_PORT_{label}", "") for label in ("api", "control", "data", "signal")}
        missing = [f"NOMAD_PORT_{label}" for label, port in ports.items() if not port.isdigit()]
        host = environment.get("NOMAD_IP_control", "")
        rank = environment.get("NOMAD_ALLOC_INDEX", "")
        missing += [name for name in ("NOMAD_IP_control", "NOMAD_ALLOC_INDEX") if not environment.get(name)]
        if missing or not rank.isdigit() or host in ("0.0.0.0", "::"):  # noqa: S104 - refused, not bound
            raise ConfigurationError(
                f"an expert runs as a job of Nomad, and {', '.join(missing) or 'an address of its own'} is not in the "
                "environment; deploy it with deploy_expert.yaml"
            )
        values = {label: int(port) for label, port in ports.items()}
        run = f"{environment.get('NOMAD_ALLOC_ID', '')[:8]}-{secrets.token_hex(4)}"
        return cls(rank=int(rank), run=run, host=host, **values)
