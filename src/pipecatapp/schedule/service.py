"""``timekeeping.Schedule`` and ``timekeeping.Ringing``: all of it behind one face."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from pipecatapp.domain import Change, ToolResult
from pipecatapp.errors import NoWayBackError, ToolError
from pipecatapp.events import ScheduleChanged
from pipecatapp.languages import language
from pipecatapp.ports import ToolContext
from pipecatapp.schedule.alarms import Alarms
from pipecatapp.schedule.clock import find_zone
from pipecatapp.schedule.editing import Editing
from pipecatapp.schedule.entries import KINDS, Entry, Ring, from_body, to_body
from pipecatapp.schedule.keeper import Keeper
from pipecatapp.schedule.naming import name_timer, say_list, say_missed
from pipecatapp.schedule.reminders import Reminders
from pipecatapp.schedule.timers import LONGEST_S, Timers, keep, load
from pipecatapp.schedule.view import view

_TIMES = language().times
SNOOZE_S = 300.0


class ScheduleService:
    """Timers, alarms, reminders, and what rings.

    Args:
        keeper: keeps them.
    """

    def __init__(self, keeper: Keeper) -> None:
        self.keeper = keeper
        self._is_there: Callable[[str], bool] = lambda _: True
        self.editing = Editing(keeper)
        self._timers = Timers(keeper)
        self._alarms = Alarms(keeper)
        self._reminders = Reminders(keeper)

    # timekeeping.Schedule

    async def set_timer(self, duration: str, label: str, context: ToolContext) -> ToolResult:
        """Start a timer."""
        return await self._timers.set(duration, label, context)

    async def list_timers(self) -> ToolResult:
        """All timers, with what is left."""
        return await self._timers.list()

    async def cancel_timer(self, label: str, context: ToolContext) -> ToolResult:
        """End a timer."""
        return await self._timers.cancel(label, context)

    async def pause_timer(self, label: str, context: ToolContext) -> ToolResult:
        """Let a timer stand still."""
        return await self._timers.pause(label, context)

    async def resume_timer(self, label: str, context: ToolContext) -> ToolResult:
        """Let a timer go on."""
        return await self._timers.resume(label, context)

    async def change_timer(self, change: str, label: str, context: ToolContext) -> ToolResult:
        """Make what is left of a timer more, less, or just so much."""
        return await self._timers.change(change, label, context)

    async def set_alarm(self, when: str, context: ToolContext) -> ToolResult:
        """Set an alarm."""
        return await self._alarms.set(when, context)

    async def list_alarms(self) -> ToolResult:
        """All alarms."""
        return await self._alarms.list()

    async def cancel_alarm(self, when: str, context: ToolContext) -> ToolResult:
        """Take an alarm away."""
        return await self._alarms.cancel(when, context)

    async def set_reminder(self, what: str, when: str, context: ToolContext) -> ToolResult:
        """Set a reminder."""
        return await self._reminders.set(what, when, context)

    async def list_reminders(self) -> ToolResult:
        """All reminders."""
        return await self._reminders.list()

    async def cancel_reminder(self, what: str, context: ToolContext) -> ToolResult:
        """Take a reminder away."""
        return await self._reminders.cancel(what, context)

    async def take_back(self, change: Change) -> str:
        """Let it be as before the change.

        Raises:
            NoWayBackError: it came due or was changed again meanwhile.
            ToolError: it cannot be kept.
        """
        back = change.back or {}
        async with self.keeper.lock:
            await load(self.keeper)
            put = [from_body(body) for body in back["put"]]
            entries: list[Entry] = [*self.keeper.items(*KINDS), *self.keeper.rings()]
            there = {entry.id: to_body(entry) for entry in entries}
            if any(not _is_as_left(body, there.get(body["id"])) for body in back["made"]):
                raise NoWayBackError("it came due or was changed again meanwhile, so it stays as it is")
            made = {body["id"] for body in back["made"]}
            await keep(self.keeper, put, drop=made - {entry.id for entry in put})
        text = change.text if change.text.startswith("I ") else f"{change.text[0].lower()}{change.text[1:]}"
        return f"I took that back: {text}"

    async def view(self) -> ScheduleChanged:
        """All of it, as the pages show it. Raises ToolError where it cannot be read."""
        await load(self.keeper)
        return view(self.keeper, self.is_everywhere)

    # timekeeping.Ringing

    def look_for_people(self, is_there: Callable[[str], bool]) -> None:
        """Ask this whether anybody could hear what rings in a conversation; where nobody is, it rings everywhere."""
        self._is_there = is_there

    def heard_in(self, conversation: str) -> list[Ring]:
        """What rings in this conversation now: what was set here, and what nobody answered elsewhere."""
        return [
            ring for ring in self.keeper.sounding()
            if ring.item.conversation == conversation or self.is_everywhere(ring)
        ]  # fmt: skip

    def is_everywhere(self, ring: Ring) -> bool:
        """Whether it rings wherever somebody is."""
        return self.keeper.rings_everywhere(ring) or not self._is_there(ring.item.conversation)

    async def answer(self, conversation: str, words: str) -> str | None:
        """End what rings here, if the words say so."""
        rings = self.heard_in(conversation)
        said = _TIMES.answer_ring(words) if rings else None
        if said is None:
            return None
        ids = [ring.id for ring in rings]
        try:
            return await (self.snooze(ids, said.seconds) if said.what == "snooze" else self.stop(ids))
        except ToolError as error:
            return f"{error}."

    async def stop(self, ids: Sequence[str]) -> str:
        """These were acknowledged: they never ring again. Returns the sentence that says so.

        Raises:
            ToolError: that cannot be kept.
        """
        async with self.keeper.lock:
            rings = [ring for ring in self.keeper.rings() if ring.id in ids]
            # Where the clock was set back the same time may have been missed before.
            times = {(ring.item.id, ring.item.wall) for ring in rings}
            drop = [ring.id for ring in self.keeper.rings() if (ring.item.id, ring.item.wall) in times]
            await keep(self.keeper, drop=drop)
        return f"{_capital(_names(rings))} {'is' if len(rings) == 1 else 'are'} off." if rings else "Nothing rings."

    async def snooze(self, ids: Sequence[str], seconds: float = 0.0) -> str:
        """Let these ring again in so many seconds; 0: as usual."""
        seconds = min(seconds or SNOOZE_S, LONGEST_S)
        async with self.keeper.lock:
            rings = [ring for ring in self.keeper.rings() if ring.id in ids]
            put = [replace(ring, state="snoozed", due=self.keeper.after(seconds)) for ring in rings]
            await keep(self.keeper, put)
        if not rings:
            return "Nothing rings."
        verb = "rings" if len(rings) == 1 else "ring"
        return f"{_capital(_names(rings))} {verb} again in {_TIMES.say_duration(seconds)}."

    def missed(self, without: Collection[str] = ()) -> tuple[Sequence[str], str]:
        """What nobody heard: the ids, and the sentences that tell it."""
        rings = [ring for ring in self.keeper.rings() if ring.state == "missed" and ring.id not in without]
        zone = find_zone(self.keeper.clocks.zone(), "")[0]
        return [ring.id for ring in rings], " ".join(say_missed(ring, self.keeper.clocks.now(), zone) for ring in rings)

    async def told(self, ids: Sequence[str]) -> None:
        """A person was told of these. What cannot be kept is told once more later."""
        async with self.keeper.lock:
            there = {ring.id for ring in self.keeper.rings() if ring.state == "missed"}
            if gone := [ring_id for ring_id in ids if ring_id in there]:
                await self.keeper.keep(drop=gone)


def _names(rings: Sequence[Ring]) -> str:
    return say_list(
        [f"the {name_timer(ring.item)}" if ring.item.kind == "timer" else f"the {ring.item.kind}" for ring in rings]
    )


def _capital(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}"


def _is_as_left(left: Mapping[str, Any], now: Mapping[str, Any] | None) -> bool:
    """Whether an entry is still what a change had made of it; its deadline may have been reckoned anew."""
    return now is not None and all(
        left[name] == now[name] for name in left if name not in ("due", "began", "wall", "done")
    )
