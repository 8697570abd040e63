"""The command lines of the engines, for each rank of a plan. Decides nothing, starts nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pipecatapp.errors import EngineError
from pipecatapp.expert_host.facts import Plan
from pipecatapp.expert_host.spec import EngineKind, ExpertSpec, Place
from pipecatapp.llm.debian import program_of
from pipecatapp.llm.engines import Engine
from pipecatapp.machine import CpuClass, Machine

# All slots share the cache: the pulse must not push a conversation out of it. llama-server rounds up to this.
PULSE_TOKENS = 256


@dataclass(frozen=True, slots=True)
class Command:
    """One rank's program.

    Attributes:
        slot: the slot that is kept for the pulse; None: there is none.
        port: where it listens; None: nobody asks it anything.
    """

    engine: Engine
    arguments: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    slot: int | None = None
    port: int | None = None


def command_for(plan: Plan, spec: ExpertSpec, place: Place, machine: Machine) -> Command:
    """What this rank runs in a plan.

    Raises:
        EngineError: its program is not here.
    """
    wish, member, head = spec.wish(plan.model), plan.member(place.rank), plan.head
    if wish is None or member is None or head is None:
        raise EngineError(f"rank {place.rank} has no part in the plan {plan.generation}")
    serves = head.rank == place.rank
    model = wish.path(spec.models_dir)
    if plan.engine is EngineKind.RING:
        return _ring(plan, spec, place, machine, model)
    if not serves:
        cache = tensors_of(spec) / wish.name
        arguments = ("-H", place.host, "-p", str(place.data), "-t", str(machine.cores), "-c")
        program = program_of(_named(spec.programs.rpc_server, "the RPC server"))
        return Command(program, arguments, {"LLAMA_CACHE": str(cache)}, port=place.data)
    engine = program_of(_named(spec.programs.llama_server, "llama-server"))
    return _server(plan, spec, place, machine, engine, model)


def tensors_of(spec: ExpertSpec) -> Path:
    """Where the RPC server keeps what it got, a folder for each model."""
    return spec.folder / "tensors"


def _server(plan: Plan, spec: ExpertSpec, place: Place, machine: Machine, engine: Engine, model: Path) -> Command:
    options = engine.options()
    own_slot = {"--kv-unified", "--metrics"} <= options
    # A cancelled request ends after its batch: small ones keep that below a few seconds on a slow CPU.
    batch = "128" if machine.cpu.at_least(CpuClass.AVX2) else "32"
    wanted: list[tuple[str, ...]] = [
        ("--model", str(model)),
        ("--alias", plan.model),
        ("--host", place.host),
        ("--port", str(place.api)),
        ("--api-key-file", str(spec.api_key_file)),
        ("--ctx-size", str(plan.context * spec.parallel + (PULSE_TOKENS if own_slot else 0))),
        ("--parallel", str(spec.parallel + (1 if own_slot else 0))),
        ("--kv-unified",),
        ("--threads", str(machine.cores)),
        ("--poll", "0"),
        ("--batch-size", batch),
        ("--ubatch-size", batch),
        ("--cache-ram", "0"),
        ("--sse-ping-interval", "5"),
        ("--skip-chat-parsing",),
        ("--reasoning", "off"),
        # The layers are laid out by the plan, not by what the engine thinks of the machines.
        ("--fit", "off"),
        ("--jinja",),
        ("--slots",),
        ("--metrics",),
        ("--offline",),
        ("--no-ui",) if "--no-ui" in options else ("--no-webui",),
    ]
    others = plan.members[1:]
    if others:
        if "--rpc" not in options:
            raise EngineError(f"{engine.name} cannot use RPC: it lacks the package libggml0-backend-rpc")
        wanted += [
            ("--rpc", ",".join(f"{member.host}:{member.data}" for member in others)),
            ("--gpu-layers", str(sum(member.layers for member in others))),
            ("--tensor-split", ",".join(str(member.layers) for member in others)),
        ]
    known = [words for words in wanted if words[0] in options]
    slot = spec.parallel if own_slot else None
    return Command(engine, tuple(word for words in known for word in words), slot=slot, port=place.api)


def _ring(plan: Plan, spec: ExpertSpec, place: Place, machine: Machine, model: Path) -> Command:
    """prima.cpp's own old options. Always with the windows: without them it measures for minutes, and drops ranks."""
    order = [member.rank for member in plan.members]
    index = order.index(place.rank)
    following = plan.members[(index + 1) % len(order)]
    ring = (
        *("-m", str(model), "-c", str(plan.context * spec.parallel), "-t", str(machine.cores)),
        *("--world", str(len(order)), "--rank", str(index), "--master", plan.members[0].host),
        *("--next", following.host, "--data-port", str(place.data), "--signal-port", str(place.signal)),
        *("-lw", ",".join(str(member.layers) for member in plan.members), "--prefetch"),
    )
    if index:
        program = program_of(_named(spec.programs.prima_rank, "prima.cpp's llama-cli"))
        return Command(program, ring)
    program = program_of(_named(spec.programs.prima_server, "prima.cpp's llama-server"))
    server = ("--host", place.host, "--port", str(place.api), "--alias", plan.model, "--metrics")
    keys = ("--api-key-file", str(spec.api_key_file), "-np", str(spec.parallel))
    return Command(program, (*ring, *server, *keys), port=place.api)


def _named(program: Path | None, what: str) -> Path:
    if program is None or not program.is_file():
        raise EngineError(f"{what} is not on this machine ({program})")
    return program
