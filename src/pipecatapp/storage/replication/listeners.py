"""Tells the program, in its own loop, that this agent is the active one now."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from concurrent.futures import Future

from pipecatapp.storage.replication.replica import ReplicatedJournal

log = logging.getLogger(__name__)

Listener = Callable[[bool], Awaitable[None]]


class Listeners:
    """Those who read memory again when others have written.

    Args:
        journal: which knows whether something changed since the last time.
    """

    def __init__(self, journal: ReplicatedJournal) -> None:
        self._journal = journal
        self._main: asyncio.AbstractEventLoop | None = None
        self._all: list[Listener] = []
        self._calls: set[Future[None]] = set()
        self._first = True

    def begin(self) -> None:
        """From the program's loop, in which they are called."""
        self._main = asyncio.get_running_loop()

    def add(self, listener: Listener) -> None:
        """It is called with whether everything was replaced, so that what lies in memory has to be read whole."""
        self._all.append(listener)

    def tell(self) -> None:
        """From the link's loop: this agent is active; the first time, and where something changed, they are called."""
        changed, whole = self._journal.changed, self._journal.replaced
        self._journal.changed = self._journal.replaced = False
        assert self._main is not None  # noqa: S101
        for listener in self._all if changed or self._first else ():
            call = asyncio.run_coroutine_threadsafe(_call(listener, whole), self._main)
            self._calls.add(call)
            call.add_done_callback(self._calls.discard)
        self._first = False


async def _call(listener: Listener, whole: bool) -> None:
    try:
        await listener(whole)
    except Exception:
        log.exception("something was not told that this agent is active")
