"""A real llama-server (the one that scripts/setup fetched) with a random model, supervised as in earnest."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from pipecatapp.llm.child import Timeouts
from pipecatapp.llm.client import OpenAIChatModel
from pipecatapp.llm.engine import EngineSupervisor, ModelFile
from pipecatapp.llm.engines import Engine
from testing import ports
from testing.engine_node import READY_WITHIN_S, unpacked_engine
from testing.fakes.gguf import write_random_model

# A busy test machine is slow to answer; the waits of the tests are ceilings, not expectations.
TIMEOUTS = Timeouts(probe_every=0.5, hang_after=2.0, backoff_first=0.1, backoff_most=0.5)


@pytest.fixture(scope="session")
def engine() -> Engine:
    return unpacked_engine()


@pytest.fixture(scope="session")
def random_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_random_model(tmp_path_factory.mktemp("models") / "random.gguf")


@pytest.fixture
def free_port() -> int:
    return ports.free_port()


Make = Callable[..., EngineSupervisor]


@pytest.fixture
async def supervisors(engine: Engine, tmp_path: Path, free_port: int) -> AsyncIterator[Make]:
    """Makes supervisors and ends them, whatever the test did."""
    made: list[EngineSupervisor] = []

    def make(*models: ModelFile, **options: object) -> EngineSupervisor:
        settings = {
            "engines": tmp_path / "engine", "port": free_port, "build": False, "timeouts": TIMEOUTS,
            "find": lambda engines, machine, progress: engine,
        }  # fmt: skip
        made.append(EngineSupervisor(models=models, **(settings | options)))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for supervisor in made:
        await supervisor.stop()


@pytest.fixture
async def running(supervisors: Make, random_model: Path) -> EngineSupervisor:
    """A supervisor whose engine is ready."""
    supervisor = supervisors(ModelFile(random_model, "starter-random", 2048))
    await supervisor.start()
    async with asyncio.timeout(READY_WITHIN_S):
        await supervisor.wait_ready()
    return supervisor


@pytest.fixture
async def model(running: EngineSupervisor) -> AsyncIterator[OpenAIChatModel]:
    client = OpenAIChatModel(running.base_url, api_key=running.api_key, status=lambda: running.status)
    yield client
    await client.aclose()
