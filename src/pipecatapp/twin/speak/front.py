"""Has the front of the prompt evaluated before anybody speaks: when the engine starts, and whenever the front changes.

llama-server keeps what was evaluated as a file (llm/slots.py): each conversation then begins with it in milliseconds,
after a restart too. On a Core 2 the first question would else wait for half a minute.
"""

from __future__ import annotations

import asyncio
import logging

from pipecatapp.errors import ModelError
from pipecatapp.ports import ChatModel
from pipecatapp.twin.speak.builder import PromptBuilder
from pipecatapp.twin.speak.current_dialect import CurrentDialect

logger = logging.getLogger(__name__)

# No conversation has this name.
SLOT = "front of the prompt"
_LOOK_EVERY_S = 5.0


class PromptFront:
    """Looks after the front for as long as it runs.

    Args:
        model: whose cache is filled.
        prompts: knows the front.
        dialect: how the model wants to be spoken to.
        look_every_s: how soon a new engine, model or persona is noticed.

    Attributes:
        text: the front as it was evaluated last.
        is_ready: set once it was.
    """

    def __init__(
        self, model: ChatModel, prompts: PromptBuilder, dialect: CurrentDialect, look_every_s: float = _LOOK_EVERY_S
    ) -> None:
        self._model = model
        self._prompts = prompts
        self._dialect = dialect
        self._look_every_s = look_every_s
        self._ready: tuple[str, str] | None = None
        self.text = ""
        self._task: asyncio.Task[None] | None = None
        self.is_ready = asyncio.Event()

    def start(self) -> None:
        """Begin."""
        if self._task is None:
            self._task = asyncio.create_task(self._work(), name="front of the prompt")

    async def stop(self) -> None:
        """End."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])

    async def _work(self) -> None:
        while True:
            try:
                await self._look()
            except ModelError as error:
                logger.debug("the front of the prompt waits for the engine: %s", error)
                self._ready = None
                self.is_ready.clear()
            except Exception:
                logger.exception("the front of the prompt could not be evaluated; it only costs time")
            await asyncio.sleep(self._look_every_s)

    async def _look(self) -> None:
        dialect = await self._dialect.now()
        front = self._prompts.system(self._prompts.select_tools(dialect))
        if (dialect.profile.name, front.content) != self._ready:
            await self._model.prefill([front], SLOT)
            self._ready = (dialect.profile.name, front.content)
            self.text = front.content
            self.is_ready.set()
