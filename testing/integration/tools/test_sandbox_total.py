"""What a program in the sandbox can hold in all, the kernel's memory included, by whatever it is that keeps it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from pipecatapp.tools.sandbox import Limits
from pipecatapp.tools.sandbox_bubblewrap import BubblewrapSandbox
from testing.fakes.escapes import Escape, load_hoards
from testing.scales import Scales, held_by_all

pytestmark = pytest.mark.integration

LIMITS = Limits(seconds=5)
MB = 1024 * 1024
HOARDS = load_hoards()


@pytest.mark.parametrize("hoard", HOARDS, ids=lambda hoard: hoard.name.replace(" ", "-"))
async def test_no_program_holds_more_than_its_share(hoard: Escape) -> None:
    scales = Scales()
    if not scales.here:
        pytest.skip("only root can weigh a program; see the test below")
    sandbox = await asyncio.to_thread(BubblewrapSandbox, groups=scales)
    ran = await sandbox.run(hoard.program, LIMITS)
    assert scales.peak < int(hoard.endings[0]) * MB, ran


@contextlib.asynccontextmanager
async def grown() -> AsyncIterator[list[int]]:
    """The most that this machine held more than at the beginning, as the only item."""
    before, most = held_by_all(), [0]

    async def look() -> None:
        while True:
            most[0] = max(most[0], held_by_all() - before)
            await asyncio.sleep(0.02)

    looking = asyncio.create_task(look())
    try:
        yield most
    finally:
        looking.cancel()


@pytest.mark.parametrize("hoard", HOARDS, ids=lambda hoard: hoard.name.replace(" ", "-"))
async def test_the_machine_feels_no_more_than_that(hoard: Escape) -> None:
    if Scales().here:
        pytest.skip("the test above knows better")
    sandbox = await asyncio.to_thread(BubblewrapSandbox)
    felt = []
    for _ in range(3):  # others take memory meanwhile, but not every time
        async with grown() as nothing:
            await asyncio.sleep(1)
        async with grown() as most:
            await sandbox.run(hoard.program, LIMITS)
        felt.append(most[0] - nothing[0])
        if felt[-1] < LIMITS.memory_bytes:
            return
    raise AssertionError(felt)


async def test_names_that_are_not_there_are_counted() -> None:
    (names,) = (hoard for hoard in HOARDS if hoard.name == "names that are not there")
    sandbox = await asyncio.to_thread(BubblewrapSandbox)
    program = names.program.replace("time.time() + 2", "time.time() + 100")
    ran = await sandbox.run(program, Limits(seconds=100, memory_bytes=200 * MB))
    assert ran.ending == "memory", ran
