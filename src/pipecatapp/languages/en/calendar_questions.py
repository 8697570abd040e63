"""Questions about days in words: "how many days until Christmas", "which day is the 14th", "is 2028 a leap year"."""

from __future__ import annotations

import re

from pipecatapp.languages.calendar_question import CalendarQuestion, Kind
from pipecatapp.languages.en.numbers import NUMBERS
from pipecatapp.languages.en.spoken_numbers import plain
from pipecatapp.languages.skills import Calendar

_MONTHS = "|".join(NUMBERS.months)
_UNIT = r"how many (?:more )?(?P<unit>days?|weeks?|months?)"
_BE = r"(?:(?:is|was|will) it(?: be)?|is|are|was|were|will be|does|do|did|falls?|fall on)"
_UNTIL = r"(?:until|till|til|to|before|is)"
_WEEK = r"(?:which|what)(?: calendar| iso)? week(?: number)?(?: of the year)?"
_OF = r"(?: of the (?:week|month))?"
_SPAN = rf"this month|next month|this year|next year|(?:{_MONTHS})(?: (?:\d{{4}}|this year|next year))?|\d{{4}}"
_LEAD = re.compile(r"^(?:(?:please|hey|and|so|well|tell me|can you tell me|could you tell me|do you know)[ ,]+)+")
_TAIL = re.compile(r"(?:[ ,]+(?:please|exactly|on|fall|falls|be|there))+$|[ ?.!]+$")
_PATTERNS: tuple[tuple[Kind, str], ...] = (
    ("leap", r"(?:is|was|will) (?:(?P<first>\d{4}|this year|next year|last year|it) )?(?:be )?a leap year"
             r"(?: in (?P<second>\d{4}))?"),
    ("next leap", r"when (?:is|was|will be|comes) (?:the )?(?:next )?leap year"),
    ("next leap", r"(?:which|what)(?: year)? is the next leap year"),
    ("left", rf"{_UNIT} (?:are (?:there )?)?(?:left|remain|remaining)(?: (?:in|of))? (?:the|this) "
             r"(?P<first>year|month|week)"),
    ("left", rf"{_UNIT} {_UNTIL} the end of (?:the|this) (?P<first>year|month|week)"),
    ("between", rf"{_UNIT} (?:are (?:there )?)?(?:between|from) (?P<first>.+?) (?:and|to|until|till) "
                r"(?P<second>.+)"),
    ("length", rf"how many days (?:are (?:there )?in|does|has|in)(?: the)?(?: month of)? (?P<first>{_SPAN})"
               r"(?: have)?"),
    ("until", rf"{_UNIT} (?:are there |is it |are left |do we have |left |away )?{_UNTIL} (?P<first>.+)"),
    ("until", rf"how (?:long|much longer|far)(?: is it| to go| away)? {_UNTIL} (?P<first>.+?)(?: away)?"),
    ("since", rf"{_UNIT} (?:is it |has it been |have passed )?since (?P<first>.+)"),
    ("since", r"how long (?:is it|has it been|ago (?:is|was)) (?:since )?(?P<first>.+)"),
    ("week", rf"{_WEEK}(?: is it| do we have| are we in| is (?:this|today))?"
             r"(?: (?:today|now|this week|right now))?"),
    ("week", rf"{_WEEK} (?:{_BE} )?(?P<first>.+?)(?: in)?"),
    ("week", rf"in (?:which|what)(?: calendar)? week {_BE} (?P<first>.+)"),
    ("day of year", r"(?:which|what) (?:number )?day of the year (?:is it|is (?P<first>.+))"),
    ("date", rf"(?:what|which) (?:day|date|weekday){_OF}(?: is it| is today(?:'s)?| do we have)?(?: today| now)?"),
    ("date", r"what(?:'s| is) (?:the )?(?:day|date)(?: (?:of )?today| now)?|what(?:'s| is) today'?s (?:day|date)"),
    ("date", r"what(?:'s| is) (?P<first>the day (?:after|before) .+)"),
    ("date", rf"(?:on )?(?:what|which) (?:day|date|weekday){_OF}(?: on the calendar)? {_BE} (?P<first>.+)"),
    ("date", r"what(?:'s| is| was| will be) (?:the )?(?:date|day|day of the week)(?: be)? "
             r"(?:on |of |for )?(?P<first>.+)"),
    ("date", r"when(?:'s| is| was| will| does| did) (?:be )?(?P<first>.+)"),
)  # fmt: skip
_FORMS = tuple((kind, re.compile(pattern)) for kind, pattern in _PATTERNS)


