"""Doubles of what the power agent asks of Nomad and Consul: one job and its group, sessions and locks.

They follow what a real Nomad 2.0 did: a scaling needs its group, a deployment blocks it with 400, a stopped job takes
it and starts nothing, each start may be on another node.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from power_agent.errors import DriverError
from power_agent.http1 import Answer


def _answer(status: int, body: Any) -> Answer:
    return Answer(status, {}, body.encode() if isinstance(body, str) else json.dumps(body).encode())


class _Api:
    async def ask(self, method: str, path: str, body: Any = None, *, within_s: float = 5.0) -> Answer:
        raise NotImplementedError

    async def json(self, method: str, path: str, body: Any = None) -> Any:
        answer = await self.ask(method, path, body)
        return None if answer.status == 404 else answer.json()


@dataclass
class NomadDouble(_Api):
    """As one node's agent sees the cluster.

    Attributes:
        own: the node that is asked.
        places: on which node each next start lands; the last one stays.
        scalings: the counts that were asked for.
    """

    own: str = "n1"
    count: int = 1
    places: list[str] = field(default_factory=lambda: ["n1"])
    stopped: bool = False
    purged: bool = False
    deploying: bool = False
    leaderless: bool = False
    scalings: list[int] = field(default_factory=list)

    def seen_from(self, node: str) -> SeenFrom:
        """The same cluster, asked on another node."""
        return SeenFrom(self, node)

    async def ask(self, method: str, path: str, body: Any = None, *, within_s: float = 5.0) -> Answer:
        return self.answer(self.own, method, path, body)

    def answer(self, own: str, method: str, path: str, body: Any) -> Answer:
        if path == "/v1/agent/self":
            return _answer(200, {"stats": {"client": {"node_id": own}}})
        if self.leaderless:
            raise DriverError("Nomad: No cluster leader")
        if self.purged:
            return _answer(404, "job not found")
        match method, path.removeprefix("/v1/job/llm"):
            case "GET", "":
                return _answer(200, {"Stop": self.stopped, "TaskGroups": [{"Name": "llm", "Count": self.count}]})
            case "GET", "/deployment":
                return _answer(200, {"Status": "running"} if self.deploying else None)
            case "GET", "/allocations":
                return _answer(200, self._allocations())
            case "POST", "/scale":
                return self._scale(body)
        if path.startswith("/v1/allocation/"):
            ports = [{"Label": "http", "Value": 22000, "HostIP": f"10.0.0.{self.places[0][1:]}"}]
            return _answer(200, {"AllocatedResources": {"Shared": {"Ports": ports}}})
        return _answer(404, "no handler")

    def _allocations(self) -> list[dict[str, Any]]:
        old = {"ID": "old", "TaskGroup": "llm", "DesiredStatus": "stop", "ClientStatus": "complete", "NodeID": "n9"}
        running = {"TaskGroup": "llm", "DesiredStatus": "run", "ClientStatus": "running", "NodeID": self.places[0]}
        alive = 0 if self.stopped else self.count
        return [old | {"Name": "llm.llm[0]"}] + [
            running | {"ID": f"alloc-{number}", "Name": f"llm.llm[{number}]"} for number in range(alive)
        ]

    def _scale(self, body: Any) -> Answer:
        group = (body.get("Target") or {}).get("Group")
        if group != "llm":
            return _answer(400, "missing task group name for scaling action")
        if self.deploying:
            return _answer(400, "job scaling blocked due to active deployment")
        if body["Count"] and not self.count and len(self.places) > 1:
            self.places.pop(0)
        self.count = body["Count"]
        self.scalings.append(self.count)
        return _answer(200, {"EvalID": "e"})


@dataclass
class SeenFrom(_Api):
    """A ``NomadDouble`` asked on another node."""

    nomad: NomadDouble
    node: str

    async def ask(self, method: str, path: str, body: Any = None, *, within_s: float = 5.0) -> Answer:
        return self.nomad.answer(self.node, method, path, body)


@dataclass
class ConsulDouble(_Api):
    """Sessions, one lock each, and the entries of services.

    Attributes:
        cut_off: nobody answers.
    """

    cut_off: bool = False
    sessions: set[str] = field(default_factory=set)
    values: dict[str, Any] = field(default_factory=dict)
    holders: dict[str, str] = field(default_factory=dict)
    services: dict[str, Any] = field(default_factory=dict)
    made: int = 0

    def expire(self) -> None:
        """All sessions end, as they do when their agents are gone; what they wrote stays."""
        self.sessions.clear()
        self.holders.clear()

    async def ask(self, method: str, path: str, body: Any = None, *, within_s: float = 5.0) -> Answer:
        if self.cut_off:
            raise DriverError("Consul does not answer (in time)")
        path, _, query = path.partition("?")
        name = path.rpartition("/")[2]
        if path == "/v1/session/create":
            self.made += 1
            self.sessions.add(f"s{self.made}")
            return _answer(200, {"ID": f"s{self.made}"})
        if path.startswith("/v1/session/renew/"):
            return _answer(200 if name in self.sessions else 404, [])
        if path.startswith("/v1/session/destroy/"):
            self.sessions.discard(name)
            self.holders = {key: holder for key, holder in self.holders.items() if holder != name}
            return _answer(200, True)
        if path == "/v1/agent/service/register":
            self.services[body["ID"]] = body
            return _answer(200, "")
        if path.startswith("/v1/agent/service/deregister/"):
            return _answer(200 if self.services.pop(name, None) else 404, "")
        if path.startswith("/v1/health/service/"):
            return _answer(200, [{"Service": each} for each in self.services.values() if each["Name"] == name])
        return self._kv(method, path, query, body)

    def _kv(self, method: str, key: str, query: str, body: Any) -> Answer:
        if method == "GET":
            return _answer(200, self.values[key]) if key in self.values else _answer(404, "")
        if method == "DELETE":
            self.values.pop(key, None)
            return _answer(200, True)
        session = query.removeprefix("acquire=")
        if session not in self.sessions or self.holders.get(key, session) != session:
            return _answer(200, False)
        self.holders[key] = session
        self.values[key] = body
        return _answer(200, True)
