"""One llama-server process from its start to its end: spawn, wait until it answers, watch it, end it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from pipecatapp.errors import EngineError
from pipecatapp.llm.engines import Engine
from pipecatapp.llm.postmortem import Postmortem, last_words

LOG_BYTES = 5_000_000


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long the supervisor waits, in seconds."""

    ready_within: float = 900.0
    probe_every: float = 5.0
    hang_after: float = 30.0
    stop_within: float = 8.0
    backoff_first: float = 0.5
    backoff_most: float = 30.0
    steady_after: float = 60.0


class EngineChild:
    """A running llama-server.

    Args:
        process: the child.
        root: its URL without ``/v1``.
        key: its API key.
        log: the file it prints to.
        timeouts: the waits.
    """

    def __init__(self, process: asyncio.subprocess.Process, root: str, key: str, log: Path, timeouts: Timeouts) -> None:
        self._process = process
        self._root = root
        self._key = key
        self._log = log
        self._timeouts = timeouts
        self._postmortem = Postmortem()

    @classmethod
    async def spawn(
        cls, engine: Engine, arguments: Sequence[str], *, root: str, key: str, log: Path, timeouts: Timeouts
    ) -> EngineChild:
        """Start it, so that it ends when this process ends, however that happens."""
        rotate_log(log)
        # No orphan keeps the port and the memory when this process is killed.
        bound = ["setpriv", "--pdeathsig", "KILL", "--"] if shutil.which("setpriv") else []
        with log.open("ab") as output:
            process = await asyncio.create_subprocess_exec(
                *bound,
                *engine.command,
                *arguments,
                cwd=engine.folder,
                env=engine.environment(),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        _prefer_for_oom(process.pid)
        return cls(process, root, key, log, timeouts)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def code(self) -> int | None:
        """Its exit status, negative for a signal, None while it runs."""
        return self._process.returncode

    async def until_ready(self, model: str) -> None:
        """Wait for a real one-token completion.

        Raises:
            EngineError: it ended, refuses, or takes too long.
        """
        body = {"model": model, "messages": [{"role": "user", "content": "hi"}], "max_tokens": 1}
        async with self._client(self._timeouts.ready_within) as http:
            try:
                async with asyncio.timeout(self._timeouts.ready_within):
                    while True:
                        if self.code is not None:
                            raise EngineError(f"the engine ended while loading: {last_words(self._log)}")
                        answer = await _ask(http, "POST", "/v1/chat/completions", body)
                        if answer is not None and answer.status_code == httpx.codes.OK:
                            return
                        if answer is not None and answer.status_code != httpx.codes.SERVICE_UNAVAILABLE:
                            raise EngineError(f"the engine refuses its first completion: {answer.text[:300]}")
                        await asyncio.sleep(0.1)
            except TimeoutError as error:
                raise EngineError(f"the engine was not ready in {self._timeouts.ready_within:.0f} s") from error

    async def watch(self) -> str:
        """Wait until it ends or hangs; returns the reason in a sentence."""
        ended = asyncio.create_task(self._process.wait())
        answered = time.monotonic()
        try:
            async with self._client(self._timeouts.probe_every) as http:
                while not ended.done():
                    await asyncio.wait([ended], timeout=self._timeouts.probe_every)
                    rotate_log(self._log)
                    # The task queue answers this, not an HTTP thread: a server that hangs does not.
                    if ended.done() or await _ask(http, "GET", "/slots") is not None:
                        answered = time.monotonic()
                    elif time.monotonic() - answered > self._timeouts.hang_after:
                        self._process.kill()
                        return f"the engine did not answer for {self._timeouts.hang_after:.0f} s and was ended"
        finally:
            ended.cancel()
        return self._postmortem.describe(self.code, self._log)

    async def end(self) -> None:
        """SIGTERM, then SIGKILL; the child is reaped in every case, also when the caller is cancelled."""
        try:
            if self.code is None:
                self._process.terminate()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._process.wait(), self._timeouts.stop_within)
        finally:
            if self.code is None:
                self._process.kill()
                await asyncio.shield(self._process.wait())

    def _client(self, timeout: float) -> httpx.AsyncClient:
        headers = {"Authorization": f"Bearer {self._key}"}
        return httpx.AsyncClient(
            base_url=self._root,
            headers=headers,
            timeout=timeout,
            # llama-server closes idle connections: a probe over one that is gone would look like a hang.
            limits=httpx.Limits(max_keepalive_connections=0),
            trust_env=False,
        )


def rotate_log(log: Path) -> None:
    """Keep one older log; the child goes on writing at the (new) end of the same file."""
    with contextlib.suppress(FileNotFoundError):
        if log.stat().st_size > LOG_BYTES:
            shutil.copyfile(log, log.with_suffix(".log.1"))
            os.truncate(log, 0)


def _prefer_for_oom(pid: int) -> None:
    # When memory runs out the engine goes first: it comes back by itself, the conversation does not.
    with contextlib.suppress(OSError):
        Path(f"/proc/{pid}/oom_score_adj").write_text("400")


async def _ask(http: httpx.AsyncClient, method: str, path: str, body: Any = None) -> httpx.Response | None:
    try:
        return await http.request(method, path, json=body)
    except httpx.HTTPError:
        return None
