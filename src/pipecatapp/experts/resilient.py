"""The agent's own model, with the experts behind it: where it dies one stands in, in the middle of a sentence too."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import replace

from pipecatapp.domain import ComponentHealth, Message, Usage
from pipecatapp.errors import ModelError, ModelNotReadyError
from pipecatapp.experts.answering import Answering
from pipecatapp.experts.directory import Experts
from pipecatapp.experts.instance import Instance
from pipecatapp.experts.pool import Pool
from pipecatapp.ports import ChatChunk, ChatRequest, ModelProfile

logger = logging.getLogger(__name__)

# The pool of the agent's own model has no name: what it writes is nobody else's.
OWN = ""

# While nobody can answer, look this often whether somebody can again.
_LOOK_AGAIN_S = 0.1


class ResilientChatModel:
    """``ports.ChatModel`` over our own model, where there is one, and the experts that can stand in for it.

    Args:
        own: our own model as an instance, or None on a node without one.
        experts: the others.
        wait_s: how long a turn waits for somebody who can go on with it.
        health_within_s: after this long our own counts as silent, so that it does not hide who is well.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        own: Instance | None,
        experts: Experts,
        wait_s: float = 10.0,
        health_within_s: float = 1.5,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._health_within_s = health_within_s
        self._own = Pool(OWN, queue=1000)
        if own is not None:
            self._own.set([own])
            experts.stand_by(self._own)
        self._instance = own
        self._experts = experts
        self._answering = Answering(wait_s)
        self._wait_s = wait_s
        self._clock = clock

    async def profile(self) -> ModelProfile:
        """What is loaded where the next request will go; waits a moment for somebody who may get well."""
        first: ModelError | None = None
        end = self._clock() + self._wait_s
        while True:
            tried: set[str] = set()
            for pool in self._pools():
                while (instance := pool.best("", tried)) is not None:
                    tried.add(instance.id)
                    try:
                        return await instance.profile()
                    except ModelError as error:
                        instance.failed(error)
                        first = first or error
            if self._clock() >= end or not self._experts.stand_ins():
                raise first or ModelNotReadyError(self._reason())
            await asyncio.sleep(_LOOK_AGAIN_S)

    async def stream(self, request: ChatRequest) -> AsyncGenerator[ChatChunk, None]:
        """The answer, from our own model or whoever stands in for it."""
        async with aclosing(self._answering.stream(self._pools, request)) as chunks:
            async for chunk in chunks:
                yield chunk if self._instance is not None else replace(chunk, by="")

    async def prefill(self, messages: Sequence[Message], slot_key: str = "") -> Usage:
        """Fill the cache of the one who will be asked."""
        for pool in self._pools():
            if (instance := pool.best(slot_key)) is not None:
                return await instance.model.prefill(messages, slot_key)
        return Usage()

    async def health(self) -> ComponentHealth:
        """Whether anybody can answer."""
        own: ComponentHealth | None = None
        if self._instance is not None:
            try:
                async with asyncio.timeout(self._health_within_s):
                    own = await self._instance.model.health()
            except TimeoutError:
                own = ComponentHealth("llm", False, "the model server does not answer")
        if own is not None and own.ok:
            return own
        stand_in = next((pool.name for pool in self._experts.stand_ins() if pool.usable()), None)
        if stand_in is None:
            return own or ComponentHealth("llm", False, self._reason())
        why = f"; our own is away: {own.reason}" if own is not None else ""
        return ComponentHealth("llm", True, f"the {stand_in} expert answers{why}")

    async def aclose(self) -> None:
        """Close our own model's connections."""
        if self._instance is not None:
            await self._instance.aclose()

    def _pools(self) -> list[Pool]:
        return [*([self._own] if self._instance is not None else []), *self._experts.stand_ins()]

    def _reason(self) -> str:
        if self._instance is not None:
            return self._instance.breaker.reason or "the model does not answer"
        away = "; Consul does not answer" if self._experts.stale else ""
        return f"no expert that could answer is registered or well{away}"
