"""Ends what waits too long, as soon as its time has come."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

logger = logging.getLogger(__name__)

_AGAIN_S = 3.0


class ExpiryWatch:
    """A task that sleeps until something expires.

    Args:
        left: seconds until then; None while nothing waits.
        expire: ends what has expired.
    """

    def __init__(self, left: Callable[[], float | None], expire: Callable[[], Awaitable[None]]) -> None:
        self._left = left
        self._expire = expire
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Watch, from now until ``aclose``."""
        if self._task is None:
            self._task = asyncio.create_task(self._watch(), name="approvals expire")

    def look_again(self) -> None:
        """Something waits that did not, or no longer."""
        self._changed.set()

    async def aclose(self) -> None:
        """Stop watching."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])

    async def _watch(self) -> None:
        while True:
            self._changed.clear()
            left = self._left()
            try:
                async with asyncio.timeout(None if left is None else max(0.0, left)):
                    await self._changed.wait()
            except TimeoutError:
                try:
                    await self._expire()
                except Exception:
                    logger.exception("a request could not be ended; it is tried again")
                    await asyncio.sleep(_AGAIN_S)
