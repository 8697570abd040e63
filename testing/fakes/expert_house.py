"""A house in which an expert runs: the real ranks and coordinator, on engines, a network and a Consul that are not.

Runs in a jumping loop (``jumping_loop.py``).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import httpx

from pipecatapp.cluster.consul import ConsulClient
from pipecatapp.expert_host.board import ConsulBoard, Peer
from pipecatapp.expert_host.commands import Command
from pipecatapp.expert_host.coordinator import Coordinator
from pipecatapp.expert_host.facts import Phase, Plan, RankState
from pipecatapp.expert_host.liveness import Pulse, client
from pipecatapp.expert_host.look import Look
from pipecatapp.expert_host.rank import Rank
from pipecatapp.expert_host.spec import ExpertSpec, ModelWish, Place, Programs
from pipecatapp.expert_host.sums import Sums
from pipecatapp.machine import CpuClass, Machine
from testing.fakes.consul_store import ConsulStore
from testing.fakes.expert_engines import FakeEngines, write_programs
from testing.fakes.gguf import Shape, write_random_model

LARGE, SMALL = "large", "small"
# Layers; one takes about 1.4 MB.
MODELS = {LARGE: 12, SMALL: 3}
JOB, API, CONTROL = "creative-expert", 8200, 8201
MACHINE = Machine(CpuClass.AVX2, frozenset({"avx2", "f16c"}), 4, 8000)


@dataclass
class Supervisor:
    """One rank that runs."""

    rank: Rank
    run: str
    tasks: list[asyncio.Task[None]]
    board: ConsulBoard
    cable: Cable


class Cable(httpx.AsyncBaseTransport):
    """What joins a machine to Consul."""

    def __init__(self, consul: ConsulStore) -> None:
        self._consul = consul
        self.cut = False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if self.cut:
            raise httpx.ConnectError("the cable is cut")
        return await self._consul.handle_async_request(request)


@dataclass
class ExpertHouse:
    """The machines of an expert, by rank."""

    spec: ExpertSpec
    memory: dict[int, Callable[[], int]]
    consul: ConsulStore
    engines: FakeEngines = field(default_factory=FakeEngines)
    supervisors: dict[int, Supervisor] = field(default_factory=dict)
    _runs: int = 0

    def host(self, rank: int) -> str:
        """Where a rank is."""
        return f"10.0.0.{rank + 1}"

    async def switch_on(self, rank: int) -> None:
        """A machine's supervisor starts."""
        self._runs += 1
        clock = asyncio.get_running_loop().time
        place = Place(
            rank=rank, run=f"run-{self._runs}", host=self.host(rank), api=API, control=CONTROL, data=8202, signal=8203
        )
        cable = Cable(self.consul)
        board = ConsulBoard(ConsulClient("http://consul:8500", transport=cable), JOB)

        def pulse(command: Command) -> Pulse:
            return Pulse(
                client(place.host, place.api, "key", httpx.MockTransport(self.engines.answer)), command.slot, clock
            )

        sums = Sums(self.spec.state_dir / f"sums-{rank}.json")
        part = Rank(
            spec=self.spec,
            place=place,
            machine=MACHINE,
            look=Look(self.spec, place, MACHINE, sums, lambda: self.memory[rank]()),
            board=board,
            starter=self.engines.starter(place.host),
            ask=self._ask,
            pulse=pulse,
            key="key",
            clock=clock,
            listens=self._listens,
            check_port=lambda host, port: None,
        )
        tasks = [asyncio.create_task(part.run(), name=f"rank {rank}")]
        if rank == 0:
            coordinator = Coordinator(self.spec, place, board, self._ask, clock=clock)
            tasks.append(asyncio.create_task(coordinator.run(), name="coordinator"))
        self.supervisors[rank] = Supervisor(part, place.run, tasks, board, cable)
        self.consul.register(f"rank-{rank}", rank, place.host, CONTROL)

    async def cut_power(self, rank: int) -> None:
        """All of a machine is gone at once; Consul notices some seconds later."""
        gone = self.supervisors.pop(rank)
        gone.cable.cut = True  # nobody says goodbye
        self.engines.kill(self.host(rank))
        for task in gone.tasks:
            task.cancel()
        await asyncio.gather(*gone.tasks, return_exceptions=True)
        await gone.board.aclose()
        self.consul.deregister(f"rank-{rank}")

    def state(self, rank: int = 0) -> RankState:
        """What a rank says of itself."""
        return self.supervisors[rank].rank.state()

    @property
    def model(self) -> str:
        """The model that answers, as others are told."""
        return self.consul.value(f"experts/{JOB}/active_model")

    async def until(self, holds: Callable[[], bool], within_s: float) -> float:
        """Wait until it holds; the seconds that it took."""
        clock = asyncio.get_running_loop().time
        began = clock()
        async with asyncio.timeout(within_s):
            while not holds():
                await asyncio.sleep(0.25)
        return clock() - began

    def a_plan_is_there(self) -> bool:
        """Whether there is a plan in which somebody has a part."""
        text = self.consul.value(f"experts/{JOB}/plan")
        return bool(text) and bool(Plan.model_validate_json(text).members)

    def all_ready(self) -> bool:
        """Whether the head serves, and every rank of its plan does its part."""
        if 0 not in self.supervisors:
            return False
        plan = self.state().plan
        return bool(self.state().windows) and all(
            s.rank.state().phase is Phase.READY and s.rank.state().plan == plan for s in self.supervisors.values()
        )

    def serves(self) -> bool:
        """Whether any rank answers requests."""
        return any(supervisor.rank.ready()[0] for supervisor in self.supervisors.values())

    async def _ask(self, peer: Peer) -> RankState | None:
        found = self.supervisors.get(peer.rank)
        await asyncio.sleep(0)
        return RankState.model_validate_json(found.rank.state().model_dump_json()) if found else None

    async def _listens(self, host: str, port: int) -> bool:
        return self.engines.runs(host, "rpc-server")


def write_models(folder: Path) -> Path:
    """The models of the house, where an expert expects them."""
    for name, layers in MODELS.items():
        path = folder / name / f"{name}.gguf"
        path.parent.mkdir(parents=True)
        write_random_model(path, shape=Shape(layers=layers, width=256, inner=1536))
    return folder


@asynccontextmanager
async def expert_house(folder: Path, models: Path, memory: Sequence[int], **spec: Any) -> AsyncIterator[ExpertHouse]:
    """A house with a machine for each of these MB of free memory.

    Args:
        folder: for what it keeps.
        models: made by ``write_models``.
        memory: of each machine.
        spec: what else the expert's file says.
    """
    values: dict[str, Any] = {
        "job_name": JOB,
        "service_name": "prima-api-creative",
        "worker_count": len(memory),
        "models": tuple(ModelWish(name=name, file=f"{name}.gguf") for name in MODELS),
        "models_dir": models,
        "state_dir": folder,
        "context": 64,
        "reserve_mb": 0,
        "programs": Programs(**write_programs(folder / "programs")),
        "api_key_file": folder / "key",
    }
    house = ExpertHouse(
        ExpertSpec(**values | spec), {rank: partial(int, free) for rank, free in enumerate(memory)}, ConsulStore()
    )
    for rank in range(len(memory)):
        await house.switch_on(rank)
    try:
        yield house
    finally:
        for supervisor in house.supervisors.values():
            for task in supervisor.tasks:
                task.cancel()
            await asyncio.gather(*supervisor.tasks, return_exceptions=True)
            with contextlib.suppress(Exception):
                await supervisor.board.aclose()
