"""How the house is: which of its PCs are there, what the agent of each is, and whether what is said can be saved.

Each is asked itself, from here: a house whose network is split looks different from each side, and so it should.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

import httpx

Role = Literal["active", "standby", "cut_off", "alone", "none"]
_ROLES = ("active", "standby", "cut_off", "alone")
# A person waits for the answer.
_PATIENCE_S = 3.0


@dataclass(frozen=True, slots=True)
class Pc:
    """One PC. ``role``: of its agent, ``none`` where none answers. ``keeps``: whether the memory's server there
    answers; None where it should have none."""

    name: str
    address: str
    role: Role
    keeps: bool | None

    @property
    def there(self) -> bool:
        """Whether anything of it answers."""
        return self.role != "none" or bool(self.keeps)


@dataclass(frozen=True, slots=True)
class House:
    """All of them, as seen from this PC."""

    pcs: Sequence[Pc]

    @property
    def active(self) -> str:
        """The PC that answers; empty where none does."""
        return next((pc.name for pc in self.pcs if pc.role == "active"), "")

    @property
    def servers(self) -> tuple[int, int]:
        """How many of the memory's servers answer, and how many there are."""
        kept = [pc.keeps for pc in self.pcs if pc.keeps is not None]
        return sum(kept), len(kept)

    @property
    def saves(self) -> bool:
        """Whether what is said is saved: somebody is active, and more than half of the servers answer."""
        there, all_of_them = self.servers
        return bool(self.active) and 2 * there > all_of_them

    @property
    def may_lose_one(self) -> bool:
        """Whether that would still be so without one more PC."""
        there, all_of_them = self.servers
        warm = sum(pc.role in ("active", "standby") for pc in self.pcs)
        return self.saves and warm > 1 and 2 * (there - 1) > all_of_them


async def look(names: Sequence[str], addresses: Sequence[str], port: int, servers: Sequence[str]) -> House:
    """Ask all at once.

    Args:
        names: of the PCs.
        addresses: theirs, in the same order.
        port: where an agent listens.
        servers: URLs of the memory's servers.
    """
    places = {str(urlsplit(url).hostname): int(urlsplit(url).port or 4222) for url in servers}
    limits = httpx.Limits(max_keepalive_connections=0)
    async with httpx.AsyncClient(trust_env=False, timeout=_PATIENCE_S, limits=limits) as http:
        pcs = [_look_at(http, name, address, port, places) for name, address in zip(names, addresses, strict=False)]
        return House(await asyncio.gather(*pcs))


async def _look_at(http: httpx.AsyncClient, name: str, address: str, port: int, places: dict[str, int]) -> Pc:
    role, keeps = await asyncio.gather(_role(http, address, port), _answers(address, places.get(address)))
    return Pc(name, address, role, keeps)


async def _role(http: httpx.AsyncClient, address: str, port: int) -> Role:
    host = f"[{address}]" if ":" in address else address
    with contextlib.suppress(httpx.HTTPError, ValueError, TypeError, AttributeError):
        said = (await http.get(f"http://{host}:{port}/health")).json().get("role")
        for role in _ROLES:
            if said == role:
                return role  # type: ignore[return-value]  # one of them
    return "none"


async def _answers(address: str, port: int | None) -> bool | None:
    """Whether a server accepts and greets; None where there is none."""
    if port is None:
        return None
    try:
        async with asyncio.timeout(_PATIENCE_S):
            reader, writer = await asyncio.open_connection(address, port)
            try:
                return bool(await reader.read(1))
            finally:
                writer.close()
    except (OSError, TimeoutError):
        return False
