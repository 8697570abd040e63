"""The role's haproxy as it is, in front of two agents' servers: who gets a visitor, and when one is let go.

It takes Debian's haproxy and keepalived from ``HAPROXY_BIN`` and ``KEEPALIVED_BIN`` or the path, and is skipped where
there is none.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from pipecatapp.web.hosts import parse_proxies
from pipecatapp.web.serving import Servers
from pipecatapp.web.tls import LocalAuthority
from testing.ports import free_port
from testing.rendering import rendered

KEEPALIVED = os.environ.get("KEEPALIVED_BIN") or shutil.which("keepalived", path="/usr/sbin:/usr/bin")
HAPROXY = os.environ.get("HAPROXY_BIN") or shutil.which("haproxy", path="/usr/sbin:/usr/bin")

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(not HAPROXY, reason="no haproxy here: HAPROXY_BIN names none"),
]
MEMBERS = {"n1": "127.0.6.1", "n2": "127.0.6.2"}


class Agent:
    """An agent's servers, with a role that the test sets."""

    def __init__(self, name: str, role: str, ports: tuple[int, int], folder: Path) -> None:
        self.name, self.role = name, role
        routes = [Route("/active", self._active), Route("/who", self._who), WebSocketRoute("/ws", self._socket)]
        self.servers = Servers(
            Starlette(routes=routes), MEMBERS[name], *ports, token="t" * 30, authority=LocalAuthority(folder / name),
            proxies=parse_proxies("127.0.0.1"),  # where a connection to any of loopback's addresses comes from
        )  # fmt: skip

    async def _active(self, _: Request) -> JSONResponse:
        return JSONResponse({"role": self.role}, 200 if self.role == "active" else 503)

    async def _who(self, request: Request) -> JSONResponse:
        assert request.client is not None
        return JSONResponse({"agent": self.name, "client": request.client.host, "scheme": request.url.scheme})

    async def _socket(self, socket: WebSocket) -> None:
        await socket.accept()
        await socket.send_text(self.name)
        with contextlib.suppress(Exception):
            while True:
                await socket.receive_text()


class Front:
    """Both agents and the proxy of n1. ``alive``: the program that keepalived runs."""

    def __init__(self, agents: dict[str, Agent], port: int, tls_port: int, proxy: int, alive: Path) -> None:
        self.agents, self.port, self.tls_port = agents, port, tls_port
        self.proxy, self.alive = proxy, alive

    async def who(self, *, tls: bool = False) -> dict[str, str]:
        """Who answers, as seen from another address of this machine; nobody: nothing."""
        transport = httpx.AsyncHTTPTransport(local_address="127.0.6.9", verify=False)
        url = f"https://127.0.6.1:{self.tls_port}" if tls else f"http://127.0.6.1:{self.port}"
        async with httpx.AsyncClient(transport=transport, timeout=3) as visitor:
            try:
                found: dict[str, str] = (await visitor.get(f"{url}/who")).json()
            except httpx.HTTPError:
                return {}
            return found

    async def until(self, agent: str, within_s: float = 15) -> float:
        """Wait until this one answers; the seconds."""
        began = time.monotonic()
        async with asyncio.timeout(within_s):
            while (await self.who()).get("agent", "") != agent:
                await asyncio.sleep(0.1)
        return time.monotonic() - began

    def socket(self) -> connect:
        return connect(f"ws://127.0.6.1:{self.port}/ws", proxy=None)


@pytest.fixture
async def front(tmp_path: Path) -> AsyncIterator[Front]:
    ports = [free_port("127.0.6.1") for _ in range(5)]
    agents = {
        name: Agent(name, role, (ports[2], ports[3]), tmp_path) for name, role in (("n1", "standby"), ("n2", "active"))
    }
    (tmp_path / "proxy.cfg").write_text(
        rendered(
            "ansible/roles/house_address/templates/proxy.cfg.j2",
            inventory_hostname="n1", house_address_members=MEMBERS, house_address_agents=list(MEMBERS),
            house_address_ipv6=False, web_port=ports[0], web_tls_port=ports[1], agent_port=ports[2],
            agent_tls_port=ports[3], house_address_alive_port=ports[4],
        ).replace("0.0.0.0:", "127.0.6.1:")
    )  # fmt: skip
    alive = tmp_path / "proxy-alive"
    alive.write_text(
        rendered("ansible/roles/house_address/templates/proxy-alive.j2", house_address_alive_port=ports[4])
    )
    for agent in agents.values():
        await agent.servers.start()
    proxy = subprocess.Popen([str(HAPROXY), "-W", "-f", str(tmp_path / "proxy.cfg")])
    front = Front(agents, ports[0], ports[1], proxy.pid, alive)
    try:
        yield front
    finally:
        proxy.terminate()
        await asyncio.to_thread(proxy.wait, 20)
        for agent in agents.values():
            await agent.servers.stop()


