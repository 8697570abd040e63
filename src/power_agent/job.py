"""A service that is a job of Nomad: put to sleep by the scale API, under a lock in Consul that says how many it had."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote

from power_agent.driving import Look
from power_agent.errors import BlockedError, DriverError
from power_agent.http1 import Answer

_LOCKS = "pipecatapp/power/"
DEFAULT = "default"
# Of the lock's session: three times what is between two looks at a sleeper (service.py), each of which renews it.
_TTL = "45s"
_GROUPS = Path("/sys/fs/cgroup/nomad.slice")
_DYING = ("complete", "failed", "lost", "unknown")


class HttpApi(Protocol):
    """``api.Api``."""

    async def ask(self, method: str, path: str, body: Any = None, *, within_s: float = 5.0) -> Answer:
        """As there."""

    async def json(self, method: str, path: str, body: Any = None) -> Any:
        """As there."""


def lock_of(job: str, namespace: str = DEFAULT) -> str:
    """The lock of a job: another namespace may have one of the same name."""
    return job if namespace == DEFAULT else f"{namespace}/{job}"


class Lock:
    """A lock in Consul that belongs to a session; what it holds stays when the session ends.

    Args:
        consul: its API.
        key: of the lock.
    """

    def __init__(self, consul: HttpApi, key: str) -> None:
        self._consul, self._path = consul, f"/v1/kv/{_LOCKS}{quote(key, safe='')}"
        self._key = key
        self._session = ""

    async def take(self, value: Mapping[str, Any] | None = None) -> bool:
        """Take it, or keep it; ``value`` is written into it, without one it stays as it is."""
        if self._session:
            renewed = await self._consul.ask("PUT", f"/v1/session/renew/{self._session}")
            if renewed.status != 200:
                self._session = ""
        if not self._session:
            asked = {"Name": f"power agent: {self._key}", "TTL": _TTL, "Behavior": "release", "LockDelay": "1s"}
            self._session = str((await self._consul.json("PUT", "/v1/session/create", asked))["ID"])
        held = await self._consul.json(
            "PUT", f"{self._path}?acquire={self._session}", value or await self.value() or {}
        )
        return held is True

    async def value(self) -> dict[str, Any] | None:
        """What is written in it; None: nothing."""
        answer = await self._consul.ask("GET", f"{self._path}?raw=true&consistent=true")
        if answer.status != 200:
            return None
        try:
            value = json.loads(answer.body)
        except ValueError:
            return None
        return value if isinstance(value, dict) and value else None

    async def give_up(self) -> None:
        """Let go of it, and of what it held."""
        await self._consul.ask("DELETE", self._path)
        if self._session:
            await self._consul.ask("PUT", f"/v1/session/destroy/{self._session}")
            self._session = ""


class JobDriver:
    """``driving.Driver`` of one group of a job.

    Only the agent on the node where its first allocation runs decides about it. While it sleeps that is the one that
    holds its lock; when that agent is gone, so is its session, and another one takes the lock with what is in it.

    Args:
        job, group: their names.
        nomad: its API.
        lock: of this job.
        namespace: of the job.
        node: Nomad's ID of this machine; empty: its agent is asked.
        groups: where the kernel shows the control groups that Nomad makes.
    """

    def __init__(
        self,
        job: str,
        group: str,
        nomad: HttpApi,
        lock: Lock,
        *,
        namespace: str = DEFAULT,
        node: str = "",
        groups: Path = _GROUPS,
    ) -> None:
        self._groups = groups
        self._where = "" if namespace == DEFAULT else f"?namespace={quote(namespace, safe='')}"
        self._job, self._group = job, group
        self._nomad, self._lock = nomad, lock
        self._path = f"/v1/job/{quote(job, safe='')}"
        self._node = node
        self._count = 0
        self._address: tuple[str, int] | None = None

    async def look(self) -> Look:
        """By the job, its allocations, its deployment and the lock."""
        job = await self._nomad.json("GET", f"{self._path}{self._where}")
        group = next((g for g in (job or {}).get("TaskGroups") or () if g["Name"] == self._group), None)
        if job is None or group is None:
            if await self._lock.value() is not None:
                await self._lock.give_up()
            return Look(wanted=False, running=False, there=False)
        if job.get("Stop"):
            return Look(wanted=False, running=False, trouble=f"a person stopped the job {self._job}")
        if group["Count"] == 0:
            return await self._look_at_sleeper()
        head = await self._head()
        here = head is not None and head["NodeID"] == await self._own_node()
        deployment = await self._nomad.json("GET", f"{self._path}/deployment{self._where}")
        deploying = bool(deployment) and deployment.get("Status") in ("running", "pending", "blocked", "paused")
        running = head is not None and head["ClientStatus"] == "running"
        # Only where it runs: elsewhere the lock may be that of an agent which is about to put it to sleep.
        if running and here and await self._lock.value() is not None:
            await self._lock.give_up()
        cpu_s, ram_bytes = _taken(self._groups, head["ID"]) if here and head is not None else (None, None)
        # While nothing is placed yet, the agent that wakes it stays responsible.
        return Look(
            wanted=True,
            running=running,
            here=here or (head is None and self._count > 0),
            blocked="a deployment is under way" if deploying else "",
            cpu_s=cpu_s,
            ram_bytes=ram_bytes,
        )

    async def _look_at_sleeper(self) -> Look:
        held = await self._lock.value()
        if held is None:
            return Look(wanted=False, running=False)
        self._count = int(held.get("count", 1))
        return Look(wanted=False, running=False, here=await self._lock.take(), slept=True)

    async def sleep(self) -> None:
        """Scale the group to 0, the old count in the lock."""
        job = await self._nomad.json("GET", f"{self._path}{self._where}")
        count = next((g["Count"] for g in (job or {}).get("TaskGroups") or () if g["Name"] == self._group), 0)
        if count == 0:
            raise DriverError(f"the job {self._job} has nothing to put to sleep")
        if not await self._lock.take({"count": count, "group": self._group}):
            raise BlockedError(f"another agent decides about {self._job}")
        self._count, self._address = count, None
        try:
            await self._scale(0, "nobody uses it")
        except BlockedError:
            await self._lock.give_up()
            raise

    async def wake(self) -> None:
        """Scale the group to what it was."""
        self._address = None
        try:
            held = await self._lock.value()
            if held is not None:
                self._count = int(held.get("count", self._count or 1))
        except DriverError:
            # Without Consul it is woken all the same: twice to the same count is once.
            if not self._count:
                raise
        job = await self._nomad.json("GET", f"{self._path}{self._where}")
        if job is None or job.get("Stop"):
            raise DriverError(f"the job {self._job} is {'stopped' if job else 'gone'}")
        await self._scale(self._count or 1, "a request waits for it")

    async def address(self) -> tuple[str, int]:
        """Of its first allocation, which answers before Consul lists it."""
        if self._address is None:
            head = await self._head()
            if head is None or head["ClientStatus"] != "running":
                raise DriverError(f"the job {self._job} has no allocation yet")
            allocation = await self._nomad.json("GET", f"/v1/allocation/{head['ID']}{self._where}")
            shared = ((allocation or {}).get("AllocatedResources") or {}).get("Shared") or {}
            ports = shared.get("Ports") or []
            if not ports:
                raise DriverError(f"the job {self._job} has no port")
            self._address = str(ports[0]["HostIP"]), int(ports[0]["Value"])
        return self._address

    async def _scale(self, count: int, message: str) -> None:
        body = {"Count": count, "Target": {"Group": self._group}, "Message": f"power agent: {message}"}
        answer = await self._nomad.ask("POST", f"{self._path}/scale{self._where}", body, within_s=10.0)
        if answer.status == 200:
            return
        said = answer.body[:200].decode(errors="replace").strip()
        if "active deployment" in said:
            raise BlockedError("a deployment is under way")
        raise DriverError(f"Nomad does not scale {self._job} to {count}: {answer.status} {said}")

    async def _head(self) -> dict[str, Any] | None:
        """The first allocation that runs or is to run: of a ring, its head."""
        allocations = await self._nomad.json("GET", f"{self._path}/allocations{self._where}") or []
        alive = [
            each
            for each in allocations
            if each["TaskGroup"] == self._group
            and each.get("DesiredStatus") == "run"
            and each["ClientStatus"] not in _DYING
        ]
        return min(alive, key=lambda each: _index(each["Name"]), default=None)

    async def _own_node(self) -> str:
        if not self._node:
            own = await self._nomad.json("GET", "/v1/agent/self")
            self._node = str(((own or {}).get("stats") or {}).get("client", {}).get("node_id", ""))
        return self._node


def _taken(groups: Path, allocation: str) -> tuple[float | None, int | None]:
    """CPU seconds and bytes of memory of all tasks of an allocation; None where the kernel does not say."""
    cpu_s, ram_bytes = None, None
    for group in groups.glob(f"*/{allocation}.*.scope"):
        try:
            used = (group / "cpu.stat").read_text(encoding="ascii").split()
            held = int((group / "memory.current").read_text(encoding="ascii"))
            cpu_s = (cpu_s or 0.0) + int(used[used.index("usage_usec") + 1]) / 1e6
            ram_bytes = (ram_bytes or 0) + held
        except (OSError, ValueError, IndexError):
            continue  # it ends this moment
    return cpu_s, ram_bytes


def _index(name: str) -> int:
    """3 of `prima-expert.llama[3]`."""
    number = name.rpartition("[")[2].rstrip("]")
    return int(number) if number.isdigit() else 0
