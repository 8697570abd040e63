"""Fresh values for slots: hosts, commands, addresses, code, topics, facts, durations (shapes: ``phrases/values.txt``).

Every value belongs to one split by the checksum of its text, and so does every word that names are made of: what
evaluation asks for was never seen in training.
"""

from __future__ import annotations

import random
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from starter_model.patterns import Part, Pattern, Slot, load_sections, parse_pattern, read_resource
from starter_model.speech import number_words

_EVERYDAY_COUNTS = {
    "minute": (1, 2, 3, 5, 10, 12, 15, 20, 25, 30, 40, 45, 60, 90),
    "second": (10, 15, 20, 30, 45, 60, 90, 120, 180, 300, 600),
    "hour": (1, 2, 3, 4, 6, 8, 12, 24),
}
_SYLLABLES = (
    "ka", "lo", "mi", "ra", "ten", "vos", "del", "pi", "nur", "gas", "bel", "tor", "ax", "um", "fen", "dri", "sol",
    "que", "jan", "wix", "opt", "hal", "zed", "bor", "cy",
)  # fmt: skip
_ALPHABETS = ("abcdefghijklmnopqrstuvwxyz", "abcdefghijklmnopqrstuvwxyz0123456789", "0123456789abcdef")
_ROOTS = ("/var/log/", "/etc/", "/home/", "/opt/", "/tmp/", "/", "~/", "/srv/", "", "./", "/mnt/")  # noqa: S108
_ENDINGS = ("", "", ".log", ".txt", ".conf", ".yaml", ".json", ".service", ".sh", "/")
_RANGES = {
    "day": (1, 28), "hour": (1, 12), "to9": (1, 9), "to40": (1, 40), "to99": (1, 99), "to254": (1, 254),
    "to300": (5, 300), "to999": (2, 999), "port": (80, 9999),
}  # fmt: skip


def is_held_out(value: str) -> bool:
    """Whether a value belongs to evaluation; stable for ever."""
    return zlib.crc32(value.lower().encode()) % 5 == 0


@cache
def words() -> tuple[str, ...]:
    """The word list."""
    lines = read_resource("words.txt").splitlines()
    return tuple(word for line in lines if not line.startswith("#") for word in line.split())


@cache
def lists() -> dict[str, tuple[str, ...]]:
    """The closed lists of ``lists.txt``."""
    found = {}
    for line in read_resource("lists.txt").splitlines():
        if line and not line.startswith("#"):
            name, values = line.split(": ", 1)
            found[name] = tuple(value.strip() for value in values.split(", "))
    return found


@cache
def load_shapes(name: str) -> dict[str, tuple[list[Pattern], list[int]]]:
    """The patterns of a file like ``values.txt`` by section, with their weights."""
    found: dict[str, tuple[list[Pattern], list[int]]] = {}
    for line in read_resource(name).splitlines():
        if line.startswith("@ "):
            found[line[2:]] = ([], [])
        elif line and not line.startswith("#"):
            weight, star, body = line.partition("* ")
            if not (star and weight.isdigit()):
                weight, body = "1", line
            patterns, weights = found[next(reversed(found))]
            patterns.append(parse_pattern(body, held_out=False))
            weights.append(int(weight))
    return found


@dataclass(frozen=True, slots=True)
class Value:
    """What is written in the request, and what the tool gets (the same unless a number was said)."""

    text: str
    argument: str | int


