"""The whole program on an edge node: no engine of its own, real experts behind a real Consul."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import httpx
import pytest

from testing.consul import ConsulAgent, consul_servers
from testing.integration.app.conftest import Program
from testing.llama import LlamaServer

pytestmark = pytest.mark.integration


@pytest.fixture
async def consul(tmp_path: Path) -> AsyncIterator[ConsulAgent]:
    async with consul_servers(tmp_path / "consul", ["127.0.0.31"]) as (agent,):
        yield agent


@pytest.fixture
async def servers(tmp_path: Path) -> AsyncIterator[list[LlamaServer]]:
    async with AsyncExitStack() as stack:
        started = [LlamaServer(host, tmp_path) for host in ("127.0.0.32", "127.0.0.33")]
        for server in started:
            stack.push_async_callback(server.kill)
            await server.start()
        yield started


async def test_an_edge_node_answers_with_the_experts_that_it_finds(
    program: Program, consul: ConsulAgent, servers: list[LlamaServer]
) -> None:
    main, coding = servers
    program.environment |= {"NODE_ROLE": "edge", "CONSUL_HTTP_ADDR": consul.address, "STT_SERVICE": "pocketsphinx"}
    program.start()
    alone = await asyncio.to_thread(program.wait, lambda response: "experts" in response.json()["components"])
    assert "no expert that could answer" in alone.json()["components"]["engine"]["reason"]

    await consul.register("main", main.host, main.port, model="starter")
    await asyncio.to_thread(program.wait, lambda response: response.json()["components"]["engine"]["ok"])
    asked = await asyncio.to_thread(program.command, "ask", "who are you", "--conversation", "edge")
    assert asked.returncode == 0, asked.stderr
    assert asked.stdout.strip()

    await consul.register("coding", coding.host, coding.port, model="starter", description="programs")
    token = (program.state / "token").read_text().strip()
    url, headers = f"http://127.0.0.1:{program.port}", {"authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(base_url=url, headers=headers, trust_env=False, timeout=60) as http:

        async def table() -> dict[str, bool]:
            rows = (await http.get("/api/experts")).json()
            return {row["name"]: row["healthy"] for row in rows["experts"]} | {"stale": rows["stale"]}

        async with asyncio.timeout(30):
            while await table() != {"coding": True, "main": True, "stale": False}:
                await asyncio.sleep(0.1)
        body = {"model": "coding", "messages": [{"role": "user", "content": "write a python function"}]}
        answer = (await http.post("/v1/chat/completions", json=body)).json()
        assert answer["model"] == "coding"

        # Consul dies, and the main expert: what is left goes on.
        await consul.stop()
        await main.kill()
        asked = await asyncio.to_thread(program.command, "ask", "thank you", "--conversation", "edge")
        assert asked.returncode == 0, asked.stderr
        assert "waking up" not in asked.stdout
        async with asyncio.timeout(30):
            while await table() != {"coding": True, "main": False, "stale": True}:
                await asyncio.sleep(0.1)
    assert await asyncio.to_thread(program.end) <= 10
