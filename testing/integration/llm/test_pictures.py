"""A real llama-server without a projector answers a picture as the double of Moondream does."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from pipecatapp.llm.engines import Engine
from pipecatapp.vision.drawing import jpeg
from pipecatapp.vision.moondream import DescriptionError, Moondream
from testing.fakes.cameras import squares
from testing.fakes.moondream import MoondreamServer

pytestmark = pytest.mark.integration


async def refusal(url: str) -> str:
    """What Moondream's adapter says of this server, once it is there and has loaded."""
    picture = jpeg(squares(("cup", 96, 64)), 320)
    async with asyncio.timeout(120):
        while True:
            with pytest.raises(DescriptionError) as caught:
                await Moondream(url).describe(picture)
            if "cannot be reached" not in str(caught.value) and "503" not in str(caught.value):
                return str(caught.value)
            await asyncio.sleep(0.1)


async def test_a_server_that_cannot_see_says_so(engine: Engine, random_model: Path, free_port: int) -> None:
    process = await asyncio.create_subprocess_exec(
        *engine.command,
        *("--model", str(random_model), "--port", str(free_port), "--ctx-size", "512"),
        cwd=engine.folder,
        env=engine.environment(),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        real = await refusal(f"http://127.0.0.1:{free_port}/v1")
    finally:
        process.terminate()
        await process.wait()
    with MoondreamServer() as double:
        double.mood = "no projector"
        assert await refusal(double.url) == real
