"""Where requests to a sleeping service go: an nft table of the agent's own, and an entry in Consul."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any
from urllib.parse import quote

from power_agent.driving import Gate
from power_agent.errors import DriverError
from power_agent.http1 import MARK
from power_agent.job import HttpApi

logger = logging.getLogger(__name__)

TABLE = "pipecatapp_power"
# What an entry in Consul says of a sleeper: a tag, and the seconds that a wake takes.
ASLEEP, WAKE_S = "asleep", "wake_s"
# An entry that is not renewed leaves by itself: an agent that is gone for good keeps no port.
_STAYS_S = 60
_NFT_WITHIN_S = 10

Nft = Callable[[str], Awaitable[None]]


async def nft(rules: str) -> None:
    """Apply rules, all or none.

    Raises:
        DriverError: no nft, no right, or it refuses them.
    """
    try:
        child = await asyncio.create_subprocess_exec(
            "nft", "-f", "-", stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
    except OSError as error:
        raise DriverError(f"nft does not start: {error.strerror}; install nftables") from error
    try:
        _, said = await asyncio.wait_for(child.communicate(rules.encode()), _NFT_WITHIN_S)
    except TimeoutError as error:
        child.kill()
        await child.wait()
        raise DriverError(f"nft took more than {_NFT_WITHIN_S} s") from error
    if child.returncode != 0:
        reason = (said.decode(errors="replace").strip().splitlines() or ["no reason given"])[0]
        raise DriverError(f"nft refuses: {reason}")


def table(checker: str = "") -> str:
    """The table, empty; one that is there is replaced at once.

    Args:
        checker: the user whose requests are health checks (Consul's); empty: there is none.
    """
    marked = f'meta skuid "{checker}" meta l4proto tcp meta mark set {MARK:#x}' if checker else ""
    kinds = {"": "inet_service", "4": "ipv4_addr . inet_service", "6": "ipv6_addr . inet_service"}
    sets = "".join(
        f"  map parked{kind} {{ type {key} : inet_service; flags timeout; }}\n"
        f"  set held{kind} {{ type {key}; flags timeout; }}\n"
        for kind, key in kinds.items()
    )
    return f"""
table inet {TABLE}
delete table inet {TABLE}
table inet {TABLE} {{
{sets}
  chain lead {{
    meta mark {MARK:#x} return
    meta l4proto tcp redirect to :ip daddr . tcp dport map @parked4
    meta l4proto tcp redirect to :ip6 daddr . tcp dport map @parked6
    fib daddr type local meta l4proto tcp redirect to :tcp dport map @parked
  }}
  chain arriving {{
    type nat hook prerouting priority -110;
    jump lead
  }}
  chain leaving {{
    type nat hook output priority -110;
    jump lead
  }}
  chain waiting {{
    type filter hook prerouting priority -140;
    meta mark {MARK:#x} accept
    ct state != established accept
    ct status & dnat == dnat accept
    ip daddr . tcp dport @held4 drop
    ip6 daddr . tcp dport @held6 drop
    fib daddr type local tcp dport @held drop
  }}
  chain checks {{
    type route hook output priority -150;
    {marked}
  }}
}}
"""


class Redirect:
    """``driving.Gate`` for a fixed port of this machine.

    Args:
        host, port: of the service; `0.0.0.0` and `::` stand for all addresses of the machine. Who listens on the same
            port of another address is left alone.
        activator: the port where the agent answers for it.
        apply: nft.
    """

    def __init__(self, host: str, port: int, activator: int, apply: Nft = nft) -> None:
        address = ipaddress.ip_address(host)
        self._kind = "" if address.is_unspecified else str(address.version)
        self._key = str(port) if address.is_unspecified else f"{address} . {port}"
        self._activator, self._apply = activator, apply

    async def close(self) -> None:
        """New connections are led away; what comes over old ones is dropped and sent again by TCP."""
        held = f"add element inet {TABLE} held{self._kind} {{ {self._key} timeout {_STAYS_S}s }}\n"
        await self._apply(self._parked() + held)

    async def settle(self) -> None:
        """Old connections are told that nobody is there."""
        await self._apply(self._without("held"))

    async def open(self) -> None:
        """New connections go to the service."""
        await self._apply(self._without("held") + self._without("parked"))

    async def refresh(self) -> None:
        """Stay for another minute."""
        await self._apply(self._without("parked") + self._parked())

    def _parked(self) -> str:
        element = f"{self._key} timeout {_STAYS_S}s : {self._activator}"
        return f"add element inet {TABLE} parked{self._kind} {{ {element} }}\n"

    def _without(self, name: str) -> str:
        """Adding first makes deleting no error where it has left by itself. A timeout cannot be changed in place."""
        key = f"{self._key} : {self._activator}" if name == "parked" else self._key
        element = f"element inet {TABLE} {name}{self._kind} {{ {key} }}\n"
        return f"add {element}delete {element}"


class Entry:
    """``driving.Gate`` in a cluster: while it sleeps Consul names the activator under the service's own name.

    Args:
        consul: of this node.
        service: its name.
        host, activator: where the agent answers for it.
        wakes_in_s: how long the next wake will take; None: nobody knows.
    """

    def __init__(
        self,
        consul: HttpApi,
        service: str,
        host: str,
        activator: int,
        wakes_in_s: Callable[[], float | None] = lambda: None,
    ) -> None:
        self._consul = consul
        self._service, self._wakes_in_s = service, wakes_in_s
        self._id = f"power-{service}"
        self._entry: dict[str, Any] = {
            "ID": self._id,
            "Name": service,
            "Tags": [ASLEEP],
            "Meta": {},
            "Address": host,
            "Port": activator,
            "Check": {
                "TCP": f"{host}:{activator}",
                "Interval": "10s",
                "Timeout": "2s",
                "Status": "passing",
                "DeregisterCriticalServiceAfter": "1m",
            },
        }

    async def close(self) -> None:
        """Name the activator, with what the service said of itself: its model, its context, what it is for."""
        listed = await self._consul.json("GET", f"/v1/health/service/{quote(self._service, safe='')}")
        entries = [each["Service"] for each in listed or []]
        # Its own where the service is gone already: this agent was started anew.
        said = next((each for each in entries if each["ID"] != self._id), entries[0] if entries else {})
        self._entry["Tags"] = [ASLEEP, *(tag for tag in said.get("Tags") or () if "=" in tag)]
        self._entry["Meta"] = {key: str(value) for key, value in (said.get("Meta") or {}).items() if key != WAKE_S}
        await self.refresh()

    async def settle(self) -> None:
        """Nothing to do."""

    async def refresh(self) -> None:
        """Consul may have been started anew."""
        seconds = self._wakes_in_s()
        if seconds is not None:
            self._entry["Meta"][WAKE_S] = f"{seconds:.1f}"
        answer = await self._consul.ask("PUT", "/v1/agent/service/register", self._entry)
        if answer.status != 200:
            raise DriverError(f"Consul does not take {self._id}: {answer.status}")

    async def open(self) -> None:
        """Name it no more."""
        answer = await self._consul.ask("PUT", f"/v1/agent/service/deregister/{self._id}")
        if answer.status not in (200, 404):
            raise DriverError(f"Consul does not let go of {self._id}: {answer.status}")


class Gates:
    """Several as one: closed in order, opened in the other one."""

    def __init__(self, gates: Sequence[Gate]) -> None:
        self._gates = gates

    async def close(self) -> None:
        """All of them."""
        for gate in self._gates:
            await gate.close()

    async def settle(self) -> None:
        """All of them."""
        for gate in self._gates:
            await gate.settle()

    async def open(self) -> None:
        """All of them, whatever one of them says."""
        failed = None
        for gate in reversed(self._gates):
            try:
                await gate.open()
            except DriverError as error:
                failed = error
        if failed is not None:
            raise failed

    async def refresh(self) -> None:
        """All of them."""
        for gate in self._gates:
            await gate.refresh()
