"""Servers killed at random while an agent writes, and what became of what was acknowledged; for a test and a bench."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from dataclasses import dataclass
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


async def write_and_kill(house: NatsHouse, folder: Path, *, faults: int, random: Random) -> Outcome:
    """Kill one, two or all servers (-9), start them again, wait until writes go on; so many times."""
    saved: list[str] = []
    unsure: list[str] = []
    async with (
        agent(house, folder / "kitchen", UNHURRIED, empty_waits_s=0) as first,
        agent(house, folder / "attic", UNHURRIED) as second,
    ):
        await active(first)
        ended = asyncio.Event()

        async def write() -> None:
            number = 0
            while not ended.is_set():
                number += 1
                writer = next((each for each in (first, second) if each.state == "active"), None)
                if writer is None:
                    await asyncio.sleep(0.05)
                    continue
                try:
                    await writer.journal.append(audited(number))
                    saved.append(f"tool {number}")
                except StorageError:
                    unsure.append(f"tool {number}")
                await asyncio.sleep(0.002)

        writing = asyncio.create_task(write())
        gaps = []
        for _ in range(faults):
            await asyncio.sleep(random.uniform(0.2, 1.0))
            count = random.choices([1, 2, 3], [6, 3, 1])[0]
            hit = random.sample(house.servers, count)
            before, began = len(saved), time.monotonic()
            for server in hit:
                await server.stop()
            await asyncio.sleep(random.uniform(0.0, 1.0))
            for server in hit:
                await server.start()
            for server in hit:
                await server.ready()
            await until("writes go on", lambda before=before: len(saved) > before, 90)
            gaps.append(time.monotonic() - began)
        ended.set()
        await writing
        await until("both have the same", lambda: _same(first, second), 60)
        found = Counter(await tools_of(first))
        different = int(await tools_of(first) != await tools_of(second))
    return Outcome(
        acknowledged=len(saved),
        unsure=len(unsure),
        lost=sum(tool not in found for tool in saved),
        doubled=sum(count > 1 for count in found.values()),
        different=different,
        gap_s=gaps,
    )


async def _same(first: Storage, second: Storage) -> bool:
    return await tools_of(first) == await tools_of(second)
