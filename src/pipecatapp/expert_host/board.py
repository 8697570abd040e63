"""Where the ranks of an expert meet: who is there, and which plan holds. In Consul; alone, in memory."""

from __future__ import annotations

import asyncio
import logging
import random
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from pydantic import ValidationError

from pipecatapp.cluster.consul import ConsulClient, ConsulUnreachableError
from pipecatapp.errors import PipecatAppError
from pipecatapp.expert_host.facts import Plan

logger = logging.getLogger(__name__)

_RANK = re.compile(r"rank-(\d{1,3})")
_PAUSE_S = 2.0


class SupersededError(PipecatAppError):
    """Another allocation coordinates this expert now."""


@dataclass(frozen=True, slots=True)
class Peer:
    """A rank that is there, and where it tells of itself."""

    rank: int
    host: str
    port: int


class Board(Protocol):
    """What the ranks meet at."""

    async def peers(self) -> list[Peer]:
        """The ranks that are there, this one among them.

        Raises:
            ConsulUnreachableError: nobody knows now.
        """

    async def plan(self, after: str) -> Plan:
        """The plan that holds; waits while it is the one of generation ``after``, or while there is none."""

    async def publish(self, plan: Plan) -> None:
        """Let this be the plan.

        Raises:
            SupersededError: another one has published since.
            ConsulUnreachableError: it is not published.
        """

    async def tell_model(self, name: str) -> None:
        """Let others know which model answers; empty: none."""

    async def aclose(self) -> None:
        """Leave."""


class LoneBoard:
    """One machine is all there is."""

    def __init__(self, me: Peer, told: Board | None = None) -> None:
        self._me = me
        self._told = told
        self._plan: Plan | None = None
        self._changed = asyncio.Event()

    async def peers(self) -> list[Peer]:
        """This one."""
        return [self._me]

    async def plan(self, after: str) -> Plan:
        """What this machine has said to itself."""
        while self._plan is None or self._plan.generation == after:
            self._changed.clear()
            await self._changed.wait()
        return self._plan

    async def publish(self, plan: Plan) -> None:
        """Say it."""
        self._plan = plan
        self._changed.set()

    async def tell_model(self, name: str) -> None:
        """Where there is a Consul it is told, and does without."""
        if self._told is not None:
            await self._told.tell_model(name)

    async def aclose(self) -> None:
        """Close Consul's connections."""
        if self._told is not None:
            await self._told.aclose()


class ConsulBoard:
    """The service ``<job>-rank`` and the keys below ``experts/<job>/``.

    Args:
        consul: the agent of this machine.
        job: the expert's job.
    """

    def __init__(self, consul: ConsulClient, job: str) -> None:
        self._consul = consul
        self._job = job
        self._plan_key = f"experts/{job}/plan"
        self._written: int | None = None

    async def peers(self) -> list[Peer]:
        """Those whose check passes; of two allocations of one rank the newer one."""
        answer = await self._consul.instances(f"{self._job}-rank").next()
        found: dict[int, tuple[int, Peer]] = {}
        for entry in answer if isinstance(answer, list) else []:
            peer = _peer(entry)
            if peer is not None and peer[0] >= found.get(peer[1].rank, (-1, None))[0]:
                found[peer[1].rank] = peer
        return [found[rank][1] for rank in sorted(found)]

    async def plan(self, after: str) -> Plan:
        """As Consul holds it; one that makes no sense is none."""
        query = self._consul.value(self._plan_key)
        while True:
            try:
                text, _ = await query.next()
                plan = Plan.model_validate_json(text) if text else None
            except ConsulUnreachableError as error:
                logger.warning("%s; the plan stays as it is", error)
                await asyncio.sleep(_PAUSE_S * random.uniform(0.8, 1.2))  # noqa: S311 - spreads the load
                continue
            except ValidationError:
                logger.warning("what stands under %s is no plan", self._plan_key)
                plan = None
            if plan is not None and plan.generation != after:
                return plan
            # The first answer comes at once, and a Consul that restarts answers again and again.
            await asyncio.sleep(0.2)

    async def publish(self, plan: Plan) -> None:
        """Write it, unless somebody else did since the last time."""
        key = self._plan_key
        if self._written is None:
            _, self._written = await self._consul.value(key).next()
        if not await self._consul.put(key, plan.model_dump_json(), unless_changed_since=self._written):
            text, index = await self._consul.value(key).next()
            self._written = None
            if not _is_by(text, plan.author) or not await self._consul.put(
                key, plan.model_dump_json(), unless_changed_since=index
            ):
                raise SupersededError(f"another allocation of the head coordinates {self._job} now")
        _, self._written = await self._consul.value(key).next()

    async def tell_model(self, name: str) -> None:
        """Under ``active_model``, in plain text."""
        await self._consul.put(f"experts/{self._job}/active_model", name)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._consul.aclose()


def _is_by(text: str, author: str) -> bool:
    """Whether a plan is one's own: written by a request whose acknowledgement got lost."""
    try:
        return bool(text) and Plan.model_validate_json(text).author == author
    except ValidationError:
        return False


def _peer(entry: Any) -> tuple[int, Peer] | None:
    """A rank in an entry of Consul, with when it was registered."""
    service = entry.get("Service") if isinstance(entry, Mapping) else None
    if not isinstance(service, Mapping):
        return None
    ranks = [found for tag in service.get("Tags") or () if (found := _RANK.fullmatch(str(tag)))]
    host = service.get("Address") or (entry.get("Node") or {}).get("Address")
    port = service.get("Port")
    if len(ranks) != 1 or not isinstance(host, str) or not host or not isinstance(port, int):
        return None
    return int(service.get("CreateIndex") or 0), Peer(int(ranks[0][1]), host, port)
