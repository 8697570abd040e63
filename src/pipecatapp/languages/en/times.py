"""Times, days and repetitions in words: "half past five", "next Friday at noon", "every other Tuesday at 7:30"."""

from __future__ import annotations

import re
from collections.abc import Callable

from pipecatapp.languages.en.durations import is_days, scan
from pipecatapp.languages.en.numbers import NUMBERS
from pipecatapp.languages.en.spoken_numbers import plain
from pipecatapp.languages.spoken_time import DayPart, Frequency, SpokenDay, SpokenRule, SpokenTime, SpokenWhen

_WEEKDAYS = {name: at for at, name in enumerate(NUMBERS.weekdays[:7])}
_WEEKDAYS |= {
    "mon": 0, "tue": 1, "tues": 1, "wed": 2, "weds": 2, "thu": 3, "thur": 3, "thurs": 3, "fri": 4, "sat": 5, "sun": 6,
}  # fmt: skip
_MONTHS = {name: at for at, name in enumerate(NUMBERS.months, 1)}
_MONTHS |= {name[:3]: at for name, at in _MONTHS.items()} | {"sept": 9}
_NAMED_DAYS = {
    "christmas eve": (12, 24), "christmas day": (12, 25), "christmas": (12, 25), "boxing day": (12, 26),
    "new year's eve": (12, 31), "new years eve": (12, 31), "new year's day": (1, 1), "new years day": (1, 1),
    "new year": (1, 1), "halloween": (10, 31), "valentine's day": (2, 14), "valentines day": (2, 14),
}  # fmt: skip
_WORKING, _WEEKEND = (0, 1, 2, 3, 4), (5, 6)


def _any(words: object) -> str:
    return "|".join(sorted((re.escape(str(word)) for word in words), key=len, reverse=True))  # type: ignore[attr-defined]


_WD = rf"(?:{_any(_WEEKDAYS)})"
_WDS = rf"{_WD}s?(?:(?:,? and |,? | or ){_WD}s?)*"
_MONTH = rf"(?:{_any(_MONTHS)})"
_NTH = r"(?:\d{1,2}(?:st|nd|rd|th)|second)"
_PART = r"(?:morning|afternoon|evening|night)"
_FREQUENCIES: dict[str, Frequency] = {"day": "daily", "week": "weekly", "month": "monthly", "year": "yearly"}
_ADVERBS: dict[str, tuple[Frequency, int]] = {
    "daily": ("daily", 1), "weekly": ("weekly", 1), "fortnightly": ("weekly", 2), "monthly": ("monthly", 1),
    "yearly": ("yearly", 1), "annually": ("yearly", 1),
}  # fmt: skip
_HOURS = r"(?P<hour>\d{1,2}|noon|midday|midnight)"
_HALF = r"(?: oclock)?(?: (?P<half>am|pm|in the morning|in the afternoon|in the evening|at night))?"
_FILLERS = frozenset(
    {
        "at", "on", "the", "of", "in", "for", "by", "around", "about", "alarm", "alarms", "please", "then", "time",
        "from", "starting", "and", "up", "a", "an", "again", "oclock", "hours", "sharp", "exactly", "to", "my",
        "reminder", "one", "until", "that", "is", "it", "set", "day",
    }
)  # fmt: skip


class _Reading:
    """A text that is understood piece by piece: what was found is taken out of it."""

    def __init__(self, text: str) -> None:
        self.text = text

    def take(self, pattern: str) -> re.Match[str] | None:
        """The first place where this stands, as whole words."""
        found = re.search(rf"(?<![\w:.]){pattern}(?![\w:]|\.\d)", self.text)
        if found is not None:
            self.text = f"{self.text[: found.start()].rstrip()} ; {self.text[found.end() :].lstrip()}"
        return found

    @property
    def done(self) -> bool:
        """Whether nothing is left that says something."""
        return all(word in _FILLERS for word in re.findall(r"[^\s;,]+", self.text))


