"""Servers killed or restarted while an agent writes, and what became of what was acknowledged."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from pipecatapp.errors import StorageError
from pipecatapp.storage.part import Storage
from testing.house import UNHURRIED, active, agent, audited, tools_of, until
from testing.nats import NatsHouse


@dataclass(frozen=True, slots=True)
class Outcome:
    """Of events that were acknowledged how many are lost or there twice, how many agents differ from the first one.

    ``gap_s``: seconds from each fault to the next acknowledged write.
    """

    acknowledged: int
    unsure: int
    lost: int
    doubled: int
    different: int
    gap_s: list[float]


@dataclass(slots=True)
class Writing:
    """Two agents, of which the active one writes all the time: what was acknowledged, what may be there or not."""

    first: Storage
    second: Storage
    work: asyncio.Task[None] = field(init=False)
    saved: list[str] = field(default_factory=list)
    unsure: list[str] = field(default_factory=list)
    gap_s: list[float] = field(default_factory=list)
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    async def write(self) -> None:
        """Write until it is ended."""
        number = 0
        while not self.ended.is_set():
            number += 1
            writer = next((each for each in (self.first, self.second) if each.state == "active"), None)
            if writer is None:
                await asyncio.sleep(0.05)
                continue
            try:
                await writer.journal.append(audited(number))
                self.saved.append(f"tool {number}")
            except StorageError:
                self.unsure.append(f"tool {number}")
            await asyncio.sleep(0.002)

    async def under_way(self) -> None:
        """Wait until ten more are acknowledged: however slow the machine is, a fault meets somebody who writes."""
        since = len(self.saved)
        await until("writes are under way", lambda: len(self.saved) >= since + 10, 90)

    async def goes_on(self, since: int, began: float) -> None:
        """Wait until more is acknowledged than at a fault, and note how long that took."""
        await until("writes go on", lambda: len(self.saved) > since, 90)
        self.gap_s.append(time.monotonic() - began)

    async def outcome(self) -> Outcome:
        """End the writing; what became of it, once both have the same."""
        self.ended.set()
        await self.work
        await until("both have the same", lambda: _same(self.first, self.second), 60)
        found = Counter(await tools_of(self.first))
        return Outcome(
            acknowledged=len(self.saved),
            unsure=len(self.unsure),
            lost=sum(tool not in found for tool in self.saved),
            doubled=sum(count > 1 for count in found.values()),
            different=int(await tools_of(self.first) != await tools_of(self.second)),
            gap_s=self.gap_s,
        )


@contextlib.asynccontextmanager
async def writing(house: NatsHouse, folder: Path) -> AsyncIterator[Writing]:
    """Two agents of a house, the active one writing; it has ended, and both are there, when the block is left."""
    async with (
        agent(house, folder / "kitchen", UNHURRIED, empty_waits_s=0) as first,
        agent(house, folder / "attic", UNHURRIED) as second,
    ):
        await active(first)
        household = Writing(first, second)
        household.work = asyncio.create_task(household.write())
        try:
            yield household
        finally:
            household.ended.set()
            await household.work


async def write_and_kill(house: NatsHouse, folder: Path, *, faults: int, random: Random) -> Outcome:
    """Kill one, two or all servers (-9), start them again, wait until writes go on; so many times."""
    async with writing(house, folder) as household:
        for _ in range(faults):
            await household.under_way()
            await asyncio.sleep(random.uniform(0.0, 0.5))
            count = random.choices([1, 2, 3], [6, 3, 1])[0]
            hit = random.sample(house.servers, count)
            before, began = len(household.saved), time.monotonic()
            for server in hit:
                await server.stop()
            await asyncio.sleep(random.uniform(0.0, 1.0))
            for server in hit:
                await server.start()
            for server in hit:
                await server.ready()
            await household.goes_on(before, began)
        return await household.outcome()


async def write_and_restart(house: NatsHouse, folder: Path) -> Outcome:
    """Restart every server as an upgrade does: in good order, one after the other, each back before the next goes."""
    async with writing(house, folder) as household:
        for server in house.servers:
            await household.under_way()
            before, began = len(household.saved), time.monotonic()
            await server.stop(signal.SIGTERM)
            await server.start()
            await server.ready()
            await household.goes_on(before, began)
        return await household.outcome()


async def _same(first: Storage, second: Storage) -> bool:
    return await tools_of(first) == await tools_of(second)
