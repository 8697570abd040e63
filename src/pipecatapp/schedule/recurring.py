"""What becomes of something that comes due: it rings, and what recurs waits for its next time."""

from __future__ import annotations

import secrets
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import takewhile
from zoneinfo import ZoneInfo

from pipecatapp.schedule.clock import Clocks, local
from pipecatapp.schedule.entries import Due, Item, Ring
from pipecatapp.schedule.moments import epoch, last_occurrence, occurrences

FAR_AHEAD_H = 12
_REMEMBERED = 9  # wall times
_MOST_MISSED = 1000  # more are not counted


def after_ringing(item: Item, clocks: Clocks, left: float, ring_s: float) -> tuple[Ring, Item | None]:
    """The ring of an item whose time has come, and the item as it waits for its next time; None: that was all.

    Args:
        left: seconds until it was due, negative.
        ring_s: who is later than this has missed it.
    """
    now, times, following = clocks.now(), 1, None
    if item.rule is not None:
        last, times = _latest(item, now)
        left = epoch(last, ZoneInfo(item.zone)) - now
        item = replace(item, wall=last.isoformat(), due=Due(at=epoch(last, ZoneInfo(item.zone))))
        following = next_time(replace(item, done=(*item.done[-_REMEMBERED:], item.wall)), now)
    missed = -left > ring_s
    began = Due(at=now, steady=clocks.steady(), boot=clocks.boot)
    ring = Ring(
        id=f"ring-{secrets.token_hex(6)}", item=item, began=began, state="missed" if missed else "ringing",
        while_off=missed, times=times,
    )  # fmt: skip
    return ring, following


def next_time(item: Item, now: float, after: datetime | None = None) -> Item:
    """The item with its first time after ``now`` that has not rung yet, where it recurs; ``after``: and after this wall
    time."""
    if item.rule is None:
        return item
    zone = ZoneInfo(item.zone)
    here = local(now, zone).replace(tzinfo=None)
    # What rang does not ring again where the clock is set back over it; a clock that was far ahead had been wrong.
    done = [wall for wall in map(datetime.fromisoformat, item.done) if wall < here + timedelta(hours=FAR_AHEAD_H)]
    after = max([*done, *([after] if after is not None else [])], default=None)
    # A night earlier: a wall time that the clocks show twice is due at the first.
    for wall in occurrences(datetime.fromisoformat(item.start), item.rule, here - timedelta(days=1)):
        if epoch(wall, zone) > now and (after is None or wall > after):
            return replace(item, wall=wall.isoformat(), due=Due(at=epoch(wall, zone)))
    return item


def _latest(item: Item, now: float) -> tuple[datetime, int]:
    """The latest time that has come, and how many there were since the item waited."""
    if item.rule is None:
        return item.wall_time, 1
    here = local(now, ZoneInfo(item.zone)).replace(tzinfo=None)
    start, waited = datetime.fromisoformat(item.start), item.wall_time
    last = max(last_occurrence(start, item.rule, here) or waited, waited)
    between = takewhile(lambda wall: wall <= last, occurrences(start, item.rule, waited))
    return last, 1 + sum(1 for _, _wall in zip(range(_MOST_MISSED), between, strict=False))
