"""Memory and idle CPU of the app with its default set loaded, without the engine.

The real program, with a scripted language model server in the place of the engine. One question is spoken and answered,
so that all that a turn loads is loaded. Then nobody speaks: with a page open, then with a microphone that
sends silence.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
from websockets.asyncio.client import ClientConnection, connect

from testing.fakes.caller import RATE_UP, spoken

FRAME_S = 0.02
SILENCE = bytes(int(RATE_UP * FRAME_S) * 2)


@dataclass(frozen=True, slots=True)
class Process:
    """What the kernel says of one process."""

    name: str
    rss_mb: float
    pss_mb: float


def tree(pid: int) -> list[int]:
    """A process and all below it."""
    found = [pid]
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            found += tree(int(child))
    return found


def memory(pid: int) -> list[Process]:
    """Resident memory of a process tree, process by process."""
    found = []
    for each in tree(pid):
        rollup = Path(f"/proc/{each}/smaps_rollup").read_text().split("\n")
        sizes = {line.split(":")[0]: int(line.split()[1]) / 1024 for line in rollup if line.endswith(" kB")}
        command = Path(f"/proc/{each}/cmdline").read_text().split("\0")
        found.append(Process(" ".join(Path(word).name for word in command[:3]).strip(), sizes["Rss"], sizes["Pss"]))
    return found


def cpu_seconds(pid: int) -> float:
    """User and system time of a process tree so far."""
    ticks = 0
    for each in tree(pid):
        fields = Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


async def idle_percent(pid: int, seconds: float) -> float:
    """CPU of the tree over this time, 100 being one core."""
    start, began = cpu_seconds(pid), time.monotonic()
    await asyncio.sleep(seconds)
    return 100 * (cpu_seconds(pid) - start) / (time.monotonic() - began)


@contextmanager
def running(arguments: list[str], env: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """A Python program of ours, ended at the end."""
    process = subprocess.Popen([sys.executable, *arguments], env=env, stdout=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=20)


async def measure(seconds: float, port: int) -> dict[str, float]:
    """Start, talk once, measure."""
    with tempfile.TemporaryDirectory() as folder:
        env = {key: value for key, value in os.environ.items() if key != "OPENBLAS_CORETYPE"} | {
            "STATE_DIR": folder,
            "LLM_URL": f"http://127.0.0.1:{port + 2}/v1",
            "WEB_HOST": "127.0.0.1",
            "WEB_PORT": str(port),
            "WEB_TLS_PORT": str(port + 1),
            "PIPECATAPP_CONFIG": f"{folder}/none.env",
        }
        server = ["-m", "testing.fakes.llm_server", "--port", str(port + 2), "--profile", "instant"]
        with running(server, env), running(["-m", "pipecatapp", "serve"], env) as app:
            async with asyncio.timeout(90):
                await _healthy(f"http://127.0.0.1:{port}/health")
            headers = {"Authorization": f"Bearer {(Path(folder) / 'token').read_text().strip()}"}
            root = f"ws://127.0.0.1:{port}"
            page = connect(f"{root}/ws?conversation=bench", additional_headers=headers, proxy=None, max_size=None)
            voice = connect(f"{root}/ws/voice?conversation=bench", additional_headers=headers, proxy=None)
            async with page as events:
                reader = asyncio.create_task(_drain(events))
                async with voice as socket:
                    async with asyncio.timeout(60):
                        await _ask(socket)
                    processes = memory(app.pid)
                    sending = asyncio.create_task(_silence(socket))
                    listening = await idle_percent(app.pid, seconds)
                    sending.cancel()
                await asyncio.sleep(2)
                idle = await idle_percent(app.pid, seconds)
                reader.cancel()
    for process in processes:
        print(f"{process.name:<48} {process.rss_mb:7.1f} MB resident, {process.pss_mb:7.1f} MB of it its own share")
    return {
        "rss_mb": round(sum(process.rss_mb for process in processes), 1),
        "pss_mb": round(sum(process.pss_mb for process in processes), 1),
        "idle_cpu_percent": round(idle, 2),
        "listening_cpu_percent": round(listening, 2),
    }


async def _healthy(url: str) -> None:
    async with httpx.AsyncClient(trust_env=False) as client:
        while True:
            try:
                if (await client.get(url, timeout=5)).status_code == httpx.codes.OK:
                    return
            except httpx.TransportError:
                await asyncio.sleep(0.2)
            await asyncio.sleep(0.2)


async def _ask(socket: ClientConnection) -> None:
    """Say something in real time and wait until the answer is heard."""
    sound = spoken("what can you do")
    size = len(SILENCE)
    for start in range(0, len(sound), size):
        await socket.send(sound[start : start + size].ljust(size, b"\0"))
        await asyncio.sleep(FRAME_S)
    sending = asyncio.create_task(_silence(socket))
    try:
        heard = 0
        while heard < RATE_UP:
            message = await socket.recv()
            heard += len(message) if isinstance(message, bytes) else 0
        await _drain_until_quiet(socket)
    finally:
        sending.cancel()


async def _drain_until_quiet(socket: ClientConnection) -> None:
    while True:
        try:
            async with asyncio.timeout(3):
                await socket.recv()
        except TimeoutError:
            return


async def _silence(socket: ClientConnection) -> None:
    while True:
        await socket.send(SILENCE)
        await asyncio.sleep(FRAME_S)


async def _drain(socket: ClientConnection) -> None:
    async for _ in socket:
        pass


def main() -> None:
    """Print the table and the line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=30.0, help="how long each idle phase lasts (default: 30)")
    parser.add_argument("--port", type=int, default=18700, help="the first of three ports to use (default: 18700)")
    options = parser.parse_args()
    result = asyncio.run(measure(options.seconds, options.port))
    print()
    for name, value in result.items():
        print(f"{name:<24} {value:8.2f}")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
