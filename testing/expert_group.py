"""Ranks of an expert on loopback, each in a process of its own as Nomad starts it, with the real engines and Consul."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from pipecatapp.expert_host.processes import MARK, marked
from pipecatapp.llm import debian
from testing.consul import ConsulAgent, consul_servers
from testing.engine_node import ENGINES, STARTER
from testing.ports import free_port

JOB, KEY = "creative-expert", "key-of-the-tests"
HOSTS = ("127.0.0.2", "127.0.0.3", "127.0.0.4")
# A ceiling, no expectation: a busy machine loads slowly.
WITHIN_S = 150


def programs() -> dict[str, str]:
    """The real llama-server and RPC server that scripts/setup unpacked."""
    tree = debian.with_rpc(ENGINES)
    assert tree is not None, f"no RPC server in {ENGINES}; run: scripts/setup engine"
    return {"llama_server": str(tree / "usr/bin/llama-server"), "rpc_server": str(debian.rpc_server_in(tree))}


@dataclass
class RankProcess:
    """One rank's supervisor."""

    rank: int
    host: str
    folder: Path
    ports: Mapping[str, int]
    process: asyncio.subprocess.Process | None = None

    @property
    def mark(self) -> str:
        """What its engine's processes carry."""
        return f"{JOB}/{self.rank}@{self.folder / 'state'}"

    @property
    def engines(self) -> list[int]:
        """The processes of its engine."""
        return marked(self.mark)

    @property
    def log(self) -> str:
        """What it and its engine said."""
        logs = [self.folder / "supervisor.log", *(self.folder / "state").rglob("*.log")]
        return "\n".join(f"--- {log}\n{log.read_text(errors='replace')[-3000:]}" for log in logs if log.exists())

    def make(self, spec: Mapping[str, Any]) -> Path:
        """Write its file and its key."""
        (self.folder / "models").mkdir(parents=True, exist_ok=True)
        key = self.folder / "key"
        key.write_text(KEY)
        own = {"models_dir": str(self.folder / "models"), "state_dir": str(self.folder / "state")}
        file = self.folder / "expert.json"
        file.write_text(json.dumps({**spec, **own, "api_key_file": str(key)}))
        return file

    async def start(self) -> None:
        """Start it, or start it again."""
        nomad = {f"NOMAD_PORT_{label}": str(port) for label, port in self.ports.items()}
        nomad |= {f"NOMAD_IP_{label}": self.host for label in self.ports}
        nomad |= {"NOMAD_ALLOC_INDEX": str(self.rank), "NOMAD_ALLOC_ID": f"alloc-{self.rank}"}
        with (self.folder / "supervisor.log").open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "pipecatapp", "expert", "run", str(self.folder / "expert.json")),
                env={**os.environ, **nomad, "STATE_DIR": str(self.folder)},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    async def end(self, how: signal.Signals = signal.SIGTERM) -> int:
        """End it, its exit code."""
        if self.process is None:
            return 0
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(how)
        code = await self.process.wait()
        self.process = None
        return code

    async def start_stray(self) -> int:
        """What an engine may start and forget: a process of its own session whose parent is gone. Its id."""
        process = await asyncio.create_subprocess_exec(
            *("sh", "-c", "setsid sleep 600 </dev/null >/dev/null 2>&1 & echo $!"),
            env={**os.environ, MARK: self.mark},
            stdout=asyncio.subprocess.PIPE,
        )
        printed, _ = await process.communicate()
        return int(printed)

    async def get(self, path: str, key: str = KEY) -> httpx.Response | None:
        """What its control port says; None: nothing."""
        async with httpx.AsyncClient(trust_env=False, timeout=5) as http:
            try:
                url = f"http://{self.host}:{self.ports['control']}{path}"
                return await http.get(url, headers={"Authorization": f"Bearer {key}"} if key else {})
            except httpx.HTTPError:
                return None

    async def state(self) -> dict[str, Any]:
        """What it says of itself."""
        answer = await self.get("/state")
        return answer.json() if answer is not None else {}

    async def ready(self) -> bool:
        """Whether it serves."""
        answer = await self.get("/ready")
        return answer is not None and answer.status_code == httpx.codes.OK

    async def ask(self, prompt: str, tokens: int) -> str:
        """An answer of its engine.

        Raises:
            httpx.HTTPError: there is none, or it breaks off.
        """
        body = {
            "messages": [{"role": "user", "content": prompt}],
            "max_tokens": tokens,
            "temperature": 0,
            "ignore_eos": True,
        }
        async with httpx.AsyncClient(trust_env=False, timeout=120) as http:
            url = f"http://{self.host}:{self.ports['api']}/v1/chat/completions"
            answer = await http.post(url, json=body, headers={"Authorization": f"Bearer {KEY}"})
        return str(answer.raise_for_status().json()["choices"][0]["message"]["content"])


