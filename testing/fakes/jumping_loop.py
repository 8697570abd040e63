"""An event loop in which time passes only when nothing else is left to do: an hour of waiting takes no time."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from typing import Any


class JumpingLoop(asyncio.SelectorEventLoop):
    """Its clock jumps to the next timer. While a thread works for it the clock stands still."""

    def __init__(self) -> None:
        self._now = 1000.0
        self._working = 0
        super().__init__(_JumpingSelector(self))

    def time(self) -> float:
        """Seconds of this loop's own."""
        return self._now

    @property
    def working(self) -> bool:
        """Whether a thread works for it."""
        return self._working > 0

    def jump(self, seconds: float) -> None:
        """Let so much time pass."""
        self._now += seconds

    def run_in_executor(  # type: ignore[override]  # as asyncio.to_thread uses it
        self, executor: Executor | None, function: Callable[..., Any], *arguments: Any
    ) -> asyncio.Future[Any]:
        """Run it in a thread, for which the clock waits."""
        self._working += 1
        future = super().run_in_executor(executor, function, *arguments)
        future.add_done_callback(lambda _: self._done())
        return future

    def _done(self) -> None:
        self._working -= 1


class _JumpingSelector(selectors.DefaultSelector):
    def __init__(self, loop: JumpingLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready or timeout == 0:
            return ready
        if timeout is None or self._loop.working:
            return super().select(0.05)
        self._loop.jump(timeout)
        return []


def run_jumping(work: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine to its end in such a loop."""
    with asyncio.Runner(loop_factory=JumpingLoop) as runner:
        runner.run(work)
