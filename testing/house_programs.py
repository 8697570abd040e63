"""A whole house on loopback: three servers of NATS and of Consul, two agents as they are, the role's haproxy."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import httpx

from pipecatapp.storage.part import Storage
from testing.consul import ConsulAgent, consul_servers
from testing.house import audited
from testing.nats import PASSWORD, NatsHouse, nats_house
from testing.ports import free_port
from testing.rendering import rendered

MEMBERS = {"n1": "127.0.7.1", "n2": "127.0.7.2"}
_CONSUL = ("127.0.7.11", "127.0.7.12", "127.0.7.13")
_TOKEN = "token-of-the-house-on-loopback-of-tests"


class Process:
    """One program, which can be killed, frozen and started again.

    Args:
        command: how it is started.
        environment: all of it.
        log: where what it says goes.
    """

    def __init__(self, command: list[str], environment: dict[str, str], log: Path) -> None:
        self._command, self._environment, self.log = command, environment, log
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start it."""
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *self._command, env=self._environment, stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True,
            )  # fmt: skip

    async def kill(self, how: signal.Signals = signal.SIGKILL) -> None:
        """End it with all that it started."""
        process, self._process = self._process, None
        if process is not None:
            self._signal(process, signal.SIGCONT)
            self._signal(process, how)
            await process.wait()

    def freeze(self) -> None:
        """Have it stand still."""
        assert self._process is not None
        self._signal(self._process, signal.SIGSTOP)

    def go_on(self) -> None:
        """Let it go on."""
        assert self._process is not None
        self._signal(self._process, signal.SIGCONT)

    def _signal(self, process: asyncio.subprocess.Process, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)


@dataclass(slots=True)
class House:
    """All of it. ``url``: of the page, as people have it."""

    nats: NatsHouse
    consul: list[ConsulAgent]
    agents: dict[str, Process]
    proxy: Process
    url: str
    agent_port: int

    @property
    def headers(self) -> dict[str, str]:
        """What people show."""
        return {"Authorization": f"Bearer {_TOKEN}"}

    async def role(self, name: str) -> str:
        """What an agent is now; empty where it does not answer."""
        with contextlib.suppress(httpx.HTTPError, ValueError):
            async with httpx.AsyncClient(trust_env=False, timeout=2) as http:
                url = f"http://{MEMBERS[name]}:{self.agent_port}/health"
                return str((await http.get(url)).json().get("role", ""))
        return ""

    async def active(self) -> str:
        """The agent that answers; empty: none."""
        for name in self.agents:
            if await self.role(name) == "active":
                return name
        return ""

    async def whole(self, within_s: float = 180) -> None:
        """Wait until one agent answers, the other stands by, and the proxy leads to the one.

        Raises:
            TimeoutError: not in time; the agents' logs say why.
        """
        try:
            async with asyncio.timeout(within_s), httpx.AsyncClient(trust_env=False, timeout=2) as http:
                while True:
                    roles = sorted([await self.role(name) for name in self.agents])
                    with contextlib.suppress(httpx.HTTPError):
                        asked = await http.get(f"{self.url}/api/lists", headers=self.headers)
                        if roles == ["active", "standby"] and asked.status_code == 200:
                            return
                    await asyncio.sleep(0.3)
        except TimeoutError:
            said = {name: process.log.read_text(errors="replace")[-1500:] for name, process in self.agents.items()}
            raise TimeoutError(f"the house is not whole: {roles}, {said}") from None


def haproxy() -> str:
    """Debian's haproxy.

    Raises:
        FileNotFoundError: there is none.
    """
    found = os.environ.get("HAPROXY_BIN") or shutil.which("haproxy", path="/usr/sbin:/usr/bin")
    if not found:
        raise FileNotFoundError("no haproxy here; run: apt-get install haproxy")
    return found


@contextlib.asynccontextmanager
async def running_house(folder: Path) -> AsyncIterator[House]:
    """The house, whole; killed at the end."""
    async with contextlib.AsyncExitStack() as stack:
        nats = await stack.enter_async_context(nats_house(folder / "nats"))
        consul = await stack.enter_async_context(consul_servers(folder / "consul", _CONSUL))
        port, tls_port, agent_port, alive = (free_port(MEMBERS["n1"]) for _ in range(4))
        (folder / "proxy.cfg").write_text(
            rendered(
                "ansible/roles/house_address/templates/proxy.cfg.j2",
                inventory_hostname="n1", house_address_members=MEMBERS, house_address_agents=list(MEMBERS),
                house_address_ipv6=False, web_port=port, web_tls_port=tls_port, agent_port=agent_port,
                agent_tls_port=agent_port, house_address_alive_port=alive,
            ).replace("0.0.0.0:", f"{MEMBERS['n1']}:")
        )  # fmt: skip
        # A PC that became several: a house without any memory waits half a minute for one that has some.
        for name in MEMBERS:
            (folder / name).mkdir()
        before = Storage(folder / "n1")
        await before.journal.append(audited("before"))
        await before.stop()
        agents = {name: _agent(name, folder, nats, consul[at], port, agent_port) for at, name in enumerate(MEMBERS)}
        proxy = Process([haproxy(), "-W", "-f", str(folder / "proxy.cfg")], dict(os.environ), folder / "proxy.log")
        house = House(nats, consul, agents, proxy, f"http://{MEMBERS['n1']}:{port}", agent_port)
        for process in (proxy, *agents.values()):
            stack.push_async_callback(process.kill)
            await process.start()
        await house.whole()
        yield house


def _agent(name: str, folder: Path, nats: NatsHouse, consul: ConsulAgent, port: int, agent_port: int) -> Process:
    state = folder / name
    (state / "token").write_text(_TOKEN)
    (state / "token").chmod(0o600)
    environment = {key: value for key, value in os.environ.items() if key in ("PATH", "HOME", "LANG")} | {
        "PIPECATAPP_CONFIG": str(state / "none.env"),
        "STATE_DIR": str(state),
        # The reflex answers; there is no model, as on a PC whose engine is still waking up.
        "NODE_ROLE": "edge",
        "CONSUL_HTTP_ADDR": consul.address,
        "EMBEDDING_SERVICE": "none",
        "WEB_HOST": MEMBERS[name],
        "WEB_PORT": str(port),
        "WEB_TLS_PORT": "0",
        "WEB_PROXIED_PORT": str(agent_port),
        "HOUSE_NAMES": ",".join(MEMBERS.values()),
        "HOUSE_PROXIES": ",".join(["127.0.0.1", *MEMBERS.values()]),
        "NATS_SERVERS": ",".join(nats.urls),
        "NATS_PASSWORD": PASSWORD,
        "NATS_CA": str(nats.ca),
        "NATS_CERTIFICATE": str(nats.certificate),
        "NATS_KEY": str(nats.key),
        "JOURNAL_HOME": str(name == "n1").lower(),
    }
    return Process([sys.executable, "-m", "pipecatapp", "serve"], environment, folder / f"{name}.log")
