"""Waits for a server's next word, and tells a slow server from a dead one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from pipecatapp.errors import ModelUnreachableError
from pipecatapp.experts.server import Load
from pipecatapp.ports import ChatChunk

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Limits:
    """How long a server may take.

    Attributes:
        first_token_s: without a first word or a sign of progress. An old PC evaluates a long prompt for minutes.
        between_s: between two words; another request's prompt may be evaluated in between.
        silent_s: after so much silence it is asked whether it lives.
        probes: so many questions in a row without an answer, and it is dead.
    """

    first_token_s: float = 120.0
    between_s: float = 20.0
    silent_s: float = 0.6
    probes: int = 2


class Probe(Protocol):
    """Asks a server how it is (``server.ServerProbe``)."""

    async def alive(self) -> bool:
        """Whether anything answers there."""

    async def load(self) -> Load | None:
        """How busy it is; None where it does not say."""


class Watch:
    """Watches over one server.

    Args:
        probe: asks it.
        limits: how long it may take.
    """

    def __init__(self, probe: Probe, limits: Limits) -> None:
        self._probe = probe
        self._limits = limits

    async def stream(self, chunks: AsyncIterator[ChatChunk]) -> AsyncGenerator[ChatChunk, None]:
        """The chunks; raises ModelUnreachableError when the server hangs."""
        limit = self._limits.first_token_s
        try:
            while True:
                try:
                    chunk = await self.wait(anext(chunks), limit)
                except StopAsyncIteration:
                    return
                yield chunk
                limit = self._limits.between_s
        finally:
            close = getattr(chunks, "aclose", None)
            if close is not None:
                await close()

    async def wait(self, work: Awaitable[T], limit: float) -> T:
        """The result of the work; raises ModelUnreachableError when it takes too long or the server is dead."""
        task: asyncio.Future[T] = asyncio.ensure_future(work)
        try:
            done, _ = await asyncio.wait([task], timeout=self._limits.silent_s)
            if not done:
                await self._doubt(task, limit)
            return task.result()
        finally:
            if not task.done():
                task.cancel()
                await asyncio.wait([task])

    async def _doubt(self, task: asyncio.Future[T], limit: float) -> None:
        """Until the task is done, ask the server again and again whether it lives."""
        loop = asyncio.get_running_loop()
        unanswered = 0
        sign: int | None = None
        quiet_since = loop.time() - self._limits.silent_s
        while not task.done():
            alive = asyncio.ensure_future(self._probe.alive())
            try:
                both: list[asyncio.Future[Any]] = [task, alive]
                await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
                if task.done():
                    return
                unanswered = 0 if alive.result() else unanswered + 1
            finally:
                alive.cancel()
            if unanswered >= self._limits.probes:
                raise ModelUnreachableError("the model server hangs: it does not even say that it lives")
            if loop.time() - quiet_since >= limit:
                load = await self._probe.load()
                if load is None or load.sign == sign or not load.busy:
                    raise ModelUnreachableError(f"the model server wrote nothing for {limit:g} s")
                sign, quiet_since = load.sign, loop.time() - limit / 2
            if not unanswered:
                await asyncio.wait([task], timeout=self._limits.silent_s)
