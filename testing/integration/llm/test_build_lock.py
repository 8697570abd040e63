"""Two that want an engine built at the same time: the second waits for what the first builds."""

from __future__ import annotations

import asyncio
import fcntl
from pathlib import Path

import pytest

from pipecatapp.llm.engines import load_pins
from pipecatapp.llm.native import build, folder_name
from pipecatapp.machine import detect

pytestmark = pytest.mark.integration


async def test_a_build_waits_for_another_one_and_takes_what_it_built(tmp_path: Path) -> None:
    pin, machine = load_pins()[1], detect()
    waiting = asyncio.Event()
    loop = asyncio.get_running_loop()
    with (tmp_path / ".build.lock").open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        building = asyncio.create_task(
            asyncio.to_thread(build, tmp_path, pin, machine, lambda *_: loop.call_soon_threadsafe(waiting.set))
        )
        async with asyncio.timeout(60):
            await waiting.wait()
        program = tmp_path / folder_name(pin, machine) / "llama-server"
        program.parent.mkdir()
        program.write_text("#!/bin/sh\n")
        program.chmod(0o755)

    async with asyncio.timeout(60):
        engine = await building

    assert list(engine.command) == [str(program)]
    assert not (tmp_path / ".build").exists(), "it began a build of its own"
