"""What fills the slots of ``phrases/*.txt``: names, things, tasks, places, and the amounts of amounts.py."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from functools import cache
from importlib import resources

from starter_model.reflex.amounts import Amounts
from starter_model.values import Values

_VOLUME_UP = (
    "up",
    "up a bit",
    "up a little",
    "up a notch",
    "a bit up",
    "way up",
    "up please",
    "up some",
    "all the way up",
)
_VOLUME_DOWN = (
    "down",
    "down a bit",
    "down a little",
    "down a notch",
    "a bit down",
    "way down",
    "down some",
    "right down",
)
_COMPARATIVES = (
    "louder", "quieter", "softer", "a bit louder", "a little louder", "a bit quieter", "a little quieter",
    "more quietly",
    "much louder", "much quieter", "a lot louder", "a lot quieter", "lower", "higher", "a little softer", "up",
)  # fmt: skip
_LEVELS = (
    "half", "maximum", "max", "full", "minimum", "zero", "a hundred", "medium", "the maximum", "the minimum", "low",
    "high",
)  # fmt: skip


@cache
def closed_lists() -> dict[str, tuple[str, ...]]:
    """The lists of ``lists.txt``."""
    text = resources.files("starter_model.reflex").joinpath("phrases", "lists.txt").read_text(encoding="utf-8")
    found = {}
    for line in text.splitlines():
        if line and not line.startswith("#"):
            name, values = line.split(": ", 1)
            found[name] = tuple(value.strip() for value in values.split(", "))
    return found


class Slots:
    """Draws values.

    Args:
        rng: chooses.
        vocabulary: English words, the frequent ones first, for whatever a person may name.
    """

    def __init__(self, rng: random.Random, vocabulary: Sequence[str]) -> None:
        self._rng = rng
        self._words = vocabulary
        self._lists = closed_lists()
        self.amounts = amounts = Amounts(rng, self._lists)
        self._old = Values(rng, False)
        pick = self._listed
        self._makers: dict[str, Callable[[], str]] = {
            "anyword": self.word, "city": self._city, "timezone": self._city, "dish": self._dish, "item": self._item,
            "list": self._list, "task": self._task, "matter": self._matter, "statement": self._statement,
            "duration": amounts.duration, "duration_adj": amounts.duration_adjective,
            "duration_in": amounts.duration_long,
            "time": amounts.clock, "alarmtime": amounts.clock, "alarmwhen": amounts.alarm_when,
            "alarmwhen_at": self._alarm_at, "attime": amounts.time_of_day, "in_time": amounts.relative,
            "atclock": lambda: f"{self._one('at', 'at', 'at', 'by')} {amounts.clock()}", "when": amounts.when,
            "when_bare": self._when_bare, "recurring": amounts.recurring, "dayword": self._dayword,
            "dayfirst": lambda: f"{amounts.day()} {amounts.time_of_day()}", "weekday": amounts.weekday,
            "tomorrows": lambda: self._one("tomorrow's", "today's", f"{amounts.weekday()}'s", "tomorrow morning's"),
            "recuradj": lambda: self._one("daily", "weekly", "weekday", "recurring daily", "every day"),
            "expr": amounts.expression, "quantity": amounts.quantity, "calq": amounts.calendar,
            "mulpair": lambda: amounts.operation("multiply"), "divpair": lambda: amounts.operation("divide"),
            "addpair": lambda: amounts.operation("add"), "subpair": lambda: amounts.operation("subtract"),
            "one_unit": lambda: f"{self._one('a', 'an', 'one')} {pick('oneunit')}",
            "more": self._more, "another": lambda: f"another {amounts.duration_long()}",
            "more_bare": lambda: self._one("a minute", "another minute", "five", "ten", "a few minutes", "an hour"),
            "longer": lambda: f"{amounts.duration_long()} {self._one('longer', 'shorter', 'more', 'less')}",
            "takeoff": lambda: f"{self._one('take', 'knock')} {amounts.duration_long()} off",
            "addlit": lambda: "add", "extend": lambda: self._one("extend", "prolong", "lengthen", "increase",
            "bump up"),
            "shorten": lambda: self._one("shorten", "cut", "reduce"),
            "byduration": lambda: f"by {amounts.duration_long()}",
            "toduration": lambda: f"to {amounts.duration_long()}",
            "updown": lambda: self._one(*_VOLUME_UP, *_VOLUME_DOWN), "comparative": lambda: self._one(*_COMPARATIVES),
            "level": self._level, "mutes": lambda: self._one("mute", "unmute", "mute"),
            "volabs": lambda: self._one(self._level(), "up", "down", "max", "louder", "quieter", "minimum"),
            "verbvol": lambda: self._one("raise", "lower", "increase", "decrease", "reduce", "boost", "mute"),
            "tooloud": lambda: self._one("loud", "quiet", "soft"), "verb": lambda: pick("anyverb"),
            "n": lambda: amounts.number(rng.randint(1, 60)), "pycode": self._code,
            "cmd": lambda: self._old_or("verbcmd", "command"),
            "hostname": self._host, "pb": self._playbook, "pbname": self._pbname, "site": lambda: self._old_or("site",
            "url"),
            "svc": lambda: self._old_or("svc", "service"), "mything": self._mything,
            "relative": lambda: pick("relative"),
        }  # fmt: skip

    def draw(self, kind: str) -> str:
        """A value of this kind.

        Raises:
            KeyError: there is no such kind.
        """
        if (make := self._makers.get(kind)) is not None:
            return make()
        return self._listed(kind)

    def word(self) -> str:
        """Any English word, the frequent ones more often."""
        return self._words[min(len(self._words) - 1, int(len(self._words) * self._rng.random() ** 1.6))]

    def _one(self, *values: str) -> str:
        return self._rng.choice(values)

    def _listed(self, name: str) -> str:
        return self._rng.choice(self._lists[name])

    def _often(self, usual: Callable[[], str], else_: Callable[[], str], share: float) -> str:
        return usual() if self._rng.random() < share else else_()

    def _old_or(self, name: str, old: str) -> str:
        return self._often(lambda: self._listed(name), lambda: self._old.draw(old).text, 0.5)

    def _city(self) -> str:
        city = self._listed("city") if self._rng.random() < 0.93 else self.word().capitalize()
        return city if self._rng.random() < 0.6 or city in ("UTC", "GMT") else city.lower()

    def _dish(self) -> str:
        if self._rng.random() < 0.22:
            return self._one(self.word(), f"{self.word()} {self._listed('dish')}", self._listed("person"))
        if self._rng.random() < 0.04:
            return f"{self._listed('dish')} and {self._listed('dish')}"
        return self._listed("dish")

    def _item(self) -> str:
        rng = self._rng
        roll = rng.random()
        if roll < 0.15:
            return self._listed("itemtask")
        if roll < 0.25:
            return self._one(self.word(), f"{self.word()} {self.word()}", f"a {self.word()}", f"{self._listed('verb')}")
        item = self._listed("item")
        if roll < 0.45:
            item = f"{self._listed('unit_pack')} {item.removeprefix('a ')}"
        if roll > 0.86:
            item = f"{item} and {self._listed('item')}"
        if 0.76 < roll < 0.86:
            item = self._one(
                f"{self.word()} {item}", f"some {item}", f"some {self.word()} {item}", f"those {item}", f"the {item}"
            )
        if roll > 0.97:
            item = f"{self._listed('item')}, {item}"
        return item

    def _list(self) -> str:
        return self._often(lambda: self._listed("list"), lambda: self._one(self.word(), self._listed("person")), 0.9)

    def _task(self) -> str:
        if self._rng.random() < 0.62:
            return self._listed("verb")
        object_ = self._one(f"the {self.word()}", f"my {self.word()}", self._listed("item"), f"a {self.word()}",
                            f"{self._listed('person')}", f"my {self._listed('relative')}")  # fmt: skip
        tail = self._one(
            "",
            "",
            "",
            f" for {self._listed('person')}",
            f" from the {self.word()}",
            f" with my {self._listed('relative')}",
        )
        return f"{self._listed('anyverb')} {object_}{tail}"

    def _matter(self) -> str:
        if self._rng.random() < 0.75:
            return self._listed("matter")
        return self._one(f"the {self.word()}", f"my {self.word()}", f"the {self.word()} {self.word()}",
                         f"{self._listed('person')}'s {self.word()}",
                         f"the {self.word()} with {self._listed('person')}")  # fmt: skip

    def _statement(self) -> str:
        rng = self._rng
        if rng.random() < 0.45:
            return self._old.loose("statement")
        if rng.random() < 0.3:
            return self._listed("statement_reminder")
        who = self._one(
            "my " + self._listed("relative"),
            self._listed("person"),
            f"the {self.word()}",
            "my car",
            "the spare key",
            "i",
        )
        verb = "am" if who == "i" else self._one("is", "is", "likes", "has", "lives in", "works at", "hates")
        what = self._one(self.word(), f"a {self.word()}", f"in the {self.word()}", f"under the {self.word()}",
                         self._listed("city"), f"{self.word()} and {self.word()}", f"on {self.amounts.weekday()}s",
                         f"allergic to {self._listed('item')}", f"called {self._listed('person')}")  # fmt: skip
        return f"{who} {verb} {what}"

    def _mything(self) -> str:
        return self._often(
            lambda: self._listed("mything"),
            lambda: self._one(f"my {self.word()}", f"the {self.word()}", f"the {self.word()} {self.word()}",
                              f"my {self._listed('relative')}'s {self.word()}", self._listed("person")),
            0.6,
        )  # fmt: skip

    def _dayword(self) -> str:
        return self._one("tomorrow", "today", "tonight", "tomorrow", f"on {self.amounts.weekday()}", "tomorrow morning",
                         self.amounts.weekday(), f"next {self.amounts.weekday()}", "this evening",
                         self.amounts.day())  # fmt: skip

    def _alarm_at(self) -> str:
        return self._one(f"at {self.amounts.clock()}", self.amounts.relative(),
        f"{self._dayword()} at {self.amounts.clock()}",
                         f"at {self.amounts.clock()} {self._dayword()}", f"by {self.amounts.clock()}",
                         f"at {self.amounts.clock()} {self.amounts.recurring()}")  # fmt: skip

    def _when_bare(self) -> str:
        return self._one(self._dayword().removeprefix("on "), self.amounts.clock(),
                         f"{self._dayword().removeprefix('on ')} {self.amounts.time_of_day()}")  # fmt: skip

    def _more(self) -> str:
        rng = self._rng
        duration = self.amounts.duration_long()
        count, _, unit = duration.partition(" ")
        middle = (
            f"{count} more {unit}"
            if unit and count not in ("half", "an", "a", "three", "quarter")
            else f"{duration} more"
        )
        return rng.choice(
            (f"{duration} more", middle, f"another {duration}", f"{duration} less", f"{duration} extra", middle)
        )

    def _level(self) -> str:
        number = self.amounts.number(self._rng.choice((0, 5, 10, 20, 25, 30, 40, 50, 60, 70, 75, 80, 90, 100)))
        return self._one(f"{number} percent", f"{number}%", number, f"{self._rng.randint(1, 10)}", self._listed_level())

    def _listed_level(self) -> str:
        return self._rng.choice(_LEVELS)

    def _host(self) -> str:
        word = self._listed("hostword")
        return self._one(word, f"{word} {self._one('box', 'pi', 'pc', 'server', 'laptop', 'machine')}",
        f"{word}{self._rng.randint(1, 30)}", f"{word}-{self._rng.randint(1, 12):02}",
                         f"{word} {self.amounts.number(self._rng.randint(1, 12))}", f"the {word}", self.word(),
                         self._old.draw("host").text, f"{word}.local",
                         f"10.0.0.{self._rng.randint(2, 250)}")  # fmt: skip

    def _code(self) -> str:
        return self._old.draw("code").text

    def _pbname(self) -> str:
        return self._often(lambda: self._listed("pbword"), self.word, 0.8)

    def _playbook(self) -> str:
        name = self._pbname().replace(" ", self._one("_", "-"))
        return self._one(f"{name}.yaml", f"{name}.yml", f"{name} dot yaml", self._old.draw("playbook").text, name)
