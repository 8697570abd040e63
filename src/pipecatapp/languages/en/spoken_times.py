"""Durations, times of day, dates and repetitions as one says them; and which of several somebody means."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date, datetime, timedelta

from pipecatapp.languages.en.durations import duration
from pipecatapp.languages.en.numbers import NUMBERS
from pipecatapp.languages.en.spoken_numbers import ordinal, plain
from pipecatapp.languages.spoken_time import RingAnswer, SpokenChoice

_UNITS = ((86_400, "day"), (3600, "hour"), (60, "minute"), (1, "second"))
_WEEKDAYS = tuple(name.capitalize() for name in NUMBERS.weekdays[:7])
_MONTHS = tuple(name.capitalize() for name in NUMBERS.months)
_YOURS = {
    "my": "your", "me": "you", "i": "you", "mine": "yours", "myself": "yourself", "i'm": "you're", "i've": "you've",
    "i'll": "you'll", "am": "are", "our": "your", "us": "you", "we": "you",
}  # fmt: skip

_PLACES = {
    "first": 0,
    "1st": 0,
    "second": 1,
    "2nd": 1,
    "third": 2,
    "3rd": 2,
    "4th": 3,
    "5th": 4,
    "oldest": 0,
    "earliest": 0,
}
_LAST = {"last", "newest", "latest", "other"}
_EVERY = {"all", "both", "every", "everything", "each", "them"}
_CHOOSING = re.compile(
    rf"^(?:the )?(?P<word>{'|'.join([*_PLACES, *_LAST, *_EVERY])})(?: of (?:them|the))?"
    r"(?: (?:one|1|two|2))?(?: (?:timers?|alarms?|reminders?))?$"
)

_OPENING = r"(?:(?:hey|oh|ok|okay|please|just|now|yes|yeah|alright|right|well|computer|can you|could you|will you),? )*"
_CLOSING = r"(?:,? (?:please|now|already|thanks|thank you|okay|ok|that|it|again))*"
_RING = r"(?: (?:it|that|this|the (?:alarm|timer|ringing|reminder|noise|bell|sound)|ringing|that noise|alarm|timer))?"
_STOP = re.compile(
    rf"{_OPENING}(?:(?:stop|quiet|silence|enough|hush|cancel|dismiss|end|mute|finish){_RING}|be quiet|shut up|shush|"
    rf"(?:turn|switch|shut) (?:(?:it|that|this|the (?:alarm|timer|reminder)) off|off{_RING})|okay|ok|all right|alright|"
    rf"thanks|thank you|got it|i got it|yes|yeah|yep|fine|done|i'm (?:up|awake|coming|here)|i am (?:up|awake)|"
    rf"i heard(?: you| it)?|that's enough|i know|off|right){_CLOSING}"
)
_SNOOZE = re.compile(
    rf"{_OPENING}(?:(?:snooze|later|not now|not yet|wait){_RING}(?: (?:for |in )?(?P<a>.+?))?|"
    rf"(?:give me |i need )?(?P<b>.+? more(?: minutes?| hours?)?|(?:another|(?:\d+|a few) more) .+?)|"
    rf"(?:(?:wake|remind|call|ring|tell)(?: me)?(?: again)?|again) in (?P<c>.+?)){_CLOSING}"
)
_SHORTLY = frozenset({"a bit", "a while", "a moment", "a little", "a few minutes", "a few more minutes", "again"})


def say_duration(seconds: float) -> str:
    """``5400`` -> "1 hour 30 minutes"; to the second, from ten hours on to the minute."""
    rest = max(0, round(seconds))
    if rest >= 36_000:
        rest -= rest % 60
    parts = []
    for size, unit in _UNITS:
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count} {unit}{'' if count == 1 else 's'}")
    return " ".join(parts) or "0 seconds"


def name_by_duration(seconds: float) -> str:
    """``600`` -> "10-minute", in front of what lasts so long."""
    for size, unit in _UNITS:
        if seconds >= size and seconds % size == 0:
            return f"{round(seconds / size)}-{unit}"
    return say_duration(seconds).replace(" ", "-")


def say_time(at: datetime) -> str:
    """``17:30`` -> "5:30 in the afternoon"."""
    if at.minute == 0 and at.hour in (0, 12):
        return "noon" if at.hour else "midnight"
    hour = (at.hour - 1) % 12 + 1
    part = (
        "in the morning" if at.hour < 12 else "in the afternoon" if at.hour < 18
        else "in the evening" if at.hour < 21 else "at night"
    )  # fmt: skip
    return f"{hour}:{at.minute:02} {part}" if at.minute else f"{hour} {part}"


def say_day(day: date, today: date) -> str:
    """``on Friday, 4 December``; with the year where it is another one. "today"; "tomorrow" with the date."""
    year = "" if day.year == today.year else f" {day.year}"
    full = f"{_WEEKDAYS[day.weekday()]}, {day.day} {_MONTHS[day.month - 1]}{year}"
    if day == today:
        return "today"
    return f"tomorrow, {full}" if day == today + timedelta(days=1) else f"on {full}"


def say_moment(at: datetime, now: datetime) -> str:
    """A moment as a person in that zone says it: "tomorrow, Monday, 30 November at 7 in the morning"."""
    return f"{say_day(at.date(), now.date())} at {say_time(at)}"


def say_weekdays(days: Sequence[int]) -> str:
    """``(0, 3)`` -> "Monday and Thursday"; the working days and the weekend by their names."""
    if tuple(days) == (0, 1, 2, 3, 4):
        return "weekday"
    names = [_WEEKDAYS[day] for day in days]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def say_rule(every: str, interval: int, weekdays: Sequence[int], at: datetime) -> str:
    """How often: "every Monday and Thursday at 7 in the morning". ``at`` is one of the times."""
    unit = {"daily": "day", "weekly": "week", "monthly": "month", "yearly": "year"}[every]
    count = "every" if interval == 1 else "every other" if interval == 2 else f"every {interval}"
    if every == "weekly" and weekdays:
        named = say_weekdays(weekdays)
        often = f"{count} {named}" if interval < 3 else f"{count} weeks on {named}"
    else:
        often = f"{count} {unit}{'s' if interval > 2 else ''}"
    if every == "monthly":
        often += f" on the {ordinal(at.day)}"
    elif every == "yearly":
        often += f" on {at.day} {_MONTHS[at.month - 1]}"
    return f"{often} at {say_time(at)}"


def address(text: str) -> str:
    """What a person says of themselves, said to them: "call my mum" -> "call your mum"."""
    return re.sub(r"[A-Za-z]+(?:'[a-z]+)?", lambda word: _YOURS.get(word.group().lower(), word.group()), text)


def choose(words: str) -> SpokenChoice | None:
    """Which of several is meant, where that is said by their order: "the second one", "both"."""
    found = _CHOOSING.match(plain(words))
    if found is None:
        return None
    word = found["word"]
    if word in _EVERY:
        return SpokenChoice(every=True)
    return SpokenChoice(-1 if word in _LAST else _PLACES[word])


def answer_ring(words: str) -> RingAnswer | None:
    """What a whole utterance says to something that rings; None: it is about something else."""
    text = plain(words)
    if _STOP.fullmatch(text):
        return RingAnswer("stop")
    found = _SNOOZE.fullmatch(text)
    if found is None:
        return None
    said = found["a"] or found["b"] or found["c"] or ""
    if not said or said in _SHORTLY:
        return RingAnswer("snooze")
    said = re.sub(r"\b(?:another|more)\b", " ", said).strip()
    seconds = duration(" ".join(said.split()))
    return RingAnswer("snooze", seconds) if seconds else None
