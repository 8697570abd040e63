"""Is this bracket the beginning of a tool call? Judged by the first characters, while the model still writes."""

from __future__ import annotations

import re
from collections.abc import Collection
from enum import Enum, auto

from pipecatapp.twin.speak.call_forms import CALL_KEYS, NAME_KEYS

_WINDOW = 200  # characters; a call says before them which tool it means
_OPEN_OBJECT = re.compile(r"(?:\[\s*)?\{\s*")
_KEY = re.compile(r"([\"']?)(\w*)")
_COLON = re.compile(r"\s*:\s*")
_FUNCTION = re.compile(r"\"?([\w.-]{0,100})\"?")
_FUNCTION_OPEN = "<function="
_BODY = re.compile(r"\s{0,100}(?:([\[{<])|([A-Za-z_][\w.-]{0,100})([^\w.-])?)")
_NAME = re.compile(r"[A-Za-z_][\w.-]*")
# A tool is named somewhere in a value that is not whole or not JSON.
_NAMED = re.compile(rf"[\"']?\b(?:{'|'.join(NAME_KEYS)})\b[\"']?\s{{0,20}}:\s{{0,20}}[\"']([A-Za-z_][\w.-]*)[\"']")


class Guess(Enum):
    """What begins at a bracket."""

    WORDS = auto()
    VALUE = auto()  # JSON, and no call: nothing inside of it is one either
    MORE = auto()  # more text is needed
    JSON = auto()  # perhaps a call in JSON
    PYTHON = auto()  # perhaps calls in brackets


def guess_call(text: str, at: int, names: Collection[str], *, final: bool = False) -> Guess:
    """What begins at the bracket here.

    Args:
        text: what was written so far.
        at: where the bracket stands.
        names: the tools that can be called.
        final: no more text follows.
    """
    window = text[at : at + _WINDOW]
    guess = _guess(window, names)
    if guess is Guess.MORE and (final or len(window) == _WINDOW):
        return Guess.WORDS
    return guess


def guess_form(text: str, at: int, names: Collection[str], *, held: bool, final: bool) -> bool | None:
    """Whether what stands behind a marker has the form of a call; None: that cannot be said yet.

    ``held``: the marker is the beginning of the form itself, ``<function=``.
    """
    if held:
        return _guess_function(text, at + len(_FUNCTION_OPEN), names)
    body = _BODY.match(text, at)
    if body is None:
        return None if not text[at : at + 101].strip() else False
    if body[1]:
        return True
    if body[3] is None:
        return True if body[2] in names and final else None
    return body[2] in names or body[3] in "[{"


def _guess_function(text: str, at: int, names: Collection[str]) -> bool | None:
    """Whether ``<function=`` goes on, here, with one of these tools; None: that cannot be said yet."""
    found = _FUNCTION.match(text, at)
    if found is None or (found.end() < len(text) and text[found.end()] != ">"):
        return False
    return found[1] in names if found.end() < len(text) else None


def names_tool(text: str, names: Collection[str]) -> bool:
    """Whether one of these tools is named as a call names it."""
    return any(found[1] in names for found in _NAMED.finditer(text))


def _guess(window: str, names: Collection[str]) -> Guess:
    opened = _OPEN_OBJECT.match(window)
    if opened is None:
        return _guess_list(window, names)
    rest = window[opened.end() :]
    key = _KEY.match(rest)
    if key is None or not rest:
        return Guess.MORE
    quote, name = key.groups()
    behind = rest[key.end() :]
    if not behind:
        return Guess.MORE if any(known.startswith(name) for known in CALL_KEYS) else _no(quote)
    if name not in CALL_KEYS or (quote and not behind.startswith(quote)):
        return _no(quote)
    behind = behind.removeprefix(quote)
    colon = _COLON.match(behind)
    if colon is None:
        return Guess.MORE if not behind.strip() else _no(quote)
    return _guess_value(name, behind[colon.end() :], names)


def _guess_value(key: str, value: str, names: Collection[str]) -> Guess:
    if key not in NAME_KEYS:
        return Guess.JSON
    if not value:
        return Guess.MORE
    if value[0] == "{":
        return Guess.JSON if key == "function" else Guess.VALUE
    if value[0] not in "\"'":
        return Guess.VALUE
    end = value.find(value[0], 1)
    if end < 0:
        return Guess.MORE if any(name.startswith(value[1:]) for name in names) else Guess.VALUE
    return Guess.JSON if value[1:end] in names else Guess.VALUE


def _guess_list(window: str, names: Collection[str]) -> Guess:
    """The same of what begins with ``[`` and no object in it."""
    inner = window[1:].lstrip()
    if not inner:
        return Guess.MORE
    name = _NAME.match(inner)
    if name is None:
        return _no(inner[0])
    behind = inner[name.end() :].lstrip()
    if not behind:
        return Guess.MORE if any(known.startswith(name[0]) for known in names) else Guess.WORDS
    return Guess.PYTHON if behind[0] == "(" and name[0] in names else Guess.WORDS


def _no(sign: str) -> Guess:
    """Not a call; by its next character, whether it is JSON at all."""
    return Guess.VALUE if sign and (sign in "\"'[{-" or sign.isdigit()) else Guess.WORDS
