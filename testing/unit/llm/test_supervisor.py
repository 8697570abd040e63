"""The supervisor goes on, whatever happens to it. With a real engine: testing/integration/llm/test_engine.py."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from pipecatapp.llm.child import Timeouts
from pipecatapp.llm.engine import EngineSupervisor, ModelFile
from pipecatapp.llm.engines import Engine, Progress
from pipecatapp.machine import Machine

pytestmark = pytest.mark.unit


class Stumbling:
    """Finds no engine: it breaks in a way that nobody thought of. Fulfilled once it was asked ``times`` times."""

    def __init__(self, times: int) -> None:
        self.left = times
        self.asked_enough = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    def __call__(self, engines: Path, machine: Machine, progress: Progress) -> Engine:
        self.left -= 1
        if self.left == 0:
            self._loop.call_soon_threadsafe(self.asked_enough.set)
        raise RuntimeError("nobody thought of this")


async def supervised(folder: Path, find: Stumbling) -> EngineSupervisor:
    timeouts = Timeouts(backoff_first=0.0, backoff_most=0.0)
    supervisor = EngineSupervisor(
        engines=folder, models=[ModelFile(folder / "m.gguf", "m")], find=find, build=False, timeouts=timeouts
    )
    await supervisor.start()
    async with asyncio.timeout(30):
        await find.asked_enough.wait()
    return supervisor


async def test_an_error_that_nobody_thought_of_is_told_and_tried_again(tmp_path: Path) -> None:
    supervisor = await supervised(tmp_path, Stumbling(3))
    assert supervisor.status.restarts >= 2
    await supervisor.stop()
    assert supervisor.status.state == "stopped"


async def test_a_status_that_cannot_be_written_ends_nothing(tmp_path: Path) -> None:
    (tmp_path / "status.json").mkdir()  # as good as a full disk, also for root
    supervisor = await supervised(tmp_path, Stumbling(3))
    await supervisor.stop()
    assert [entry.name for entry in tmp_path.glob(".status-*")] == []
