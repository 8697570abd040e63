"""A real Consul for tests: Debian's last package of it, unpacked into ``.cache/consul``, and agents of it.

python -m testing.consul        # fetch it
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx

from pipecatapp.errors import EngineError
from pipecatapp.llm.debian import unpack
from pipecatapp.llm.engines import DebianPackage, DebianPin, load_pins
from testing.ports import free_port

CACHE = Path(__file__).resolve().parents[1] / ".cache/consul"
# Debian 11 was the last with Consul. A static program: nothing else of that Debian is needed.
PIN = DebianPin(
    version="1.8.7+dfsg1-2+b3",
    architecture="amd64",
    packages=(
        DebianPackage(
            "consul",
            pool="pool/main/c/consul/consul_1.8.7+dfsg1-2+b3_amd64.deb",
            sha256="e4e888bba104daba1d9161f49bfc52649a7e4efd45b1a7ead5bc54f2cb9c89d9",
            sha1="d6bb0566cd2dc0f46056defdcc90b366ea3d1c23",
        ),
    ),
    snapshot=load_pins()[0].snapshot,
)


def program() -> Path:
    """The consul that ``scripts/setup consul`` fetched.

    Raises:
        EngineError: it did not.
    """
    found = next(CACHE.glob("debian-*/usr/bin/consul"), None)
    if found is None:
        raise EngineError(f"no consul in {CACHE}; run: scripts/setup consul")
    return found


def fetch() -> Path:
    """Fetch it, through this machine's own apt."""
    unpack(CACHE, PIN, lambda doing, progress: None, lambda tree: _version(tree / "usr/bin/consul"))
    return program()


def _version(consul: Path) -> None:
    try:
        subprocess.run([consul, "version"], check=True, capture_output=True, timeout=60)
    except (OSError, subprocess.SubprocessError) as error:
        raise EngineError(f"{consul} does not run here: {error}") from error


class ConsulAgent:
    """One agent, in a process of its own.

    Args:
        folder: its data and log.
        host: a loopback address of its own.
        ports: its ports by Consul's names, all below the same address.
        peers: the serf addresses of the servers to join; empty: it is alone.
        servers: how many make the cluster.
    """

    def __init__(self, folder: Path, host: str, ports: dict[str, int], peers: Sequence[str], servers: int) -> None:
        self.host = host
        self.name = f"node-{host.replace('.', '-')}"
        self.address = f"{host}:{ports['http']}"
        self._folder = folder
        self._ports = ports
        self._peers = peers
        self._servers = servers
        self._process: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int:
        """Its process."""
        assert self._process is not None
        return self._process.pid

    async def start(self) -> None:
        """Start it, or start it again with the data that it has."""
        self._folder.mkdir(parents=True, exist_ok=True)
        (self._folder / "agent.json").write_text(
            json.dumps(
                {
                    "server": True,
                    "bootstrap_expect": self._servers,
                    "node_name": self.name,
                    "bind_addr": self.host,
                    "client_addr": self.host,
                    "data_dir": str(self._folder / "data"),
                    "ports": {**self._ports, "dns": -1, "serf_wan": -1, "grpc": -1, "https": -1},
                    "retry_join": list(self._peers),
                    "retry_interval": "1s",
                    # Timings of a strong machine: a leader is missed within two seconds.
                    "performance": {"raft_multiplier": 1},
                    "disable_update_check": True,
                    "enable_script_checks": False,
                    "leave_on_terminate": False,
                    "skip_leave_on_interrupt": True,
                    "rejoin_after_leave": True,
                }
            )
        )
        with (self._folder / "log").open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                str(program()), "agent", f"-config-file={self._folder / 'agent.json'}",
                stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                env={**os.environ, "GOMAXPROCS": "1"},
            )  # fmt: skip

    async def stop(self, how: signal.Signals = signal.SIGKILL) -> None:
        """End it; killed, it leaves its data as a crash does."""
        if self._process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGCONT)
            self._process.send_signal(how)
        await self._process.wait()
        self._process = None

    async def leader(self) -> str:
        """The leader's address as this agent sees it, empty when there is none."""
        try:
            async with httpx.AsyncClient(trust_env=False, timeout=2) as http:
                return str((await http.get(f"http://{self.address}/v1/status/leader")).json())
        except (httpx.HTTPError, ValueError):
            return ""

    async def ready(self, within_s: float = 60) -> None:
        """Wait until there is a leader and writes work.

        Raises:
            TimeoutError: not in time; the agent's log says why.
        """
        try:
            async with asyncio.timeout(within_s), httpx.AsyncClient(trust_env=False, timeout=2) as http:
                while True:
                    with contextlib.suppress(httpx.HTTPError):
                        answer = await http.get(f"http://{self.address}/v1/health/node/{self.name}")
                        if await self.leader() and answer.status_code == 200 and answer.json():
                            return
                    await asyncio.sleep(0.1)
        except TimeoutError:
            log = (self._folder / "log").read_text(errors="replace")[-2000:]
            raise TimeoutError(f"{self.name} is not ready: {log}") from None

    async def register(self, expert: str, host: str, port: int, **meta: str) -> str:
        """Register an instance of an expert, with a check that asks it every second; its id."""
        service = f"{expert}-{host}-{port}"
        await self._put(
            "/v1/agent/service/register",
            {
                "ID": service,
                "Name": f"prima-api-{expert}",
                "Address": host,
                "Port": port,
                "Meta": meta,
                "Check": {
                    "HTTP": f"http://{host}:{port}/health",
                    "Interval": "1s",
                    "Timeout": "1s",
                    "Status": "passing",
                },
            },
        )
        return service

    async def register_rank(self, job: str, rank: int, host: str, control: int) -> None:
        """Register a rank of an expert as its job does: alive while its control port says so."""
        await self._put(
            "/v1/agent/service/register",
            {
                "ID": f"{job}-rank-{rank}",
                "Name": f"{job}-rank",
                "Address": host,
                "Port": control,
                "Tags": [f"rank-{rank}"],
                "Check": {"HTTP": f"http://{host}:{control}/alive", "Interval": "1s", "Timeout": "1s"},
            },
        )

    async def deregister(self, service: str) -> None:
        """Take an instance out."""
        await self._put(f"/v1/agent/service/deregister/{service}", None)

    async def _put(self, path: str, body: Any) -> None:
        async with httpx.AsyncClient(trust_env=False, timeout=5) as http:
            (await http.put(f"http://{self.address}{path}", json=body)).raise_for_status()


@asynccontextmanager
async def consul_servers(folder: Path, hosts: Sequence[str]) -> AsyncIterator[list[ConsulAgent]]:
    """Consul servers on these loopback addresses, one cluster; killed at the end."""
    ports = {host: {name: free_port(host) for name in ("http", "server", "serf_lan")} for host in hosts}
    agents = []
    for host in hosts:
        peers = [f"{other}:{ports[other]['serf_lan']}" for other in hosts if other != host]
        agents.append(ConsulAgent(folder / host, host, ports[host], peers, len(hosts)))
    try:
        for agent in agents:
            await agent.start()
        for agent in agents:
            await agent.ready()
        yield agents
    finally:
        for agent in agents:
            await agent.stop()


if __name__ == "__main__":
    print(fetch())
