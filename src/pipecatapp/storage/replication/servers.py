"""Servers that could lose at a power cut what they acknowledged are refused, by what they say of themselves.

NATS flushes every two minutes unless it is told otherwise.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from pipecatapp.storage.replication.link import Link

_EVERY_S, _REFUSED_EVERY_S = 60.0, 1.0


class ServerCheck:
    """Asks them now and then.

    Args:
        link: the connection.
        clock: monotonic seconds.
    """

    def __init__(self, link: Link, clock: Callable[[], float] = time.monotonic) -> None:
        self._link = link
        self._clock = clock
        self._asked_at: float | None = None
        self._refusal = ""

    async def refusal(self) -> str:
        """Why nothing may be saved there; empty: it may. Raises RefusedError where no server says."""
        every_s = _REFUSED_EVERY_S if self._refusal else _EVERY_S
        now = self._clock()
        if self._asked_at is None or now - self._asked_at >= every_s:
            early = await self._link.early_servers()
            self._asked_at = now
            self._refusal = (
                f"the NATS server{'s' if len(early) > 1 else ''} {', '.join(sorted(early))} may lose at a power cut "
                "what was saved; set `sync_interval: always` under `jetstream`, or run the playbook's role nats again"
                if early
                else ""
            )
        return self._refusal
