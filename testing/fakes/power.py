"""What the power agent's policy works with, scripted: a clock that jumps, a driver, a server, a gate, a measurement."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from power_agent.configuration import Policy, Watched
from power_agent.driving import Look
from power_agent.records import Records
from power_agent.service import Service
from power_agent.states import Parts, State
from power_agent.traffic import Usage


@dataclass
class PowerWorld:
    """One service on one machine. What is false, raises or is None here is so there.

    Attributes:
        now: seconds on the monotonic clock.
        runs: that which runs the service has it running.
        looks: what a look says where it is not simply that; a failure is raised.
        calls: what the driver and the gate were told, in order.
        refusals: what the next calls of the driver raise, by name.
    """

    folder: Path
    now: float = 1000.0
    runs: bool = True
    comes_up: bool = True
    answers: bool = True
    computes: bool | None = False
    done: str | None = "0"
    last_work: float = 0.0
    work_packets: int = 0
    measured: bool = True
    looks: Look | Exception | None = None
    calls: list[str] = field(default_factory=list)
    refusals: dict[str, list[Exception]] = field(default_factory=dict)
    idle_s: float | None = 600.0
    known: dict[str, str] = field(default_factory=dict)
    port: int = 8081
    takes: float = 0.0  # of a core, all the time
    cpu_s: float = 0.0
    ram_bytes: int | None = 2_000_000_000
    looked_at: float = 1000.0
    # Cost
    by_rapl: bool = True
    joules_per_second: float = 10.0

    # Driver
    async def look(self) -> Look:
        if isinstance(self.looks, Exception):
            raise self.looks
        self.cpu_s += self.takes * (self.now - self.looked_at)
        self.looked_at = self.now
        return self.looks or Look(wanted=self.runs, running=self.runs, cpu_s=self.cpu_s, ram_bytes=self.ram_bytes)

    async def sleep(self) -> None:
        self._called("sleep")
        self.runs = self.answers = False

    async def wake(self) -> None:
        self._called("wake")
        self.runs = True
        self.answers = self.comes_up

    async def address(self) -> tuple[str, int]:
        return "127.0.0.1", self.port

    # Gate
    async def close(self) -> None:
        self._called("close")

    async def settle(self) -> None:
        self._called("settle")

    async def open(self) -> None:
        self._called("open")

    async def refresh(self) -> None:
        self._called("refresh")

    # Server
    async def ready(self) -> bool:
        return self.answers

    async def busy(self) -> bool | None:
        return self.computes

    async def work_done(self) -> str | None:
        return self.done

    async def remembered(self) -> Mapping[str, str]:
        return self.known

    # Traffic
    def watch(self, port: int, *, http: bool) -> None:
        self.calls.append(f"watch {port}")

    def forget(self, port: int) -> None:
        self.calls.append(f"forget {port}")

    def usage(self, port: int) -> Usage | None:
        return Usage(work_packets=self.work_packets, last_work=self.last_work) if self.measured else None

    def _called(self, name: str) -> None:
        self.calls.append(name)
        if self.refusals.get(name):
            raise self.refusals[name].pop(0)

    def work(self) -> None:
        """A request comes, straight to the service."""
        self.last_work = self.now
        self.work_packets += 1

    def count(self, name: str) -> int:
        """How often something was called."""
        return self.calls.count(name)

    def service(self, **changed: object) -> Service:
        """An agent that has just started."""
        watched = Watched("prima-api-coding", "127.0.0.1", 8081, 18081, unit="coding.service", idle_s=self.idle_s)
        watched = Watched(**{name: getattr(watched, name) for name in Watched.__dataclass_fields__} | changed)
        parts = Parts(self, self, self, self, Records(self.folder), lambda: Policy(), self)
        return Service(watched, parts, now=lambda: self.now, wall=lambda: self.now)

    async def pass_by(self, service: Service, seconds: float) -> None:
        """Time passes, and the service's task does what it does."""
        until = self.now + seconds
        while self.now < until:
            pause = await service.step()
            self.now = min(until, self.now + max(pause, 0.05))
        await self.settle_down(service)

    async def settle_down(self, service: Service) -> None:
        """As many steps as can be taken at once."""
        for _ in range(10):
            if await service.step() > 0:
                return

    async def asleep(self, **changed: object) -> Service:
        """A service that was idle for so long that it sleeps."""
        service = self.service(**changed)
        await self.pass_by(service, 700)
        assert service.state is State.ASLEEP, service.why
        self.calls.clear()
        return service
