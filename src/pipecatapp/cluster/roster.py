"""The cluster's PCs, services and jobs, as Consul and Nomad know them; whatever one of them does not answer is named.

Their servers may have lost their leader: they are asked for what they last knew, so that a page shows it then, too.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx

# A person waits for the answer.
_PATIENCE_S = 3.0
_OF_THE_PC = "serfHealth"  # Consul's own check of a PC


@dataclass(frozen=True, slots=True)
class Room:
    """Bytes of memory or disk."""

    used: int
    total: int


@dataclass(frozen=True, slots=True)
class Member:
    """One PC of the cluster. ``memory`` and ``disk`` are None where nobody could say."""

    name: str
    address: str
    there: bool
    memory: Room | None = None
    disk: Room | None = None


@dataclass(frozen=True, slots=True)
class Service:
    """What runs somewhere and is checked: how many of it pass, and on which PCs one does not."""

    name: str
    well: int
    ill_on: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Job:
    """What Nomad shall run: how many of it do, come up, and wait for a PC that has room."""

    name: str
    running: int
    starting: int
    waiting: int


@dataclass(frozen=True, slots=True)
class Roster:
    """All that is known. ``leader``: the PC that decides for the others, empty where none does now.

    ``unknown``: for people, what could not be asked and why.
    """

    members: Sequence[Member] = ()
    services: Sequence[Service] = ()
    jobs: Sequence[Job] = ()
    leader: str = ""
    unknown: Sequence[str] = ()


class RosterReader:
    """Asks both.

    Args:
        consul: URL of an agent.
        nomad: URL of Nomad's API; empty: there is none.
        consul_token, nomad_token: what they want to be shown.
        nomad_ca: the authority of Nomad's certificate, a file.
        transport: instead of the network.
    """

    def __init__(
        self,
        consul: str,
        nomad: str = "",
        *,
        consul_token: str = "",
        nomad_token: str = "",
        nomad_ca: str | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._consul, self._consul_token = consul, consul_token
        self._nomad, self._nomad_token = nomad, nomad_token
        self._nomad_ca = nomad_ca
        self._transport = transport

    async def read(self) -> Roster:
        """What both know now."""
        (members, services, leader, trouble), (rooms, jobs, nomad_trouble) = await asyncio.gather(
            self._from_consul(), self._from_nomad()
        )
        known = {member.name: member for member in members}
        for name, (address, ready, memory, disk) in rooms.items():
            seen = known.get(name, Member(name, address, ready))
            known[name] = Member(seen.name, seen.address, seen.there, memory, disk)
        unknown = [text for text in (trouble, nomad_trouble) if text]
        return Roster([known[name] for name in sorted(known)], services, jobs, leader, unknown)

    async def _from_consul(self) -> tuple[list[Member], list[Service], str, str]:
        headers = {"X-Consul-Token": self._consul_token} if self._consul_token else {}
        try:
            async with await asyncio.to_thread(self._client, self._consul, headers) as http:
                nodes, checks, leader = await asyncio.gather(
                    _ask(http, "/v1/catalog/nodes?stale"),
                    _ask(http, "/v1/health/state/any?stale"),
                    _ask(http, "/v1/status/leader"),
                )
            away = {c["Node"] for c in checks if c["CheckID"] == _OF_THE_PC and c["Status"] == "critical"}
            members = [Member(str(n["Node"]), str(n["Address"]), n["Node"] not in away) for n in nodes]
            at = urlsplit(f"//{leader}").hostname if leader else None
            leads = next((member.name for member in members if member.address == at), "")
            return members, _services(checks, away), leads, ""
        except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
            return [], [], "", f"Consul cannot be asked: {_why(error)}"

    async def _from_nomad(self) -> tuple[dict[str, tuple[str, bool, Room | None, Room | None]], list[Job], str]:
        if not self._nomad:
            return {}, [], ""
        headers = {"X-Nomad-Token": self._nomad_token} if self._nomad_token else {}
        try:
            async with await asyncio.to_thread(self._client, self._nomad, headers, self._nomad_ca) as http:
                nodes, jobs = await asyncio.gather(
                    _ask(http, "/v1/nodes?stale=true"), _ask(http, "/v1/jobs?namespace=*&stale=true")
                )
                found = await asyncio.gather(*(_rooms(http, node) for node in nodes))
            rooms = {
                str(node["Name"]): (str(node["Address"]), node["Status"] == "ready", *rooms)
                for node, rooms in zip(nodes, found, strict=True)
            }
            return rooms, sorted((_job(j) for j in jobs if not j.get("Stop")), key=lambda job: job.name), ""
        except (httpx.HTTPError, OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            return {}, [], f"Nomad cannot be asked: {_why(error)}"

    def _client(self, url: str, headers: Mapping[str, str], ca: str | None = None) -> httpx.AsyncClient:
        """One client. Reads certificates: blocks."""
        return httpx.AsyncClient(
            base_url=url,
            headers=dict(headers),
            timeout=_PATIENCE_S,
            trust_env=False,
            transport=self._transport,
            limits=httpx.Limits(max_keepalive_connections=0),
            verify=ssl.create_default_context(cafile=ca) if ca else True,
        )


async def _ask(http: httpx.AsyncClient, path: str) -> Any:
    answer = await http.get(path)
    answer.raise_for_status()
    return answer.json()


async def _rooms(http: httpx.AsyncClient, node: Mapping[str, Any]) -> tuple[Room | None, Room | None]:
    """Memory and disk of a PC; one that is just going is no reason to know nothing of the others."""
    if node["Status"] != "ready":
        return None, None
    try:
        said = await _ask(http, f"/v1/client/stats?node_id={node['ID']}")
        memory, disks = said["Memory"], [said.get("AllocDirStats") or {}, *(said.get("DiskStats") or [])]
        disk = next((d for d in disks if d.get("Size")), None)
        return (
            Room(int(memory["Total"]) - int(memory["Available"]), int(memory["Total"])),
            Room(int(disk["Size"]) - int(disk["Available"]), int(disk["Size"])) if disk else None,
        )
    except (httpx.HTTPError, ValueError, KeyError, TypeError, AttributeError):
        return None, None


def _services(checks: Sequence[Mapping[str, Any]], away: set[str]) -> list[Service]:
    """One entry a service. An instance is ill where one of its checks is, or its PC is away."""
    ill: dict[tuple[str, str, str], bool] = {}
    for check in checks:
        if name := str(check.get("ServiceName") or ""):
            instance = (name, str(check["Node"]), str(check["ServiceID"]))
            ill[instance] = ill.get(instance, False) or check["Status"] == "critical" or check["Node"] in away
    well = Counter(name for (name, _, _), bad in ill.items() if not bad)
    names = sorted({name for name, _, _ in ill})
    ill_on = {n: tuple(sorted({pc for (m, pc, _), bad in ill.items() if m == n and bad})) for n in names}
    return [Service(name, well[name], ill_on[name]) for name in names]


def _job(said: Mapping[str, Any]) -> Job:
    groups = ((said.get("JobSummary") or {}).get("Summary") or {}).values()

    def count(state: str) -> int:
        return sum(int(group.get(state) or 0) for group in groups)

    return Job(str(said["Name"]), count("Running"), count("Starting"), count("Queued"))


def _why(error: Exception) -> str:
    if isinstance(error, httpx.HTTPStatusError):
        return f"it answers {error.response.status_code}: {error.response.text.strip()[:100]}"
    return "it does not answer" if isinstance(error, httpx.HTTPError) else f"its answer is not as expected ({error})"
