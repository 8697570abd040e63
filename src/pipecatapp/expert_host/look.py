"""Looks at this machine: its memory, its programs, the models that are here and are what they should be."""

from __future__ import annotations

import hashlib
import logging
import socket
from collections.abc import Callable, Iterable
from pathlib import Path

import ifaddr

from pipecatapp.errors import ConfigurationError
from pipecatapp.expert_host.facts import HeldModel, NodeFacts
from pipecatapp.expert_host.spec import EngineKind, ExpertSpec, ModelWish, Place
from pipecatapp.expert_host.sums import Sums, disk_mb_s
from pipecatapp.llm.debian import program_of
from pipecatapp.llm.weights import read_weights
from pipecatapp.machine import Machine, available_mb

logger = logging.getLogger(__name__)

# What of a tree decides which build it is.
_LIBRARIES = ("libllama*", "libggml*", "llama/*", "ggml/*/*")


class Look:
    """What this machine has; everything here blocks on the disk.

    Args:
        spec: the expert.
        place: where this rank is.
        machine: this PC.
        sums: of its files.
        memory_mb: memory that a new process could have now.
    """

    def __init__(
        self,
        spec: ExpertSpec,
        place: Place,
        machine: Machine,
        sums: Sums,
        memory_mb: Callable[[], int] = available_mb,
    ) -> None:
        self._spec = spec
        self._machine = machine
        self._sums = sums
        self._memory_mb = memory_mb
        self._facts = NodeFacts(
            name=socket.gethostname(),
            cpu=machine.cpu,
            cores=machine.cores,
            link_mbit_s=_link_mbit_s(place.host),
        )

    def facts(self, own_mb: int = 0) -> NodeFacts:
        """What was seen last, with the memory as it is now; ``own_mb``: what the expert's engine here has of it."""
        return self._facts.model_copy(update={"free_mb": self._memory_mb() + own_mb})

    def look(self) -> None:
        """At everything. What the machine has of it is in ``facts`` from then on; also what is wrong."""
        faults: dict[str, str] = {}
        programs = {}
        for engine, files in self._programs().items():
            try:
                programs[engine] = self._build(files)
            except OSError as error:
                faults[engine] = f"{error.filename}: {error.strerror}"
        self._facts = self._facts.model_copy(update={"programs": programs, "faults": faults})
        for wish in self._spec.models:
            self.look_at(wish)

    def look_at(self, wish: ModelWish) -> None:
        """At one model."""
        models, faults = dict(self._facts.models), dict(self._facts.faults)
        models.pop(wish.name, None)
        faults.pop(wish.name, None)
        try:
            paths = wish.paths(self._spec.models_dir)
            if all(path.is_file() for path in paths):
                models[wish.name] = self._held(wish, paths)
        except (ConfigurationError, OSError) as error:
            faults[wish.name] = f"{self._facts.name}: {error}"
            logger.error("%s", error)
        speed = self._facts.disk_mb_s
        if wish.name in models and not speed:
            speed = disk_mb_s(max(paths, key=lambda path: path.stat().st_size))
        self._facts = self._facts.model_copy(update={"models": models, "faults": faults, "disk_mb_s": speed})

    def _held(self, wish: ModelWish, paths: Iterable[Path]) -> HeldModel:
        sums = {}
        for path in paths:
            sums[path.name] = self._sums.of(path)
            wanted = wish.sha256.get(path.name)
            if wanted is not None and wanted != sums[path.name]:
                raise ConfigurationError(
                    f"{path} is another file than the one that is wanted ({sums[path.name][:12]}, not {wanted[:12]}); "
                    "it is fetched again where another machine has the right one"
                )
        return HeldModel(sums=sums, weights=read_weights(wish.path(self._spec.models_dir)))

    def _programs(self) -> dict[EngineKind, list[Path]]:
        """The files of each engine whose programs are all here."""
        named = self._spec.programs
        wanted = {
            EngineKind.PLAIN: [named.llama_server],
            EngineKind.RPC: [named.llama_server, named.rpc_server],
            EngineKind.RING: [named.prima_server, named.prima_rank],
        }
        found = {}
        for engine, files in wanted.items():
            here = [file for file in files if file is not None and file.is_file()]
            if len(here) == len(files):
                found[engine] = here
        return found

    def _build(self, files: Iterable[Path]) -> str:
        """What identifies a build: its programs, and where they lie in a tree the libraries with which it computes."""
        every: list[Path] = []
        for file in files:
            every.append(file)
            folder = program_of(file).folder
            if folder is not None:
                libraries = folder.parents[1]
                every += sorted(path for pattern in _LIBRARIES for path in libraries.glob(pattern) if path.is_file())
        digest = hashlib.sha256()
        for file in dict.fromkeys(every):
            digest.update(f"{file.name} {self._sums.of(file)}\n".encode())
        return digest.hexdigest()


def _link_mbit_s(host: str) -> int:
    """The speed of the interface that has this address; 0: it does not say."""
    for adapter in ifaddr.get_adapters():
        if any(address.ip == host for address in adapter.ips if isinstance(address.ip, str)):
            try:
                return max(0, int(Path(f"/sys/class/net/{adapter.nice_name}/speed").read_text()))
            except (OSError, ValueError):
                return 0
    return 0
