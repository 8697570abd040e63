"""How the house is, asked of its PCs themselves."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from fastapi import FastAPI
from starlette.responses import JSONResponse

from pipecatapp.cluster.house import Pc, look
from pipecatapp.cluster.roster import Member, RosterReader, Service
from testing.consul import consul_servers
from testing.fakes.serving import served

pytestmark = pytest.mark.integration


async def test_each_is_asked_itself() -> None:
    app = FastAPI()

    @app.get("/health")
    async def health() -> JSONResponse:
        return JSONResponse({"role": "active"}, 503)  # it cannot answer yet, and is what it is

    def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"INFO {}\r\n")
        writer.close()

    server = await asyncio.start_server(greet, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, served(app) as agent_port:
        seen = await look(
            ["n1", "n2", "assistant.local"], ["127.0.0.1", "127.0.7.2"], agent_port,
            [f"tls://127.0.0.1:{port}", f"tls://127.0.7.2:{port}"],
        )  # fmt: skip
    assert list(seen.pcs) == [Pc("n1", "127.0.0.1", "active", True), Pc("n2", "127.0.7.2", "none", False)]
    assert (seen.active, seen.servers, seen.saves) == ("n1", (1, 2), False)


async def test_a_real_consul_is_understood(tmp_path: Path) -> None:
    async with consul_servers(tmp_path / "consul", ["127.0.0.48"]) as (agent,):
        await agent.register("coding", "127.0.0.48", 9)  # nobody answers there
        roster = await RosterReader(f"http://{agent.address}").read()
        while not roster.services or not roster.services[0].ill_on:
            await asyncio.sleep(0.1)
            roster = await RosterReader(f"http://{agent.address}").read()
    assert list(roster.members) == [Member(agent.name, "127.0.0.48", True)]
    assert list(roster.services) == [Service("prima-api-coding", 0, (agent.name,))]
    assert (roster.leader, list(roster.unknown)) == (agent.name, [])
