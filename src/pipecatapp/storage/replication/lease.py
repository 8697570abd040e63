"""Who is active: a lease in the memory of the servers, renewed every second, taken by a conditional write.

Whoever holds it stops by itself, on its own monotonic clock, before anybody else may take it: ``hold_s`` after it last
asked for a renewal that was acknowledged. Others take it after ``patience_s`` without a renewal, by a write that the
servers refuse when there was one. Nothing of it touches a disk. That a writer who was replaced cannot write does not
rest on it but on the log, whose entries are conditional, too.
"""

from __future__ import annotations

import base64
import json
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pipecatapp.storage.replication.link import BehindError, Link, LinkError, RefusedError
from pipecatapp.storage.replication.stream import ensure_stream, fit_copies

_STREAM, _SUBJECT = "lease", "lease.active"


def awake_or_asleep() -> float:
    """Seconds since this machine started, those that it slept included."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


@dataclass(frozen=True, slots=True)
class LeaseTimes:
    """Seconds. ``every_s``: between two renewals or looks. ``hold_s``: how long one holds. ``patience_s``: how long
    others wait; longer than ``hold_s``, and than an election of the servers takes (up to 6.6 s)."""

    every_s: float = 1.0
    hold_s: float = 8.0
    patience_s: float = 10.0


class Lease:
    """One agent's view of the lease, in the link's loop.

    Args:
        link: the connection.
        name: who we are, for people.
        times: how long what takes.
        clock: monotonic seconds; goes on while this program is frozen and this machine asleep.
    """

    def __init__(
        self, link: Link, name: str, times: LeaseTimes | None = None, clock: Callable[[], float] = awake_or_asleep
    ) -> None:
        self.name = name
        self.times = times or LeaseTimes()
        self._link = link
        self._clock = clock
        self._us = secrets.token_hex(8)
        self._place = 0  # of the last renewal that we know of
        self._seen_at = clock()
        self._until = 0.0
        self._tried: tuple[str, float] | None = None  # a renewal of ours that nobody answered
        self.holder = ""

    @property
    def held(self) -> bool:
        """Whether it is ours now. Asked from any thread, at any moment."""
        return self._clock() < self._until

    async def prepare(self) -> None:
        """Make what it lies in."""
        await ensure_stream(self._link, _STREAM, [_SUBJECT], storage="memory", max_msgs=4)
        await fit_copies(self._link, _STREAM)

    async def look(self) -> bool:
        """Look who holds it; whether it may be taken. Raises LinkError."""
        message = await self._last()
        place = int(message["seq"]) if message else 0
        said = json.loads(base64.b64decode(message["data"])) if message else {}
        if place != self._place:
            self._place, self._seen_at = place, self._clock()
            self.holder = str(said.get("name", ""))
        if said.get("released"):
            return True
        return self._clock() - self._seen_at >= self.times.patience_s

    async def take(self) -> bool:
        """Take it, or renew it; whether it is ours. Raises LinkError where nobody says: the last time counts then.

        Only after ``look`` said that it may be taken, or while it is held.
        """
        made, asked = secrets.token_hex(8), self._clock()
        try:
            await self._write(made)
        except BehindError:
            return await self._recognise()
        except LinkError:
            self._tried = (made, asked)
            raise
        self._hold(asked)
        return True

    async def release(self) -> None:
        """Let the next one take it at once."""
        if self.held:
            self._until = 0.0
            await self._write("", released=True)

    def drop(self) -> None:
        """Stop holding it, and let others take it when their patience ends."""
        self._until = 0.0

    async def _write(self, made: str, *, released: bool = False) -> None:
        body = {"by": self._us, "name": self.name, "made": made, "released": released}
        headers = {"Nats-Expected-Last-Sequence": str(self._place)}
        said = await self._link.ask(_SUBJECT, json.dumps(body).encode(), headers)
        self._place, self._seen_at = int(said["seq"]), self._clock()

    async def _recognise(self) -> bool:
        """Somebody wrote: perhaps ourselves, and the answer was lost."""
        message = await self._last()
        said: dict[str, Any] = json.loads(base64.b64decode(message["data"])) if message else {}
        if message and self._tried and (said.get("by"), said.get("made")) == (self._us, self._tried[0]):
            self._place = int(message["seq"])
            self._hold(self._tried[1])
            return self.held
        self._until = 0.0
        return False

    def _hold(self, asked: float) -> None:
        self._until = asked + self.times.hold_s
        self._tried = None
        self.holder = self.name

    async def _last(self) -> dict[str, Any] | None:
        try:
            return dict((await self._link.api(f"STREAM.MSG.GET.{_STREAM}", {"last_by_subj": _SUBJECT}))["message"])
        except RefusedError as error:
            if error.absent:
                return None
            raise
