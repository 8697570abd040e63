"""Keeps the set of experts that Consul knows up to date, by blocking queries; without Consul the last known one."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Any

from pipecatapp.cluster.consul import ConsulClient, ConsulUnreachableError, Query, names_of
from pipecatapp.registration import PREFIX, Registration, from_consul

logger = logging.getLogger(__name__)

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.25, 5.0
# Between two answers of one query: an index that changes all the time must not keep us busy.
_BREATH_S = 0.1

# What an expert wants as a bearer token, by its name; empty: nothing.
KeyOf = Callable[[str], str]
# All registrations whose checks pass, the names of all experts that are registered at all, and whether it is stale.
Changed = Callable[[Sequence[Registration], Collection[str], bool], None]


class Discovery:
    """Watches every service whose name begins with ``prima-api-``.

    Args:
        consul: the agent to ask.
        changed: told whenever something changes.
        key_of: the key of each expert; asked again with each answer, because a new expert's comes while we run.
    """

    def __init__(self, consul: ConsulClient, changed: Changed, key_of: KeyOf = lambda expert: "") -> None:
        self._consul = consul
        self._changed = changed
        self._key_of = key_of
        self._found: dict[str, tuple[Registration, ...]] = {}
        self._lost: set[str] = set()
        self._watches: dict[str, asyncio.Task[None]] = {}
        self._task: asyncio.Task[None] | None = None
        self._stale: bool | None = None  # whether the set is only what was last known; None: nobody was told yet

    def start(self) -> None:
        """Begin to watch, in the running loop."""
        self._task = asyncio.create_task(self._watch(self._consul.services(), "", self._services), name="experts")

    async def aclose(self) -> None:
        """End all watches."""
        tasks = [task for task in (self._task, *self._watches.values()) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._consul.aclose()

    async def _watch(self, query: Query, name: str, take: Callable[[Any], None]) -> None:
        pause = _FIRST_PAUSE_S
        while True:
            try:
                answer = await query.next()
            except ConsulUnreachableError as error:
                self._lose(name, str(error))
                await asyncio.sleep(pause * random.uniform(0.8, 1.2))  # noqa: S311 - spreads the load, hides nothing
                pause = min(_LONGEST_PAUSE_S, pause * 2)
                continue
            pause = _FIRST_PAUSE_S
            take(answer)
            self._find(name)
            await asyncio.sleep(_BREATH_S)

    def _services(self, answer: object) -> None:
        names = set(names_of(answer, PREFIX))
        for name in names - self._watches.keys():
            watch = self._watch(self._consul.instances(name), name, partial(self._instances, name))
            self._watches[name] = asyncio.create_task(watch, name=f"expert {name}")
        gone = self._watches.keys() - names
        for name in gone:
            self._watches.pop(name).cancel()
            self._lost.discard(name)
            self._found.pop(name, None)
        if gone:
            self._tell()

    def _instances(self, name: str, answer: object) -> None:
        entries = [entry for entry in answer if isinstance(entry, Mapping)] if isinstance(answer, list) else []
        key = self._key_of(name.removeprefix(PREFIX))
        found = {r.id: r for entry in entries if (r := from_consul(entry, key)) is not None}
        registrations = tuple(found[key] for key in sorted(found))
        if self._found.get(name) != registrations:
            self._found[name] = registrations
            self._tell()

    def _lose(self, name: str, why: str) -> None:
        self._lost.add(name)
        if not self._stale:
            logger.warning("%s; the experts that were last known go on serving", why)
            self._stale = True
            self._tell()

    def _find(self, name: str) -> None:
        self._lost.discard(name)
        if self._stale is not False and not self._lost:
            logger.info("Consul answers")
            self._stale = False
            self._tell()

    def _tell(self) -> None:
        names = {name.removeprefix(PREFIX) for name in self._found}
        self._changed([r for name in sorted(self._found) for r in self._found[name]], names, self._stale is True)
