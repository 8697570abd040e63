"""What timers and rings are called, so that a person knows which one is meant; and which one a person means."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from pipecatapp.languages import language
from pipecatapp.schedule.clock import local
from pipecatapp.schedule.entries import Item, Ring

_TIMES = language().times
_WORD = re.compile(r"\w+")
_ORDER = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth")
# What stands around the name of something ("the pasta timer", "called pasta").
_AROUND = frozenset(
    {"the", "my", "a", "an", "timer", "timers", "one", "called", "named", "for", "alarm", "reminder", "to", "about",
     "please", "that", "of", "on", "at", "reminders", "alarms", "with", "left"}
)  # fmt: skip
_NEAR = 0.15  # of what is left: as near as one remembers it


@dataclass(frozen=True, slots=True)
class Found:
    """Which are meant. ``unclear``: one of these, and it has to be asked which."""

    items: Sequence[Item]
    unclear: bool = False


def plain_label(text: str) -> str:
    """A label without what stands around it."""
    words = text.split()
    while words and words[0].casefold().strip(".,") in _AROUND:
        words.pop(0)
    while words and words[-1].casefold().strip(".,") in _AROUND:
        words.pop()
    return " ".join(words).strip(" .,!?")


def name_timer(item: Item) -> str:
    """``pasta timer``, or where it has no name ``10-minute timer``."""
    return f"{item.label} timer" if item.label else f"{_TIMES.name_by_duration(item.length_s)} timer"


def name_timers(items: Sequence[Item]) -> list[str]:
    """Each by its name; those that are called alike by their order too: "first 10-minute timer"."""
    names = [name_timer(item) for item in items]
    counted = [names[: at + 1].count(name) for at, name in enumerate(names)]
    return [
        f"{_ORDER[count - 1] if count <= len(_ORDER) else f'number {count}'} {name}" if names.count(name) > 1 else name
        for name, count in zip(names, counted, strict=True)
    ]


def say_ring(ring: Ring) -> str:
    """What is said while it rings."""
    item = ring.item
    if item.kind == "timer":
        return f"Your {name_timer(item)} is done."
    if item.kind == "reminder":
        return f"A reminder: {_TIMES.address(item.label)}."
    return f"It is {_TIMES.say_time(item.wall_time)}, and your alarm is ringing."


def say_missed(ring: Ring, now: float, zone: str) -> str:
    """What is said of it when nobody heard it."""
    item = ring.item
    here = ZoneInfo(item.zone or zone)
    at = item.wall_time.replace(tzinfo=here) if item.wall else local(item.due.at, here)
    when = _TIMES.say_moment(at, local(now, here))
    what = {
        "timer": f"your {name_timer(item)} ended {when}",
        "alarm": f"your alarm came due {when}",
        "reminder": f"I was to remind you {when}: {_TIMES.address(item.label)}",
    }[item.kind]
    often = f", the last of {ring.times} times" if ring.times > 1 else ""
    lead = "While I was off, " if ring.while_off else "Nobody answered: "
    return f"{lead}{what}{often}."


def find_timers(items: Sequence[Item], words: str, left: Callable[[Item], float]) -> Found:
    """The timers that a person means; none where no timer is called so.

    Args:
        items: the timers in their order.
        words: a name, a length, what is left, a place in the order, "all"; empty: the only one.
        left: seconds that one has left.
    """
    if not words.strip():
        return Found(items, unclear=len(items) > 1)
    if (choice := _TIMES.choose(words)) is not None:
        if choice.every:
            return Found(items)
        return Found([items[choice.place]] if choice.place < len(items) and items else [])
    order = _TIMES.choose(words.split(maxsplit=2)[1] if words.casefold().startswith("the ") else words.split()[0])
    wanted = plain_label(words)
    named = named_like(items, wanted)
    if not named and (seconds := _TIMES.duration(wanted)) is not None:
        named = [item for item in items if item.length_s == seconds]
        named = named or [item for item in items if abs(left(item) - seconds) <= max(30, _NEAR * seconds)]
    if not named and order is not None and not order.every:  # "the second ten minute timer"
        rest = " ".join(wanted.split()[1:] if _TIMES.choose(wanted.split()[0]) is not None else wanted.split())
        inner = find_timers(items, rest, left) if rest and rest != words else Found([])
        return Found([inner.items[order.place]] if order.place < len(inner.items) and inner.items else [])
    return Found(named, unclear=len(named) > 1)


def named_like(items: Sequence[Item], wanted: str) -> list[Item]:
    """Those whose label is this, or else has all of its words."""
    words = _words(wanted)
    exact = [item for item in items if words and _words(item.label) == words]
    return exact or [item for item in items if words and set(words) <= set(_words(item.label))]


def is_called_all(words: str) -> bool:
    """Whether all of them are meant."""
    choice = _TIMES.choose(words)
    return choice is not None and choice.every


def say_list(parts: Sequence[str], joint: str = "and") -> str:
    """``a, b and c``."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} {joint} {parts[-1]}"


def _words(text: str) -> list[str]:
    return [language().stem(word) for word in _WORD.findall(text.casefold()) if word not in _AROUND]