async def _ended(socket: ClientConnection, within_s: float) -> bool:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(within_s):
            try:
                while True:
                    await socket.recv()
            except ConnectionClosed:
                return True
    return False


async def test_people_reach_the_active_agent_and_it_knows_where_they_are(front: Front) -> None:
    await front.until("n2")
    assert await front.who() == {"agent": "n2", "client": "127.0.6.9", "scheme": "http"}
    assert await front.who(tls=True) == {"agent": "n2", "client": "127.0.6.9", "scheme": "https"}


async def test_a_visitor_of_an_agent_that_is_replaced_is_let_go_and_finds_the_next_one(front: Front) -> None:
    await front.until("n2")
    async with front.socket() as socket:
        assert await socket.recv() == "n2"
        assert not await _ended(socket, 3)
        front.agents["n1"].role, front.agents["n2"].role = "active", "standby"
        assert await _ended(socket, 10)
    assert await front.until("n1") < 15


async def test_a_machine_that_is_cut_off_still_has_its_own_agent(front: Front) -> None:
    await front.until("n2")
    # The other one is no longer reached, and this one has no majority.
    await front.agents["n2"].servers.stop()
    assert await front.who() == {}, "a standby answers nobody"
    front.agents["n1"].role = "cut_off"
    await front.until("n1")
    async with front.socket() as socket:
        assert await socket.recv() == "n1"
        front.agents["n1"].role = "standby"
        assert await _ended(socket, 10)


async def test_keepalived_sees_whether_the_proxy_answers_wherever_it_leads(front: Front) -> None:
    async def answers() -> bool:
        asking = await asyncio.create_subprocess_exec("bash", str(front.alive), stderr=asyncio.subprocess.DEVNULL)
        return await asyncio.wait_for(asking.wait(), 10) == 0

    await front.until("n2")
    await front.agents["n2"].servers.stop()
    assert await answers(), "with no agent at all it is a proxy that is well"
    workers = [int(pid) for pid in Path(f"/proc/{front.proxy}/task/{front.proxy}/children").read_text().split()]
    for pid in workers:
        os.kill(pid, signal.SIGSTOP)
    assert not await answers(), "it hangs"
    for pid in workers:
        os.kill(pid, signal.SIGCONT)
    assert await answers()
    os.kill(front.proxy, signal.SIGTERM)
    async with asyncio.timeout(15):
        while await answers():
            await asyncio.sleep(0.1)


@pytest.mark.skipif(not KEEPALIVED, reason="no keepalived here: KEEPALIVED_BIN names none")
def test_keepalived_takes_its_configuration(tmp_path: Path) -> None:
    routes = Path("/proc/net/route").read_text().splitlines()[1:]
    interface = next((line.split()[0] for line in routes), "")
    if not interface:
        pytest.skip("no network here but loopback, which VRRP does not take")
    (tmp_path / "proxy-alive").write_text("#!/bin/sh\n")
    (tmp_path / "proxy-alive").chmod(0o755)
    (tmp_path / "keepalived.conf").write_text(
        rendered(
            "ansible/roles/house_address/templates/keepalived.conf.j2",
            inventory_hostname="n1", house_address_members=MEMBERS, house_address_nodes=list(MEMBERS),
            house_address_interface=interface, house_address_router_id=77, house_address_shared="127.0.6.77",
            app_config_dir=tmp_path,
        )
    )  # fmt: skip
    checked = subprocess.run(
        [str(KEEPALIVED), "--config-test", f"--use-file={tmp_path}/keepalived.conf"],
        capture_output=True, text=True, timeout=60, check=False, start_new_session=True,
    )  # fmt: skip
    # 2.2.7 ends itself with SIGTERM where all is well and a script is asked; what is wrong ends with a code.
    assert checked.returncode in (0, -signal.SIGTERM, 128 + signal.SIGTERM), checked.stderr
    assert checked.stderr.replace("Terminated", "").strip() == ""
