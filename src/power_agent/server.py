"""The watched server itself: whether it can be asked, whether it computes, what it is."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from power_agent.errors import DriverError
from power_agent.http1 import Answer, MessageError, connect, request
from power_agent.pulse import ADDRESS, of_the_pulse

Address = Callable[[], Awaitable[tuple[str, int]]]

# What is asked of it while it is awake, and answered for it while it sleeps.
REMEMBERED = ("/v1/models", "/models", "/props")
_REMEMBERED_LIMIT = 256 * 1024
_SS_WITHIN_S = 5
_COUNTERS = re.compile(r"\b(lastsnd|lastrcv|bytes_sent|bytes_received):(\d+)")


class Server(Protocol):
    """What the policy asks of a watched server."""

    async def ready(self) -> bool:
        """Whether a request would be answered now. A process that runs, or a port that is open, is not enough."""

    async def busy(self) -> bool | None:
        """Whether it computes for somebody; None: it does not say."""

    async def work_done(self) -> str | None:
        """What changes with each request that it works on; None: it does not say."""

    async def remembered(self) -> Mapping[str, str]:
        """Its answers to ``REMEMBERED``, by path."""


class LlamaServer:
    """An OpenAI server; of llama-server the slots are read too.

    Args:
        address: where it listens now.
        token: of its API; empty: it wants none.
    """

    def __init__(self, address: Address, token: str = "") -> None:
        self._address = address
        self._fields = {"Authorization": f"Bearer {token}"} if token else {}

    async def ready(self) -> bool:
        """By /health, and where there is none by /v1/models."""
        answer = await self._get("/health", 2.0)
        if answer is not None and answer.status == 404:
            answer = await self._get("/v1/models", 2.0)
        return answer is not None and answer.status == 200

    async def busy(self) -> bool | None:
        """By its slots, else by its connections; a token for its supervisor is nobody's."""
        slots = await self._slots()
        if slots is not None:
            return any(slot.get("is_processing", True) and not of_the_pulse(slot) for slot in slots)
        return await _owes_an_answer(self._address)

    async def work_done(self) -> str | None:
        """The last request of each slot, where it is not the pulse's."""
        slots = await self._slots()
        if slots is None:
            return None
        asked = [slot for slot in slots if not of_the_pulse(slot)]
        return json.dumps([[slot.get("id_task"), slot.get("n_past"), slot.get("is_processing")] for slot in asked])

    async def remembered(self) -> Mapping[str, str]:
        """As in ``Server``."""
        found = {}
        for path in REMEMBERED:
            answer = await self._get(path, 5.0)
            if answer is not None and answer.status == 200 and len(answer.body) <= _REMEMBERED_LIMIT:
                with suppress(UnicodeDecodeError):
                    found[path] = answer.body.decode()
        return found

    async def _slots(self) -> list[dict[str, object]] | None:
        answer = await self._get("/slots", 5.0)
        if answer is None or answer.status != 200:
            return None
        try:
            slots = answer.json()
        except ValueError:
            return None
        if not isinstance(slots, list) or not slots or not all(isinstance(slot, dict) for slot in slots):
            return None
        return slots

    async def _get(self, path: str, within_s: float) -> Answer | None:
        try:
            host, port = await self._address()
            return await request(host, port, "GET", path, fields=self._fields, within_s=within_s)
        except (OSError, TimeoutError, MessageError, DriverError):
            return None


class RawServer:
    """A server of another protocol: its port and its connections are all that is known of it."""

    def __init__(self, address: Address) -> None:
        self._address = address

    async def ready(self) -> bool:
        """By its port."""
        try:
            async with asyncio.timeout(2):
                _, writer = await connect(*await self._address())
        except (OSError, TimeoutError, DriverError):
            return False
        writer.close()
        return True

    async def busy(self) -> bool | None:
        """By its connections."""
        return await _owes_an_answer(self._address)

    async def work_done(self) -> str | None:
        """It does not say."""
        return None

    async def remembered(self) -> Mapping[str, str]:
        """Nothing."""
        return {}


async def _owes_an_answer(address: Address) -> bool | None:
    try:
        _, port = await address()
    except DriverError:
        return None
    return await owes_an_answer(port)


async def owes_an_answer(port: int, listens_s: float = 1.5) -> bool | None:
    """Whether a connection to this port waits for its answer, or is getting it; None: ss does not say.

    Args:
        listens_s: between two looks; an answer of fewer pieces than one in that time is not seen.
    """
    before = await _connections(port)
    if before is None or any(each.owes for each in before.values()):
        return None if before is None else True
    if not before:
        return False
    await asyncio.sleep(listens_s)
    after = await _connections(port)
    return None if after is None else answering(before, after)


@dataclass(frozen=True, slots=True)
class Connection:
    """One connection as ss shows it.

    Attributes:
        sent, received: bytes.
        owes: it took something after it last sent, or has not sent all.
    """

    sent: int
    received: int
    owes: bool


def answering(before: Mapping[str, Connection], after: Mapping[str, Connection]) -> bool:
    """Whether one of them sent more meanwhile without being asked more; or owes an answer now."""
    return any(
        each.owes or (peer in before and each.sent > before[peer].sent and each.received == before[peer].received)
        for peer, each in after.items()
    )


def connections(said: str) -> dict[str, Connection]:
    """What ss said, by the other end, without the pulse. The counters of each stand in its second, indented line."""
    found: dict[str, Connection] = {}
    waiting, peer = False, ""
    for line in said.splitlines():
        columns = line.split()
        if not line[:1].isspace() and len(columns) >= 4:
            waiting, peer = any(column != "0" for column in columns[:2]), columns[3]
            found[peer] = Connection(0, 0, waiting)
        elif peer:
            counters = {name: int(value) for name, value in _COUNTERS.findall(line)}
            took, gave = counters.get("lastrcv", 0), counters.get("lastsnd", 0)
            received = counters.get("bytes_received", 0)
            sent = counters.get("bytes_sent", 0)
            # One that never sent has no time of sending of its own.
            owes = waiting or (received > 0 and (sent == 0 or took < gave))
            found[peer] = Connection(sent, received, owes)
    return {peer: each for peer, each in found.items() if _host(peer) != ADDRESS}


def _host(peer: str) -> str:
    """Of an address and its port; IPv4 may stand in IPv6."""
    return peer.rpartition(":")[0].strip("[]").removeprefix("::ffff:")


async def _connections(port: int) -> dict[str, Connection] | None:
    command = ["ss", "-Htin", "state", "established", f"( sport = :{port} )"]
    try:
        child = await asyncio.create_subprocess_exec(
            *command, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
    except OSError:
        return None
    try:
        said, _ = await asyncio.wait_for(child.communicate(), _SS_WITHIN_S)
    except TimeoutError:
        child.kill()
        await child.wait()
        return None
    return connections(said.decode(errors="replace")) if child.returncode == 0 else None
