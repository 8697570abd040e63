"""Number words as digits, for the grammars of durations and times."""

from __future__ import annotations

import re

from num2words import num2words

_UNITS = {num2words(value): value for value in range(20)} | {"oh": 0, "zero": 0}
_TENS = {num2words(value): value for value in range(20, 100, 10)}
# "second" is a unit of time much more often.
_ORDINALS = {
    num2words(value, to="ordinal"): value for value in range(1, 32) if value != 2 and value not in range(21, 30)
}
_TENTHS = {num2words(value, to="ordinal"): value for value in range(1, 10)}
_ENDINGS = {1: "st", 2: "nd", 3: "rd"}
_FRACTIONS = {"\u00bc": "1/4", "\u00bd": "1/2", "\u00be": "3/4"}
_TOKEN = re.compile(r"\d+(?:[.:/,]\d+)+|\d+|[a-z]+(?:'[a-z]+)?|[^\W\d_]+")


def plain(text: str) -> str:
    """Text in lower case, words and numbers with one space between them, its number words as digits.

    ``Half past five, a.m.`` -> ``half past 5 am``; "five thirty" stays two numbers, "twenty five" becomes one.
    """
    for sign, written in _FRACTIONS.items():
        text = text.replace(sign, f" {written} ")
    text = text.casefold().replace("\u2019", "'").replace("-", " ") if not _is_date(text) else text.casefold()
    text = re.sub(r"\b([ap])\.? ?m\b\.?", r"\1m", text)
    text = re.sub(r"\bo' ?clock\b", "oclock", text)
    text = re.sub(r"(?<=\d)(?=[a-z])", " ", re.sub(r"\b(\d+)(st|nd|rd|th)\b", r"\1@\2", text))
    words = text.replace("@", "").split()
    return " ".join(_digits([found for word in words for found in _tokens(word)]))


def ordinal(value: int) -> str:
    """``21`` -> "21st"."""
    ending = "th" if value % 100 in range(11, 14) else _ENDINGS.get(value % 10, "th")
    return f"{value}{ending}"


def _is_date(text: str) -> bool:
    return re.search(r"\d{4}-\d{1,2}-\d{1,2}", text) is not None


def _tokens(word: str) -> list[str]:
    if re.fullmatch(r"\d{4}-\d{1,2}-\d{1,2}[.,]?", word):
        return [word.strip(".,")]
    if re.fullmatch(r"\d+(?:st|nd|rd|th)[.,]?", word):
        return [word.strip(".,")]
    return [found.group() for found in _TOKEN.finditer(word)]


def _digits(words: list[str]) -> list[str]:
    out: list[str] = []
    at = 0
    while at < len(words):
        if words[at] == "oh" and at + 1 < len(words) and 0 < _UNITS.get(words[at + 1], 0) < 10:
            out.append(f"0{_UNITS[words[at + 1]]}")  # "seven oh five", as on a clock
            at += 2
            continue
        value, is_ordinal, used = _number(words, at)
        if not used:
            out.append(words[at])
            at += 1
            continue
        at += used
        decimals = "" if is_ordinal or words[at : at + 1] != ["point"] else _decimals(words, at + 1)
        if decimals:
            out.append(f"{value}.{decimals}")
            at += 2 if words[at + 1].isdigit() else 1 + len(decimals)
        else:
            out.append(ordinal(value) if is_ordinal else str(value))
    return out


def _number(words: list[str], at: int) -> tuple[int, bool, int]:
    """The number that begins here, whether it is an ordinal, and how many words it has; 0 words: none."""
    value, used = 0, 0
    word = words[at]
    if word.isdigit() and words[at + 1 : at + 2] != ["point"]:
        return 0, False, 0
    if word.isdigit():
        return int(word), False, 1
    if word in _TENS:
        value, used = _TENS[word], 1
        following = words[at + 1] if at + 1 < len(words) else ""
        if 0 < _UNITS.get(following, 0) < 10 and following != "oh":
            value, used = value + _UNITS[following], 2
        elif following in _TENTHS:
            return value + _TENTHS[following], True, 2
    elif word in _UNITS:
        value, used = _UNITS[word], 1
    elif word in _ORDINALS:
        return _ORDINALS[word], True, 1
    elif word == "a" and words[at + 1 : at + 2] == ["hundred"]:
        value, used = 1, 1
    if used and value and words[at + used : at + used + 1] == ["hundred"]:
        value, used = value * 100, used + 1
        joined = used + (words[at + used : at + used + 1] == ["and"])
        if at + joined < len(words):
            rest, ordinal_rest, more = _number(words, at + joined)
            if more and not ordinal_rest and rest < 100 and not words[at + joined].isdigit():
                value, used = value + rest, joined + more
    return value, False, used


def _decimals(words: list[str], at: int) -> str:
    """The digits behind "point": one word of digits, or digit by digit."""
    if at < len(words) and words[at].isdigit():
        return words[at]
    digits = ""
    while at < len(words) and _UNITS.get(words[at], 10) < 10:
        digits += str(_UNITS[words[at]])
        at += 1
    return digits