class Values:
    """Draws values of one split."""

    def __init__(self, rng: random.Random, held_out: bool) -> None:
        self._rng = rng
        self.held_out = held_out
        self._words = [word for word in words() if is_held_out(word) == held_out]
        self._drawn: dict[str, Callable[[], str]] = {
            "word": lambda: rng.choice(self._words),
            "base": self._base,
            "capital": lambda: rng.choice([str.capitalize, str.upper])(self._base()),
            "lower_name": lambda: self.loose("name").lower(),
            "capital_target": lambda: rng.choice(
                [self.loose("word"), rng.choice(lists()["target_known"])]
            ).capitalize(),
            "path": self._path,
            "code": self._code,
            "statement": self._statement,
            "seen": lambda: self.fill(rng.choice(load_shapes("results.txt")["seen"][0]).expand(rng)),
            "hours": lambda: f"{rng.randint(0, 23):02}",
            "minutes": lambda: f"{rng.randint(0, 59):02}",
            "year": lambda: str(rng.randint(2024, 2035)),
            "said40": lambda: number_words(rng.randint(1, 40)),
            "said99": lambda: number_words(rng.randint(1, 99)),
        }

    def draw(self, kind: str) -> Value:
        """A value of this kind from this split.

        Raises:
            LookupError: the split has no such value.
        """
        if kind == "seconds":
            return self._seconds()
        for _ in range(200):
            text = self.loose(kind)
            if is_held_out(text) == self.held_out:
                return Value(text, text)
        raise LookupError(f"no {kind} in the {'held-out' if self.held_out else 'training'} split")

    def loose(self, kind: str) -> str:
        """A value for context, which no argument copies: closed lists are not split, words are."""
        if kind in self._drawn:
            return self._drawn[kind]()
        if kind in _RANGES:
            return str(self._rng.randint(*_RANGES[kind]))
        if kind in load_shapes("values.txt"):
            patterns, weights = load_shapes("values.txt")[kind]
            return self.fill(self._rng.choices(patterns, weights)[0].expand(self._rng))
        return self._rng.choice(lists()[kind])

    def fill(self, parts: list[Part]) -> str:
        """A pattern's expansion as text."""
        return "".join(self.loose(part.name) if isinstance(part, Slot) else part for part in parts)

    def _base(self) -> str:
        roll = self._rng.random()
        if roll < 0.62:
            return self._rng.choice(self._words)
        if roll < 0.8:
            return "".join(self._rng.choice(_SYLLABLES) for _ in range(self._rng.randint(2, 4)))
        letters = self._rng.choice(_ALPHABETS)
        tail = (self._rng.choice(letters) for _ in range(self._rng.randint(2, 7)))
        return self._rng.choice("abcdefghkmnprstvwxz") + "".join(tail)

    def _path(self) -> str:
        names = "/".join(self._base() for _ in range(self._rng.randint(1, 2)))
        return self._rng.choice(_ROOTS) + names + self._rng.choice(_ENDINGS)

    def _statement(self) -> str:
        if self._rng.random() < 0.25:
            return self.loose("free_statement")
        section = self._rng.choice(list(load_sections("facts.txt").values()))
        return self.fill(self._rng.choice(section.facts).expand(self._rng))

    def _code(self) -> str:
        """A line of Python; its brackets are no pattern's, so the shapes stand here."""
        pick, number = self._rng.choice, self._rng.randint
        a, b, c = number(0, 999), number(1, 99), number(1, 20)
        name, other = self._base(), self._base()
        op, gap, q = pick(["+", "-", "*", "**", "//", "%", "/"]), pick(["", " "]), pick(["'", '"'])
        return pick(
            (
                f"print({a}{gap}{op}{gap}{b})", f"{a}{gap}{op}{gap}{b}", f"print(sum(range({a})))",
                f"sum(range({b}, {a}))",
                f"import math; print(math.{pick(['pi', 'e', f'sqrt({a})', f'sin({b})', f'factorial({c})'])})",
                f"print(len({q}{name}{q}))", f"sorted([{a}, {b}, {c}])", f"print(sorted([{b}, {c}, {a}]))",
                f"print({q}{name} {other}{q})", f"{q}{name}{q}.upper()", f"print({q}{name}{q} * {c})", f"{b}**{c}",
                f"for i in range({c}): print(i)", f"for i in range({c}):{gap}print(i * {b})",
                f"max({a}, {b}, {c})", f"[x * {b} for x in range({c})]", f"x = {a}; print(x {op} {b})",
                f"print(min([{a}, {b}]))", f"hex({a})", f"{name[:6]} = {b}; print({name[:6]} ** 2)",
                f"print({q}{name}{q}[::-1])", f"round({a} / {b}, 2)",
                f"import random; print(random.randint({c}, {a + 20}))", "import os; print(os.getcwd())",
                f"bin({b})", "import sys; print(sys.version)", f"abs(-{a})", f"print(list(range({c}, {b + 20})))",
                f"len([{a}, {b}])", f"{q}{name},{other}{q}.split({q},{q})",
                "import datetime; print(datetime.date.today())", "while True: break",
                f"print({q}{other}{q}.replace({q}{other[:1]}{q}, {q}x{q}))", f"def {name[:8]}(): return {a}",
                f"print(divmod({a}, {b}))", f"print(True and {pick(['False', 'True'])})",
                f"[{a}, {b}, {c}][{number(0, 2)}]", f"print(f{q}{{{a}+{b}}}{q})",
            )
        )  # fmt: skip

    def _seconds(self) -> Value:
        """A duration as people say it. Its wording is what is held out: the numbers themselves are a table to learn."""
        pick = self._rng.choice
        for _ in range(500):
            unit = self._rng.choices(("minute", "second", "hour"), (6, 2, 2))[0]
            factor = {"minute": 60, "second": 1, "hour": 3600}[unit]
            if self._rng.random() < 0.7:
                count = pick(_EVERYDAY_COUNTS[unit])
            else:
                count = self._rng.randint(1, {"minute": 90, "second": 120, "hour": 24}[unit])
                count *= pick((1, 1, 10)) if unit == "second" else 1
            text = self._duration(count, unit, count * factor)
            if is_held_out(text) == self.held_out:
                return Value(text, count * factor)
        raise LookupError("no duration in this split")

    def _duration(self, count: int, unit: str, seconds: int) -> str:
        special = {
            1800: "half an hour",
            5400: "one and a half hours",
            900: "a quarter of an hour",
            2700: "three quarters of an hour",
        }
        if seconds in special and self._rng.random() < 0.3:
            return special[seconds]
        if count == 1 and self._rng.random() < 0.5:
            return f"{'an' if unit == 'hour' else 'a'} {unit}"
        short = {"second": "sec", "minute": "min", "hour": "h"}[unit]
        units = f"{unit}s" if count > 1 else unit
        written = (
            f"{count} {units}",
            f"{number_words(count)} {units}",
            f"{count}{unit[0]}",
            f"{count} {short}",
            f"{count}{short}",
        )
        return self._rng.choices(written, (3, 3, 1, 1, 1))[0]
