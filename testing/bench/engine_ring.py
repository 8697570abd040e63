"""One model plain, over RPC and in a ring, by the supervisor's own command lines, on nodes of limited memory.

A node is a loopback address with a v1 memory group and a copy of the model of its own: what a process reads from a file
counts for the group that reads it first. All of them share this machine's cores, one after the other as in a real
group; the way between them is loopback, so that a hop costs what the engine makes of it and nothing for a wire.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from pipecatapp.expert_host.commands import Command, command_for
from pipecatapp.expert_host.facts import Member, Plan
from pipecatapp.expert_host.liveness import Pulse
from pipecatapp.expert_host.ports import listens
from pipecatapp.expert_host.spec import EngineKind, ExpertSpec, ModelWish, Place, Programs
from pipecatapp.expert_host.windows import windows
from pipecatapp.llm.weights import read_weights
from pipecatapp.machine import detect
from pipecatapp.speed.one_stream import measure
from testing.expert_group import programs
from testing.ports import free_port

MEMORY = Path("/sys/fs/cgroup/memory")
KEY = "key-of-the-bench"
PROMPT, ROUNDS, CONTEXT = 128, 3, 1024
LOADS_WITHIN_S, TOKEN_WITHIN_S = 900.0, 300.0


@dataclass(frozen=True)
class Ran:
    """What one way to run it gave: medians of some rounds, tokens a second and seconds."""

    tokens_per_s: float
    prompt_per_s: float
    first_token_s: float
    peak_mb: Sequence[int]


class Node:
    """One address with a limit on its memory.

    Args:
        index: 0 is the head.
        memory_mb: 0: no limit.
        folder: its own.
    """

    def __init__(self, index: int, memory_mb: int, folder: Path) -> None:
        self.host = f"127.0.0.{81 + index}"
        self.folder = folder / f"node{index}"
        (self.folder / "models/bench").mkdir(parents=True)
        self._group = MEMORY / f"bench-ring-{os.getpid()}-{index}" if memory_mb else None
        if self._group is not None:
            self._group.mkdir()
            (self._group / "memory.limit_in_bytes").write_text(str(memory_mb << 20))

    @asynccontextmanager
    async def running(self, command: Command) -> AsyncIterator[asyncio.subprocess.Process]:
        """The program, in the group; ended with the block."""
        for place in command.environment.values():
            Path(place).mkdir(parents=True, exist_ok=True)
        words = [*command.engine.command, *command.arguments]
        enter = ["sh", "-c", 'echo $$ >"$0" && exec "$@"', str(self._group / "cgroup.procs")] if self._group else []
        with (self.folder / "engine.log").open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                *enter, *words, cwd=command.engine.folder, stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log,
                env=command.engine.environment() | dict(command.environment),
            )  # fmt: skip
        try:
            yield process
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    def peak_mb(self) -> int:
        """The most that was in the group; the pages of the model count. 0 without a group."""
        if self._group is None:
            return 0
        return int((self._group / "memory.max_usage_in_bytes").read_text()) >> 20

    async def remove(self) -> None:
        """Take the group away, once its last process is gone."""
        for _ in range(50):
            if self._group is None:
                return
            try:
                self._group.rmdir()
            except OSError:
                await asyncio.sleep(0.1)
            else:
                return


def specification(folder: Path, node: Node, prima: Path | None) -> ExpertSpec:
    """The expert as a node sees it."""
    key = folder / "key"
    key.write_text(KEY)
    return ExpertSpec(
        job_name="bench",
        service_name="bench",
        worker_count=1,
        models=(ModelWish(name="bench", file="bench.gguf"),),
        models_dir=node.folder / "models",
        context=CONTEXT,
        parallel=1,
        reserve_mb=0,
        engines=frozenset(EngineKind),
        programs=Programs.model_validate({**programs(), "prima_server": prima}),
        api_key_file=key,
        state_dir=node.folder,
    )


async def run(engine: EngineKind, model: Path, nodes: Sequence[Node], folder: Path, prima: Path | None) -> Ran:
    """Start it on these nodes, the first one serving; measure; end it."""
    group = nodes[:1] if engine is EngineKind.PLAIN else nodes
    for node in group if engine is EngineKind.RING else group[:1]:
        if not (copy := node.folder / "models/bench/bench.gguf").exists():
            await asyncio.to_thread(shutil.copyfile, model, copy)
    layers = await asyncio.to_thread(lambda: read_weights(model).layers)
    data, signal, api = free_port(), free_port(), free_port(group[0].host)
    hosts, shares = [node.host for node in group], windows(layers, [1] * len(group))
    members = tuple(
        Member(rank=rank, run="bench", name=host, host=host, data=data, signal=signal, layers=share, need_mb=0)
        for rank, (host, share) in enumerate(zip(hosts, shares, strict=True))
    )
    plan = Plan(generation="bench", author="bench", model="bench", engine=engine, members=members, context=CONTEXT)
    commands = [
        command_for(
            plan,
            specification(folder, node, prima),
            Place(rank=rank, run="bench", host=node.host, api=api, control=1, data=data, signal=signal),
            detect(),
        )
        for rank, node in enumerate(group)
    ]
    async with AsyncExitStack() as stack:
        for node, command in list(zip(group, commands, strict=True))[:0:-1]:
            await stack.enter_async_context(node.running(command))
            while command.port is not None and not await listens(node.host, command.port):
                await asyncio.sleep(0.1)
        head = await stack.enter_async_context(group[0].running(commands[0]))
        http = httpx.AsyncClient(
            base_url=f"http://{group[0].host}:{api}", headers={"Authorization": f"Bearer {KEY}"}, trust_env=False,
            timeout=httpx.Timeout(None, connect=5.0), limits=httpx.Limits(max_keepalive_connections=0),
        )  # fmt: skip
        async with Pulse(http, None, time.monotonic) as pulse:
            await pulse.first_token(lambda: head.returncode is not None, LOADS_WITHIN_S, TOKEN_WITHIN_S)
            if head.returncode is not None:
                raise RuntimeError((group[0].folder / "engine.log").read_text(errors="replace")[-1500:])
            streams, firsts = [], []
            for _ in range(ROUNDS):
                streams.append(await measure(http, [PROMPT], CONTEXT, print))
                firsts.append(await first_token(http))
    return Ran(
        statistics.median(stream.generated[PROMPT] for stream in streams),
        statistics.median(stream.prompt[PROMPT] for stream in streams),
        statistics.median(firsts),
        [node.peak_mb() for node in group],
    )


async def first_token(http: httpx.AsyncClient) -> float:
    """Seconds from the request with a prompt of about 128 tokens to its first word."""
    body: dict[str, Any] = {"prompt": "it is that you have this " * 21, "n_predict": 1, "cache_prompt": False}
    began = time.perf_counter()
    (await http.post("/completion", json=body | {"temperature": 0, "ignore_eos": True})).raise_for_status()
    return time.perf_counter() - began


async def compare(model: Path, count: int, memory_mb: int) -> Mapping[str, float]:
    """All ways that can be had here, side by side."""
    named = os.environ.get("PRIMACPP_SERVER", "")
    prima = Path(named) if named else None
    found: dict[EngineKind, Ran] = {}
    with tempfile.TemporaryDirectory(prefix="bench-ring-") as name:
        nodes = [Node(index, memory_mb, Path(name)) for index in range(count)]
        try:
            for engine in (EngineKind.PLAIN, EngineKind.RPC, *([EngineKind.RING] if prima else [])):
                found[engine] = await run(engine, model, nodes, Path(name), prima)
        finally:
            for node in nodes:
                await node.remove()
    limit = f"{memory_mb} MB each" if memory_mb else "no limit of memory"
    print(f"{model.name}, {model.stat().st_size >> 20} MB; {count} nodes, {limit}; prompt of {PROMPT} tokens")
    print(f"{'':<7}{'generated tok/s':>16}{'prompt tok/s':>14}{'first token':>13}{'a hop costs':>13}  most memory")
    figures: dict[str, float] = {"nodes": count, "memory_mb": memory_mb}
    plain = 1000 / found[EngineKind.PLAIN].tokens_per_s
    for engine, ran in found.items():
        hop = (1000 / ran.tokens_per_s - plain) / (count - 1)
        cost = "" if engine is EngineKind.PLAIN else f"{hop:.1f} ms"
        memory = ", ".join(f"{peak} MB" for peak in ran.peak_mb) if memory_mb else ""
        row = f"{engine:<7}{ran.tokens_per_s:>16.2f}{ran.prompt_per_s:>14.1f}{ran.first_token_s:>11.2f} s"
        print(f"{row}{cost:>13}  {memory}")
        figures[f"{engine}_tokens_per_s"] = round(ran.tokens_per_s, 2)
        figures[f"{engine}_first_token_s"] = round(ran.first_token_s, 3)
        if cost:
            figures[f"{engine}_hop_ms"] = round(hop, 2)
    if prima is None:
        print("no ring: PRIMACPP_SERVER names no llama-server of prima.cpp")
    return figures
