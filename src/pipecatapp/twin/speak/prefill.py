"""Work done while the person still speaks: recall on the words so far, and the prompt into the server's prefix cache.

What was recalled and seen once the first prefill went out is frozen in front of the words, or the cache would be lost;
what is found later goes behind them (twin/speak/protocol.py).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass

from pipecatapp.domain import Fact, Message, ToolSpec
from pipecatapp.errors import ModelError
from pipecatapp.ports import ChatModel, Memory
from pipecatapp.twin.remember.history import History
from pipecatapp.twin.speak.builder import PromptBuilder
from pipecatapp.twin.speak.current_dialect import CurrentDialect
from pipecatapp.twin.speak.protocol import last_observation, request_text

logger = logging.getLogger(__name__)

RECALL_WITHIN_S = 0.3
_WORDS_FOR_RECALL = 3  # fewer say nothing of what the person is after


async def recall(memory: Memory | None, words: str) -> list[Fact]:
    """Related facts, or none when memory is absent, slow or broken: a turn never waits for it."""
    if memory is None or not words:
        return []
    try:
        async with asyncio.timeout(RECALL_WITHIN_S):
            return await memory.recall(words)
    except TimeoutError:
        logger.info("recall took longer than %s s; going on without facts", RECALL_WITHIN_S)
    except Exception:
        logger.exception("recall failed; going on without facts")
    return []


@dataclass(frozen=True, slots=True)
class PromptPrefix:
    """What stands in front of a request's words: what is remembered, the tools that fit, what the camera sees."""

    facts: Sequence[Fact] = ()
    tools: Sequence[ToolSpec] = ()
    observation: str = ""


class Prefill:
    """Prefills one conversation's prompt up to the newest words. At most one request runs; newer words wait for it.

    Args:
        model: whose cache is filled.
        memory: what is recalled from.
        prompts: builds the prompt.
        dialect: how the model wants to be spoken to.
        history: of this conversation.
        slot_key: names the conversation to the engine.
    """

    def __init__(
        self,
        model: ChatModel,
        memory: Memory | None,
        prompts: PromptBuilder,
        dialect: CurrentDialect,
        history: History,
        slot_key: str,
    ) -> None:
        self._model = model
        self._memory = memory
        self._prompts = prompts
        self._dialect = dialect
        self._history = history
        self._slot_key = slot_key
        self._wanted: str | None = None
        self._task: asyncio.Task[None] | None = None
        self._frozen: PromptPrefix | None = None

    @property
    def idle(self) -> bool:
        """Whether no request runs."""
        return self._task is None or self._task.done()

    async def prepare(self, words: str) -> None:
        """Prefill up to ``words`` (empty: only what stands in front of them). Returns early when newer words come."""
        self.begin(words)
        task = self._task
        if task is None:
            return
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError:
            task.cancel()
            raise

    def begin(self, words: str) -> None:
        """The same without waiting for it."""
        self._wanted = words
        if self.idle:
            self._task = asyncio.create_task(self._work(), name=f"prepare {self._slot_key}")

    async def stop(self) -> PromptPrefix | None:
        """End it, for the turn begins: what stands frozen in front of the words, None when nothing does yet."""
        self._wanted = None
        task, self._task = self._task, None
        if task is not None and not task.done():
            task.cancel()
            await asyncio.wait([task])
        frozen, self._frozen = self._frozen, None
        return frozen

    async def _work(self) -> None:
        while (words := self._wanted) is not None:
            self._wanted = None
            try:
                await self._evaluate(words)
            except ModelError as error:
                logger.debug("no prefill: %s", error)
            except Exception:
                logger.exception("preparing a turn failed; it only costs time")

    async def _evaluate(self, words: str) -> None:
        selection = self._prompts.select_tools(await self._dialect.now())
        history = self._history.messages(words, selection.dialect.understands)
        base = [self._prompts.system(selection), *history]
        if not words:
            await self._model.prefill(base, self._slot_key)
            return
        if self._frozen is None:
            if (self._memory is not None or selection.many) and len(words.split()) < _WORDS_FOR_RECALL:
                return
            tools = await self._prompts.new_tools(selection, words, history) if selection.many else []
            seen = self._prompts.news(last_observation(history))
            self._frozen = PromptPrefix(await recall(self._memory, words), tools, seen)
        prefix = self._frozen
        content = request_text(words, prefix.facts, prefix.observation, prefix.tools)
        await self._model.prefill([*base, Message("user", content)], self._slot_key)
