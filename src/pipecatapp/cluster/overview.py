"""The house as a person reads it: its PCs, what runs, what is healing, and whether what is said is kept.

The page "House" and ``cluster status`` show the same.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Protocol

from pipecatapp.cluster.house import House, Pc
from pipecatapp.cluster.roster import Member, Roster
from pipecatapp.cluster.words import ALONE, ONE_COPY, healing, of_job, of_pc, of_service, title, verdict

# Several pages that look at once are told the same.
_FRESH_S = 2.0


class ReadsRoster(Protocol):
    """``roster.RosterReader``."""

    async def read(self) -> Roster:
        """What is known of the cluster."""


@dataclass(frozen=True, slots=True)
class Overview:
    """All of it. ``house``: of several PCs that keep one memory; None: one PC has it. ``roster``: None: no cluster."""

    own: Member
    house: House | None = None
    roster: Roster | None = None

    @property
    def alone(self) -> bool:
        """Whether this PC is the only one."""
        return self.house is None and self.roster is None

    @property
    def saves(self) -> bool:
        """Whether what is said is kept."""
        return self.house is None or self.house.saves

    @property
    def says(self) -> str:
        """That, for people."""
        if self.house is not None:
            return verdict(self.house)
        return ALONE if self.alone else ONE_COPY

    def members(self) -> list[tuple[Member, Pc | None]]:
        """Each PC once, with what is known of its agent and its part of the memory."""
        roster = list(self.roster.members if self.roster is not None else ())
        pcs = list(self.house.pcs if self.house is not None else ())
        found: list[tuple[Member, Pc | None]] = []
        for pc in pcs:
            at = next((m for m in roster if pc.address == m.address or pc.name == m.name), None)
            if at is not None:
                roster.remove(at)
            found.append((self._with_own(at or Member(pc.name, pc.address, pc.there)), pc))
        found += [(self._with_own(member), None) for member in roster]
        return found or [(self.own, None)]

    def _with_own(self, member: Member) -> Member:
        """What this PC knows of itself nobody has to be asked for."""
        if member.name != self.own.name or (member.memory and member.disk):
            return member
        return replace(member, memory=self.own.memory, disk=self.own.disk)

    def as_json(self) -> dict[str, Any]:
        """As ``GET /api/house`` answers."""
        house, roster = self.house, self.roster or Roster()
        members = self.members()
        return {
            "alone": self.alone,
            "saves": self.saves,
            "may_lose_one": house is not None and house.may_lose_one,
            "copies": "several" if house is not None else "one",
            "active": house.active if house is not None else "",
            "leader": roster.leader,
            "says": self.says,
            "pcs": [_pc_json(member, pc, self) for member, pc in members],
            "services": [
                asdict(service) | {"title": title(service.name), "says": of_service(service)}
                for service in roster.services
            ],
            "jobs": [asdict(job) | {"title": title(job.name), "says": of_job(job)} for job in roster.jobs],
            "healing": healing(members, self.roster),
            "unknown": list(roster.unknown),
        }


def _pc_json(member: Member, pc: Pc | None, overview: Overview) -> Mapping[str, Any]:
    there = member.there or (pc is not None and pc.there)
    known = {"role": pc.role, "keeps": pc.keeps} if pc is not None else {"role": "none", "keeps": None}
    says = of_pc(there, pc, overview.house, leads=member.name == (overview.roster or Roster()).leader)
    return asdict(member) | known | {"there": there, "says": says}


class Watch:
    """Looks when somebody asks, at most every two seconds.

    Args:
        own: what this PC is, its memory and disk.
        house: asks the PCs that keep one memory; None: there is one.
        roster: asks Consul and Nomad; None: there is no cluster.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        own: Callable[[], Member],
        house: Callable[[], Awaitable[House]] | None = None,
        roster: ReadsRoster | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._own, self._house, self._roster, self._clock = own, house, roster, clock
        self._seen: tuple[float, Overview] | None = None
        self._lock = asyncio.Lock()

    async def look(self) -> Overview:
        """How it is now."""
        async with self._lock:
            if self._seen is None or self._clock() - self._seen[0] > _FRESH_S:
                own, house, roster = await asyncio.gather(
                    asyncio.to_thread(self._own), self._look_at_house(), self._read_roster()
                )
                self._seen = (self._clock(), Overview(own, house, roster))
            return self._seen[1]

    async def _look_at_house(self) -> House | None:
        return await self._house() if self._house is not None else None

    async def _read_roster(self) -> Roster | None:
        return await self._roster.read() if self._roster is not None else None