@dataclass
class Group:
    """The ranks of one expert, and the Consul in which they meet."""

    consul: ConsulAgent
    ranks: list[RankProcess] = field(default_factory=list)

    @property
    def head(self) -> RankProcess:
        """Rank 0."""
        return self.ranks[0]

    async def until_ready(self) -> None:
        """Until the head makes tokens."""
        await self.until(self.head.ready, "the head is not ready")

    async def until(self, holds: Callable[[], Any], otherwise: str) -> None:
        """Wait until it holds; what went wrong is in the logs."""
        try:
            async with asyncio.timeout(WITHIN_S):
                while not await holds():
                    await asyncio.sleep(0.2)
        except TimeoutError:
            raise TimeoutError(f"{otherwise}\n" + "\n".join(rank.log for rank in self.ranks)) from None

    async def plan(self) -> str:
        """What `pipecatapp expert plan` prints on the head's machine."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "pipecatapp", "expert", "plan", str(self.head.folder / "expert.json")),
            env={**os.environ, "STATE_DIR": str(self.head.folder)},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        printed, _ = await process.communicate()
        return printed.decode()

    async def value(self, key: str) -> str:
        """What Consul holds under the expert's keys, empty where there is nothing."""
        async with httpx.AsyncClient(trust_env=False, timeout=5) as http:
            answer = await http.get(f"http://{self.consul.address}/v1/kv/experts/{JOB}/{key}?raw")
        return answer.text if answer.status_code == httpx.codes.OK else ""


def wish(name: str = "starter", **more: Any) -> dict[str, Any]:
    """The starter model as an expert's."""
    return {"name": name, "file": str(STARTER), "context": 512, **more}


@asynccontextmanager
async def expert_group(
    folder: Path, count: int, models: Sequence[Mapping[str, Any]] | None = None, *, start: bool = True, **spec: Any
) -> AsyncIterator[Group]:
    """An expert of so many ranks; killed at the end with all it has running."""
    ports = {label: free_port(HOSTS[0]) for label in ("api", "control", "data", "signal")}
    async with consul_servers(folder / "consul", ["127.0.0.1"]) as [consul]:
        group = Group(consul)
        values = {
            "job_name": JOB,
            "service_name": "prima-api-creative",
            "worker_count": count,
            "models": list(models or [wish()]),
            "context": 512,
            "reserve_mb": 100,
            "programs": programs(),
            "consul": {"address": f"http://{consul.address}"},
        }
        for rank, host in enumerate(HOSTS[:count]):
            process = RankProcess(rank, host, folder / f"rank-{rank}", ports)
            process.make({**values, **spec})
            group.ranks.append(process)
            await consul.register_rank(JOB, rank, host, ports["control"])
        try:
            for process in group.ranks if start else ():
                await process.start()
            yield group
        finally:
            for process in group.ranks:
                await process.end(signal.SIGKILL)
                for pid in process.engines:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
