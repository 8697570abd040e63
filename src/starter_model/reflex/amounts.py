"""Fresh times, durations, sums and quantities in the many ways in which people write and say them."""

from __future__ import annotations

import random
from collections.abc import Sequence

from starter_model.speech import number_words

_MINUTES = (1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 15, 18, 20, 25, 30, 35, 40, 45, 50, 55, 60, 75, 90, 120)
_HOURS = (1, 2, 3, 4, 5, 6, 8, 10, 12, 24)
_SECONDS = (5, 10, 15, 20, 30, 40, 45, 60, 90, 100, 120)
_FIXED_DURATIONS = (
    "half an hour", "a half hour", "an hour", "an hour and a half", "one and a half hours", "a quarter of an hour",
    "three quarters of an hour", "1 1/2 hours", "1.5 hours", "two and a half hours", "a minute", "half a minute",
    "a couple of minutes", "a minute and a half", "an hour and ten minutes", "90 secs", "a day", "a week",
    "an hour and a quarter", "two and a half minutes", "1/2 hour", "quarter of an hour", "half hour", "a few minutes",
    "a quarter hour", "thirty", "2h", "1h30", "1h 30m", "5m", "45s", "5min", "0:30", "1:30", "fifteen", "a sec",
    "a second", "just one minute", "exactly ten minutes", "about twenty minutes", "one hour thirty",
)  # fmt: skip
_LATER = ("tomorrow", "in ten days", "in two weeks", "the day after tomorrow", "in a fortnight", "in 100 days")
_DAYPARTS = ("in the morning", "in the afternoon", "in the evening", "at night", "this evening", "tonight")


