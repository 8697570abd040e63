"""Commands that are in every house: forms so plain that nothing need be learned, and that training never saw."""

from __future__ import annotations

from pipecatapp.intents import Guess
from pipecatapp.reflex.commands import Command, forms

_ALL = {"item": "everything"}
_SAID = (
    ("(clear|empty|wipe) [out] [the|my|our] {list} list", {"list": "{list}", **_ALL}),
    ("(remove|take|delete|clear) everything (from|off|on) [the|my|our] {list} list", {"list": "{list}", **_ALL}),
    ("(clear|empty|wipe) [out] (the|my|our) list", _ALL),
)
PLAIN_FORMS = tuple(Command(say, (Guess("list.remove", call),), forms(say)) for say, call in _SAID)
