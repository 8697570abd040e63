"""What a person asks of timers, and the sentences that say what was done."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Sequence
from dataclasses import replace

from pipecatapp.domain import Change, ToolResult
from pipecatapp.errors import StorageError, ToolError
from pipecatapp.languages import language
from pipecatapp.ports import ToolContext
from pipecatapp.schedule.entries import Entry, Item, Ring
from pipecatapp.schedule.keeper import Keeper
from pipecatapp.schedule.naming import find_timers, name_timer, name_timers, plain_label, say_list
from pipecatapp.timekeeping import SCHEDULE

_TIMES = language().times
LONGEST_S = 7 * 86_400
_MOST = 50
_LABEL = 80


class Timers:
    """The timers of a schedule.

    Args:
        keeper: keeps them.
    """

    def __init__(self, keeper: Keeper) -> None:
        self._keeper = keeper

    async def set(self, duration: str, label: str, context: ToolContext) -> ToolResult:
        """Start one."""
        if not duration.strip():
            return ToolResult("For how long shall I set the timer?", missing="duration")
        seconds = _seconds(duration)
        async with self._keeper.lock:
            await load(self._keeper)
            items = self._keeper.items("timer")
            if len(items) >= _MOST:
                raise ToolError(f"There are {len(items)} timers already, so I set no more")
            name = plain_label(label)[:_LABEL]
            item = Item(
                id=f"timer-{secrets.token_hex(6)}", kind="timer", label=name, conversation=context.conversation,
                made_at=self._keeper.clocks.now(), due=self._keeper.after(seconds), length_s=seconds,
            )  # fmt: skip
            alike = sum(name_timer(other) == name_timer(item) for other in items)
            said = _TIMES.say_duration(seconds)
            if alike:
                another = "A second" if alike == 1 else "Another"
                text = f"{another} {name_timer(item)} is set{f' for {said}' if name else ''}."
            else:
                text = f"Your {f'{name} ' if name else ''}timer is set for {said}."
            await keep(self._keeper, [item], made=made(text, context))
        return ToolResult(text, detail=item.id)

    async def list(self) -> ToolResult:
        """All of them, those that ring too."""
        async with self._keeper.lock:
            await load(self._keeper)
            items = self._keeper.items("timer")
            ringing = [ring for ring in self._keeper.rings() if ring.item.kind == "timer" and ring.state != "missed"]
        said = [f"your {name_timer(ring.item)} {self._say_ring(ring)}" for ring in ringing]
        said += [self._describe(item, name) for item, name in zip(items, name_timers(items), strict=True)]
        if not said:
            return ToolResult("There is no timer.")
        if len(said) == 1:
            return ToolResult(f"{said[0][0].upper()}{said[0][1:]}.")
        return ToolResult(f"There are {len(said)} timers: {say_list(said)}.")

    async def cancel(self, label: str, context: ToolContext) -> ToolResult:
        """End one, or all."""
        async with self._keeper.lock:
            await load(self._keeper)
            rings = {
                ring.item.id: ring
                for ring in self._keeper.rings()
                if ring.item.kind == "timer" and ring.state != "missed"
            }
            waiting = self._keeper.items("timer")
            found = self._find([*(ring.item for ring in rings.values()), *waiting], label, "cancel")
            if isinstance(found, ToolResult):
                return found
            names = self._names(found)
            text = f"{_capital(names)} {'is' if len(found) == 1 else 'are'} cancelled."
            drop = [rings[item.id].id if item.id in rings else item.id for item in found]
            # What rang and was acknowledged never rings again.
            rang = any(item.id in rings for item in found)
            await keep(self._keeper, drop=drop, made=None if rang else made(text, context))
        return ToolResult(text)

    async def pause(self, label: str, context: ToolContext) -> ToolResult:
        """Let one stand still."""
        async with self._keeper.lock:
            await load(self._keeper)
            running = [item for item in self._keeper.items("timer") if item.left_s is None]
            if not running and self._keeper.items("timer"):
                raise ToolError("No timer is running that could be paused")
            found = self._find(running, label, "pause")
            if isinstance(found, ToolResult):
                return found
            put = [replace(item, left_s=max(0.0, self._keeper.left(item.due))) for item in found]
            left = say_list([_TIMES.say_duration(item.left_s or 0.0) for item in put])
            text = f"{_capital(self._names(found))} {'is' if len(put) == 1 else 'are'} paused with {left} left."
            await keep(self._keeper, put, made=made(text, context))
        return ToolResult(text)

    async def resume(self, label: str, context: ToolContext) -> ToolResult:
        """Let it go on."""
        async with self._keeper.lock:
            await load(self._keeper)
            still = [item for item in self._keeper.items("timer") if item.left_s is not None]
            if not still:
                raise ToolError("No timer is paused")
            found = self._find(still, label, "resume")
            if isinstance(found, ToolResult):
                return found
            left = say_list([_TIMES.say_duration(item.left_s or 0.0) for item in found])
            put = [replace(item, due=self._keeper.after(item.left_s or 0.0), left_s=None) for item in found]
            text = f"{_capital(self._names(found))} {'goes' if len(put) == 1 else 'go'} on with {left} left."
            await keep(self._keeper, put, made=made(text, context))
        return ToolResult(text)

    async def change(self, change: str, label: str, context: ToolContext) -> ToolResult:
        """Make what is left more, less, or just so much."""
        wanted = _TIMES.change(change)
        if not change.strip():
            return ToolResult("How shall I change the timer?", missing="change")
        if wanted is None:
            raise ToolError(f"I do not understand {change!r} as a change of a timer, so nothing is changed")
        async with self._keeper.lock:
            await load(self._keeper)
            found = self._find(self._keeper.items("timer"), label, "change")
            if isinstance(found, ToolResult):
                return found
            put: list[Item] = []
            for item in found:
                left = item.left_s if item.left_s is not None else self._keeper.left(item.due)
                fresh = {"more": left + wanted.seconds, "less": left - wanted.seconds, "to": wanted.seconds}[wanted.how]
                if fresh <= 0:
                    raise ToolError(
                        f"The {name_timer(item)} has only {_TIMES.say_duration(left)} left, so nothing is changed; "
                        "to end it, say cancel"
                    )
                _check_length(fresh, change)
                length = item.length_s + fresh - left if wanted.how != "to" else fresh
                still = item.left_s is not None
                fresh_item = replace(item, length_s=round(length, 3), left_s=fresh if still else None)
                put.append(fresh_item if still else replace(fresh_item, due=self._keeper.after(fresh)))
            now_left = say_list([_TIMES.say_duration(self._left(item)) for item in put])
            text = f"{_capital(self._names(found))} now {'has' if len(put) == 1 else 'have'} {now_left} left."
            await keep(self._keeper, put, made=made(text, context))
        return ToolResult(text)

    def _left(self, item: Item) -> float:
        return max(0.0, item.left_s if item.left_s is not None else self._keeper.left(item.due))

    def _describe(self, item: Item, name: str) -> str:
        left = _TIMES.say_duration(self._left(item))
        return f"the {name} is paused with {left} left" if item.left_s is not None else f"the {name} has {left} left"

    def _say_ring(self, ring: Ring) -> str:
        if ring.state == "ringing" or ring.due is None:
            return "is ringing"
        return f"rings again in {_TIMES.say_duration(self._keeper.left(ring.due))}"

    def _names(self, found: Sequence[Item]) -> str:
        """These among all timers: two that are called alike are told apart."""
        everyone = self._keeper.items("timer")
        names = dict(zip((item.id for item in everyone), name_timers(everyone), strict=True))
        return say_list([f"the {names.get(item.id, name_timer(item))}" for item in found])

    def _find(self, items: Sequence[Item], words: str, verb: str) -> Sequence[Item] | ToolResult:
        """The timers that are meant, or the question which.

        Raises:
            ToolError: there are none, or none is called so.
        """
        if not items:
            raise ToolError("There is no timer")
        found = find_timers(items, words, self._left)
        if found.unclear:
            names = name_timers(items)
            told = [
                f"the {name} with {_TIMES.say_duration(self._left(item))} left"
                for item, name in zip(items, names, strict=True)
                if item in found.items
            ]
            return ToolResult(f"Which timer shall I {verb}: {say_list(told, 'or')}?", missing="label")
        if not found.items:
            there = say_list([f"the {name}" for name in name_timers(items)])
            raise ToolError(f"There is no {plain_label(words) or words} timer, so nothing is changed; there is {there}")
        return found.items


async def load(keeper: Keeper) -> None:
    """Have everything read. Raises ToolError."""
    try:
        await keeper.load()
    except StorageError as error:
        raise ToolError(f"timers, alarms and reminders cannot be read: {error}") from error


async def keep(keeper: Keeper, put: Sequence[Entry] = (), drop: Iterable[str] = (), made: Change | None = None) -> None:
    """``Keeper.keep`` for a tool. Raises ToolError: nothing has changed."""
    try:
        await keeper.keep(put, drop, made)
    except StorageError as error:
        raise ToolError(f"it cannot be kept, so nothing is changed: {error}") from error


def made(text: str, context: ToolContext) -> Change:
    """What was done, so that it can be taken back; ``text`` says it."""
    return Change(SCHEDULE, text, None, context.conversation, context.turn)


def _seconds(words: str) -> float:
    seconds = _TIMES.duration(words)
    if seconds is None:
        raise ToolError(f"I do not understand {words!r} as a length of time, so I set no timer")
    if seconds < 1:
        raise ToolError("A timer needs at least one second, so I set none")
    _check_length(seconds, words)
    return seconds


def _check_length(seconds: float, words: str) -> None:
    if seconds > LONGEST_S:
        raise ToolError(f"{words} is longer than a week; a reminder can do that, a timer cannot")


def _capital(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}"
