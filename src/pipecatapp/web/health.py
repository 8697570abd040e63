"""Watches the components and says what changed: pages, /health and the metrics read from here."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from pipecatapp.domain import ComponentHealth
from pipecatapp.events import HealthChanged
from pipecatapp.ports import EventSink, HealthSource

log = logging.getLogger(__name__)


def can_answer(states: Sequence[ComponentHealth]) -> bool:
    """Whether everything works that the agent needs to answer; nobody has looked yet: no."""
    return bool(states) and all(state.ok or not state.vital for state in states)


class HealthBoard:
    """Asks every component now and then: often while one that is vital is not well, rarely otherwise.

    Args:
        sources: component name to the one who knows; asked side by side, each within ``timeout_s``.
        sink: where changes go.
    """

    def __init__(
        self,
        sources: Mapping[str, HealthSource],
        sink: EventSink,
        *,
        busy_s: float = 1.0,
        quiet_s: float = 5.0,
        timeout_s: float = 3.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._sources = dict(sources)
        self._sink = sink
        self._busy_s, self._quiet_s, self._timeout_s = busy_s, quiet_s, timeout_s
        self._clock = clock
        self._seen: dict[str, ComponentHealth] = {}
        self._asked_at: float | None = None
        self._task: asyncio.Task[None] | None = None
        self._lock = asyncio.Lock()

    def snapshot(self) -> list[ComponentHealth]:
        """What was seen last, in the order of the sources."""
        return [self._seen[name] for name in self._sources if name in self._seen]

    async def fresh(self, max_age_s: float = 1.0) -> list[ComponentHealth]:
        """What is true now, at most ``max_age_s`` old."""
        async with self._lock:
            if self._asked_at is None or self._clock() - self._asked_at > max_age_s:
                await self._ask_all()
        return self.snapshot()

    def start(self) -> None:
        """Begin to watch, in the running loop."""
        self._task = asyncio.create_task(self._watch(), name="health board")

    async def stop(self) -> None:
        """End the watch."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    async def _watch(self) -> None:
        while True:
            states = await self.fresh(max_age_s=0.0)
            await asyncio.sleep(self._quiet_s if can_answer(states) else self._busy_s)

    async def _ask_all(self) -> None:
        states = await asyncio.gather(*(self._ask(name, source) for name, source in self._sources.items()))
        self._asked_at = self._clock()
        for state in states:
            if self._seen.get(state.component) == state:
                continue
            self._seen[state.component] = state
            reason = ": ".join(part for part in (state.reason, state.said) if part)
            self._sink.emit(
                HealthChanged(component=state.component, ok=state.ok, reason=reason, progress=state.progress)
            )

    async def _ask(self, name: str, source: HealthSource) -> ComponentHealth:
        try:
            async with asyncio.timeout(self._timeout_s):
                state = await source.health()
        except TimeoutError:
            return ComponentHealth(name, ok=False, reason=f"no answer within {self._timeout_s:g} s")
        except Exception as error:  # noqa: BLE001 - whatever is wrong with a component is its health
            log.warning("the health of %s could not be asked: %s", name, error)
            return ComponentHealth(name, ok=False, reason=f"{type(error).__name__}: {error}")
        return replace(state, component=name)
