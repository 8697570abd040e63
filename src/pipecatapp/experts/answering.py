"""One answer, whoever writes it: where a server fails in the middle, another one goes on behind what was said."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace

from pipecatapp.domain import Message
from pipecatapp.errors import (
    ContextOverflowError,
    ExpertBusyError,
    ModelError,
    ModelUnreachableError,
    RequestRefusedError,
)
from pipecatapp.experts.instance import Instance
from pipecatapp.experts.pool import Pool
from pipecatapp.ports import ChatChunk, ChatRequest, ModelProfile

logger = logging.getLogger(__name__)

# While nobody can answer, look this often whether somebody can again.
_LOOK_AGAIN_S = 0.1
# Tokens are about this many characters; what was said is taken off the room for the rest.
_CHARACTERS = 4
_LEAST_TOKENS = 32


@dataclass(slots=True)
class _Answer:
    """An answer on its way. ``text`` is what there is of it, behind what the request began it with."""

    request: ChatRequest
    text: str
    tried: set[str] = field(default_factory=set)
    refused: set[str] = field(default_factory=set)  # by those who are well: asking again would not help
    error: ModelError | None = None
    writer: Instance | None = None
    trimmed: int = 0  # messages that were left out because they did not fit
    failed_at: float | None = None

    @property
    def is_written(self) -> bool:
        """Whether somebody wrote a part of it."""
        return len(self.text) > len(self.request.begun)


class Answering:
    """Streams answers from a chain of pools: the first that has a usable instance is asked.

    Args:
        wait_s: how long to wait, once something failed, for somebody who can go on.
        clock: monotonic seconds.
    """

    def __init__(self, wait_s: float = 10.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._wait_s = wait_s
        self._clock = clock

    async def stream(
        self, pools: Callable[[], Sequence[Pool]], request: ChatRequest
    ) -> AsyncGenerator[ChatChunk, None]:
        """The answer. ``pools`` gives the chain as it is now; the names of its pools stand in ``ChatChunk.by``.

        Raises:
            ModelError: nobody can answer; the error of the one who was to.
        """
        answer = _Answer(request, request.begun)
        while True:
            for place, pool in enumerate(pools()):
                try:
                    async with pool.seat(request.slot_key, answer.tried | answer.refused) as instance:
                        if instance is None:
                            continue
                        answer.tried.add(instance.id)
                        async with aclosing(self._written(answer, pool, instance)) as chunks:
                            async for chunk in chunks:
                                yield chunk
                        return
                except ExpertBusyError as error:
                    answer.error = answer.error or error
                    if place == 0 and answer.writer is None:
                        raise  # who was asked for is full, and says so
                    continue
                except ContextOverflowError as error:
                    answer.error = answer.error or error
                    self._overflowed(answer, instance, pools())
                except ModelError as error:
                    answer.error = answer.error or error
                    if instance is not None:
                        instance.failed(error)
                        if isinstance(error, RequestRefusedError):
                            answer.refused.add(instance.id)
                        else:
                            answer.failed_at = answer.failed_at or self._clock()
                break
            else:
                await self._wait(answer, pools())

    async def _written(self, answer: _Answer, pool: Pool, instance: Instance) -> AsyncGenerator[ChatChunk, None]:
        profile = await instance.profile()
        request = _request(answer, profile)
        kept: int | None = None
        if answer.is_written:
            kept = len(request.begun)
            logger.info("%s goes on with an answer after %d characters", instance.id, kept)
            answer.text = request.begun
        answer.writer = instance
        async with aclosing(instance.answer(request, profile)) as chunks:
            if kept is not None:
                yield ChatChunk(kept=kept, by=pool.name)
            async for chunk in chunks:
                answer.text += chunk.text
                yield replace(chunk, by=pool.name)

    def _overflowed(self, answer: _Answer, instance: Instance | None, pools: Sequence[Pool]) -> None:
        """The prompt does not fit there: an instance with more context is asked, else the oldest messages go."""
        if answer.request.resume is not None:
            if not answer.is_written:
                raise answer.error or ModelUnreachableError("the prompt fits nowhere")  # its owner shortens it
            return
        here = instance.registration.context if instance is not None else 0
        everybody = [other for pool in pools for other in pool.instances]
        if any(i.registration.context > here and i.breaker.allows and i.id not in answer.tried for i in everybody):
            answer.tried |= {i.id for i in everybody if i.registration.context <= here}
            return
        messages = answer.request.messages
        left = len(messages) - _front(messages) - answer.trimmed
        if left <= 1:
            raise answer.error or ModelUnreachableError("the prompt fits nowhere")
        answer.trimmed += left // 2
        answer.tried.clear()

    async def _wait(self, answer: _Answer, pools: Sequence[Pool]) -> None:
        """Nobody is left to ask: everybody is asked once more, while there is time and somebody may get well."""
        hopeful = any(i.id not in answer.refused for pool in pools for i in pool.instances)
        now = self._clock()
        answer.failed_at = answer.failed_at or now
        if not hopeful or now - answer.failed_at >= self._wait_s:
            raise answer.error or ModelUnreachableError("no expert answers")
        answer.tried.clear()
        await asyncio.sleep(_LOOK_AGAIN_S)


def _front(messages: Sequence[Message]) -> int:
    """How many messages always stay in front."""
    return 1 if messages and messages[0].role == "system" else 0


def _request(answer: _Answer, profile: ModelProfile) -> ChatRequest:
    """The request as this model wants it, with the part of the answer that stays."""
    request = asked = answer.request
    if request.resume is not None:
        request = replace(request.resume(answer.text, profile), resume=None)
    else:
        front = _front(request.messages)
        messages = [*request.messages[:front], *request.messages[front + answer.trimmed :]]
        request = replace(request, messages=messages, begun=answer.text)
    if spent := max(0, len(request.begun) - len(asked.begun)) // _CHARACTERS:
        least = min(_LEAST_TOKENS, request.max_tokens)
        request = replace(request, max_tokens=max(least, request.max_tokens - spent))
    return request
