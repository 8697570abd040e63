"""Agents' storage on one machine as on several PCs, over real servers of NATS: what tests and benches of it share."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

from pipecatapp.errors import NotSavedError
from pipecatapp.ports import JournalEvent
from pipecatapp.storage.part import Storage
from pipecatapp.storage.replication.lease import LeaseTimes
from pipecatapp.storage.replication.link import Access
from testing.nats import PASSWORD, NatsHouse

# Shorter than an election of the servers (up to 6.6 s): tests that stop servers wait for it, or insist.
# Not shorter, for a machine with other work to do stops a program for a second.
QUICK = LeaseTimes(every_s=0.2, hold_s=2.5, patience_s=3.0)
UNHURRIED = LeaseTimes(every_s=0.3, hold_s=4.0, patience_s=5.0)


def access_to(house: NatsHouse, **otherwise: Any) -> Access:
    """How the agent of role `nats` comes in."""
    told: dict[str, Any] = {
        "servers": house.urls, "user": "app", "password": PASSWORD, "ca": house.ca, "certificate": house.certificate,
        "key": house.key,
    }  # fmt: skip
    return Access(**(told | otherwise))


def audited(number: int | str) -> JournalEvent:
    """An event that shows in the audit log."""
    return JournalEvent("audit", {"entry": {"tool": f"tool {number}"}})


def told(number: int, text: str) -> JournalEvent:
    """An event that is a fact."""
    record = {"id": number, "op": "fact", "text": text, "kind": "told", "turn": "t", "created": 1.0, "seen": 1}
    return JournalEvent("facts", {"records": [{**record, "last": 1.0, "old": []}]})


async def tools_of(storage: Storage) -> list[str]:
    """What the audit log says."""
    return [str(line["tool"]) for line in reversed((await storage.audit.entries(limit=100_000))[0])]


@contextlib.asynccontextmanager
async def agent(
    house: NatsHouse,
    folder: Path,
    times: LeaseTimes = QUICK,
    *,
    servers: Sequence[str] = (),
    copies: int = 0,
    **otherwise: Any,
) -> AsyncIterator[Storage]:
    """The storage of one agent, started; stopped at the end."""
    access = access_to(house, servers=servers or house.urls, copies=copies)
    storage = Storage(folder, access=access, name=folder.name, times=times, **otherwise)
    await storage.start()
    try:
        yield storage
    finally:
        await storage.stop()


async def until(what: str, true: Callable[[], Any], within_s: float = 30) -> None:
    """Wait until something is so.

    Raises:
        TimeoutError: it is not.
    """
    try:
        async with asyncio.timeout(within_s):
            while True:
                outcome = true()
                if asyncio.iscoroutine(outcome):
                    outcome = await outcome
                if outcome:
                    return
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise TimeoutError(f"not so within {within_s:g} s: {what}") from None


async def active(storage: Storage, within_s: float = 30) -> Storage:
    """Wait until it is the active one."""
    await until(f"{storage.folder.name} is active", lambda: storage.state == "active", within_s)
    return storage


async def insist(write: Callable[[], Awaitable[int]], within_s: float = 60) -> int:
    """Write until it is saved: with a short lease an election of the servers takes longer than it holds."""
    async with asyncio.timeout(within_s):
        while True:
            try:
                return await write()
            except NotSavedError:
                await asyncio.sleep(0.1)
