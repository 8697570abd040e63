"""One place where an expert answers: its model, its breaker, what it does now and how quick it is."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import replace

from pipecatapp.domain import Message
from pipecatapp.errors import ModelError, ModelNotReadyError, ModelUnreachableError, RequestRefusedError
from pipecatapp.experts.breaker import CircuitBreaker
from pipecatapp.experts.overlap import GO_ON, Overlap
from pipecatapp.experts.watch import Limits, Probe, Watch
from pipecatapp.ports import ChatChunk, ChatModel, ChatRequest, ModelProfile
from pipecatapp.registration import Registration

logger = logging.getLogger(__name__)

# Requests at once for a server that does not tell its slots.
ASSUMED_SLOTS = 4
# How fast the tokens per second follow what is measured.
_LEARNING = 0.3


class Instance:
    """A server of an expert.

    Args:
        registration: where it is and what it should be.
        model: asks it.
        probe: asks it how it is.
        limits: how long it may take.
        breaker: whether it may be asked now.
    """

    def __init__(
        self,
        registration: Registration,
        model: ChatModel,
        probe: Probe,
        limits: Limits | None = None,
        breaker: CircuitBreaker | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.registration = registration
        self.model = model
        self.breaker = breaker or CircuitBreaker()
        self.running = 0
        self.elsewhere = 0  # requests of others that it works on
        self.turns = 0
        self.failures = 0
        self.tokens_per_s = 0.0
        self._slots = registration.slots
        self._limits = limits or Limits()
        self._probe = probe
        self._watch = Watch(probe, self._limits)
        self._clock = clock
        self._starting = False
        self._must_speak = False  # it hung or talked nonsense: that it answers a health check proves nothing

    @property
    def id(self) -> str:
        """Names it."""
        return self.registration.id

    @property
    def slots(self) -> int:
        """Requests that it works on at once."""
        return self._slots or ASSUMED_SLOTS

    @property
    def state(self) -> str:
        """In one word: closed (it may be asked), half-open, open, or loading where that is why it is open."""
        return "loading" if self._starting and not self.breaker.allows else self.breaker.state

    @property
    def load(self) -> float:
        """0: idle, 1: full."""
        return (self.running + self.elsewhere) / self.slots

    @property
    def full(self) -> bool:
        """Whether one more request would wait there."""
        return self.running >= self.slots

    async def profile(self) -> ModelProfile:
        """What is loaded there; raises ModelError, also when it is not the model that was registered."""
        profile = await self._watch.wait(self.model.profile(), self._limits.between_s)
        wanted = self.registration.model
        if wanted and not same_model(wanted, profile.name):
            raise ModelUnreachableError(f"it serves {profile.name} and not {wanted}, as which it is registered")
        return profile

    async def answer(self, request: ChatRequest, profile: ModelProfile) -> AsyncGenerator[ChatChunk, None]:
        """Its answer to the request, or the rest of one that was begun elsewhere."""
        chunks = self._ask(request) if not request.begun else self._continue(request, profile)
        started: float | None = None
        async with aclosing(chunks):
            async for chunk in chunks:
                if started is None and chunk.text:
                    started = self._clock()
                if chunk.usage is not None and started is not None:
                    self._learn(chunk.usage.generated_tokens, self._clock() - started)
                yield chunk
        self.turns += 1
        self.breaker.succeed()

    def failed(self, error: ModelError) -> None:
        """It did not answer: whether that is its own fault, and how long it is left alone."""
        if isinstance(error, RequestRefusedError):
            logger.warning("%s does not take a request: %s", self.id, error)
            return
        self.failures += 1
        self._starting = isinstance(error, ModelNotReadyError)
        self._must_speak = not self._starting
        self.breaker.fail(str(error), soon=self._starting)
        logger.warning("%s failed: %s", self.id, error)

    async def check(self) -> None:
        """The half-open breaker's probe: closes it, or opens it again."""
        try:
            state = await self._watch.wait(self.model.health(), self._limits.between_s)
            if not state.ok:
                raise ModelNotReadyError(state.reason)
            await self.profile()
            if self._must_speak:
                await self._say_something()
        except ModelError as error:
            self.breaker.fail(str(error))
        except asyncio.CancelledError:
            self.breaker.fail("the probe was stopped")
            raise
        else:
            self._must_speak = False
            self.breaker.succeed()
            logger.info("%s answers again", self.id)

    async def look(self) -> None:
        """Ask it whether it lives and how busy it is: a turn should not be the first to find out.

        Raises:
            ModelUnreachableError: it does not answer.
        """
        if not await self._probe.alive() and not await self._probe.alive():
            raise ModelUnreachableError("the model server does not even say that it lives")
        load = await self._probe.load()
        if load is not None:
            self._slots = self.registration.slots or load.slots
            self.elsewhere = max(0, load.busy - self.running)

    async def aclose(self) -> None:
        """Close its connections."""
        for part in (self.model, self._probe):
            close = getattr(part, "aclose", None)
            if close is not None:
                await close()

    async def _ask(self, request: ChatRequest) -> AsyncGenerator[ChatChunk, None]:
        """The server goes on behind the begun answer by itself. A space at its end would be a token of its own, that no
        model has seen there."""
        begun = request.begun.rstrip()
        lead = len(request.begun) > len(begun)
        async with aclosing(self._watch.stream(self.model.stream(replace(request, begun=begun)))) as chunks:
            async for chunk in chunks:
                if lead and chunk.text:
                    chunk = replace(chunk, text=chunk.text.lstrip())
                    lead = not chunk.text
                yield chunk

    async def _continue(self, request: ChatRequest, profile: ModelProfile) -> AsyncGenerator[ChatChunk, None]:
        """The rest of a begun answer, in the way that this server can."""
        if profile.continues:
            begun = False
            try:
                async with aclosing(self._ask(request)) as chunks:
                    async for chunk in chunks:
                        begun = True
                        yield chunk
            except RequestRefusedError as error:
                if begun:
                    raise
                logger.info("%s cannot go on by itself: %s", self.id, error)  # an old llama-server: prima.cpp
            else:
                return
        async with aclosing(self._go_on(request)) as chunks:
            async for chunk in chunks:
                yield chunk

    async def _go_on(self, request: ChatRequest) -> AsyncGenerator[ChatChunk, None]:
        """The server cannot: it is asked to, and what it repeats is dropped."""
        overlap = Overlap(request.begun)
        asked = replace(
            request,
            messages=[*request.messages, Message("assistant", request.begun), Message("user", GO_ON)],
            grammar=None,
            begun="",
        )
        async with aclosing(self._watch.stream(self.model.stream(asked))) as chunks:
            async for chunk in chunks:
                text = overlap.feed(chunk.text)
                if chunk.finish_reason is not None:
                    text += overlap.finish()
                yield replace(chunk, text=text)

    async def _say_something(self) -> None:
        request = ChatRequest([Message("user", "Say yes.")], max_tokens=1, temperature=0.0)
        async with aclosing(self._watch.stream(self.model.stream(request))) as chunks:
            async for _ in chunks:
                pass

    def _learn(self, tokens: int, seconds: float) -> None:
        if tokens > 1 and seconds > 0:
            now = tokens / seconds
            self.tokens_per_s += _LEARNING * (now - self.tokens_per_s) if self.tokens_per_s else now


def same_model(wanted: str, found: str) -> bool:
    """Whether two names of a model mean the same: a path, an ending and capitals do not count."""
    one, other = (name.lower().rsplit("/", 1)[-1].removesuffix(".gguf") for name in (wanted, found))
    return one.startswith(other) or other.startswith(one)
