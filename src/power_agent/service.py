"""One service and its states: awake, falling asleep, asleep, waking, pinned, failed, away.

One task of each service runs ``step`` over and over; nothing else changes the state. Every state that waits for
something has an end: falling asleep and waking by their limits, failed by looking again, away by looking again. A wake
belongs to the service and not to the caller who asked for it: any number of callers wait for the same one.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Any

from power_agent.account import Account
from power_agent.activity import UNMEASURED_EVERY_S, Activity
from power_agent.configuration import Watched
from power_agent.driving import Look
from power_agent.errors import BlockedError, DriverError, PowerError
from power_agent.states import NotAwakeError, Parts, State, worked_since
from power_agent.waiting import Waiting

logger = logging.getLogger(__name__)

_LOOKS_EVERY_S = 15.0
_REFRESHES_EVERY_S = 15.0
_FALLS_WITHIN_S = 60.0
_POLLS_EVERY_S = 0.05
_LOOKS_WAKING_S = 2.0
_FIRST_BACKOFF_S, _LONGEST_BACKOFF_S = 10.0, 300.0


class Service:
    """One watched service.

    Args:
        watched: what it is.
        parts: what it works with.
        now: the monotonic clock, the one that the kernel's measurement goes by.
        wall: epoch seconds, for people.
    """

    def __init__(
        self,
        watched: Watched,
        parts: Parts,
        now: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.watched = watched
        self.state = State.AWAY
        self.why = "not looked at yet"
        self._parts = parts
        self._record = parts.records.of(watched.name)
        self._now, self._wall = now, wall
        self._since = now()
        self.activity = Activity(watched.port, parts.traffic, parts.server, now)
        self._look_at = self._refresh_at = 0.0
        self._asked = self._wanted = self._sent_to_sleep = False
        self._attempt_at = self._retry_at = 0.0
        self._backoff = _FIRST_BACKOFF_S
        self.kick = asyncio.Event()
        self._waiting = Waiting()
        self._account = Account(self._record.days, parts.cost)

    @property
    def awake(self) -> bool:
        """Whether requests can go to it."""
        return self.state in (State.AWAKE, State.PINNED)

    def describe(self) -> dict[str, Any]:
        """For people and programs."""
        idle = self._parts.policy().idle_of(self.watched)
        measured = self._parts.traffic.usage(self.watched.port) is not None
        return {
            "service": self.watched.name,
            "state": self.state.value,
            "since": self._record.since,
            "why": self.why,
            "pinned": self._record.pinned,
            "idle_s": idle,
            "idle_for_s": round(self._now() - self.activity.at, 1) if self.awake else None,
            "wake_estimate_s": self._record.estimate_s,
            "slept_s": round(self._record.slept_s + self._asleep_for(), 1),
            "measured_by": "kernel" if measured else "server",
            "days": self._record.days,
        }

    def remembered(self, path: str) -> str | None:
        """What it answered to ``path`` when it was awake."""
        return self._record.remembered.get(path)

    async def ready(self) -> tuple[str, int]:
        """Wake it if it sleeps; returns where it can be asked. The caller may be cancelled: the wake goes on.

        Raises:
            NotAwakeError: it does not come up.
        """
        while not self.awake:
            if self.state is State.FAILED and self._now() < self._retry_at:
                raise NotAwakeError(self.why, self._retry_at - self._now())
            if self.state is State.AWAY:
                raise NotAwakeError(self.why, _LOOKS_EVERY_S)
            self._wanted = True
            self.kick.set()
            await self._waiting.wait()
        try:
            return await self._parts.driver.address()
        except DriverError as error:
            raise NotAwakeError(str(error), 2.0) from error

    def wake(self) -> None:
        """A person wants it awake, without a request."""
        self._wanted = True
        self._retry_at = 0.0
        self.kick.set()

    def sleep(self) -> None:
        """A person wants it asleep, as soon as it computes nothing."""
        self._sent_to_sleep = True
        self.kick.set()

    def pin(self, pinned: bool) -> None:
        """A person wants it awake for good, or no longer."""
        self._record.pinned = pinned
        self._parts.records.save()
        if pinned:
            self._sent_to_sleep = False
            self.wake()
        self.kick.set()

    async def run(self) -> None:
        """Until it is cancelled."""
        while True:
            try:
                pause = await self.step()
            except (PowerError, OSError, TimeoutError) as error:
                logger.warning("%s, %s: %s", self.watched.name, self.state.value, error)
                pause = UNMEASURED_EVERY_S
            try:
                async with asyncio.timeout(max(pause, 0.0)):
                    await self.kick.wait()
            except TimeoutError:
                continue

    async def step(self) -> float:
        """Go as far as it goes now; returns after how many seconds to go on."""
        self.kick.clear()
        match self.state:
            case State.AWAKE | State.PINNED:
                return await self._while_awake()
            case State.ASLEEP | State.FALLING_ASLEEP:
                return await self._while_asleep()
            case State.WAKING:
                return await self._while_waking()
            case State.FAILED:
                return await self._while_failed()
            case State.AWAY:
                return await self._while_away()

    async def _while_away(self) -> float:
        """Also the start: what an agent before this one did is found by looking."""
        look = await self._parts.driver.look()
        if not look.there or not look.here:
            self.why = "not here" if look.there else "nobody knows it"
        elif look.wanted and (self._record.asleep or look.slept):
            # An earlier agent ended in the middle of a wake, or somebody else woke it.
            await self._parts.gate.close()
            self._begin_waking("it was asked for", asked=True)
            return 0.0
        elif look.wanted:
            await self._wake_up("it runs")
            return 0.0
        elif self._record.asleep or look.slept:
            self._record.asleep = True
            await self._parts.gate.close()
            await self._parts.gate.settle()
            self._change(State.ASLEEP, "put to sleep before this agent started")
            return 0.0
        else:
            self.why = "stopped, and not by this agent"
        return _LOOKS_EVERY_S

    async def _while_awake(self) -> float:
        self._wanted = False
        now = self._now()
        if self._record.pinned != (self.state is State.PINNED):
            self._change(State.PINNED if self._record.pinned else State.AWAKE, "a person decided so")
        await self.activity.measure()
        if now >= self._look_at:
            self._look_at = now + _LOOKS_EVERY_S
            look = await self._parts.driver.look()
            if not self._ours(look):
                return 0.0
        every = self.activity.every_s
        idle = self._parts.policy().idle_of(self.watched)
        if self.state is State.PINNED:
            return every
        if not self._sent_to_sleep:
            if idle is None:
                return every
            rest = max(self.activity.at + idle, self._since + self.watched.min_awake_s) - now
            if rest > 0:
                return min(rest, every)
        why = "a person decided so" if self._sent_to_sleep else f"no work for {idle:.0f} s"
        return await self._fall_asleep(why)

    def _ours(self, look: Look) -> bool:
        """Whether it still runs here, and what it takes; notes where it does not."""
        if look.there and look.here and look.wanted:
            now = self._now()
            worked = self.activity.at > now - _LOOKS_EVERY_S
            self._account.awake(now, self._wall(), look.cpu_s, look.ram_bytes, worked=worked)
            return True
        self._leave("nobody knows it" if not look.there else "stopped by somebody else" if look.here else "not here")
        return False

    def _leave(self, reason: str) -> None:
        self._record.asleep = False
        self._account.elsewhere()
        self._change(State.AWAY, reason)
        self._waiting.tell(NotAwakeError(reason, _LOOKS_EVERY_S))

    async def _fall_asleep(self, why: str) -> float:
        parts = self._parts
        look = await parts.driver.look()
        if not self._ours(look):
            return 0.0
        busy = await parts.server.busy()
        # A missing measurement means busy.
        if look.blocked or busy is not False or self.activity.in_flight:
            self.activity.touch()
            reason = "nobody says whether it computes" if busy is None else "it computes"
            self.why = f"not asleep yet: {look.blocked or reason}"
            return 2.0 if self._sent_to_sleep else UNMEASURED_EVERY_S
        self._record.remembered |= await parts.server.remembered()
        counted = parts.traffic.usage(self.watched.port)
        self._record.asleep = True
        self._change(State.FALLING_ASLEEP, why)
        self._sent_to_sleep = False
        try:
            async with asyncio.timeout(_FALLS_WITHIN_S):
                await parts.gate.close()
                again = parts.traffic.usage(self.watched.port)
                came = self._wanted or self.activity.in_flight or worked_since(counted, again)
                if came or await parts.server.busy() is not False:
                    return await self._stay_awake("work came in the last moment")
                await parts.driver.sleep()
        except (PowerError, OSError, TimeoutError) as error:
            if isinstance(error, BlockedError):
                return await self._stay_awake(f"not asleep yet: {error}")
            return await self._after_a_failed_sleep(error)
        await parts.gate.settle()
        self._change(State.ASLEEP, why)
        return 0.0

    async def _after_a_failed_sleep(self, error: Exception) -> float:
        """It may sleep all the same: what was asked for may have been done."""
        reason = f"putting it to sleep failed: {error or type(error).__name__}"
        try:
            look = await self._parts.driver.look()
        except DriverError:
            # Nobody says. Behind the gate nothing is lost: a request wakes it, whichever it is.
            self._change(State.ASLEEP, reason)
            return 0.0
        if look.wanted:
            return await self._stay_awake(reason)
        self._change(State.ASLEEP, reason)
        return 0.0

    async def _stay_awake(self, why: str) -> float:
        self.activity.touch()
        await self._wake_up(why)
        return 0.0

    async def _while_asleep(self) -> float:
        self._sent_to_sleep = False
        if self.state is State.FALLING_ASLEEP:
            self._change(State.ASLEEP, self.why)
        if self._wanted or self._record.pinned:
            self._begin_waking("a request came" if self._wanted else "a person decided so", asked=False)
            return 0.0
        now = self._now()
        await self._stay_closed()
        if now >= self._look_at:
            self._look_at = now + _LOOKS_EVERY_S
            self._account.asleep(now, self._wall())
            look = await self._parts.driver.look()
            if not look.there or not look.here:
                await self._open()
                self._leave("not here" if look.there else "nobody knows it")
            elif look.wanted:
                self._begin_waking("somebody else started it", asked=True)
                return 0.0
        return _REFRESHES_EVERY_S

    def _begin_waking(self, why: str, *, asked: bool) -> None:
        self._asked = asked
        self._attempt_at = 0.0
        self._look_at = self._now() + _LOOKS_WAKING_S
        self._change(State.WAKING, why)

    async def _while_waking(self) -> float:
        now, parts = self._now(), self._parts
        if now - self._since > self.watched.wake_within_s:
            return self._fail(f"it did not come up within {self.watched.wake_within_s:.0f} s")
        if not self._asked and now >= self._attempt_at:
            self._attempt_at = now + 1.0
            try:
                await parts.driver.wake()
            except DriverError as error:
                self.why = f"not woken yet: {error}"
                if not isinstance(error, BlockedError):
                    self._attempt_at = now + 2.0
                return self._attempt_at - now
            self._asked = True
        await self._stay_closed()
        if await parts.server.ready():
            self._record.woke(self._now() - self._since)
            await self._wake_up(f"it came up after {self._now() - self._since:.1f} s")
            return 0.0
        if now >= self._look_at:
            self._look_at = now + _LOOKS_WAKING_S
            try:
                look = await parts.driver.look()
            except DriverError as error:
                self.why = f"waking: {error}"
                return _POLLS_EVERY_S
            if look.trouble:
                return self._fail(look.trouble)
            if not look.there:
                return self._fail("nobody knows it any more")
            if not look.wanted:
                self._asked = False  # stopped again meanwhile: asked for once more
        return _POLLS_EVERY_S

    def _fail(self, reason: str) -> float:
        self._retry_at = self._now() + self._backoff
        error = NotAwakeError(reason, self._backoff)
        self._backoff = min(2 * self._backoff, _LONGEST_BACKOFF_S)
        self._wanted = False
        self._change(State.FAILED, reason)
        self._waiting.tell(error)
        return UNMEASURED_EVERY_S

    async def _while_failed(self) -> float:
        if await self._parts.server.ready():
            await self._wake_up("it came up by itself")
            return 0.0
        if self._wanted and self._now() >= self._retry_at:
            self._begin_waking("a request came", asked=False)
            return 0.0
        await self._stay_closed()
        return UNMEASURED_EVERY_S

    async def _wake_up(self, why: str) -> None:
        """Requests go to it from now on, those that waited first."""
        self._record.asleep = False
        self._wanted = False
        self._backoff = _FIRST_BACKOFF_S
        self._look_at = self._now() + _LOOKS_EVERY_S
        await self._open()
        self._parts.traffic.watch(self.watched.port, http=self.watched.http)
        self.activity.touch()
        self._change(State.PINNED if self._record.pinned else State.AWAKE, why)
        self._waiting.tell(None)

    async def _open(self) -> None:
        try:
            await self._parts.gate.open()
        except DriverError as error:
            # It opens by itself within a minute; until then the activator passes everything on.
            logger.warning("%s: %s", self.watched.name, error)

    async def _stay_closed(self) -> None:
        if self._now() < self._refresh_at:
            return
        self._refresh_at = self._now() + _REFRESHES_EVERY_S
        try:
            await self._parts.gate.refresh()
        except DriverError as error:
            logger.warning("%s: %s", self.watched.name, error)

    def _asleep_for(self) -> float:
        return self._now() - self._since if self.state is State.ASLEEP else 0.0

    def _change(self, state: State, why: str) -> None:
        if state is not self.state:
            if self.state is State.ASLEEP:
                self._account.asleep(self._now(), self._wall())
            self._record.slept_s += self._asleep_for()
            self._since = self._now()
            self._record.since = self._wall()
            logger.info("%s: %s -> %s (%s)", self.watched.name, self.state.value, state.value, why)
            self._parts.records.note(self._record.since, self.watched.name, state.value, why)
        self.state, self.why = state, why
        self._parts.records.save()
