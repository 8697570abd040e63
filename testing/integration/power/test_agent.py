"""The whole agent as a process: real packets, real nft, a unit that a double of systemd runs."""

from __future__ import annotations

import asyncio
import functools
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from testing.network_namespace import Namespace, network_namespace

pytestmark = pytest.mark.integration

UNIT = "pipecatapp-engine.service"
PORT, ACTIVATOR = 8081, 18081
SYSTEMCTL = """#!/bin/sh
# A double of `systemctl show`.
printf 'LoadState=loaded\\nResult=success\\nNRestarts=0\\nActiveState=%s\\n' "$(cat {state})"
"""


@dataclass
class Machine:
    """A PC with one unit, in a network of its own.

    Attributes:
        switched: what the agent had done to the unit.
    """

    folder: Path
    network: Namespace
    switched: list[str] = field(default_factory=list)
    engine: asyncio.Server | None = None
    asked: list[bytes] = field(default_factory=list)

    def prepare(self, idle_s: float) -> None:
        programs = self.folder / "bin"
        programs.mkdir()
        (programs / "systemctl").write_text(SYSTEMCTL.format(state=self.folder / "unit"))
        (programs / "systemctl").chmod(0o755)
        service = {
            "name": "prima-api-main", "host": "127.0.0.1", "port": PORT, "activator_port": ACTIVATOR, "unit": UNIT,
            "min_awake_s": 0, "idle_s": idle_s,
        }  # fmt: skip
        given = {
            "folder": str(self.folder), "control": str(self.folder / "control"), "switch": str(self.folder / "switch"),
            "policy": str(self.folder / "policy.json"), "services": [service, {"name": "broken"}],
        }  # fmt: skip
        (self.folder / "configuration.json").write_text(json.dumps(given))

    async def switch(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = (await reader.readline()).decode().strip()
        self.switched.append(line)
        await (self.stop() if line.startswith("stop") else self.start())
        writer.write(b"done\n")
        await writer.drain()
        writer.close()

    async def start(self) -> None:
        self.engine = await asyncio.start_server(self.answer, sock=self.network.listen(PORT))
        (self.folder / "unit").write_text("active")

    async def stop(self) -> None:
        if self.engine is not None:
            self.engine.close()
            await self.engine.wait_closed()
        (self.folder / "unit").write_text("inactive")

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            body = b'[{"id": 0, "is_processing": false}]' if b"/slots" in head else b'{"ok": true}'
            if head.startswith(b"POST"):
                self.asked.append(head)
            writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
            await writer.drain()
        writer.close()

    @asynccontextmanager
    async def agent(self) -> AsyncIterator[subprocess.Popen[bytes]]:
        environment = {
            **os.environ, "PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}", "PYTHONPATH": "src",
            "PYTHONDONTWRITEBYTECODE": "1",
        }  # fmt: skip
        with (self.folder / "log").open("ab") as log:
            # Debian's Python, as on a node.
            python = "/usr/bin/python3" if Path("/usr/bin/python3").exists() else sys.executable
            command = [python, "-P", "-m", "power_agent", str(self.folder / "configuration.json")]
            process = subprocess.Popen(self.network.command(*command), env=environment, stdout=log, stderr=log)
        try:
            yield process
        finally:
            process.kill()
            process.wait()

    async def told(self, do: str, **more: str) -> dict[str, Any]:
        async with asyncio.timeout(20):
            while True:
                with suppress(OSError):
                    reader, writer = await asyncio.open_unix_connection(str(self.folder / "control"))
                    break
                await asyncio.sleep(0.02)
            writer.write(json.dumps({"do": do, **more}).encode() + b"\n")
            answer = json.loads(await reader.readline())
            writer.close()
        assert isinstance(answer, dict)
        return answer

    async def until(self, state: str) -> dict[str, Any]:
        said = "nothing"
        try:
            async with asyncio.timeout(20):
                while True:
                    said = str(answer := await self.told("list"))
                    if answer["services"][0]["state"] == state:
                        return answer
                    await asyncio.sleep(0.02)
        except TimeoutError:
            pytest.fail(f"not {state}: {said}\n{(self.folder / 'log').read_text()}")

    async def ask(self, method: str = "POST", path: str = "/v1/chat/completions") -> bytes:
        reader, writer = await self.network.connect(PORT)
        writer.write(f"{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{{}}".encode())
        try:
            return await asyncio.wait_for(reader.read(), 20)
        finally:
            writer.close()


@pytest.fixture
def network() -> Iterator[Namespace]:
    with network_namespace([["nft", "list", "tables"]]) as namespace:
        yield namespace


@pytest.fixture
async def machine(tmp_path: Path, network: Namespace) -> AsyncIterator[Machine]:
    machine = Machine(tmp_path, network)
    switch = await asyncio.start_unix_server(machine.switch, str(tmp_path / "switch"))
    await machine.start()
    yield machine
    await machine.stop()
    switch.close()
    await switch.wait_closed()


async def test_it_sleeps_and_the_first_request_after_sleep_is_answered(machine: Machine) -> None:
    machine.prepare(idle_s=0.2)
    neighbour = await asyncio.start_server(_neighbour, sock=machine.network.listen(PORT, "127.0.0.2"))
    async with machine.agent() as process, neighbour:
        listed = await machine.until("asleep")
        # Another program on the same port of another address is left alone.
        reader, writer = await machine.network.connect(PORT, "127.0.0.2")
        untouched = await asyncio.wait_for(reader.read(), 20)
        writer.close()
        # The port is the service's own; nft leads the request to the activator.
        health = await machine.ask("GET", "/health")
        answer = await machine.ask()
        await machine.until("asleep")
        again = await asyncio.gather(*(machine.ask() for _ in range(8)))
        memory = _resident_mb(process.pid)
        rules = machine.network.run("nft", "list", "ruleset")

    assert untouched == b"neighbour"
    assert health.endswith(b'{"status": "ok", "power": "asleep"}')
    assert answer.endswith(b'{"ok": true}')
    assert [each[-12:] for each in again] == [b'{"ok": true}'] * 8
    assert len(machine.asked) == 9
    assert machine.switched[:4] == [f"stop {UNIT}", f"start {UNIT}"] * 2
    assert listed["broken"] == {"broken": "it needs either a `unit` or a `job`"}
    assert rules.count("table") == 1
    assert memory <= 32, memory
    if "kernel" not in listed["measured_by"]:
        pytest.skip(f"no eBPF here; the rest was tried: {listed['measured_by']}")


async def test_an_agent_that_was_killed_finds_who_sleeps_and_wakes_them(machine: Machine) -> None:
    machine.prepare(idle_s=0.2)
    async with machine.agent() as process:
        await machine.until("asleep")
        process.send_signal(signal.SIGKILL)
        process.wait()
    (machine.folder / "control").unlink()

    async with machine.agent():
        await machine.until("asleep")
        answer = await machine.ask()

    assert answer.endswith(b'{"ok": true}')
    assert machine.switched[:2] == [f"stop {UNIT}", f"start {UNIT}"]


async def test_people_steer_it_by_the_terminal_and_the_policy_is_read_again(machine: Machine) -> None:
    machine.prepare(idle_s=3600)
    control = machine.folder / "control"
    async with machine.agent():
        await machine.until("awake")
        listing = await _in_the_terminal(control, "list")
        woken = await _in_the_terminal(control, "wake", "prima-api-main")
        await _in_the_terminal(control, "pin", "prima-api-main")
        await machine.until("pinned")
        refused = await _in_the_terminal(control, "sleep", "prima-api-main")
        await _in_the_terminal(control, "unpin", "prima-api-main")
        await machine.until("awake")
        await _in_the_terminal(control, "sleep", "prima-api-main")
        await machine.until("asleep")
        unknown = await machine.told("wake", service="prima-api-other")
        policy = {"version": 1, "services": {"prima-api-main": {"idle_seconds": 0}, "x": {"idle_seconds": "soon"}}}
        (machine.folder / "policy.json").write_text(json.dumps(policy))
        await machine.ask()
        async with asyncio.timeout(60):
            listed = await machine.until("asleep")
        history = (await machine.told("history"))["history"]

    assert listing.returncode == 1  # the broken entry
    assert listing.stdout.startswith("prima-api-main  awake for ")
    assert "(it runs); sleeps after 60 min without use" in listing.stdout
    assert "broken: not watched: it needs either a `unit` or a `job`" in listing.stdout
    assert woken.returncode == 0, woken.stderr
    assert refused.returncode == 2
    assert "pinned awake" in refused.stderr
    assert "there are: prima-api-main" in unknown["error"]
    assert listed["broken"]["x"] == "policy: 'soon' are no seconds up to a week"
    what = ["awake", "pinned", "awake", "falling asleep", "asleep", "waking", "awake"]
    assert [line["what"] for line in history if line["what"] != "policy"][: len(what)] == what


async def _neighbour(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"neighbour")
    await writer.drain()
    writer.close()


def _resident_mb(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024


async def _in_the_terminal(control: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pipecatapp", "power", *words]
    environment = {**os.environ, "POWER_SOCKET": str(control), "PYTHONPATH": "src", "STATE_DIR": str(control.parent)}
    run = functools.partial(subprocess.run, command, env=environment, capture_output=True, text=True, check=False)
    return await asyncio.to_thread(run)
