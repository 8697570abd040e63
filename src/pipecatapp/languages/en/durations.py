"""Durations in words: "an hour and a half", "three quarters of an hour", "1 1/2 hours", "5 min 30 sec"."""

from __future__ import annotations

import re

from pipecatapp.languages.en.spoken_numbers import plain
from pipecatapp.languages.spoken_time import SpokenChange

_UNIT_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800, "f": 1_209_600}
_UNIT = r"(?P<unit>hours?|hrs?|h|minutes?|mins?|m|seconds?|secs?|s|days?|d|weeks?|fortnights?)(?![a-z0-9])"
_AMOUNT = (
    r"(?:(?P<whole>\d+)(?: and)?(?: a)? (?P<over>\d)/(?P<under>\d)"
    r"|(?P<over2>\d)/(?P<under2>\d)(?: of)?(?: an?)?"
    r"|(?P<and>\d+|an?) and (?:a |1 )?(?P<part>half|quarter|3 quarters)(?: an?)?"
    r"|(?P<number>\d+(?:\.\d+)?)"
    r"|(?P<three>3 quarters)(?: of)?(?: an?)?"
    r"|(?:a |1 )?(?P<fraction>half|quarter)(?: of)?(?: an?)?"
    r"|(?:a )?(?P<couple>couple)(?: of)?"
    r"|(?P<one>an?))"
)
_THREE = re.compile(rf"3 quarters(?: of)?(?: an?)? {_UNIT}")
_PIECE = re.compile(rf"{_AMOUNT} ?{_UNIT}")
# "an hour and a half"; not where it is half of something else ("an hour and half a minute").
_TAIL = re.compile(
    r" and (?:a |1 )?(?P<part>half|quarter|3 quarters)(?! (?:of |an? |hours?|minutes?|seconds?|mins?|secs?))(?![a-z])"
)
_AND_MORE = re.compile(r"(?: and|,)? ")
_BARE = re.compile(r"(?P<number>\d{1,2})(?![\d:./a-z]| [a-z])")
_CLOCK = re.compile(r"(\d+):(\d\d)(?::(\d\d))?(?P<hours> (?:hours?|hrs?|h))?(?: (?:minutes?|mins?))?$")
_FRACTION = {"half": 0.5, "quarter": 0.25, "3 quarters": 0.75}
_BEFORE = re.compile(
    r"^(?:(?:for|of|about|around|roughly|exactly|another|the|a timer|timer|please|in|set|it|countdown|just|by) )+"
)
_AFTER = re.compile(r"(?: (?:timer|please|long|only|from now|countdown|now))+$")

_MORE = re.compile(r"\b(?:more|longer|add|extend|extra|additional|another|plus|further|on top|later)\b")
_LESS = re.compile(r"\b(?:less|fewer|shorter|subtract|remove|minus|reduce|shorten|take|cut|knock|off|earlier|down)\b")
_CHANGE_WORDS = re.compile(
    r"\b(?:more|longer|add|extend|extra|additional|another|plus|further|on top|later|less|fewer|shorter|subtract|"
    r"remove|minus|reduce|shorten|take|cut|knock|off|earlier|give|it|that|me|by|from|to|the timer|timer|please|make|"
    r"set|change|instead|only|just|with|run|go|down|up)\b"
)


def duration(words: str) -> float | None:
    """The seconds that a duration is; None where it is none, or where more is said than that.

    A number alone is minutes, "5:30" is minutes and seconds.
    """
    text = _AFTER.sub("", _BEFORE.sub("", f"{plain(words)} ").strip())
    if (clock := _CLOCK.fullmatch(text)) is not None:
        first, second, third = int(clock[1]), int(clock[2]), int(clock[3] or 0)
        if clock[3] is not None:
            return float(first * 3600 + second * 60 + third)
        return float(first * 3600 + second * 60) if clock["hours"] else float(first * 60 + second)
    if re.fullmatch(r"\d+(?:\.\d+)?", text):
        return float(text) * 60
    found = scan(text)
    return found[0] if found is not None and found[1] == len(text) else None


def scan(text: str, at: int = 0) -> tuple[float, int] | None:
    """The duration that begins here in plain text: its seconds, and where it ends. None: there is none."""
    total, end, last = 0.0, at, 0
    while True:
        start = end
        if end > at:
            joint = _AND_MORE.match(text, end)
            if joint is None:
                break
            start = joint.end()
        piece = _THREE.match(text, start) or _PIECE.match(text, start)
        unit = _UNIT_S[_letter(piece)] if piece is not None else 0
        if piece is None:
            # "an hour and twenty", "1 minute 30"
            bare = _BARE.match(text, start) if last in (60, 3600) else None
            if bare is not None:
                total, end = total + int(bare["number"]) * last / 60, bare.end()
            break
        if last and unit >= last:
            break
        total += _amount(piece) * unit
        end, last = piece.end(), unit
        if (tail := _TAIL.match(text, end)) is not None:
            total, end = total + _FRACTION[tail["part"]] * unit, tail.end()
    return (total, end) if end > at else None


def is_days(text: str) -> bool:
    """Whether a duration in plain text is named in days, weeks or fortnights alone."""
    return all(_letter(piece) in "dwf" for piece in _PIECE.finditer(text))


def change(words: str) -> SpokenChange | None:
    """What becomes of a duration: "five minutes more", "take ten off", "to twenty minutes"; None: not understood."""
    text = plain(words)
    more, less = _MORE.search(text), _LESS.search(text)
    if more and less:
        return None
    rest = " ".join(_CHANGE_WORDS.sub(" ", text).split())
    seconds = duration(rest)
    if seconds is None:
        seconds = duration(f"a {rest}")  # "another minute"
    if seconds is None:
        return None
    return SpokenChange("more" if more else "less" if less else "to", seconds)


def _letter(piece: re.Match[str]) -> str:
    return piece["unit"][0]


def _amount(piece: re.Match[str]) -> float:
    groups = piece.groupdict()
    if piece.re is _THREE:
        return 0.75
    if groups["whole"] is not None:
        return int(groups["whole"]) + _divided(groups["over"], groups["under"])
    if groups["over2"] is not None:
        return _divided(groups["over2"], groups["under2"])
    if groups["and"] is not None:
        return (int(groups["and"]) if groups["and"].isdigit() else 1) + _FRACTION[groups["part"]]
    if groups["number"] is not None:
        return float(groups["number"])
    if groups["fraction"] is not None:
        return _FRACTION[groups["fraction"]]
    return 2.0 if groups["couple"] is not None else 0.75 if groups["three"] is not None else 1.0


def _divided(over: str, under: str) -> float:
    return int(over) / int(under) if int(under) else 0.0
