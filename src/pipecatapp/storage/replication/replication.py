"""Keeps a PC's journal and the log in step: follows, leads while the lease is ours, moves the log when it must forget.

All of it runs in the link's loop; the journal's thread comes in through ``save`` alone, and waits there.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Literal, ParamSpec, TypeVar

from pipecatapp.domain import ComponentHealth
from pipecatapp.errors import ConfigurationError, NotSavedError, StaleAppendError, StorageError
from pipecatapp.storage.replication.lease import Lease
from pipecatapp.storage.replication.link import BehindError, Link, LinkError, RefusedError
from pipecatapp.storage.replication.listeners import Listeners
from pipecatapp.storage.replication.replica import ReplicatedJournal, Standing
from pipecatapp.storage.replication.servers import ServerCheck
from pipecatapp.storage.replication.stream import LogEntry, LogStream

log = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")
State = Literal["active", "standby", "cut_off"]
_MAJORITY = "more than half of the house's journal servers cannot be reached"
_STILL_THERE = "what was forgotten leaves the servers' files when all of them are back"
_PAGE = 256
# A loop that has not turned for so long answers nobody: another agent should.
_LOOP_MAY_HANG_S = 5.0


class Replication:
    """One agent among those of a house.

    Args:
        journal: this PC's file.
        link: the connection, not connected yet.
        lease: who is active.
        long: entries after which the log begins anew.
        settle_s: how long it waits for more to forget before it moves.
        again_s: how long it waits before it tries again to move.
        empty_waits_s: how long an agent without any memory leaves a new log to one that has some.
        full_waits_s: how long one that has some leaves it to another one.
    """

    def __init__(
        self,
        journal: ReplicatedJournal,
        link: Link,
        lease: Lease,
        *,
        long: int = 20_000,
        settle_s: float = 2.0,
        again_s: float = 5.0,
        empty_waits_s: float = 30.0,
        full_waits_s: float = 0.0,
    ) -> None:
        self._journal, self._link, self._lease = journal, link, lease
        self._stream, self._check = LogStream(link), ServerCheck(link)
        self._long, self._settle_s, self._again_s = long, settle_s, again_s
        self._waits_s = (full_waits_s, empty_waits_s)
        self._head, self._head_place = "", 0
        self._standing, self._leading = Standing(), False
        self._trouble = "the other PCs of the house are not asked yet"
        self._refusal = ""  # servers that acknowledge too early
        self._began = time.monotonic()
        self._move_at: float | None = None
        self._beat, self._wake = time.monotonic(), asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._pulse: asyncio.Task[None] | None = None
        self._listeners = Listeners(journal)
        self._stopped, self._unmoved = False, ""

    # For the program.

    @property
    def state(self) -> State:
        """``active``: writes are ours; ``standby``: another's; ``cut_off``: nobody's that we know of."""
        if self._leading and self._lease.held:
            return "active"
        return "cut_off" if self._trouble else "standby"

    def on_leading(self, then: Callable[[bool], Awaitable[None]]) -> None:
        """``then`` is called in the program's loop when this agent becomes active after others wrote; with whether
        everything was replaced since the last time, so that what lies in memory has to be read whole."""
        self._listeners.add(then)

    async def start(self) -> None:
        """Begin, in the background."""
        self._listeners.begin()
        self._journal.save_with(self.save)
        self._pulse = asyncio.create_task(self._feel(), name="pulse")
        await self._journal.open()
        await self._link.begin(self._begin())

    async def stop(self) -> None:
        """End, and let another one be active at once."""
        if self._stopped:
            return
        self._stopped = True
        if self._pulse is not None:
            self._pulse.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._pulse
        await self._link.begin(self._end())
        await asyncio.to_thread(self._link.end)

    async def health(self) -> ComponentHealth:
        """Whether what is said now is kept. A standby is well where it follows."""
        reason = self._refusal or self._trouble
        return ComponentHealth("journal", ok=not reason, reason=reason, vital=False)

    # In the journal's thread.

    def save(self, entry: LogEntry) -> int:
        """Have an event in the log; its place there.

        Raises:
            NotSavedError: it may not be there; StaleAppendError: another agent writes now.
        """
        if self._refusal:
            raise NotSavedError(self._refusal)
        if not (self._leading and self._lease.held):
            raise NotSavedError(self._why_not())
        standing = self._journal.standing_now()
        try:
            place = self._link.wait(self._append(standing.log, entry, standing.place))
        except BehindError as error:
            self._leading = False
            raise StaleAppendError(f"another agent has taken over ({error}); this one may no longer write") from error
        except (LinkError, RefusedError) as error:
            self._leading = False
            self._trouble = f"{_MAJORITY} ({error})"
            log.error("an event may not be saved: %s", error)
            raise NotSavedError(f"{_MAJORITY}, so this is not saved for certain") from error
        if "erase" in entry.body["body"]:
            self._move_at = time.monotonic() + self._settle_s
        elif place > self._long and self._move_at is None:
            self._move_at = time.monotonic()
        return place

    def _why_not(self) -> str:
        if self.state == "standby":
            return f"this PC stands by for {self._lease.holder or 'another'}; only the active one keeps what is said"
        return f"{_MAJORITY}, so nothing can be saved now; it can again when they are back"

    # In the link's loop.

    async def _append(self, stream: str, entry: LogEntry, expected: int) -> int:
        """Once more where no answer came, as long as the lease is ours: an election of the servers takes seconds."""
        while True:
            try:
                return await self._stream.append(stream, entry, expected)
            except LinkError:
                if not self._lease.held:
                    raise
            await asyncio.sleep(0.1)

    async def _begin(self) -> None:
        self._tasks = [
            asyncio.create_task(self._work(), name="follow the log"),
            asyncio.create_task(self._keep_lease(), name="keep the lease"),
        ]

    async def _end(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._leading = False
        try:
            await self._lease.release()
        except (LinkError, RefusedError) as error:
            log.warning("the others will notice by themselves that this agent has ended: %s", error)
        await self._link.close()

    async def _feel(self) -> None:
        """The program's loop is alive as long as this runs."""
        while True:
            self._beat = time.monotonic()
            await asyncio.sleep(1.0)

    async def _work(self) -> None:
        while True:
            try:
                self._trouble = await self._step()
            except LinkError as error:
                self._note_trouble(f"{_MAJORITY} ({error})")
            except (RefusedError, StorageError, ConfigurationError) as error:
                self._note_trouble(str(error))
            except Exception as error:
                log.exception("following the log failed")
                self._note_trouble(f"{type(error).__name__}: {error}")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), self._lease.times.every_s)
            self._wake.clear()

    async def _keep_lease(self) -> None:
        while True:
            await asyncio.sleep(self._lease.times.every_s)
            if not self._lease.held:
                continue
            if time.monotonic() - self._beat > _LOOP_MAY_HANG_S:
                log.error("the program hangs; another agent may become active")
                self._lease.drop()
                continue
            try:
                if not await self._lease.take():
                    log.warning("another agent is active now")
                    self._wake.set()
            except LinkError as error:
                log.warning("the lease was not renewed: %s", error)
            except RefusedError:
                self._lease.drop()

    async def _step(self) -> str:
        """One look at everything; what is wrong nevertheless."""
        await self._link.connect()
        if refusal := await self._check.refusal():
            self._lease.drop()
        self._refusal = refusal
        if not self._lease.held:
            self._leading = False
        if self._leading:
            if self._move_at is not None and time.monotonic() >= self._move_at:
                await self._move()
            elif self._unmoved and self._move_at is None:
                await self._clear(self._head)
            return self._unmoved
        if not self._head:
            await self._stream.prepare()
            await self._lease.prepare()
        await self._catch_up()
        if not self._refusal and (self._lease.held or (await self._lease.look() and self._may_lead())):
            await self._lead()
        return ""

    def _may_lead(self) -> bool:
        """A log that is there is anybody's. A new one is left to an agent with memory, and to the one at home."""
        waits_s = 0.0 if self._head else self._waits_s[self._standing.sequence == 0]
        return time.monotonic() - self._began >= waits_s

    async def _catch_up(self) -> None:
        """Take in everything that is in the log."""
        self._standing = await self._in_journal(self._journal.standing_now)
        self._head, self._head_place = await self._stream.head()
        if not self._head:
            sequence = await self._in_journal(self._journal.head_now)
            self._standing = replace(self._standing, log="", place=0, sequence=sequence)
            return
        own = await self._in_journal(self._journal.head_now)
        if self._standing.log != self._head or own != self._standing.sequence:
            await self._find_place()
        batch: list[LogEntry] = []
        async for entry in self._stream.entries(self._standing.log, self._standing.place):
            batch.append(entry)
            if len(batch) == _PAGE or entry.kind == "moved":
                self._standing = await self._in_journal(self._journal.take_in_now, batch)
                batch = []
                if entry.kind == "moved":
                    await self._catch_up()
                    return
        if batch:
            self._standing = await self._in_journal(self._journal.take_in_now, batch)

    async def _find_place(self) -> None:
        """Where in the log this file goes on; without such a place it becomes what the log begins with."""
        standing = self._standing
        begin = await self._stream.begin(self._head)
        own = await self._in_journal(self._journal.head_now) != standing.sequence
        if not own and standing.log and begin.body["follows"] == [standing.log, standing.place]:
            self._standing = Standing(self._head, begin.place, standing.sequence)
            await self._in_journal(self._journal.stand_now, self._standing)
            return
        if not own and standing.log and await self._is_there(standing):
            return
        log.info("taking over the memory of the house")
        snapshot = await self._stream.snapshot(self._head)
        self._standing = await self._in_journal(self._journal.replace_now, self._head, snapshot)

    async def _is_there(self, standing: Standing) -> bool:
        try:
            await self._stream.begin(standing.log)
        except RefusedError as error:
            if error.absent:
                return False
            raise
        return True

    async def _lead(self) -> None:
        """Become the one that writes: a conditional append of a new term."""
        if not await self._lease.take():
            return
        if not self._head:
            await self._seed()
        while True:
            await self._catch_up()
            term = await self._in_journal(lambda: self._journal.term) + 1
            entry = LogEntry("term", self._standing.sequence, term, {"holder": self._lease.name})
            try:
                place = await self._append(self._standing.log, entry, self._standing.place)
            except BehindError:
                if not self._lease.held:
                    return
                continue
            break
        self._standing = replace(self._standing, place=place)
        await self._in_journal(self._journal.stand_now, self._standing, term)
        self._trouble = ""
        self._leading = True
        log.info("this agent is active, term %d", term)
        self._listeners.tell()
        await self._count_on(self._standing.log)
        if self._standing.erased:
            self._move_at = time.monotonic()

    async def _seed(self) -> None:
        """The first log of a house: what this PC knows."""
        fresh = await self._stream.create()
        snapshot, standing = await self._in_journal(self._journal.pack_now)
        place = await self._stream.fill(fresh, snapshot)
        try:
            await self._stream.set_head(fresh, 0)
        except BehindError:
            return  # another one was first
        await self._in_journal(self._journal.stand_now, Standing(fresh, place, standing.sequence))

    async def _move(self) -> None:
        """Begin the log anew without what was forgotten; entries may be added meanwhile."""
        self._move_at = time.monotonic() + self._again_s
        try:
            fresh = await self._stream.create()
        except LinkError as error:
            self._unmoved = f"{_STILL_THERE} ({error})"
            return
        snapshot, standing = await self._in_journal(self._journal.pack_now)
        self._move_at = None
        try:
            place = await self._stream.fill(fresh, snapshot)
            await self._in_journal(self._finish_move, standing, fresh, place)
            await self._count_on(fresh)
        except BaseException:
            self._move_at = time.monotonic() + self._again_s
            raise
        log.info("the log of the journal begins anew at %d", snapshot.begin.sequence)

    def _finish_move(self, packed: Standing, fresh: str, place: int) -> None:
        """In the journal's thread, so that nobody writes meanwhile: what was added since, then the move itself."""
        standing = self._journal.standing_now()
        for entry in self._link.wait(self._tail(packed)):
            place = self._link.wait(self._append(fresh, entry, place))
        moved = LogEntry("moved", standing.sequence, self._journal.term, {"to": fresh, "place": place})
        try:
            self._link.wait(self._append(packed.log, moved, standing.place))
        except (LinkError, RefusedError):
            # Whether the log moved is found out by becoming active again.
            self._leading = False
            raise
        self._journal.stand_now(Standing(fresh, place, standing.sequence, erased=self._move_at is not None))

    async def _tail(self, packed: Standing) -> list[LogEntry]:
        return [entry async for entry in self._stream.entries(packed.log, packed.place)]

    async def _count_on(self, current: str) -> None:
        """Have everybody find this stream, and delete those before it."""
        self._head, self._head_place = await self._stream.head()
        if self._head != current:
            await self._stream.set_head(current, self._head_place)
            self._head = current
        await self._stream.fit_copies(current)
        await self._clear(current)

    async def _clear(self, current: str) -> None:
        """Delete the streams before this one, as far as all servers are there to do it."""
        away = await self._stream.delete_older(current)
        self._unmoved = f"{_STILL_THERE} (away: {', '.join(away)})" if away else ""

    async def _in_journal(self, work: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
        return await asyncio.wrap_future(self._journal.submit(work, *arguments, **named))

    def _note_trouble(self, text: str) -> None:
        if text != self._trouble:
            log.warning("the journal: %s", text)
        self._trouble = text
