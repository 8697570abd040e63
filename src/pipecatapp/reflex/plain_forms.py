"""Commands that are in every house: forms so plain that nothing need be learned, and that training never saw."""

from __future__ import annotations

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
PLAIN_FORMS = tuple(
    Command(say, (Guess(tool, call),), forms(say))
    for tool, said in (("list.remove", _CLEARED), ("memory.remember", _NOTED))
    for say, call in said
)
