"""The schedule as the pages show it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pipecatapp.events import ScheduleChanged
from pipecatapp.schedule.clock import find_zone
from pipecatapp.schedule.entries import KINDS, Item, Ring
from pipecatapp.schedule.keeper import Keeper
from pipecatapp.schedule.naming import name_timers, say_missed, say_ring
from pipecatapp.schedule.plans import say_item


def view(keeper: Keeper, is_everywhere: Callable[[Ring], bool]) -> ScheduleChanged:
    """All of it; times are seconds since 1970.

    ``when`` says when something is due; a timer ends at ``ends_at``, or stands still with ``left_s``.
    """
    timers = keeper.items("timer")
    names = dict(zip((item.id for item in timers), name_timers(timers), strict=True))
    zone = find_zone(keeper.clocks.zone(), "")[0]
    rings = [ring for ring in keeper.rings() if ring.state != "missed"]
    missed = [ring for ring in keeper.rings() if ring.state == "missed"]
    now = keeper.clocks.now()
    return ScheduleChanged(
        items=[_item(item, names, now) for item in sorted(keeper.items(*KINDS), key=lambda item: item.due.at)],
        rings=[_ring(ring, everywhere=is_everywhere(ring)) for ring in rings],
        missed=[{"id": ring.id, "sentence": say_missed(ring, now, zone)} for ring in missed],
    )


def _item(item: Item, names: Mapping[str, str], now: float) -> Mapping[str, Any]:
    timer = item.kind == "timer"
    return {
        "id": item.id,
        "kind": item.kind,
        "name": names.get(item.id, item.label),
        "when": "" if timer else say_item(item, now),
        "ends_at": round(item.due.at, 1) if timer and item.left_s is None else None,
        "left_s": None if item.left_s is None else round(item.left_s, 1),
    }


def _ring(ring: Ring, *, everywhere: bool) -> Mapping[str, Any]:
    return {
        "id": ring.id,
        "kind": ring.item.kind,
        "sentence": say_ring(ring),
        "conversation": ring.item.conversation,
        "everywhere": everywhere,
        "state": ring.state,
        "again_at": round(ring.due.at, 1) if ring.due is not None else None,
    }