def read(question: str) -> CalendarQuestion | None:
    """What is asked; None where it is no question of the calendar."""
    said = " ".join(question.casefold().replace("\u2019", "'").split())
    for _ in range(3):
        said = _TAIL.sub("", _LEAD.sub("", said)).strip()
    for kind, pattern in _FORMS:
        if found := pattern.fullmatch(said):
            groups = found.groupdict()
            unit = (groups.get("unit") or "days").removesuffix("s") + "s"
            return CalendarQuestion(kind, groups.get("first") or "", groups.get("second") or "", unit)
    return None


# Days from Easter Sunday.
_FEASTS = {
    "easter": 0, "easter sunday": 0, "easter day": 0, "good friday": -2, "maundy thursday": -3, "holy thursday": -3,
    "palm sunday": -7, "easter monday": 1, "ash wednesday": -46, "shrove tuesday": -47, "pancake day": -47,
    "mardi gras": -47, "ascension day": 39, "ascension": 39, "pentecost": 49, "whit sunday": 49, "whitsun": 49,
    "whit monday": 50, "corpus christi": 60,
}  # fmt: skip
_YEAR = re.compile(r"(?: (?:in|of))? (?P<year>\d{4}|this year|next year|last year)$")


def feast(words: str) -> int | None:
    """How many days a feast that moves with Easter is from Easter Sunday; None for any other day."""
    return _FEASTS.get(words.removeprefix("the "))


def split_year(words: str) -> tuple[str, int | str]:
    """``easter 2027`` -> "easter", 2027; ``easter next year`` -> "easter", "next"; without a year "easter", ""."""
    found = _YEAR.search(f" {words}")
    if found is None:
        return words, ""
    year = found["year"]
    return words[: max(0, found.start() - 1)].strip(), int(year) if year.isdigit() else year.split()[0]


_AGO = re.compile(r"(?P<count>\d+|a|an) (?P<unit>day|week|month|year)s? ago")
_SHIFTED = re.compile(r"(?P<count>\d+|a|an|1) (?P<unit>day|week|month|year)s? (?P<way>from|after|before) (?P<day>.+)")


def shifted(words: str) -> tuple[str, int, str] | None:
    """``three weeks before christmas`` -> "christmas", -3, "weeks"; ``two days ago`` -> "today", -2, "days"; else
    None."""
    said = plain(words)
    if said in ("yesterday", "the day before yesterday", "day before yesterday"):
        return "today", -1 if said == "yesterday" else -2, "days"
    if found := _AGO.fullmatch(said):
        return "today", -_count(found["count"]), f"{found['unit']}s"
    if found := _SHIFTED.fullmatch(said):
        sign = -1 if found["way"] == "before" else 1
        return found["day"].replace("now", "today"), sign * _count(found["count"]), f"{found['unit']}s"
    return None


def last_weekday(words: str) -> int | None:
    """``last friday`` -> 4."""
    found = re.fullmatch(rf"(?:the )?last ({'|'.join(NUMBERS.weekdays[:7])})", words)
    return NUMBERS.weekdays.index(found[1]) if found else None


def month(words: str) -> int | None:
    """``february`` -> 2."""
    return NUMBERS.months.index(words) + 1 if words in NUMBERS.months else None


_CAPITALS = {name: name.capitalize() for name in (*NUMBERS.weekdays[:7], *NUMBERS.months)}
_CAPITALS |= {name: name.capitalize() for feasts in _FEASTS for name in feasts.split() if name not in ("day",)}
_CAPITALS |= {name: name.capitalize() for name in ("christmas", "halloween", "eve", "boxing")}


def title(words: str) -> str:
    """The words at the beginning of a sentence: ``next friday`` -> "Next Friday"."""
    written = capitals(words)
    return written[:1].upper() + written[1:]


def capitals(words: str) -> str:
    """Names of days with their capitals: ``good friday`` -> "Good Friday"."""
    return re.sub(r"[a-z]+", lambda word: _CAPITALS.get(word[0], word[0]), words)


def is_distance(words: str) -> bool:
    """Whether these words say how far away a day is: "in 30 days"."""
    return words.startswith("in ")


def is_name(words: str) -> bool:
    """Whether these words say more than a date does: "Christmas", "next Friday", not "4 July 2027"."""
    return re.search(r"\d|[^\W\d_]+ of ", words) is None and words not in ("today", "tomorrow")


def _count(word: str) -> int:
    return int(word) if word.isdigit() else 1


CALENDAR = Calendar(
    weekdays=tuple(name.capitalize() for name in NUMBERS.weekdays[:7]),
    months=tuple(name.capitalize() for name in NUMBERS.months),
    read=read,
    feast=feast,
    split_year=split_year,
    shifted=shifted,
    last_weekday=last_weekday,
    month=month,
    capitals=capitals,
    title=title,
    is_distance=is_distance,
    is_name=is_name,
)
