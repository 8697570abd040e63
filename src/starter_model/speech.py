"""How things sound when a recognizer writes them down: lower case, no punctuation, numbers and signs as words."""

from __future__ import annotations

import re

_SMALL = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
)  # fmt: skip
_TENS = ("", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_SIGNS = {
    ".": "dot", "-": "dash", "/": "slash", "_": "underscore", ":": "colon", "@": "at", "+": "plus", "*": "times",
    "=": "equals", "&": "and", "%": "percent", "#": "hash", "|": "pipe", "~": "tilde",
}  # fmt: skip


def number_words(number: int) -> str:
    """``47`` -> ``forty seven``; up to 999,999.

    Raises:
        ValueError: outside that range.
    """
    if not 0 <= number < 1_000_000:
        raise ValueError(f"no words for {number}")
    if number < 20:
        return _SMALL[number]
    if number < 100:
        return _TENS[number // 10] + (f" {_SMALL[number % 10]}" if number % 10 else "")
    if number < 1000:
        rest = number % 100
        return f"{_SMALL[number // 100]} hundred" + (f" {number_words(rest)}" if rest else "")
    rest = number % 1000
    return f"{number_words(number // 1000)} thousand" + (f" {number_words(rest)}" if rest else "")


def spoken(text: str, *, spell_signs: bool) -> str:
    """``text`` as a recognizer would write it. ``spell_signs``: signs are said (an address), else they are silent."""
    text = text.replace("'", "\0")
    out = []
    for piece in re.findall(r"[A-Za-z\0]+|\d+|\s+|.", text.lower()):
        if piece.isdigit():
            # Long or zero-led numbers are read digit by digit.
            long = len(piece) > 3 or (len(piece) > 1 and piece.startswith("0"))
            words = " ".join(_SMALL[int(digit)] for digit in piece) if long else number_words(int(piece))
            out.append(f" {words} ")
        elif piece in _SIGNS and spell_signs:
            out.append(f" {_SIGNS[piece]} ")
        elif re.fullmatch(r"[a-z\0]+", piece):
            out.append(piece)
        else:
            out.append(" ")
    return " ".join("".join(out).replace("\0", "'").split())
