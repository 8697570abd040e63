"""A real llama-server put to sleep and woken over and over: requests lost, what waking adds, false sleeps."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from testing.engine_node import starter_or_random, unpacked_engine
from testing.network_namespace import Namespace, network_namespace

HOST, PORT, ACTIVATOR = "10.77.0.1", 8081, 18081
UNIT, NAME = "pipecatapp-engine.service", "prima-api-main"
_ROOT = Path(__file__).resolve().parents[2]
_IDLE_CYCLE_S, _IDLE_COMPUTING_S = 0.05, 0.2
_ANSWERED_WITHIN_S = 120
_SYSTEMCTL = """#!/bin/sh
# Stands in for `systemctl show`: systemd does not run here.
read -r state <{state}
printf 'LoadState=loaded\\nResult=success\\nNRestarts=0\\nActiveState=%s\\n' "$state"
"""


@dataclass
class Machine:
    """One PC in a network of its own, with the real agent and a llama-server that the bench starts as systemd would.

    Attributes:
        started, ready: by cycle, when the engine's process began and when it first answered.
        stops: how often it was stopped.
    """

    folder: Path
    network: Namespace
    callers: Namespace
    engine: subprocess.Popen[bytes] | None = None
    started: list[float] = field(default_factory=list)
    ready: list[float] = field(default_factory=list)
    stops: int = 0
    watching: asyncio.Task[None] | None = None

    def prepare(self) -> None:
        peer = str(self.callers.pid)
        self.network.run("ip", "link", "add", "inside", "type", "veth", "peer", "name", "outside", "netns", peer)
        for network, link, address in (
            (self.network, "inside", f"{HOST}/24"),
            (self.callers, "outside", "10.77.0.2/24"),
        ):
            network.run("ip", "address", "add", address, "dev", link)
            network.run("ip", "link", "set", link, "up")
        programs = self.folder / "bin"
        programs.mkdir()
        (programs / "systemctl").write_text(_SYSTEMCTL.format(state=self.folder / "unit"))
        (programs / "systemctl").chmod(0o755)
        service = {
            "name": NAME, "host": HOST, "port": PORT, "activator_port": ACTIVATOR, "unit": UNIT, "min_awake_s": 0,
            "sources": ["10.77.0.0/24"],
        }  # fmt: skip
        given = {
            "folder": str(self.folder), "control": str(self.folder / "control"), "switch": str(self.folder / "switch"),
            "policy": str(self.folder / "policy.json"), "services": [service],
        }  # fmt: skip
        (self.folder / "configuration.json").write_text(json.dumps(given))
        self.idle(None)

    def idle(self, seconds: float | None) -> None:
        entry = {"never": True} if seconds is None else {"idle_seconds": seconds}
        new = self.folder / "policy.new"
        new.write_text(json.dumps({"version": 1, "services": {NAME: entry}}))
        new.replace(self.folder / "policy.json")

    async def switch(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = (await reader.readline()).decode()
        await (self.stop() if line.startswith("stop") else self.start())
        writer.write(b"done\n")
        await writer.drain()
        writer.close()

    async def start(self) -> None:
        engine = unpacked_engine()
        arguments = [
            "--model", str(starter_or_random(self.folder)), "--host", HOST, "--port", str(PORT), "--ctx-size", "4096",
            "--parallel", "2", "--threads", "1", "--poll", "0", "--cache-ram", "0", "--slots", "--offline", "--no-ui",
            "--skip-chat-parsing", "--reasoning", "off", "--jinja", "--no-warmup",
        ]  # fmt: skip
        self.started.append(time.monotonic())
        with (self.folder / "engine.log").open("ab") as log:
            self.engine = subprocess.Popen(
                self.network.command(*engine.command, *arguments), stdout=log, stderr=log, cwd=engine.folder,
                env=engine.environment(), stdin=subprocess.DEVNULL,
            )  # fmt: skip
        (self.folder / "unit").write_text("active\n")
        self.watching = asyncio.create_task(self._watch())

    async def _watch(self) -> None:
        """When it answers by itself, asked from beside it and not through the agent."""
        while True:
            with suppress(OSError, IndexError):
                answer = await self.ask("GET", "/health", port=PORT, network=self.network)
                # The agent's own answer says that it sleeps.
                if answer.split()[1] == b"200" and b"power" not in answer:
                    self.ready.append(time.monotonic())
                    return
            await asyncio.sleep(0.005)

    async def stop(self) -> None:
        self.stops += 1
        (self.folder / "unit").write_text("deactivating\n")
        if self.watching is not None:
            self.watching.cancel()
        if self.engine is not None:
            self.engine.terminate()
            await asyncio.to_thread(self.engine.wait)
        (self.folder / "unit").write_text("inactive\n")

    async def ask(
        self, method: str, path: str, body: Any = None, *, port: int = PORT, network: Namespace | None = None
    ) -> bytes:
        content = b"" if body is None else json.dumps(body).encode()
        reader, writer = await (network or self.callers).connect(port, HOST)
        try:
            head = [f"{method} {path} HTTP/1.1", f"Host: {HOST}", "Connection: close"]
            head.append(f"Content-Length: {len(content)}\r\n\r\n")
            writer.write("\r\n".join(head).encode() + content)
            async with asyncio.timeout(_ANSWERED_WITHIN_S):
                return await reader.read()
        finally:
            writer.close()

    async def complete(self, prompt: str, tokens: int) -> tuple[bool, float]:
        """Whether it was answered, and when."""
        body = {"prompt": prompt, "n_predict": tokens, "ignore_eos": True}
        try:
            answer = await self.ask("POST", "/completion", body)
        except (OSError, TimeoutError):
            return False, time.monotonic()
        return answer.startswith(b"HTTP/1.1 200") and b'"content"' in answer, time.monotonic()

    async def until(self, state: str) -> None:
        async with asyncio.timeout(60):
            while True:
                with suppress(OSError):
                    reader, writer = await asyncio.open_unix_connection(str(self.folder / "control"))
                    writer.write(b'{"do": "list"}\n')
                    listed = json.loads(await reader.readline())
                    writer.close()
                    if listed["services"][0]["state"] == state:
                        return
                await asyncio.sleep(0.01)

    @asynccontextmanager
    async def agent(self) -> AsyncIterator[int]:
        environment = {
            **os.environ, "PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}", "PYTHONPATH": str(_ROOT / "src"),
            "PYTHONDONTWRITEBYTECODE": "1",
        }  # fmt: skip
        python = "/usr/bin/python3" if Path("/usr/bin/python3").exists() else sys.executable
        command = [python, "-P", "-m", "power_agent", str(self.folder / "configuration.json")]
        with (self.folder / "log").open("ab") as log:
            process = subprocess.Popen(self.network.command(*command), env=environment, stdout=log, stderr=log)
        try:
            yield process.pid
        finally:
            process.kill()
            process.wait()


@dataclass
class Kept:
    """The cycles so far, in a file where one is named: what was broken off goes on there.

    Attributes:
        over: by cycle, the seconds beyond the engine's own start.
        starts: how long that took.
    """

    file: Path | None
    done: int = 0
    asked: int = 0
    lost: int = 0
    over: list[float] = field(default_factory=list)
    starts: list[float] = field(default_factory=list)

    def read(self) -> Kept:
        """Itself, with what the file has."""
        if self.file is not None and self.file.exists():
            for name, value in json.loads(self.file.read_text()).items():
                setattr(self, name, value)
        return self

    def write(self) -> None:
        """Keep it."""
        if self.file is not None:
            new = self.file.with_suffix(".new")
            new.write_text(json.dumps({name: value for name, value in vars(self).items() if name != "file"}))
            new.replace(self.file)


async def cycles(machine: Machine, count: int, chance: random.Random, kept: Kept) -> dict[str, Any]:
    """Sleep and wake, each time with 1 to 8 callers at once."""
    machine.idle(_IDLE_CYCLE_S)
    for number in range(count):
        callers = chance.randint(1, 8)
        if number < kept.done:
            continue
        await machine.until("asleep")
        began, wakes = time.monotonic(), len(machine.started)
        answers = await asyncio.gather(*(machine.complete(f"{number} {caller}", 1) for caller in range(callers)))
        kept.asked += callers
        kept.lost += sum(not good for good, _ in answers)
        if machine.watching is not None:
            await asyncio.gather(machine.watching, return_exceptions=True)
        if len(machine.started) == wakes + 1 and len(machine.ready) == len(machine.started):
            own = machine.ready[-1] - machine.started[-1]
            kept.over.append(min(at for _, at in answers) - began - own)
            kept.starts.append(own)
        kept.done = number + 1
        kept.write()
    return {
        "cycles": kept.done,
        "callers": kept.asked,
        "lost": kept.lost,
        "wake_p50_s": round(statistics.median(kept.over), 3),
        "wake_p95_s": round(_p95(kept.over), 3),
        "engine_start_p50_s": round(statistics.median(kept.starts), 3),
    }


async def in_the_path(machine: Machine, pid: int, count: int) -> dict[str, float]:
    """The same request straight and through the activator, by turns; and what each costs the agent."""
    spent = _spent(pid)
    straight, through = [], []
    for _ in range(count):
        for port, times in ((PORT, straight), (ACTIVATOR, through)):
            began = time.monotonic()
            answer = await machine.ask("POST", "/tokenize", {"content": "hello"}, port=port)
            assert answer.startswith(b"HTTP/1.1 200"), answer[:100]
            times.append(time.monotonic() - began)
    return {
        "proxy_added_p50_ms": round(1000 * (statistics.median(through) - statistics.median(straight)), 2),
        "proxy_added_p95_ms": round(1000 * (_p95(through) - _p95(straight)), 2),
        "proxy_cpu_ms": round(1000 * (_spent(pid) - spent) / count, 2),
        "straight_p95_ms": round(1000 * _p95(straight), 2),
    }


async def computing(machine: Machine, count: int) -> dict[str, Any]:
    """Requests that compute for longer than the service may be idle, without a packet meanwhile."""
    tokens, took = 100, 0.0
    while took < 3 * _IDLE_COMPUTING_S and tokens < 1800:
        began = time.monotonic()
        await machine.complete("once", tokens)
        took = time.monotonic() - began
        tokens = min(1800, 2 * tokens)
    machine.idle(_IDLE_COMPUTING_S)
    await machine.until("asleep")
    false = longer = 0
    for number in range(count):
        await machine.until("awake") if number else await machine.complete("wake", 1)
        stops, began = machine.stops, time.monotonic()
        good, at = await machine.complete(f"{number}", tokens // 2)
        false += not good or machine.stops > stops
        longer += at - began > _IDLE_COMPUTING_S
    return {"computed": count, "longer_than_threshold": longer, "idle_false_sleeps": false}


def resources(pid: int, seconds: float) -> dict[str, float]:
    """What the agent takes while nothing happens."""
    before = _spent(pid)
    time.sleep(seconds)
    cpu = (_spent(pid) - before) / seconds
    status = Path(f"/proc/{pid}/status").read_text().splitlines()
    resident = next(int(line.split()[1]) for line in status if line.startswith("VmRSS")) / 1024
    return {"rss_mb": round(resident, 1), "idle_cpu_percent": round(100 * cpu, 2)}


def _spent(pid: int) -> float:
    """Seconds of CPU, of the agent and of the programs that it ran."""
    columns = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(int(column) for column in columns[11:15]) / os.sysconf("SC_CLK_TCK")


def _p95(values: list[float]) -> float:
    return sorted(values)[int(0.95 * (len(values) - 1) + 0.5)]


async def measure(options: argparse.Namespace) -> int:
    """All of it; prints a table and one line of JSON."""
    began = time.monotonic()
    with (
        tempfile.TemporaryDirectory(prefix="power-") as folder,
        network_namespace([["nft", "list", "tables"]]) as network,
        network_namespace() as callers,
    ):
        machine = Machine(Path(folder), network, callers)
        machine.prepare()
        switch = await asyncio.start_unix_server(machine.switch, str(machine.folder / "switch"))
        await machine.start()
        assert machine.watching is not None
        await machine.watching
        try:
            async with machine.agent() as pid:
                await machine.until("awake")
                found: dict[str, Any] = {}
                found |= await in_the_path(machine, pid, 200)
                found |= resources(pid, options.idle)
                kept = Kept(options.keep).read()
                found |= await cycles(machine, options.cycles, random.Random(options.seed), kept)
                if options.requests:
                    machine.idle(None)
                    await machine.complete("awake", 1)
                    found |= await computing(machine, options.requests)
        except BaseException:
            sys.stderr.write((machine.folder / "log").read_text()[-3000:])
            raise
        finally:
            switch.close()
            await machine.stop()
    found["seconds"] = round(time.monotonic() - began, 1)
    for name, value in found.items():
        print(f"{name:<24}{value:>12}")
    print(json.dumps(found))
    return 1 if found["lost"] or found.get("idle_false_sleeps") else 0


def main() -> int:
    """Parse the command line."""
    parser = argparse.ArgumentParser(prog="scripts/bench power", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--cycles", type=int, default=100, help="how often it sleeps and wakes (default: 100)")
    parser.add_argument("--requests", type=int, default=200, help="that compute for long (default: 200)")
    parser.add_argument("--keep", type=Path, help="a file of the cycles so far, with which it goes on (default: none)")
    parser.add_argument("--idle", type=float, default=20, help="seconds of idleness to measure (default: 20)")
    parser.add_argument("--seed", type=int, default=0, help="of all chance (default: 0)")
    return asyncio.run(measure(parser.parse_args()))


if __name__ == "__main__":
    sys.exit(main())
