"""Discovery with a real Consul: experts come and go at once, and stay while Consul is away."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from pathlib import Path

import pytest

from pipecatapp.cluster.consul import ConsulClient
from pipecatapp.cluster.discovery import Discovery
from pipecatapp.registration import Registration
from testing.consul import ConsulAgent, consul_servers
from testing.llama import LlamaServer

pytestmark = pytest.mark.integration


@pytest.fixture
async def consul(tmp_path: Path) -> AsyncIterator[ConsulAgent]:
    async with consul_servers(tmp_path / "consul", ["127.0.0.41"]) as (agent,):
        yield agent


class Watching:
    """Discovery on a real agent, and what it told."""

    def __init__(self, address: str) -> None:
        self.found: Sequence[Registration] = ()
        self.stale: bool | None = None
        self.discovery = Discovery(ConsulClient(address), self._changed)

    def _changed(self, found: Sequence[Registration], names: Collection[str], stale: bool) -> None:
        self.found, self.stale = found, stale

    async def until(self, condition: Callable[[], bool], within_s: float = 120) -> float:
        """Wait; gives back the seconds that it took."""
        started = time.monotonic()
        async with asyncio.timeout(within_s):
            while not condition():
                await asyncio.sleep(0.01)
        return time.monotonic() - started


@pytest.fixture
async def watching(consul: ConsulAgent) -> AsyncIterator[Watching]:
    watching = Watching(consul.address)
    watching.discovery.start()
    yield watching
    await watching.discovery.aclose()


async def test_what_is_registered_arrives_at_once_with_what_is_known_of_it(
    consul: ConsulAgent, watching: Watching
) -> None:
    await watching.until(lambda: watching.stale is False)
    service = await consul.register(
        "coding", "127.0.0.42", 8080, model="qwen3-4b", context="8192", description="writes programs", tools="no"
    )
    seconds = await watching.until(lambda: len(watching.found) == 1)
    (found,) = watching.found
    assert (found.expert, found.url) == ("coding", "http://127.0.0.42:8080/v1")
    assert (found.model, found.context, found.description, found.tools) == ("qwen3-4b", 8192, "writes programs", False)
    await consul.deregister(service)
    seconds = max(seconds, await watching.until(lambda: not watching.found))
    assert seconds < 5  # it is under 0.1 s; a busy machine may take longer, a poll would


async def test_an_instance_whose_check_fails_is_left_out(
    consul: ConsulAgent, watching: Watching, tmp_path: Path
) -> None:
    server = LlamaServer("127.0.0.43", tmp_path)
    await server.start()
    try:
        await consul.register("coding", server.host, server.port)
        await watching.until(lambda: len(watching.found) == 1)
        await server.kill()
        await watching.until(lambda: not watching.found)
        await server.start()
        await watching.until(lambda: len(watching.found) == 1)
    finally:
        await server.kill()


async def test_while_consul_is_away_the_last_known_set_stays(consul: ConsulAgent, watching: Watching) -> None:
    await consul.register("coding", "127.0.0.42", 8080)
    await watching.until(lambda: len(watching.found) == 1)
    await consul.stop()
    await watching.until(lambda: watching.stale is True)
    assert len(watching.found) == 1
    await consul.start()
    await consul.ready()
    await watching.until(lambda: watching.stale is False)
