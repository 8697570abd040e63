"""Amounts of something in words: money, measures, shares."""

from __future__ import annotations

import re

from pipecatapp.languages import language
from pipecatapp.voice.aloud.numbers import formatted, is_one, number

_ALOUD = language().aloud
_SCALES = {"k": "thousand", "m": "million", "bn": "billion", "b": "billion"}
_SUBUNITS = re.compile(r"[\d,]+\.\d\d")
# What pipecat has a word for, in its own spelling.
_FORMATTED = (
    "km", "cm", "mm", "mi", "ft", "in", "yd", "kg", "mg", "lb", "oz", "ml", "mph", "kph", "kmh", "GB", "MB", "kB", "TB",
    "Hz", "kHz", "MHz", "GHz", "gb", "mb", "tb",
)  # fmt: skip
UNITS = sorted({*_ALOUD.units, *_FORMATTED}, key=len, reverse=True)
CURRENCIES = sorted(_ALOUD.currencies, key=len, reverse=True)


def money(sign: str, amount: str, scale: str) -> str:
    """``$4.50`` -> "four dollars and fifty cents", ``$1.2 million`` -> "one point two million dollars"."""
    one, more = _ALOUD.currencies[sign]
    minus, amount = _signed(amount)
    if scale:
        return f"{minus}{number(amount)} {_SCALES.get(scale.lower(), scale)} {more}"
    if len(sign) > 1 or not _SUBUNITS.fullmatch(amount):
        return f"{minus}{number(amount)} {one if is_one(amount) else more}"
    said = formatted(f"{sign}{amount}") if sign in "$\u20ac\u00a3\u20b9" else f"{number(amount)} {more}"
    return minus + said.removeprefix(f"zero {more} and ")


def measure(amount: str, unit: str, *, shared: bool = False) -> str:
    """``5 km`` -> "five kilometers", and where another word shares it ("a 5-km run") "five kilometer"."""
    minus, amount = _signed(amount)
    if (words := _ALOUD.units.get(unit)) is not None:
        return f"{minus}{number(amount)} {words[0] if shared or is_one(amount) else words[1]}"
    spoken = number(amount)
    unit_spoken = formatted(f"{'1' if shared or is_one(amount) else '2'}{unit}").partition(" ")[2]
    return f"{minus}{spoken} {unit_spoken}"


def percent(amount: str) -> str:
    """``4.5%``."""
    minus, amount = _signed(amount)
    return f"{minus}{number(amount)} percent"


def _signed(amount: str) -> tuple[str, str]:
    if amount[:1] in "-\u2212+":
        return ("plus " if amount[0] == "+" else "minus "), amount[1:].lstrip()
    return "", amount
