"""Since when a service is idle: by the kernel, by the server's own account, by what the activator passes on."""

from __future__ import annotations

from collections.abc import Callable

from power_agent.server import Server
from power_agent.traffic import Traffic

MEASURED_EVERY_S = 30.0
UNMEASURED_EVERY_S = 5.0


class Activity:
    """The last work of one service.

    Args:
        port: of the service.
        traffic: the kernel's measurement, where there is one.
        server: asked where there is none.
        now: the monotonic clock.
    """

    def __init__(self, port: int, traffic: Traffic, server: Server, now: Callable[[], float]) -> None:
        self._port, self._traffic, self._server, self._now = port, traffic, server, now
        self.at = now()
        self.in_flight = 0
        self.every_s = MEASURED_EVERY_S
        self._done: str | None = None

    def began(self) -> None:
        """The activator passes a request on: its connections are not measured."""
        self.in_flight += 1
        self.at = self._now()

    def ended(self) -> None:
        """It is answered, or its caller is gone."""
        self.in_flight -= 1
        self.at = self._now()

    def touch(self) -> None:
        """It counts as used just now."""
        self.at = max(self.at, self._now())

    async def measure(self) -> None:
        """Look; what cannot be measured counts as used just now."""
        usage = self._traffic.usage(self._port)
        self.every_s = MEASURED_EVERY_S if usage is not None else UNMEASURED_EVERY_S
        if usage is not None:
            self.at = max(self.at, usage.last_work)
        else:
            done = await self._server.work_done()
            if done is None or done != self._done:
                self.touch()
            self._done = done
        if self.in_flight:
            self.touch()
