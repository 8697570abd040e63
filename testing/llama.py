"""Real llama-servers with the starter model: several on one machine, each on a loopback address of its own."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from pathlib import Path

import httpx

from pipecatapp.errors import EngineError
from testing.engine_node import READY_WITHIN_S, unpacked_engine
from testing.engine_node import STARTER as STARTER
from testing.ports import free_port

# A slow PC: so long it runs, so long it stands still, over and over. The starter model is too quick to be hit
# in the middle of an answer otherwise.
RUNS_S, RESTS_S = 0.002, 0.06


class LlamaServer:
    """One llama-server that can be killed, stopped and started again at the same address.

    Args:
        host: where it listens.
        folder: where its log goes.
        slow: stand still most of the time, as a slow PC would.
        context: tokens for each of its two slots.
    """

    def __init__(self, host: str, folder: Path, *, slow: bool = False, context: int = 2048) -> None:
        self.host, self.port = host, free_port(host)
        self._log = folder / f"llama-{host}.log"
        self._slow = slow
        self._context = context
        self._process: asyncio.subprocess.Process | None = None
        self._pacing: asyncio.Task[None] | None = None
        self._frozen = False

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}/v1"

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.returncode is None and not self._frozen

    async def start(self) -> None:
        """Start it, or start it again; returns when it answers."""
        engine = unpacked_engine()
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *engine.command, "--model", str(STARTER), "--alias", "starter", "--host", self.host,
                "--port", str(self.port), "--ctx-size", str(2 * self._context), "--parallel", "2", "--threads", "1",
                "--poll", "0", "--batch-size", "32", "--ubatch-size", "32", "--cache-ram", "0", "--skip-chat-parsing",
                "--reasoning", "off", "--jinja", "--slots", "--offline", "--no-ui", "--sse-ping-interval", "5",
                stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log, cwd=engine.folder,
                env=engine.environment(), start_new_session=True,
            )  # fmt: skip
        self._frozen = False
        async with asyncio.timeout(READY_WITHIN_S), httpx.AsyncClient(trust_env=False, timeout=5) as http:
            while True:
                with contextlib.suppress(httpx.HTTPError):
                    if (await http.get(f"http://{self.host}:{self.port}/health")).status_code == 200:
                        break
                if self._process.returncode is not None:
                    raise EngineError(f"llama-server ended: {self._log.read_text(errors='replace')[-500:]}")
                await asyncio.sleep(0.1)
        if self._slow:
            self._pacing = asyncio.create_task(self._pace(), name=f"pace {self.host}")

    async def kill(self) -> None:
        """kill -9."""
        await self._stop_pacing()
        if self._process is not None:
            self._signal(signal.SIGKILL)
            await self._process.wait()

    async def freeze(self) -> None:
        """SIGSTOP: it keeps its connections and says nothing more."""
        await self._stop_pacing()
        self._frozen = True
        self._signal(signal.SIGSTOP)

    async def thaw(self) -> None:
        """SIGCONT."""
        self._frozen = False
        self._signal(signal.SIGCONT)
        if self._slow and self.running:
            self._pacing = asyncio.create_task(self._pace(), name=f"pace {self.host}")

    async def _pace(self) -> None:
        while True:
            self._signal(signal.SIGSTOP)
            await asyncio.sleep(RESTS_S)
            self._signal(signal.SIGCONT)
            await asyncio.sleep(RUNS_S)

    async def _stop_pacing(self) -> None:
        if self._pacing is not None:
            self._pacing.cancel()
            await asyncio.gather(self._pacing, return_exceptions=True)
            self._pacing = None

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(number)