def when(words: str) -> SpokenWhen | None:
    """What is said of a time; None where something in it is not understood."""
    reading = _Reading(plain(words))
    if reading.take(
        r"(?:every|each) (?:\d+ |few |couple of |half )?(?:an )?(?:hours?|minutes?|seconds?)"
    ) or reading.take("hourly"):
        return SpokenWhen(too_often=True)
    rule, part = _rule(reading)
    after_s, day = _relative(reading)
    if day is None and after_s is None:
        day, named_part = _day(reading)
        part = named_part or part
    time = _time(reading)
    if time is not None and time[1] is not None:
        part = time[1]
    if (found := reading.take(rf"(?:(?:in|at|on)(?: the)? )?(?P<part>{_PART})s?")) is not None:
        part = _part(found["part"])
    if not reading.done:
        return None
    result = SpokenWhen(after_s=after_s, time=time[0] if time else None, part=part, day=day, rule=rule)
    return result if result != SpokenWhen() else None


def _part(word: str) -> DayPart:
    parts: dict[str, DayPart] = {
        "morning": "morning", "afternoon": "afternoon", "evening": "evening", "night": "night", "tonight": "night",
    }  # fmt: skip
    return parts[word]


# How often.


def _rule(reading: _Reading) -> tuple[SpokenRule | None, DayPart | None]:
    if found := reading.take(rf"(?:every|each)(?: single)? (?P<part>{_PART})"):
        return SpokenRule(every="daily"), _part(found["part"])
    if reading.take(r"(?:(?:every|each) weekend|(?:(?:on|at)(?: the)? )?weekends)"):
        return SpokenRule(every="weekly", weekdays=_WEEKEND), None
    if reading.take(
        r"(?:(?:every|each) (?:weekday|work(?:ing)? ?day)|(?:on(?: the)? )?(?:weekdays|work(?:ing)? ?days)"
        r"|(?:from )?monday (?:to|through) friday)"
    ):
        reading.take(r"every day")
        return SpokenRule(every="weekly", weekdays=_WORKING), None
    if found := reading.take(rf"(?:every|each) (?:(?P<other>other|{_NTH}|\d+) )?(?P<days>{_WDS})"):
        return SpokenRule(every="weekly", interval=_interval(found["other"]), weekdays=_weekdays(found["days"])), None
    if found := reading.take(rf"(?:on )?(?P<days>(?:{_WD}s)(?:(?:,? and |,? | or ){_WD}s)*)"):
        return SpokenRule(every="weekly", weekdays=_weekdays(found["days"])), None
    if found := reading.take(
        rf"(?:of )?(?:every|each) (?:single )?(?:(?P<other>other|{_NTH}|\d+) )?(?P<unit>day|week|month|year)s?"
    ):
        rule = SpokenRule(every=_FREQUENCIES[found["unit"]], interval=_interval(found["other"]))
        days = reading.take(rf"on (?P<days>{_WDS})") if found["unit"] == "week" else None
        if days is not None:
            rule = SpokenRule(every="weekly", interval=rule.interval, weekdays=_weekdays(days["days"]))
        return rule, None
    if reading.take(r"(?:every|each) fortnight"):
        return SpokenRule(every="weekly", interval=2), None
    if found := reading.take(rf"(?P<adverb>{_any(_ADVERBS)})"):
        every, interval = _ADVERBS[found["adverb"]]
        return SpokenRule(every=every, interval=interval), None
    return None, None


def _interval(word: str | None) -> int:
    if word is None:
        return 1
    if word in ("other", "second"):
        return 2
    return max(1, int(re.sub(r"\D", "", word)))


def _weekdays(text: str) -> tuple[int, ...]:
    names = re.findall(r"[a-z]+", text)
    return tuple(sorted({_WEEKDAYS.get(name, _WEEKDAYS.get(name.removesuffix("s"), -1)) for name in names} - {-1}))


# How long from now.


