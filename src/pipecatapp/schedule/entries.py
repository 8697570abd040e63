"""What is kept of a timer, an alarm or a reminder, and of something that rings; and how it lies in the journal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any, Literal

from pipecatapp.errors import StorageError
from pipecatapp.languages.spoken_time import SpokenRule

Kind = Literal["timer", "alarm", "reminder"]
KINDS: tuple[Kind, ...] = ("timer", "alarm", "reminder")
RingState = Literal["ringing", "snoozed", "missed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """When something is due.

    ``at``: on the wall clock, in seconds since 1970. ``steady``: on the clock that never jumps, of the run of the
    machine that ``boot`` names; while it is that run, this one counts. Without ``boot`` the wall clock alone decides.
    ``doubtful``: the wall clock was wrong when ``steady`` was reckoned; once it is behind this time it is right, and
    ``at`` counts again. 0: it was right.
    """

    at: float
    steady: float = 0.0
    boot: str = ""
    doubtful: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """Something that will come due.

    Attributes:
        id, kind: a timer is a stretch of time, an alarm or a reminder a time on the wall.
        label: the timer's name, or what to remind of; in the person's words.
        conversation: where it was set, and rings first.
        made_at: seconds since 1970.
        due: when; of what recurs, the next time.
        length_s: a timer's whole length.
        left_s: what is left of a timer that stands still; None: it runs.
        wall, zone: the time on the wall that ``due`` stands for, and where; empty for timers.
        rule, start: how it comes again, and the wall time from which that is counted.
        done: the latest wall times that have rung: the clock may be set back over them.
    """

    id: str
    kind: Kind
    label: str
    conversation: str
    made_at: float
    due: Due
    length_s: float = 0.0
    left_s: float | None = None
    wall: str = ""
    zone: str = ""
    rule: SpokenRule | None = None
    start: str = ""
    done: tuple[str, ...] = ()

    @property
    def wall_time(self) -> datetime:
        """``wall`` as a time."""
        return datetime.fromisoformat(self.wall)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ring:
    """Something that has come due and was not acknowledged yet.

    Attributes:
        id: its own.
        item: what came due, as it was.
        began: when it began to ring (again).
        state: it rings, will ring again at ``due``, or rang and nobody answered: then that is told.
        due: when a snoozed one rings again.
        while_off: it came due while the program did not run.
        times: how often it came due meanwhile.
    """

    id: str
    item: Item
    began: Due
    state: RingState = "ringing"
    due: Due | None = None
    while_off: bool = False
    times: int = 1


Entry = Item | Ring
CLOCK = "clock"  # the entry that says where the wall clock was last seen


def to_body(entry: Entry) -> Mapping[str, Any]:
    """The entry as JSON holds it."""
    return {"sort": "item" if isinstance(entry, Item) else "ring", **asdict(entry)}


def from_body(body: Mapping[str, Any]) -> Entry:
    """The entry that ``to_body`` made.

    Raises:
        StorageError: it is none, or one of a newer version.
    """
    try:
        values = {name: value for name, value in body.items() if name != "sort"}
        if body["sort"] == "item":
            return _item(values)
        due = Due(**values["due"]) if values["due"] is not None else None
        return Ring(**{**values, "item": _item(values["item"]), "began": Due(**values["began"]), "due": due})
    except (ValueError, KeyError, TypeError) as error:
        raise StorageError(f"what comes due cannot be understood ({error}); run the version that wrote it") from error


def _item(values: Mapping[str, Any]) -> Item:
    rule = values["rule"]
    if rule is not None:
        rule = SpokenRule(**{**rule, "weekdays": tuple(rule["weekdays"])})
    return Item(**{**values, "rule": rule, "due": Due(**values["due"]), "done": tuple(values["done"])})


def moved(entry: Due, by: float) -> Due:
    """The same moment after the wall clock was set on by so many seconds."""
    return replace(entry, at=entry.at + by)
