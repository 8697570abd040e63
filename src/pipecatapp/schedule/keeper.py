"""Keeps what comes due: lets it ring when its time has come, whatever becomes of the clocks, the program and the power.

Everything that happens is in the journal before anybody hears of it, but for a ring: that also sounds where the disk is
full. What was acknowledged is not in the journal any more, so it never rings again.

Timers go by the clock that never jumps, as long as it is the same run of the machine; their deadline on the wall clock
is what counts after a reboot. Alarms and reminders go by the wall clock. Where that is behind where it was last seen (a
PC whose battery is empty), timers go on from there until it is right again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import TypeVar

from pipecatapp.background import uninterrupted
from pipecatapp.domain import Change
from pipecatapp.errors import StorageError
from pipecatapp.schedule.clock import Clocks
from pipecatapp.schedule.entries import CLOCK, KINDS, Due, Entry, Item, Kind, Ring, from_body, moved, to_body
from pipecatapp.schedule.recurring import after_ringing, next_time
from pipecatapp.timekeeping import ScheduleStore

log = logging.getLogger(__name__)

EVERYWHERE_AFTER_S = 30.0
_JUMP_S = 1.0  # the wall clock was set; less is the clock being corrected while it runs
_BEHIND_S = 60.0
_SEEN_EVERY_S = 600.0
_RETRY_S = 5.0

E = TypeVar("E", bound=Entry)


class Keeper:
    """All timers, alarms, reminders and rings of this PC.

    Args:
        store: where they are kept.
        clocks: the time.
        ring_s: how long something rings before it counts as missed.
        look_every_s: how often to see whether somebody set the wall clock.
    """

    def __init__(
        self, store: ScheduleStore, clocks: Clocks, *, ring_s: float = 600.0, look_every_s: float = 5.0
    ) -> None:
        self._store = store
        self.clocks = clocks
        self.ring_s = ring_s
        self._look_every_s = look_every_s
        self.lock = asyncio.Lock()
        self._entries: dict[str, Entry] = {}
        self._unsaved: list[tuple[Sequence[Entry], Sequence[str]]] = []
        self._listeners: list[Callable[[], None]] = []
        self._offset = 0.0
        self._seen = 0.0
        self._loaded = False

    # What there is.

    def items(self, *kinds: Kind) -> list[Item]:
        """What will come due, in the order in which it was set."""
        return [entry for entry in self._entries.values() if isinstance(entry, Item) and entry.kind in kinds]

    def rings(self) -> list[Ring]:
        """What rings, will ring again, or was missed."""
        return [entry for entry in self._entries.values() if isinstance(entry, Ring)]

    def sounding(self) -> list[Ring]:
        """What rings now."""
        return [ring for ring in self.rings() if ring.state == "ringing"]

    def rings_everywhere(self, ring: Ring) -> bool:
        """Whether nobody has answered it for so long that it is everybody's business."""
        return self._elapsed(ring) >= EVERYWHERE_AFTER_S

    def left(self, due: Due) -> float:
        """Seconds until then; negative: it is over."""
        if due.boot == self.clocks.boot:
            return due.steady - self.clocks.steady()
        return due.at - self.clocks.now()

    def after(self, seconds: float) -> Due:
        """The moment so many seconds from now, on both clocks."""
        return Due(at=self.clocks.now() + seconds, steady=self.clocks.steady() + seconds, boot=self.clocks.boot)

    def on_change(self, listener: Callable[[], None]) -> None:
        """Call this whenever something has changed."""
        self._listeners.append(listener)

    # What a person changes. Whoever reads first holds ``lock``.

    @uninterrupted
    async def keep(self, put: Sequence[Entry] = (), drop: Iterable[str] = (), made: Change | None = None) -> None:
        """Put these in and take those away, in one step; ``made``: and keep how that is taken back.

        Raises:
            StorageError: nothing has changed.
        """
        await self.load()
        drop = tuple(drop)
        if made is not None:
            touched = [
                self._entries[entry_id]
                for entry_id in (*(entry.id for entry in put), *drop)
                if entry_id in self._entries
            ]
            back = {"put": [to_body(entry) for entry in touched], "made": [to_body(entry) for entry in put]}
            made = replace(made, back=back)
        await self._save(put, drop, made, seen=self.clocks.now())
        self._apply(put, drop)

    async def load(self) -> None:
        """Read what is kept, the first time. Raises StorageError."""
        if self._loaded:
            return
        bodies = await self._store.load()
        entries = [from_body(body) for body in bodies if body["id"] != CLOCK]
        self._seen = next((float(body["seen"]) for body in bodies if body["id"] == CLOCK), 0.0)
        self._offset = self.clocks.now() - self.clocks.steady()
        self._entries = {entry.id: entry for entry in entries}
        self._loaded = True
        rebased = [fresh for entry in entries if _differs(fresh := self._rebased(entry), entry)]
        if rebased:
            await self._happen(rebased)

    async def reread(self) -> None:
        """Another agent wrote to the store: go on with what is there. Raises StorageError."""
        async with self.lock:
            self._loaded = False
            self._unsaved.clear()
            await self.load()
        for listener in self._listeners:
            listener()

    # What happens by itself.

    async def step(self) -> float | None:
        """Let everything happen whose time has come; seconds until the next look, None: nothing is kept.

        Raises:
            StorageError: what is kept cannot be read.
        """
        async with self.lock:
            await self.load()
            await self._save_again()
            await self._notice_jump()
            for item in self.items(*KINDS):
                if item.left_s is None and self.left(item.due) <= 0:
                    await self._let_ring(item)
            for ring in self.rings():
                await self._ring_on(ring)
            if self._entries and self.clocks.now() > self._seen + _SEEN_EVERY_S:
                await self._happen([])
            return self._next_look()

    async def _let_ring(self, item: Item) -> None:
        ring, following = after_ringing(item, self.clocks, self.left(item.due), self.ring_s)
        log.info("%s %s: %s", item.kind, item.id, ring.state)
        await self._happen([ring] if following is None else [ring, following], () if following else (item.id,))

    async def _ring_on(self, ring: Ring) -> None:
        if ring.state == "ringing" and self._elapsed(ring) >= self.ring_s:
            await self._happen([replace(ring, state="missed")])
        elif ring.state == "snoozed" and ring.due is not None and (left := self.left(ring.due)) <= 0:
            late = -left > self.ring_s
            state = {"state": "missed", "while_off": True} if late else {"state": "ringing"}
            await self._happen([replace(ring, due=None, began=self.after(0), **state)])

    def _next_look(self) -> float | None:
        if not self._entries:
            return None
        waits = [_RETRY_S] if self._unsaved else []
        waits += [self.left(item.due) for item in self.items(*KINDS) if item.left_s is None]
        for ring in self.rings():
            if ring.due is not None:
                waits.append(self.left(ring.due))
            if ring.state == "ringing":
                elapsed = self._elapsed(ring)
                waits += [border - elapsed for border in (EVERYWHERE_AFTER_S, self.ring_s) if border > elapsed]
        return max(0.0, min([self._look_every_s, *waits]))

    def _elapsed(self, ring: Ring) -> float:
        return max(0.0, -self.left(ring.began))

    # The clocks.

    async def _notice_jump(self) -> None:
        """The wall clock was set: the deadlines of timers go with it, alarms are reckoned anew."""
        offset = self.clocks.now() - self.clocks.steady()
        by, self._offset = offset - self._offset, offset
        if abs(by) < _JUMP_S:
            return
        log.warning("the clock of this PC was set by %.0f seconds", by)
        put = [fresh for entry in self._entries.values() if (fresh := self._after_jump(entry, by)) != entry]
        too_early = self._find_too_early() if by < 0 else []
        now = self.clocks.now()
        restored = {
            ring.item.id: self._restored(ring.item, [each.item.wall for each in too_early]) for ring in too_early
        }
        gone = [ring.id for ring in too_early]
        put = [entry for entry in put if entry.id not in restored and entry.id not in gone]
        await self._happen([*put, *restored.values()], gone, seen=now)

    def _find_too_early(self) -> list[Ring]:
        """What counted as missed only because the clock was ahead: it is still to come."""
        now = self.clocks.now()
        return [
            ring
            for ring in self.rings()
            if ring.state == "missed" and ring.while_off and not ring.item.due.boot and ring.item.due.at > now
        ]

    def _restored(self, item: Item, too_early: Sequence[str]) -> Item:
        current = self._entries.get(item.id)
        done = current.done if isinstance(current, Item) else ()
        return next_time(replace(item, done=tuple(wall for wall in done if wall not in too_early)), self.clocks.now())

    def _after_jump(self, entry: Entry, by: float) -> Entry:
        if isinstance(entry, Ring):
            due = self._jumped(entry.due, by) if entry.due is not None else None
            return replace(entry, began=self._jumped(entry.began, by), due=due)
        if entry.due.boot:
            return replace(entry, due=self._jumped(entry.due, by))
        return next_time(entry, self.clocks.now()) if by < 0 else entry

    def _jumped(self, due: Due, by: float) -> Due:
        if due.boot != self.clocks.boot:
            return due
        if not due.doubtful:
            return moved(due, by)
        return self._on_both_clocks(due) if self.clocks.now() >= due.doubtful - _BEHIND_S else due

    def _on_both_clocks(self, due: Due) -> Due:
        return Due(at=due.at, steady=self.clocks.steady() + due.at - self.clocks.now(), boot=self.clocks.boot)

    def _rebased(self, entry: Entry) -> Entry:
        """What another run of the machine left, on the clock of this one."""
        if isinstance(entry, Ring):
            due = self._from_wall(entry.due) if entry.due is not None else None
            return replace(entry, began=self._from_wall(entry.began), due=due)
        return replace(entry, due=self._from_wall(entry.due))

    def _from_wall(self, due: Due) -> Due:
        if not due.boot:
            return due
        if due.boot == self.clocks.boot:
            return due if due.doubtful else replace(due, at=self.clocks.now() + due.steady - self.clocks.steady())
        known = due.doubtful or self._seen
        if self.clocks.now() >= known - _BEHIND_S:
            return self._on_both_clocks(due)
        rest = due.at - known
        return Due(at=due.at, steady=self.clocks.steady() + rest, boot=self.clocks.boot, doubtful=known)

    # Keeping.

    async def _happen(self, put: Sequence[Entry], drop: Sequence[str] = (), seen: float = 0.0) -> None:
        """This has happened, whether or not it can be written down now."""
        try:
            await self._save(put, drop, seen=seen)
        except StorageError as error:
            log.error("what comes due cannot be kept, it is tried again: %s", error)
            self._unsaved.append((tuple(put), tuple(drop)))
        self._apply(put, drop)

    async def _save(
        self, put: Sequence[Entry], drop: Sequence[str], made: Change | None = None, seen: float = 0.0
    ) -> None:
        """``seen``: this is where the wall clock is, although it was ahead of that; it is noted in the same step."""
        seen = seen or max(self._seen, self.clocks.now())
        clock = {"id": CLOCK, "seen": seen}
        await self._store.change([*(to_body(entry) for entry in put), clock], drop, made)
        self._seen = seen

    async def _save_again(self) -> None:
        while self._unsaved:
            put, drop = self._unsaved[0]
            try:
                # What became of it since counts.
                await self._save([self._entries[entry.id] for entry in put if entry.id in self._entries], drop)
            except StorageError:
                return
            del self._unsaved[0]

    def _apply(self, put: Sequence[Entry], drop: Sequence[str]) -> None:
        for gone in drop:
            self._entries.pop(gone, None)
        for entry in put:
            self._entries[entry.id] = entry
        for listener in self._listeners:
            listener()


def _differs(fresh: Entry, entry: Entry) -> bool:
    """Whether a restart has moved it by more than the clocks run apart."""
    return any(
        one is not None and other is not None and (one.boot != other.boot or abs(one.at - other.at) >= _JUMP_S)
        for one, other in zip(_moments(fresh), _moments(entry), strict=True)
    )


def _moments(entry: Entry) -> list[Due | None]:
    return [entry.began, entry.due] if isinstance(entry, Ring) else [entry.due]
