"""Once at the start and once a day: what is older than it may be is erased."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

from pipecatapp.errors import StorageError

log = logging.getLogger(__name__)

_DAY_S = 86_400.0
Expire = Callable[[int], Awaitable[None]]


class Retention:
    """The daily work.

    Args:
        days: how long conversations are kept; 0: for ever.
        expire: each is given the days, and raises StorageError or OSError where it cannot.
        every_s: seconds between two times.
    """

    def __init__(self, days: int, expire: Sequence[Expire], *, every_s: float = _DAY_S) -> None:
        self._days = days
        self._expire = expire
        self._every_s = every_s
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin, at once and in the background."""
        self._task = asyncio.create_task(self._work(), name="erase what is too old")

    async def stop(self) -> None:
        """End it."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def _work(self) -> None:
        while True:
            for expire in self._expire:
                try:
                    await expire(self._days)
                except (StorageError, OSError) as error:
                    log.error("what is too old could not be erased; tried again tomorrow: %s", error)
            await asyncio.sleep(self._every_s)
