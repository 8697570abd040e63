"""Engines that fail as the real ones do. An RPC head whose worker is gone aborts at its next token; a ring that lost a
rank hangs for ever and its ``/health`` says ok; what cannot be loaded ends with 1."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from pipecatapp.llm.engines import Engine

OPTIONS = "--rpc --kv-unified --metrics --slots --alias --model --host --port --gpu-layers --tensor-split --parallel"


def write_programs(folder: Path) -> dict[str, Path]:
    """Files in the place of the programs, that know their options; nobody runs more of them than ``--help``."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("llama-server", "rpc-server", "llama-cli"):
        file = folder / name
        file.write_text(f"#!/bin/sh\necho {OPTIONS}\n")
        file.chmod(0o755)
    return {
        "llama_server": folder / "llama-server",
        "rpc_server": folder / "rpc-server",
        "prima_server": folder / "llama-server",
    }


class FakeEngine:
    """One program of an engine that runs."""

    def __init__(self, world: FakeEngines, host: str, words: Sequence[str]) -> None:
        self.host, self.words = host, list(words)
        self.code: int | None = None
        self.tokens = 0
        self.busy = False
        self.ended = asyncio.Event()
        self._world = world
        self.loaded_at = asyncio.get_running_loop().time() + world.load_s

    @property
    def name(self) -> str:
        """The program's."""
        return Path(self.words[0]).name

    def option(self, name: str) -> str:
        """The word behind an option, empty where it is not given."""
        return self.words[self.words.index(name) + 1] if name in self.words else ""

    @property
    def serves(self) -> bool:
        """Whether it has an API."""
        return "--api-key-file" in self.words or "--alias" in self.words

    def exit(self, code: int) -> None:
        """It ends."""
        if self.code is None:
            self.code = code
            self.ended.set()

    async def wait(self) -> str:
        """Until it ends."""
        await self.ended.wait()
        return f"the engine ended ({self.code})"

    async def end(self) -> None:
        """Somebody ends it."""
        self.exit(-15)

    def memory_mb(self) -> int:
        """What it has."""
        return 0

    def can_compute(self) -> str:
        """``yes``; ``abort`` or ``hang`` as the real one does when somebody else is gone."""
        workers = self.option("--rpc")
        for address in workers.split(",") if workers else ():
            if not self._world.runs(address.partition(":")[0], "rpc-server"):
                return "abort"
        world = int(self.option("--world") or 0)
        ring = [engine for engine in self._world.running if engine.option("--world")]
        return "hang" if world and len(ring) + self._world.done_without < world else "yes"


@dataclass
class FakeEngines:
    """All engines of a house.

    Attributes:
        load_s: how long a model loads.
        broken: files of models that do not load.
        done_without: ranks that a ring does without.
        started: the words of all that were ever started, by host.
    """

    load_s: float = 5.0
    broken: set[str] = field(default_factory=set)
    done_without: int = 0
    running: list[FakeEngine] = field(default_factory=list)
    started: list[tuple[str, str]] = field(default_factory=list)

    def starter(self, host: str) -> FakeStarter:
        """What starts engines on one machine."""
        return FakeStarter(self, host)

    def on(self, host: str) -> FakeEngine:
        """The engine that runs on a machine."""
        (engine,) = [engine for engine in self._alive() if engine.host == host]
        return engine

    def runs(self, host: str, name: str) -> bool:
        """Whether such a program runs there."""
        return any(engine.host == host and engine.name == name for engine in self._alive())

    def kill(self, host: str, code: int = -9) -> None:
        """End what runs there."""
        for engine in self._alive():
            if engine.host == host:
                engine.exit(code)

    def _alive(self) -> list[FakeEngine]:
        self.running = [engine for engine in self.running if engine.code is None]
        return self.running

    async def answer(self, request: httpx.Request) -> httpx.Response:
        """As the API of whatever serves at that address does."""
        found = [engine for engine in self._alive() if engine.host == request.url.host and engine.serves]
        if not found:
            raise httpx.ConnectError("refused")
        engine = found[0]
        if asyncio.get_running_loop().time() < engine.loaded_at:
            return httpx.Response(503, text="loading")
        if request.url.path == "/metrics":
            if engine.busy and engine.can_compute() == "hang":
                await asyncio.Event().wait()
            counts = {"tokens_predicted_total": engine.tokens, "requests_processing": int(engine.busy)}
            return httpx.Response(200, text="".join(f"llamacpp:{name} {count}\n" for name, count in counts.items()))
        outcome = engine.can_compute()
        if outcome == "abort":
            engine.exit(-6)
            raise httpx.ReadError("it is gone")
        if outcome == "hang":
            await asyncio.Event().wait()
        engine.tokens += 1
        return httpx.Response(200, content=json.dumps({"tokens_predicted": 1}))


@dataclass(frozen=True)
class FakeStarter:
    """Starts them on one machine."""

    world: FakeEngines
    host: str

    async def start(
        self, engine: Engine, arguments: Sequence[str], environment: dict[str, str], log: Path
    ) -> FakeEngine:
        """Start one; what cannot be loaded ends a second later."""
        self.world.kill(self.host)
        started = FakeEngine(self.world, self.host, [*engine.command, *arguments])
        self.world.running.append(started)
        self.world.started.append((self.host, started.name))
        model = started.option("--model") or started.option("-m")
        if started.serves and Path(model).name in self.world.broken:
            asyncio.get_running_loop().call_later(1.0, started.exit, 1)
        return started

    async def clean(self) -> int:
        """Nothing is left."""
        return 0
