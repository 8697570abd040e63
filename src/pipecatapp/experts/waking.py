"""Wakes experts that sleep, before anybody waits for them."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from pipecatapp.background import BackgroundTasks
from pipecatapp.domain import Message
from pipecatapp.errors import ModelError
from pipecatapp.experts.instance import Instance
from pipecatapp.experts.pool import Pool

logger = logging.getLogger(__name__)

# So long a wake is not asked for again: the power agent goes on with it by itself.
_AGAIN_S = 60.0


class Waker:
    """Asks for wakes, each once.

    A wake belongs to the service and not to whoever asked: what becomes of the request here changes nothing.

    Args:
        clock: monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._asked: dict[str, float] = {}
        self._tasks = BackgroundTasks("waking an expert failed")

    def seconds(self, pool: Pool) -> float:
        """About how long it will still take to wake, by the power agent's account of earlier wakes; 0: nobody knows."""
        estimate = max((instance.registration.wake_s for instance in pool.usable()), default=0.0)
        asked = self._asked.get(pool.name)
        spent = self._clock() - asked if asked is not None else 0.0
        return max(0.0, estimate - spent) if spent < _AGAIN_S else estimate

    def wake(self, pool: Pool, front: Message) -> None:
        """Ask for it, where that was not done just now; ``front`` is what its next prompts will begin with."""
        now = self._clock()
        asked = self._asked.get(pool.name)
        instance = pool.best("")
        if instance is None or (asked is not None and now - asked < _AGAIN_S):
            return
        self._asked[pool.name] = now
        logger.info("waking %s", instance.id)
        self._tasks.start(self._ask(instance, front), f"wake {instance.id}")

    async def aclose(self) -> None:
        """Wait for nobody any more."""
        await self._tasks.cancel()

    @staticmethod
    async def _ask(instance: Instance, front: Message) -> None:
        try:
            await instance.model.prefill([front])
        except ModelError as error:
            logger.debug("%s: %s", instance.id, error)
