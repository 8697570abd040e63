"""Where requests to a sleeping service go: an nft table of the agent's own, and an entry in Consul."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from power_agent.driving import Gate
from power_agent.errors import DriverError
from power_agent.http1 import MARK
from power_agent.job import HttpApi

logger = logging.getLogger(__name__)

TABLE = "pipecatapp_power"
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
    return f"""
table inet {TABLE}
delete table inet {TABLE}
table inet {TABLE} {{
  map parked {{ type inet_service : inet_service; flags timeout; }}
  set held {{ type inet_service; flags timeout; }}
  chain arriving {{
    type nat hook prerouting priority -110;
    meta mark != {MARK:#x} fib daddr type local meta l4proto tcp redirect to :tcp dport map @parked
  }}
  chain leaving {{
    type nat hook output priority -110;
    meta mark != {MARK:#x} fib daddr type local meta l4proto tcp redirect to :tcp dport map @parked
  }}
  chain waiting {{
    type filter hook prerouting priority -140;
    meta mark != {MARK:#x} ct state established ct status and dnat == 0 tcp dport @held drop
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
        port: of the service.
        activator: the port where the agent answers for it.
        apply: nft.
    """

    def __init__(self, port: int, activator: int, apply: Nft = nft) -> None:
        self._port, self._activator, self._apply = port, activator, apply

    async def close(self) -> None:
        """New connections are led away; what comes over old ones is dropped and sent again by TCP."""
        await self._apply(self._parked(f"add element inet {TABLE} held {{ {self._port} timeout {_STAYS_S}s }}\n"))

    async def settle(self) -> None:
        """Old connections are told that nobody is there."""
        await self._apply(self._without("held"))

    async def open(self) -> None:
        """New connections go to the service."""
        await self._apply(self._without("held") + self._without("parked"))

    async def refresh(self) -> None:
        """Stay for another minute."""
        await self._apply(self._without("parked") + self._parked())

    def _parked(self, more: str = "") -> str:
        return f"add element inet {TABLE} parked {{ {self._port} timeout {_STAYS_S}s : {self._activator} }}\n{more}"

    def _without(self, name: str) -> str:
        """Adding first makes deleting no error where it has left by itself. A timeout cannot be changed in place."""
        key = f"{self._port} : {self._activator}" if name == "parked" else str(self._port)
        return f"add element inet {TABLE} {name} {{ {key} }}\ndelete element inet {TABLE} {name} {{ {key} }}\n"


class Entry:
    """``driving.Gate`` in a cluster: while it sleeps Consul names the activator under the service's own name.

    Args:
        consul: of this node.
        service: its name.
        host, activator: where the agent answers for it.
    """

    def __init__(self, consul: HttpApi, service: str, host: str, activator: int) -> None:
        self._consul = consul
        self._id = f"power-{service}"
        self._entry: dict[str, Any] = {
            "ID": self._id,
            "Name": service,
            "Tags": ["asleep"],
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
        """Name the activator."""
        answer = await self._consul.ask("PUT", "/v1/agent/service/register", self._entry)
        if answer.status != 200:
            raise DriverError(f"Consul does not take {self._id}: {answer.status}")

    async def settle(self) -> None:
        """Nothing to do."""

    async def open(self) -> None:
        """Name it no more."""
        answer = await self._consul.ask("PUT", f"/v1/agent/service/deregister/{self._id}")
        if answer.status not in (200, 404):
            raise DriverError(f"Consul does not let go of {self._id}: {answer.status}")

    async def refresh(self) -> None:
        """Consul may have been started anew."""
        await self.close()


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
