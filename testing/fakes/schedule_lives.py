"""Random lives of a PC with timers, alarms and reminders: it is killed, switched off, its clock is set on and back, its
battery is empty, its power goes in the middle of a write. What a person set either rings or is told, and what they
acknowledged never rings again.

A wall time of an alarm that recurs may ring again only where the wall clock went back over it by more than half a day:
then it had been wrong.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from pipecatapp.errors import StorageError, ToolError
from pipecatapp.schedule.entries import KINDS, Item, Ring
from pipecatapp.schedule.recurring import FAR_AHEAD_H
from testing.fakes.crashing_disk import PowerCutError
from testing.fakes.schedule import HERE, ScheduledHouse

HOUR, DAY = 3600.0, 86_400.0
Key = tuple[str, str]  # the item, and of one that recurs the wall time


@dataclass
class Verdict:
    """How many lives there were, what happened in them, and what went wrong."""

    lives: int = 0
    items: int = 0
    rings: int = 0
    missed: int = 0
    acknowledged: int = 0
    kills: int = 0
    power_cuts: int = 0
    jumps: int = 0
    lost: int = 0
    again: int = 0
    details: list[str] = field(default_factory=list)


async def run_lives(
    lives: int, *, seed: int = 0, steps: int = 27, folder: Callable[[int], Path] | None = None
) -> Verdict:
    """Live so many lives of about so many steps; ``folder`` gives each one for a journal on the real disk."""
    verdict = Verdict()
    for life in range(lives):
        verdict.lives += 1
        number = seed * 1_000_003 + life
        await _Life(number, verdict, folder(life) if folder is not None else None).live(steps)
    return verdict


class _Life:
    def __init__(self, seed: int, verdict: Verdict, folder: Path | None) -> None:
        self._name = f"life {seed}"
        self._random = random.Random(seed)
        self._verdict = verdict
        self._real = folder is not None
        start = datetime(2026, self._random.randrange(1, 13), self._random.randrange(1, 29), self._random.randrange(24))
        self._house = ScheduledHouse(f"{start:%Y-%m-%d %H:%M}", folder=folder, seed=seed)
        self._wrong = 0.0  # the wall clock is ahead by so much
        self._waiting: set[str] = set()  # once, set and not heard of yet
        self._over: dict[Key, datetime | None] = {}  # acknowledged or told -> the earliest wall time since
        self._heard: set[str] = set()

    async def live(self, steps: int) -> None:
        """All of it, and then a time in which everything comes due."""
        for _ in range(self._random.randrange(steps // 2, 3 * steps // 2)):
            await self._survive(self._something)
        self._set_wall(-self._wrong)
        for _ in range(2):
            await self._survive(lambda: self._pass(HOUR))
            await self._survive(lambda: self._pass(DAY))
        # What was set while the clock was years ahead.
        self._set_wall(9000 * DAY)
        self._house.kill()
        await self._contact()
        for item in sorted(self._waiting):
            self._verdict.lost += 1
            self._verdict.details.append(f"{self._name}: {item} was never heard of")
        if self._real:
            self._house.close()

    async def _survive(self, step: Callable[[], Awaitable[object]]) -> None:
        """A step in which the power may go."""
        if not self._real and self._random.random() < 0.15:
            self._house.disk.plan(self._random.randrange(6), self._random.choice(["power", "power", "error"]))
        before = {item.id for item in self._house.keeper.items(*KINDS)}
        try:
            await step()
        except PowerCutError:
            self._verdict.power_cuts += 1
            self._house.reboot(self._random.choice([5.0, 60.0, 3 * HOUR]))
            await self._reread(before)
        except (ToolError, StorageError):
            pass  # refused: nothing has changed, and the next step sees whether that is so

    async def _reread(self, before: set[str]) -> None:
        """After a power cut in the middle of something: whether it has happened is read from the disk."""
        await self._house.keeper.load()
        there = self._house.keeper.items(*KINDS)
        known = {item.id for item in there}
        self._waiting |= {item.id for item in there if item.id not in before and item.rule is None}
        # What was being cancelled may be gone; what rings was heard of.
        ringing = {ring.item.id for ring in self._house.keeper.rings()}
        self._waiting = {
            item for item in self._waiting if item in known or item in ringing or item not in self._doubtful
        }

    @property
    def _doubtful(self) -> set[str]:
        """What was being cancelled when the power went."""
        return {self._cancelling} if self._cancelling else set()

    _cancelling = ""

    async def _something(self) -> None:
        actions: list[tuple[int, Callable[[], Coroutine[Any, Any, None]]]] = [
            (6, self._set), (8, self._pass_some), (2, self._cancel), (2, self._change), (3, self._kill),
            (2, self._switch_off), (2, self._jump), (3, self._contact),
        ]  # fmt: skip
        weights = [weight for weight, _ in actions]
        _, action = self._random.choices(actions, weights)[0]
        await action()

    async def _set(self) -> None:
        kind = self._random.choice(["timer", "timer", "alarm", "daily", "reminder", "soon"])
        service, count = self._house.service, self._verdict.items
        clock = f"{self._random.randrange(24):02}:{self._random.randrange(60):02}"
        match kind:
            case "timer":
                result = await service.set_timer(f"{self._random.randrange(1, 4 * 3600)} seconds", f"t{count}", HERE)
            case "alarm":
                result = await service.set_alarm(f"{clock} {self._random.choice(['', 'tomorrow'])}", HERE)
            case "daily":
                result = await service.set_alarm(f"every day at {clock}", HERE)
            case "reminder":
                result = await service.set_reminder(f"do {count}", f"in 2 days at {clock}", HERE)
            case _:
                result = await service.set_reminder(f"do {count}", f"in {self._random.randrange(1, 90)} minutes", HERE)
        self._verdict.items += 1
        if kind != "daily" and result.detail:
            self._waiting.add(result.detail)

    async def _cancel(self) -> None:
        timers = self._house.keeper.items("timer")
        if not timers:
            return
        timer = self._random.choice(timers)
        self._cancelling = timer.id
        await self._house.service.cancel_timer(timer.label, HERE)
        self._cancelling = ""
        self._waiting.discard(timer.id)

    async def _change(self) -> None:
        timers = self._house.keeper.items("timer")
        if not timers:
            return
        label = self._random.choice(timers).label
        change = self._random.choice(["five minutes more", "to ten minutes", "a minute less"])
        await self._house.service.change_timer(change, label, HERE)
        if self._random.random() < 0.5:
            await self._house.service.pause_timer(label, HERE)
            await self._pass(self._random.uniform(1, 2 * HOUR))
            await self._house.service.resume_timer(label, HERE)

    async def _pass_some(self) -> None:
        await self._pass(self._random.choice([1.0, 29.0, 61.0, 599.0, 700.0, HOUR, 5 * HOUR, DAY]))

    async def _pass(self, seconds: float) -> None:
        """Time passes; somebody is there and answers what rings, or nobody is."""
        somebody = self._random.random() < 0.7
        while seconds > 0:
            wait = await self._house.keeper.step()
            await self._listen(answers=somebody and self._random.random() < 0.5)
            part = min(seconds, seconds if wait is None else max(wait, 0.001))
            self._house.clocks.advance(part)
            seconds -= part
        await self._house.keeper.step()
        await self._listen(answers=somebody)

    async def _listen(self, *, answers: bool) -> None:
        self._check()
        sounding = self._house.keeper.sounding()
        if sounding and answers:
            ring = self._random.choice(sounding)
            if self._random.random() < 0.3:
                await self._house.service.snooze([ring.id], self._random.uniform(1, 1000))
            else:
                await self._house.service.stop([ring.id])
                self._verdict.acknowledged += 1
                self._end(ring)

    async def _contact(self) -> None:
        """Somebody comes and is told what was missed."""
        await self._house.keeper.step()
        self._check()
        ids, _ = self._house.service.missed()
        told = [ring for ring in self._house.keeper.rings() if ring.id in ids]
        await self._house.service.told(ids)
        for ring in told:
            self._end(ring)

    async def _kill(self) -> None:
        self._verdict.kills += 1
        self._house.kill()
        await self._house.keeper.step()
        self._check()

    async def _switch_off(self) -> None:
        self._verdict.power_cuts += 1
        off = self._random.choice([10.0, 500.0, HOUR, 9 * HOUR, 3 * DAY])
        wrong = self._random.choice([0.0, 0.0, 0.0, -3000 * DAY, 2000 * DAY, -HOUR])
        self._house.reboot(off, wrong)
        self._wrong += wrong
        self._note_wall()
        await self._house.keeper.step()
        self._check()
        if wrong and self._random.random() < 0.8:  # until the network tells the time
            await self._pass(self._random.uniform(1, 300))
            self._set_wall(-wrong)
            await self._house.keeper.step()
            self._check()

    async def _jump(self) -> None:
        self._verdict.jumps += 1
        self._set_wall(self._random.choice([-2.0, 40.0, -HOUR, HOUR, -7 * HOUR, 11 * HOUR, -2 * DAY, 5 * DAY]))
        await self._house.keeper.step()
        self._check()

    def _set_wall(self, by: float) -> None:
        self._house.clocks.set_wall(by)
        self._wrong += by
        self._note_wall()

    def _note_wall(self) -> None:
        here = self._house.clocks.here.replace(tzinfo=None)
        self._over = {key: min(seen, here) if seen is not None else None for key, seen in self._over.items()}

    def _end(self, ring: Ring) -> None:
        """It was acknowledged, or told: it must not be heard of again."""
        key = _key(ring)
        self._over[key] = self._house.clocks.here.replace(tzinfo=None) if key[1] else None

    def _check(self) -> None:
        """Hear what rings and what was missed."""
        for ring in self._house.keeper.rings():
            self._waiting.discard(ring.item.id)
            if ring.id not in self._heard:
                self._heard.add(ring.id)
                self._verdict.rings += ring.state == "ringing"
                self._verdict.missed += ring.state == "missed"
            key = _key(ring)
            if key in self._over and not self._was_far_back(key):
                self._verdict.again += 1
                self._verdict.details.append(f"{self._name}: {key} again, {ring.state}")
                del self._over[key]

    def _was_far_back(self, key: Key) -> bool:
        earliest = self._over[key]
        return earliest is not None and datetime.fromisoformat(key[1]) > earliest + timedelta(hours=FAR_AHEAD_H - 1)


def _key(ring: Ring) -> Key:
    item: Item = ring.item
    return item.id, item.wall if item.rule is not None else ""
