"""A duration in words or figures as seconds, for the tools that take a number."""

from __future__ import annotations

import re

_SMALL = {
    word: at
    for at, word in enumerate(
        [
            "zero",
            "one",
            "two",
            "three",
            "four",
            "five",
            "six",
            "seven",
            "eight",
            "nine",
            "ten",
            "eleven",
            "twelve",
            "thirteen",
            "fourteen",
            "fifteen",
            "sixteen",
            "seventeen",
            "eighteen",
            "nineteen",
        ]
    )
}
_TENS = {
    word: 10 * at
    for at, word in enumerate(["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"], start=2)
}
_ONES = {"a": 1.0, "an": 1.0, "half": 0.5, "quarter": 0.25, "couple": 2.0, "few": 3.0, "dozen": 12.0}
_UNITS = {
    "s": 1,
    "sec": 1,
    "second": 1,
    "m": 60,
    "min": 60,
    "minute": 60,
    "h": 3600,
    "hr": 3600,
    "hour": 3600,
    "day": 86400,
    "week": 604800,
}
_WORD = re.compile(r"\d+/\d+|\d+(?:\.\d+)?|[a-z]+")


def seconds_of(text: str) -> int | None:
    """``ten minutes``: 600; ``an hour and a half``: 5400; None where no span of time is named."""
    total = 0.0
    count: float | None = None
    last_unit = 0
    words = _WORD.findall(text.lower().replace("-", " "))
    for at, word in enumerate(words):
        unit = _UNITS.get(word) or _UNITS.get(word.removesuffix("s"))
        if unit and not (word == "seconds" and not at):
            total += (1.0 if count is None else count) * unit
            count, last_unit = None, unit
        elif "/" in word:
            above, below = word.split("/")
            count = (count or 0.0) + int(above) / max(1, int(below))
        elif word[0].isdigit():
            count = (count or 0.0) + float(word)
        elif word in _SMALL or word in _TENS:
            count = (count or 0.0) + _SMALL.get(word, _TENS.get(word, 0))
        elif word == "hundred":
            count = (count or 1.0) * 100
        elif word in ("half", "quarter", "quarters"):
            part = 0.5 if word == "half" else 0.25
            if last_unit and "hour" not in words[at:] and "minute" not in words[at:]:
                total += part * last_unit  # an hour and a half
                count = None
            elif "and" in words[:at] and count and count >= 1 and word != "quarters":
                count += part  # one and a half hours
            else:
                count = part * (count if count else 1.0)
        elif word in _ONES and (count is None or _ONES[word] > 1):
            count = _ONES[word]
    return round(total) if last_unit else None