def _relative(reading: _Reading) -> tuple[float | None, SpokenDay | None]:
    if found := reading.take(r"in (?P<count>a|an|\d+) (?P<unit>month|year)s?(?:'s? time)?"):
        count = int(found["count"]) if found["count"].isdigit() else 1
        return None, SpokenDay(months=count * (12 if found["unit"] == "year" else 1))
    for begin in re.finditer(r"(?<!\w)(?:in|after) (?=[\da])|^|(?<=; )", reading.text):
        scanned = scan(reading.text, begin.end())
        if scanned is None:
            continue
        seconds, end = scanned
        behind = re.match(r"(?:'s? time| time| from now)(?!\w)", reading.text[end:])
        if not begin.group() and (behind is None or "from now" not in behind.group()):
            continue
        said = reading.text[begin.end() : end]
        end += behind.end() if behind else 0
        reading.text = f"{reading.text[: begin.start()]} ; {reading.text[end:]}"
        if is_days(said) and seconds % 86_400 == 0:
            return None, SpokenDay(days=int(seconds // 86_400))
        return seconds, None
    return None, None


# Which day.


def _day(reading: _Reading) -> tuple[SpokenDay | None, DayPart | None]:
    if found := reading.take(
        rf"(?:(?:a|1) week (?:from |on )?(?P<on>today|tomorrow|{_WD})|(?P<then>today|tomorrow|{_WD}) week)"
    ):
        return _weeks_later(found["on"] or found["then"]), None
    if reading.take(r"(?:the )?day after tomorrow"):
        return SpokenDay(days=2), None
    if reading.take("tomorrow"):
        return SpokenDay(days=1), None
    if reading.take("tonight"):
        return SpokenDay(days=0), "night"
    if found := reading.take(rf"this (?P<part>{_PART})"):
        return SpokenDay(days=0), _part(found["part"])
    if reading.take("today"):
        return SpokenDay(days=0), None
    return _weekday(reading) or _date(reading), None


def _weeks_later(word: str) -> SpokenDay:
    if word in _WEEKDAYS:
        return SpokenDay(weekday=_WEEKDAYS[word], weeks=1)
    return SpokenDay(days=7 if word == "today" else 8)


def _weekday(reading: _Reading) -> SpokenDay | None:
    if found := reading.take(rf"(?:on )?(?P<day>{_WD}) (?:of )?next week"):
        return SpokenDay(weekday=_WEEKDAYS[found["day"]], next_week=True)
    if found := reading.take(rf"next week (?:on )?(?P<day>{_WD})"):
        return SpokenDay(weekday=_WEEKDAYS[found["day"]], next_week=True)
    if found := reading.take(rf"(?:on )?(?:(?P<next>next)|this|this coming|coming|the coming)? ?(?P<day>{_WD})"):
        return SpokenDay(weekday=_WEEKDAYS[found["day"]], next_week=found["next"] is not None)
    if reading.take(r"(?:in )?next week"):
        return SpokenDay(days=7)
    if reading.take(r"(?:at|on|this|the)? ?(?:the )?weekend"):
        return SpokenDay(weekday=_WEEKEND[0])
    return None


def _date(reading: _Reading) -> SpokenDay | None:
    if found := reading.take(r"(?P<y>\d{4})-(?P<m>\d{1,2})-(?P<d>\d{1,2})"):
        return SpokenDay(day=int(found["d"]), month=int(found["m"]), year=int(found["y"]))
    if found := reading.take(rf"(?:on )?(?P<name>{_any(_NAMED_DAYS)})"):
        month, day = _NAMED_DAYS[found["name"]]
        return SpokenDay(day=day, month=month)
    if found := reading.take(
        rf"(?:on )?(?:the )?(?P<d>{_NTH}|\d{{1,2}})(?: day)?(?: of)? (?P<m>{_MONTH})(?:,? (?P<y>\d{{4}}))?"
    ) or reading.take(rf"(?:on )?(?P<m>{_MONTH})(?: the)? (?P<d>{_NTH}|\d{{1,2}})(?:,? (?P<y>\d{{4}}))?"):
        year = int(found["y"]) if found["y"] else None
        return SpokenDay(day=_nth(found["d"]), month=_MONTHS[found["m"]], year=year)
    if found := reading.take(rf"(?:on )?(?:the )?(?P<d>{_NTH}) of (?P<next>next|this) month"):
        return SpokenDay(day=_nth(found["d"]), months=1 if found["next"] == "next" else 0)
    if found := reading.take(rf"(?:on )?(?:the )?(?P<d>{_NTH})(?: day)?(?: of)?"):
        return SpokenDay(day=_nth(found["d"]))
    if reading.take("next month"):
        return SpokenDay(months=1)
    return None


def _nth(word: str) -> int:
    return 2 if word == "second" else int(re.sub(r"\D", "", word))


# At what time.

_Found = Callable[[re.Match[str]], SpokenTime | None]


def _time(reading: _Reading) -> tuple[SpokenTime, DayPart | None] | None:
    for pattern, read in _TIMES:
        probe = _Reading(reading.text)
        found = probe.take(pattern)
        if found is None or (time := read(found)) is None:
            continue
        reading.text = probe.text
        half = found.groupdict().get("half")
        if half in ("am", "pm"):
            return _with_half(time, half), None
        return time, _part(half.split()[-1]) if half else None
    return None


def _with_half(time: SpokenTime, half: str) -> SpokenTime:
    if time.hour > 12:
        return SpokenTime(time.hour, time.minute)
    return SpokenTime(time.hour % 12 + (12 if half == "pm" else 0), time.minute)


def _clock(hour: str, minute: str = "0", *, written: bool = True) -> SpokenTime | None:
    """``written``: on a clock of digits, where a nought in front says that it is before noon."""
    if hour in ("noon", "midday", "midnight"):
        return SpokenTime(12 if hour != "midnight" else 0, int(minute))
    hours, minutes = int(hour), int(minute)
    if hours > 24 or minutes > 59 or (hours == 24 and minutes):
        return None
    nought = written and hour.startswith("0")
    return SpokenTime(hours % 24, minutes, bare=0 < hours <= 12 and not nought)


def _before(time: SpokenTime | None, minutes: int) -> SpokenTime | None:
    """So many minutes before the hour."""
    if time is None or not 0 < minutes < 60:
        return None
    hour = (time.hour - 1) % 24
    if time.bare and hour == 0:
        hour = 12
    return SpokenTime(hour, 60 - minutes, bare=time.bare)


def _digits(found: re.Match[str]) -> SpokenTime | None:
    digits = found["digits"]
    return _clock(digits[:-2], digits[-2:])


_AT = r"(?:(?:at|by|around|about|for) )?"
_TIMES: tuple[tuple[str, _Found], ...] = (
    (rf"{_AT}half (?:past )?{_HOURS}{_HALF}", lambda found: _clock(found["hour"], "30")),
    (rf"{_AT}(?:a )?quarter (?:past|after) {_HOURS}{_HALF}", lambda found: _clock(found["hour"], "15")),
    (rf"{_AT}(?:a )?quarter (?:to|of|before|till|til) {_HOURS}{_HALF}",
     lambda found: _before(_clock(found["hour"]), 15)),
    (rf"{_AT}(?P<m>\d{{1,2}})(?: minutes?)? (?:past|after) {_HOURS}{_HALF}",
     lambda found: _clock(found["hour"], found["m"])),
    (rf"{_AT}(?P<m>\d{{1,2}})(?: minutes?)? (?:to|before|till|til) {_HOURS}{_HALF}",
     lambda found: _before(_clock(found["hour"]), int(found["m"]))),
    (r"(?:at )?(?:12 )?(?:noon|midday)", lambda _: SpokenTime(12)),
    (r"(?:at )?(?:12 )?midnight", lambda _: SpokenTime(0)),
    (rf"{_AT}(?P<hour>\d{{1,2}})[:.](?P<m>\d\d)(?::\d\d)?{_HALF}", lambda found: _clock(found["hour"], found["m"])),
    (rf"{_AT}(?P<digits>\d{{3,4}})(?: hours)?{_HALF}", _digits),
    (rf"{_AT}(?P<hour>\d{{1,2}}) (?P<m>[0-5]\d){_HALF}", lambda found: _clock(found["hour"], found["m"])),
    (rf"{_AT}(?P<hour>\d{{1,2}}) hundred(?: hours)?{_HALF}", lambda found: _clock(found["hour"])),
    (rf"{_AT}(?P<hour>\d{{1,2}}){_HALF}", lambda found: _clock(found["hour"])),
)  # fmt: skip
