"""The schedule, made from the settings: it looks whenever something may have come due."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress

from pipecatapp.errors import StorageError
from pipecatapp.parts import Part
from pipecatapp.ports import EventSink
from pipecatapp.schedule.bell import Bell, Speakers
from pipecatapp.schedule.clock import SystemClocks
from pipecatapp.schedule.keeper import Keeper
from pipecatapp.schedule.service import ScheduleService
from pipecatapp.settings import Settings
from pipecatapp.timekeeping import ScheduleStore

log = logging.getLogger(__name__)

_RETRY_S = 5.0
_RINGING_S = 1.0  # who comes meanwhile hears it within this


class SchedulePart(Part):
    """Timers, alarms and reminders.

    Args:
        service: keeps them.
        elsewhere: whether another PC of the house keeps them now: it rings.
    """

    def __init__(self, service: ScheduleService, elsewhere: Callable[[], bool] = lambda: False) -> None:
        self.service = service
        self._elsewhere = elsewhere
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._listeners: list[Callable[[], None]] = []
        service.keeper.on_change(self._changed.set)

    def on_look(self, listener: Callable[[], None]) -> None:
        """Call this whenever something may have changed, and each second while something rings."""
        self._listeners.append(listener)

    async def start(self) -> None:
        """Begin to look, in the background."""
        self._task = asyncio.create_task(self._work(), name="what comes due")

    async def stop(self) -> None:
        """End it. What rings goes on ringing at the next start."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def _work(self) -> None:
        while True:
            self._changed.clear()
            try:
                wait = _RETRY_S if self._elsewhere() else await self.service.keeper.step()
            except StorageError as error:
                log.error("what comes due cannot be read, it is tried again: %s", error)
                wait = _RETRY_S
            for listener in () if self._elsewhere() else self._listeners:
                listener()
            if self.service.keeper.sounding():
                wait = min(wait or _RINGING_S, _RINGING_S)
            with suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._changed.wait()


class BellPart(Part):
    """What rings is heard and seen.

    Args:
        schedule: what rings.
        bell: lets it be heard.
    """

    def __init__(self, schedule: SchedulePart, bell: Bell) -> None:
        self.bell = bell
        schedule.on_look(bell.look)

    async def stop(self) -> None:
        """Wait until what was told is noted."""
        await self.bell.aclose()


def create_bell(
    schedule: SchedulePart, speakers: Speakers, sink: EventSink, is_watched: Callable[[str], bool]
) -> BellPart:
    """The bell; the arguments are those of its parts."""
    return BellPart(schedule, Bell(schedule.service, speakers, sink, is_watched))


def create(settings: Settings, store: ScheduleStore, elsewhere: Callable[[], bool] = lambda: False) -> SchedulePart:
    """The schedule over what is stored; ``elsewhere``: whether another PC of the house keeps it now."""
    return SchedulePart(ScheduleService(Keeper(store, SystemClocks(), ring_s=settings.ring_minutes * 60)), elsewhere)