class Amounts:
    """Draws amounts.

    Args:
        rng: chooses.
        lists: closed lists of words by name.
    """

    def __init__(self, rng: random.Random, lists: dict[str, tuple[str, ...]]) -> None:
        self._rng = rng
        self._lists = lists

    def number(self, count: int) -> str:
        """In digits or in words."""
        return str(count) if self._rng.random() < 0.5 else number_words(count)

    def _pick(self, values: Sequence[str]) -> str:
        return self._rng.choice(values)

    def duration(self) -> str:
        """``ten minutes``, ``an hour and a half``, ``1 h 20 min``."""
        rng = self._rng
        roll = rng.random()
        if roll < 0.2:
            return self._pick(_FIXED_DURATIONS)
        if roll < 0.32:
            hours, minutes = rng.choice((1, 2, 3)), rng.choice((5, 10, 15, 20, 30, 40, 45))
            joint = self._pick((" and ", " ", " ", ", "))
            first = f"{self.number(hours)} hour{'s' if hours > 1 else ''}" if rng.random() < 0.8 else f"{hours} h"
            return f"{first}{joint}{self.number(minutes)} {self._pick(('minutes', 'minutes', 'min', 'mins'))}"
        if roll < 0.38:
            minutes, seconds = rng.randint(1, 15), rng.choice((10, 15, 20, 30, 45))
            plural = "s" if minutes > 1 else ""
            return f"{self.number(minutes)} minute{plural} {self._pick(('and ', ''))}{self.number(seconds)} seconds"
        unit = rng.choices(("minute", "second", "hour"), (7, 2, 2))[0]
        table = {"minute": _MINUTES, "second": _SECONDS, "hour": _HOURS}[unit]
        count = rng.choice(table) if rng.random() < 0.75 else rng.randint(1, 99 if unit != "hour" else 12)
        short = {"minute": ("min", "mins", "m"), "second": ("sec", "secs", "s"), "hour": ("h", "hrs", "hr")}[unit]
        said = f"{unit}{'s' if count > 1 else ''}" if rng.random() < 0.85 else rng.choice(short)
        return f"{self.number(count)} {said}"

    def duration_adjective(self) -> str:
        """``ten minute``, ``5-minute``, ``half hour``."""
        rng = self._rng
        if rng.random() < 0.12:
            return self._pick(("half hour", "half-hour", "quarter hour", "one hour", "hour", "two hour", "90 second"))
        count = rng.choice(_MINUTES)
        unit = rng.choices(("minute", "second", "hour", "min"), (8, 2, 2, 1))[0]
        return f"{self.number(count)}{self._pick((' ', ' ', '-'))}{unit}"

    def clock(self) -> str:
        """``7``, ``half past five``, ``6:30 pm``, ``eight o'clock``."""
        rng = self._rng
        hour, minute = rng.randint(1, 12), rng.choice((5, 10, 15, 20, 25, 30, 35, 40, 45, 50, 55))
        said = self.number(hour)
        half = self._pick((" am", " pm", "am", "pm", " a.m.", " p.m.", "", "", "", "", "", ""))
        kind = rng.randrange(15)
        if kind < 3:
            return f"{said}{half if said.isdigit() or half.startswith(' ') else ''}"
        if kind < 5:
            return f"{hour}:{minute:02}{half}"
        if kind == 5:
            return f"{rng.randint(0, 23)}:{minute:02}"
        if kind == 6:
            return f"{hour}.{minute:02}" if rng.random() < 0.5 else f"{hour}{minute:02}"
        if kind < 9:
            return f"{number_words(hour)} {number_words(minute)}{half if half.startswith(' ') else ''}"
        if kind == 9:
            return f"half past {said}"
        if kind == 10:
            return f"(quarter|a quarter) {self._pick(('past', 'to'))} {said}".replace(
                "(quarter|a quarter)", self._pick(("quarter", "a quarter"))
            )
        if kind == 11:
            near = self._pick(("past", "to", "after", "before"))
            return f"{self.number(rng.choice((5, 10, 20, 25)))} {near} {said}"
        if kind == 12:
            return f"{said} o'clock"
        if kind == 13:
            return self._pick(("noon", "midnight", "midday", "half six", "half seven", "half eight", "lunchtime"))
        return f"{said} {self._pick(('in the morning', 'in the evening', 'in the afternoon', 'at night'))}"

    def weekday(self) -> str:
        """A day's name, mostly with a small letter."""
        day = self._pick(self._lists["weekday"])
        return day.capitalize() if self._rng.random() < 0.3 else day

    def _date(self) -> str:
        month, day = self._pick(self._lists["month"]).capitalize(), self._rng.randint(1, 28)
        ordinal = _ordinal(day)
        return self._pick(
            (f"the {ordinal}", f"the {ordinal} of {month}", f"{month} {ordinal}", f"{month} {day}", f"{day} {month}",
             f"the {ordinal} at", f"{day}.{self._rng.randint(1, 12)}.", f"{self._rng.randint(1, 12)}/{day}")
        ).removesuffix(" at")  # fmt: skip

    def day(self) -> str:
        """``tomorrow``, ``on friday``, ``next week``, ``on March 3rd``."""
        rng = self._rng
        roll = rng.random()
        if roll < 0.4:
            return self._pick(
                ("tomorrow", "tomorrow", "tomorrow", "tomorrow", "today", "today", "tonight", "tomorrow morning",
                 "tomorrow afternoon", "tomorrow evening", "tomorrow night", "this evening", "this afternoon",
                 "this morning", "the day after tomorrow", "tonight", "this weekend", "at the weekend", "next week",
                 "next month", "on the weekend", "later today", "first thing tomorrow", "in the morning",
                 "in the evening", "on my birthday", "on christmas eve", "at easter", "by tonight", "before bed")
            )  # fmt: skip
        if roll < 0.75:
            part = self._pick(("", "", "", "", " morning", " evening", " afternoon", " night"))
            return f"{self._pick(('on ', 'on ', 'on ', '', 'next ', 'this ', 'by ', 'next '))}{self.weekday()}{part}"
        if roll < 0.9:
            return f"on {self._date()}"
        return f"in {self.number(rng.randint(2, 14))} {self._pick(('days', 'weeks', 'days', 'months'))}"

    def recurring(self) -> str:
        """``every weekday``, ``each monday``, ``daily``."""
        day = self.weekday()
        return self._pick(
            ("every day", "every morning", "every evening", "every night", "every weekday", "on weekdays", "daily",
             f"every {day}", f"each {day}", f"every other {day}", f"on {day}s", "every week", "every month", "weekly",
             f"every {day} and {self.weekday()}", "every two weeks", "each morning", "on weekends", "every weekend",
             "every hour", "every two hours", f"every first {day} of the month", "every first of the month", "yearly",
             f"every {day} evening", f"every {day} morning", "every year", "monday to friday", "every three days",
             "twice a day", "once a week", "from monday to friday", f"{day}s", "every half hour", "every 30 minutes")
        )  # fmt: skip

    def relative(self) -> str:
        """``in ten minutes``, ``two hours from now``."""
        roll = self._rng.random()
        if roll < 0.75:
            return f"in {self.duration_long()}"
        if roll < 0.85:
            return f"{self.duration_long()} from now"
        return self._pick(("in a fortnight", "in a while", "in an hour", "in half an hour", "in an hour or so",
                           "in a week", "in a minute", "in a couple of hours", "in a bit", "in two weeks"))  # fmt: skip

    def duration_long(self) -> str:
        """A duration that has a unit."""
        while True:
            found = self.duration()
            if found not in ("thirty", "fifteen") and ":" not in found:
                return found

    def time_of_day(self) -> str:
        """``at five``, ``by noon``, ``around 3 pm``."""
        return (
            f"{self._pick(('at', 'at', 'at', 'at', 'at', 'by', 'around', 'before', 'after', 'about'))} {self.clock()}"
        )

    def when(self) -> str:
        """When a reminder is due, with the words that belong to it."""
        roll = self._rng.random()
        if roll < 0.24:
            return self.day()
        if roll < 0.44:
            return self.time_of_day()
        if roll < 0.58:
            return f"{self.day()} {self.time_of_day()}"
        if roll < 0.66:
            return f"{self.time_of_day()} {self.day()}"
        if roll < 0.86:
            return self.relative()
        if roll < 0.92:
            return self._pick((f"{self.recurring()} {self.time_of_day()}", self.recurring()))
        if roll < 0.96:
            return f"{self.time_of_day()} {self._pick(_DAYPARTS)}"
        return self._pick(("after lunch", "before lunch", "after work", "before dinner", "after dinner", "at lunchtime",
                           "before i go to bed", "after school", "at dinner time", "when i get up", "at sunset",
                           "at the end of the month", "before breakfast", "at bedtime", "after the news"))  # fmt: skip

    def alarm_when(self) -> str:
        """The time of an alarm, maybe with its day."""
        roll = self._rng.random()
        if roll < 0.5:
            return self.clock()
        if roll < 0.75:
            return f"{self.clock()} {self.day()}"
        if roll < 0.9:
            return f"{self.day().removeprefix('on ')} {self.time_of_day()}"
        return f"{self.clock()} {self.recurring()}"

    def expression(self) -> str:
        """A sum in signs or in words."""
        rng, number = self._rng, self._figure
        a, b, c = number(), number(), number()
        kind = rng.randrange(19)
        if kind < 4:
            sign = self._pick(("+", "-", "*", "/", "x", "\u00d7", "\u00f7"))
            gap = self._pick((" ", " ", ""))
            a, b = self._digits(), self._digits()
            more = f"{gap}{self._pick(('+', '-', '*'))}{gap}{self._digits()}" if rng.random() < 0.2 else ""
            return f"{a}{gap}{sign}{gap}{b}{more}"
        if kind < 9:
            first = self._pick(("plus", "minus", "times", "divided by", "multiplied by", "over", "and", "less"))
            first = "plus" if first == "and" and rng.random() < 0.6 else first
            more = f" {self._pick(('plus', 'minus', 'times', 'divided by'))} {c}" if rng.random() < 0.25 else ""
            return f"{a} {first} {b}{more}"
        if kind < 13:
            percent = self._pick((" percent", "%", " per cent", " percent", " %"))
            return f"{self._pick((str(rng.randint(1, 99)), self.number(rng.randint(1, 99))))}{percent} of {a}"
        if kind == 13:
            return f"{self._pick(('the ', '', 'the '))}{self._pick(('square', 'cube'))} root of {a}"
        if kind == 14:
            return f"{a} {self._pick(('squared', 'cubed', 'to the power of ' + self.number(rng.randint(2, 9))))}"
        if kind == 15:
            share = self._pick(("a third", "half", "a quarter", "two thirds", "three quarters", "a tenth", "a fifth"))
            return f"{share} of {a}"
        if kind == 16:
            return f"({self._digits()} {self._pick(('+', '-'))} {self._digits()}) * {self._digits()}"
        if kind == 17:
            return self._pick((f"{a} {self._pick(('plus', 'minus', '+', '-'))} {rng.randint(1, 40)} %",
                               f"{rng.randint(2, 9)}^{rng.randint(2, 9)}", f"sqrt({self._digits()})",
                               f"{rng.randint(2, 12)} factorial", f"the sum of {a} and {b}", f"twice {a}",
                               f"the product of {a} and {b}", f"{a} split {self.number(rng.randint(2, 9))} ways",
                               f"{a} divided among {self.number(rng.randint(2, 9))}", f"a dozen times {a}",
                               f"the difference between {a} and {b}", f"the average of {a} and {b}",
                               f"{rng.randint(3, 30)} percent tip on {a}", f"double {a}", f"half of {a}",
                               f"{a} less {rng.randint(2, 50)} percent", f"{a} mod {b}"))  # fmt: skip
        return f"{a} {self._pick(('times', 'plus', 'minus', 'divided by'))} {b}"

    def _digits(self) -> str:
        rng = self._rng
        roll = rng.random()
        if roll < 0.15:
            return f"{rng.randint(0, 99)}.{rng.randint(1, 99)}"
        return str(rng.randint(1, rng.choice((12, 99, 999, 9999, 100000))))

    def _figure(self) -> str:
        rng = self._rng
        if rng.random() < 0.5:
            return self._digits()
        if rng.random() < 0.15:
            return f"{number_words(rng.randint(1, 30))} point {number_words(rng.randint(0, 9))}"
        if rng.random() < 0.2:
            return number_words(rng.randint(100, 99999)).replace(
                " hundred ", self._pick((" hundred ", " hundred and "))
            )
        return number_words(rng.randint(1, 120))

    def operation(self, verb: str) -> str:
        """``multiply 5 by 6``."""
        a, b = self._figure(), self._figure()
        return {
            "multiply": f"multiply {a} {self._pick(('by', 'by', 'with', 'and'))} {b}",
            "divide": f"divide {a} by {b}",
            "add": f"add {a} {self._pick(('and', 'to', 'and'))} {b}"
            if self._rng.random() < 0.8
            else f"add up {a} and {b}",
            "subtract": f"subtract {a} from {b}",
        }[verb]

    def quantity(self) -> str:
        """``5 miles``, ``a pound``, ``two and a half cups``."""
        rng = self._rng
        if rng.random() < 0.2:
            one = self._pick(self._lists["oneunit"])
            return f"{self._pick(('one', '1', 'an' if one[0] in 'aeiou' else 'a', 'half a'))} {one}"
        unit = self._pick(self._lists["unit"])
        count = self._pick(
            (self._digits(), self._figure(), f"{self.number(rng.randint(1, 20))} and a half", "a hundred")
        )
        if rng.random() < 0.1:
            measure = self._pick(("cups", "ounces", "grams", "pounds", "pints", "tablespoons", "litres"))
            unit = f"{measure} of {self._pick(self._lists['item'])}"
        minus = self._pick(("minus ", "-")) if "elsius" in unit or "heit" in unit else ""
        minus = minus if rng.random() < 0.15 else ""
        return f"{minus}{count} {unit}" if unit not in ("metric", "imperial") else f"{count} miles"

    def calendar(self) -> str:
        """A question for the calendar."""
        rng, day = self._rng, self._pick(self._lists["holiday"])
        date = self._date()
        until = self._pick(("until", "till", "to", "before"))
        return self._pick((
            f"how many days {until} {day}", f"how many weeks {until} {day}", f"how long {until} {day}",
            f"how many days is it {until} {day}",
            f"how many {self._pick(('days', 'weeks', 'months'))} are left {until} {day}",
            f"when is {day} [this year]".replace(" [this year]", self._pick((" this year", "", " next year"))),
            f"which day is {date}", f"what day is {date}", f"what weekday is {date}", f"what day of the week is {date}",
            f"what day does {day} fall on", f"on which day is {day}", f"what day is {day}",
            f"what day does {date} fall on",
            f"what date is {self._pick(('next ', 'this ', 'the coming '))}{self.weekday()}",
            "what is the date "
            f"{self._pick(('tomorrow', 'next ' + self.weekday(), 'on ' + self.weekday(), 'in two weeks'))}",
            f"what day {self._pick(('is it', 'will it be', 'do we have'))} "
            f"{self._pick(_LATER)}",
            f"what day was {self._pick(('yesterday', date, 'the first', 'it yesterday', 'it a week ago'))}",
            f"how many days {self._pick(('has', 'are in', 'does'))} {self._pick(self._lists['month'])}"
            f"{' have' if rng.random() < 0.3 else ''}",
            f"is {rng.randint(2024, 2032)} a leap year",
            f"which {self._pick(('calendar week', 'week', 'week number'))} "
            f"{self._pick(('is it', 'is this', 'are we in', 'do we have'))}",
            f"how many days between {self._date()} and {self._date()}", f"is {date} a {self.weekday()}",
            f"is {day} on a {self.weekday()}", f"what's the date of {day}",
            f"when does {day} {self._pick(('start', 'begin', 'fall'))}",
            f"how many {self.weekday()}s are "
            f"{self._pick(('in this month', 'in ' + self._pick(self._lists['month']), 'left this year'))}",
            f"how many {self._pick(('days', 'weeks'))} {self._pick(('since', 'after'))} {date}",
            f"how many sleeps till {day}", f"what date was last {self.weekday()}",
            "how many weeks are there in this year",
            "when is the next "
            f"{self._pick(('bank holiday', 'full moon', 'holiday', self.weekday() + ' the thirteenth', 'leap year'))}",
            f"how many months {until} {day}",
            "what is the date "
            f"{self._pick(('a week from now', '90 days from today', 'three weeks from ' + self.weekday()))}",
            f"how far away is {day}", f"how soon is {day}", f"days until {day}", "when do the clocks change",
        ))  # fmt: skip


def _ordinal(day: int) -> str:
    ending = "th" if 10 < day % 100 < 14 else {1: "st", 2: "nd", 3: "rd"}.get(day % 10, "th")
    return f"{day}{ending}"
