"""Commands that are in every house: forms so plain that nothing need be learned, and that training never saw."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pipecatapp.intents import Guess
from pipecatapp.reflex.commands import Command, forms

_ALL = {"item": "everything"}
_CLEARED = (
    ("(clear|empty|wipe) [out] [the|my|our] {list} list", {"list": "{list}", **_ALL}),
    ("(remove|take|delete|clear) everything (from|off|on) [the|my|our] {list} list", {"list": "{list}", **_ALL}),
    ("(clear|empty|wipe) [out] (the|my|our) list", _ALL),
)
# "Remember the Alamo" is none, "remember I parked at the station" is a fact.
_NOTED = (("remember [that] i {what}", {"text": "I {what}"}), ("remember [that] we {what}", {"text": "we {what}"}))
_ENTERED = (
    ("(add|put) {item} (to|on|onto) [the|my|our] {list} list", {"item": "{item}", "list": "{list}"}),
    ("(add|put) {item} (to|on|onto) (the|my|our) list", {"item": "{item}"}),
)
_SUMMED_UP = (
    "what do you (remember|know) [about (me|us)]",
    "what (did|have) (i|we) (ask|asked|tell|told) you to remember",
    "what have (i|we) told you",
)
_DATED = tuple(
    (f"(what|which) (day|date) (is|was|will) it [be] {day}", {"question": f"what day is {day}"})
    for day in ("tomorrow", "yesterday")
)
# Whether it can, not that it shall.
_ABLE = tuple(
    f"{asks} (timers|alarms|reminders|lists|shopping lists|sums|conversions)"
    for asks in (
        "can you (set|do|make|keep)",
        "are you able to (set|do|make|keep)",
        "do you (have|do|keep|know how to set)",
    )
)
_SAID: Mapping[str, Sequence[tuple[str, Mapping[str, str]]]] = {
    "calendar.ask": _DATED,
    "list.remove": _CLEARED,
    "list.add": _ENTERED,
    "memory.remember": _NOTED,
    "mcp.get_memory_summary": [(say, {}) for say in _SUMMED_UP],
    "what_can_you_do": [(say, {}) for say in _ABLE],
}
PLAIN_FORMS = tuple(
    Command(say, (Guess(tool, call),), forms(say)) for tool, said in _SAID.items() for say, call in said
)
