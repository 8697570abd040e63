"""Fresh values for slots: hosts, commands, addresses, code, topics, facts, durations.

Every value belongs to one split by the checksum of its text, and so does every word that names are made of: what
evaluation asks for was never seen in training.
"""

from __future__ import annotations

import random
import re
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from starter_model.patterns import Part, Slot, load_sections, read_resource
from starter_model.speech import number_words

# Durations that everybody says stay in training, whatever their checksum: a first model must know ten minutes.
EVERYDAY_SECONDS = frozenset({10, 30, 60, 90, 120, 180, 300, 600, 900, 1200, 1800, 2700, 3600, 5400, 7200})

_SYLLABLES = "ka lo mi ra ten vos del pi nur gas bel tor ax um fen dri sol que jan wix opt hal zed bor cy".split()


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

    def draw(self, kind: str) -> Value:
        """A value of this kind from this split; kinds are the methods below and the names in ``lists.txt``.

        Raises:
            LookupError: the split has no such value.
        """
        if kind == "seconds":
            return self._seconds()
        make = self._maker(kind)
        for _ in range(200):
            text = make()
            if is_held_out(text) == self.held_out:
                return Value(text, text)
        raise LookupError(f"no {kind} in the {'held-out' if self.held_out else 'training'} split")

    def loose(self, kind: str) -> str:
        """A value for context, which no argument copies: closed lists are not split."""
        return self._maker(kind)()

    def _maker(self, kind: str) -> Callable[[], str]:
        method = getattr(self, f"_make_{kind}", None)
        if method is not None:
            return method  # type: ignore[no-any-return]
        return lambda: self._rng.choice(lists()[kind])

    # -- names

    def _make_word(self) -> str:
        return self._rng.choice(self._words)

    def _made_up(self) -> str:
        return "".join(self._rng.choice(_SYLLABLES) for _ in range(self._rng.randint(2, 3)))

    def _random_string(self) -> str:
        letters = self._rng.choice(
            ["abcdefghijklmnopqrstuvwxyz", "abcdefghijklmnopqrstuvwxyz0123456789", "0123456789abcdef"]
        )
        return self._rng.choice("abcdefghkmnprstvwxz") + "".join(
            self._rng.choice(letters) for _ in range(self._rng.randint(2, 7))
        )

    def _base(self) -> str:
        roll = self._rng.random()
        if roll < 0.62:
            return self._make_word()
        return self._made_up() if roll < 0.8 else self._random_string()

    def _make_name(self) -> str:
        base, roll = self._base(), self._rng.random()
        if roll < 0.35:
            return base
        if roll < 0.5:
            return f"{base}{self._rng.choice(['-', '_', ''])}{self._rng.randint(1, 99)}"
        if roll < 0.8:
            return f"{base}{self._rng.choice('-_')}{self._base()}"
        if roll < 0.9:
            return base.capitalize() if self._rng.random() < 0.5 else base.upper()
        return f"{base}.{self._base()}"

    def _make_host(self) -> str:
        roll = self._rng.random()
        base = self._rng.choice(lists()["hostword"]) if roll < 0.45 else self._base()
        shape = self._rng.random()
        if shape < 0.12:
            return ".".join(str(self._rng.randint(1, 254)) for _ in range(4))
        if shape < 0.3:
            return base
        if shape < 0.55:
            return f"{base}{self._rng.choice(['', '', '-', '-', '0', '_'])}{self._rng.randint(1, 40)}"
        if shape < 0.75:
            return f"{base}-{self._rng.choice([self._base(), self._rng.choice(lists()['hostword'])])}"
        if shape < 0.9:
            return f"{base}.{self._rng.choice(lists()['suffix'])}"
        return f"{base}{self._rng.randint(1, 99)}.{self._rng.choice(lists()['suffix'])}"

    def _make_spoken_host(self) -> str:
        base = self._rng.choice(lists()["hostword"]) if self._rng.random() < 0.5 else self._make_word()
        roll = self._rng.random()
        if roll < 0.35:
            return base
        if roll < 0.7:
            return f"{base} {number_words(self._rng.randint(1, 40))}"
        if roll < 0.85:
            return f"{base} {self._make_word()}"
        return f"{base} dot {self._rng.choice(['local', 'lan', 'home'])}"

    def _make_username(self) -> str:
        roll = self._rng.random()
        if roll < 0.4:
            return self._rng.choice(lists()["username"])
        return self._rng.choice(lists()["person"]) if roll < 0.7 else self._base()

    def _make_codeword(self) -> str:
        roll = self._rng.random()
        if roll < 0.4:
            return str(self._rng.randint(100, 99999))
        return f"{self._base()}{self._rng.randint(1, 99)}" if roll < 0.7 else f"{self._make_word()} {self._make_word()}"

    # -- commands, code, addresses

    def _path(self) -> str:
        root = self._rng.choice(
            ["/var/log/", "/etc/", "/home/", "/opt/", "/tmp/", "/", "~/", "/srv/", "", "./", "/mnt/"]
        )
        path = root + "/".join(self._base() for _ in range(self._rng.randint(1, 2)))
        return path + self._rng.choice(["", "", ".log", ".txt", ".conf", ".yaml", ".json", ".service", ".sh", "/"])

    def _make_command(self) -> str:
        pick, roll = self._rng.choice, self._rng.random()
        known = lists()
        if roll < 0.3:
            return pick(known["verb"])
        if roll < 0.48:
            return f"{pick(known['prefix'])} {self._path()}"
        if roll < 0.66:
            return f"{pick(known['unit'])} {self._make_name()}"
        if roll < 0.72:
            return f"tail -n {self._rng.randint(5, 300)} {self._path()}"
        if roll < 0.78:
            return f"grep {pick(['', '-i ', '-r ', '-c ', '-n '])}{self._base()} {self._path()}"
        if roll < 0.83:
            return f"{pick(['ping -c 3', 'ping', 'host', 'nslookup', 'curl', 'curl -I', 'traceroute', 'dig', 'wget'])} {self._make_host()}"
        if roll < 0.88:
            quote = pick(["", '"', "'"])
            return f"echo {quote}{self._base()}{quote}"
        if roll < 0.93:
            return f"{pick(known['verb'])} {pick(['| grep', '| head -n', '| tail -n', '>', '&&', ';'])} {pick([self._base(), str(self._rng.randint(1, 20))])}"
        if roll < 0.97:
            return f"{self._base()} {pick(['-', '--'])}{self._base()}"
        return f"./{self._base()}.{pick(['sh', 'py', 'pl'])}"

    def _make_spoken_command(self) -> str:
        if self._rng.random() < 0.6:
            return self._rng.choice(lists()["spoken_command"])
        start = self._rng.choice(
            ["restart", "status of", "ping", "systemctl restart", "cat", "docker restart", "list", "apt install"]
        )
        return f"{start} {self._make_word()}"

    def _make_code(self) -> str:
        pick, rng = self._rng.choice, self._rng
        a, b, c = rng.randint(0, 999), rng.randint(1, 99), rng.randint(1, 20)
        name, other = self._base(), self._base()
        op = pick(["+", "-", "*", "**", "//", "%", "/"])
        gap = pick(["", " "])
        quote = pick(["'", '"'])
        return pick(
            [
                f"print({a}{gap}{op}{gap}{b})", f"{a}{gap}{op}{gap}{b}", f"print(sum(range({a})))", f"sum(range({b}, {a}))",
                f"import math; print(math.{pick(['pi', 'e', f'sqrt({a})', f'sin({b})', f'factorial({c})', f'log({b})'])})",
                f"print(len({quote}{name}{quote}))", f"sorted([{a}, {b}, {c}])", f"print(sorted([{b}, {c}, {a}]))",
                f"print({quote}{name} {other}{quote})", f"{quote}{name}{quote}.upper()", f"print({quote}{name}{quote} * {c})",
                f"for i in range({c}): print(i)", f"for i in range({c}):{gap}print(i * {b})", f"[x * {b} for x in range({c})]",
                f"x = {a}; print(x {op} {b})", f"{name[:6]} = {b}; print({name[:6]} ** 2)", f"max({a}, {b}, {c})", f"print(min([{a}, {b}]))",
                f"import random; print(random.randint({c}, {a + 20}))", f"print({quote}{name}{quote}[::-1])", f"round({a} / {b}, 2)",
                f"import os; print(os.getcwd())", "import sys; print(sys.version)", f"hex({a})", f"bin({b})", f"abs(-{a})", f"{b}**{c}",
                f"print(list(range({c}, {b + 20})))", f"{quote}{name},{other}{quote}.split({quote},{quote})", f"print({quote}{other}{quote}.replace({quote}{other[:1]}{quote}, {quote}x{quote}))",
                f"import datetime; print(datetime.date.today())", f"def {name[:8]}(): return {a}", f"print(divmod({a}, {b}))", f"len([{a}, {b}])",
                f"while True: break", f"print(True and {pick(['False', 'True'])})", f"[{a}, {b}, {c}][{rng.randint(0, 2)}]", f"print(f{quote}{{{a}+{b}}}{quote})",
            ]
        )  # fmt: skip

    def _make_spoken_code(self) -> str:
        a, b = number_words(self._rng.randint(1, 99)), number_words(self._rng.randint(1, 99))
        op = self._rng.choice(["plus", "minus", "times", "divided by"])
        return self._rng.choice(
            [
                f"print {a} {op} {b}",
                f"print {self._make_word()}",
                f"import {self._make_word()}",
                f"print hello {self._make_word()}",
                f"x equals {a}",
            ]
        )

    def _domain(self) -> str:
        if self._rng.random() < 0.2:
            return self._rng.choice(lists()["known_site"])
        head = self._rng.choice(["", "", "", "www.", "docs.", "mail.", "wiki.", "news.", "shop."])
        name = self._base() if self._rng.random() < 0.7 else f"{self._base()}-{self._base()}"
        return f"{head}{name}.{self._rng.choice(lists()['tld'])}"

    def _make_url(self) -> str:
        roll, domain = self._rng.random(), self._domain()
        if roll < 0.45:
            return domain
        tail = self._rng.choice(["", "", f"/{self._base()}", f":{self._rng.randint(80, 9999)}", f"/{self._base()}/{self._base()}",
                                 f"/{self._base()}.html", f"/?q={self._base()}", "/"])  # fmt: skip
        if roll < 0.6:
            return domain + tail
        if roll < 0.68:
            return f"{self._make_host()}:{self._rng.randint(80, 9999)}"
        return f"{self._rng.choice(['http://', 'https://', 'https://'])}{domain}{tail}"

    def _make_spoken_url(self) -> str:
        tld = self._rng.choice(["org", "com", "net", "de", "local", "io"])
        head = self._rng.choice(["", "", "", "www dot "])
        return f"{head}{self._make_word()}{self._rng.choice(['', '', ' ' + self._make_word()])} dot {tld}"

    def _make_playbook(self) -> str:
        if self._rng.random() < 0.3:
            return self._rng.choice(lists()["playbook"])
        name = self._base() if self._rng.random() < 0.6 else f"{self._base()}{self._rng.choice('_-')}{self._base()}"
        folder = self._rng.choice(["", "", "", "playbooks/"])
        return f"{folder}{name}.{self._rng.choice(['yaml', 'yml'])}"

    def _make_spoken_playbook(self) -> str:
        name = self._rng.choice(
            [self._make_word(), f"{self._make_word()} {self._make_word()}", "heal cluster", "deploy expert"]
        )
        return name + self._rng.choice(["", "", " dot yaml"])

    def _make_limit(self) -> str:
        return self._rng.choice(lists()["group"]) if self._rng.random() < 0.3 else self._make_host()

    def _make_spoken_limit(self) -> str:
        return (
            self._rng.choice(["workers", "all", "the workers", "controllers"])
            if self._rng.random() < 0.3
            else self._make_spoken_host()
        )

    def _make_tags(self) -> str:
        tag = self._rng.choice(lists()["tag"]) if self._rng.random() < 0.6 else self._base()
        return tag if self._rng.random() < 0.75 else f"{tag},{self._rng.choice(lists()['tag'])}"

    def _make_spoken_tags(self) -> str:
        return self._rng.choice(lists()["tag"]) if self._rng.random() < 0.5 else self._make_word()

    def _make_service(self) -> str:
        roll = self._rng.random()
        if roll < 0.3:
            return self._rng.choice(lists()["service"])
        if roll < 0.55:
            return f"prima-api-{self._rng.choice([self._base(), self._rng.choice(lists()['service']).split()[0]])}"
        return self._make_name().lower()

    def _make_spoken_service(self) -> str:
        service = self._rng.choice(lists()["service"]) if self._rng.random() < 0.5 else self._make_word()
        return f"{self._rng.choice(['', '', 'the '])}{service}{self._rng.choice(['', '', ' expert', ' service', ' server'])}"

    def _make_target(self) -> str:
        if self._rng.random() < 0.55:
            target = self._rng.choice(lists()["target"])
        else:
            target = self._make_word() if self._rng.random() < 0.5 else f"{self._make_word()} {self._make_word()}"
        return target if self._rng.random() < 0.6 else target.capitalize()

    def _make_typed(self) -> str:
        roll = self._rng.random()
        if roll < 0.35:
            return self._make_word()
        if roll < 0.6:
            return " ".join(self._make_word() for _ in range(self._rng.randint(2, 4)))
        if roll < 0.75:
            return f"{self._base()}@{self._domain()}"
        if roll < 0.9:
            return self._rng.choice(lists()["person"]) + self._rng.choice(
                ["", f" {self._make_word()}", str(self._rng.randint(1, 99))]
            )
        return str(self._rng.randint(1, 99999))

    def _make_spoken_typed(self) -> str:
        return " ".join(self._make_word() for _ in range(self._rng.randint(1, 3)))

    # -- things to talk about

    def _make_thing(self) -> str:
        word = self._make_word()
        return word if self._rng.random() < 0.7 else f"{self._make_word()} {word}"

    def _make_topic(self) -> str:
        roll, word = self._rng.random(), self._make_word()
        if roll < 0.35:
            return f"{self._rng.choice(['a', 'the', 'my', 'our', 'an old', 'two', 'the little'])} {word}"
        if roll < 0.6:
            return word
        if roll < 0.85:
            return f"{self._rng.choice(['', 'the ', 'a '])}{self._make_word()} {word}"
        return f"{word} and {self._make_word()}"

    def _make_query(self) -> str:
        pick, roll, word = self._rng.choice, self._rng.random(), self._make_word()
        known = lists()
        if roll < 0.3:
            return f"{pick(['the', 'my', 'our', 'your', 'this', 'that', 'a new'])} {word}"
        if roll < 0.45:
            return f"{pick(['the ', 'my ', ''])}{self._make_word()} {word}"
        if roll < 0.55:
            return word
        if roll < 0.63:
            return f"my {pick(known['relative'])}{pick(['', '', chr(39) + 's birthday', chr(39) + 's ' + word])}"
        if roll < 0.7:
            return f"the {pick([*known['secret'], *known['event'], *known['role']])}"
        if roll < 0.77:
            return f"{pick(['buying', 'moving', 'the price of', 'the colour of', 'painting', 'fixing', 'the date of', 'who owns', 'where to put'])} {pick(['the', 'my', 'a'])} {word}"
        if roll < 0.84:
            return self._make_host()
        if roll < 0.9:
            return pick(known["person"]) + pick(["", f" and {pick(known['person'])}"])
        if roll < 0.95:
            return f"the {self._make_word()} {pick(['in', 'of', 'for', 'on', 'from', 'with'])} {pick(['the', 'my'])} {word}"
        return f"{word} and {self._make_word()}"

    def _make_statement(self) -> str:
        if self._rng.random() < 0.75:
            section = self._rng.choice(list(load_sections("facts.txt").values()))
            return self.fill(self._rng.choice(section.facts).expand(self._rng))
        pick, a, b = self._rng.choice, self._make_word(), self._make_word()
        return pick(
            [
                f"the {a} {pick(['needs', 'has', 'wants', 'belongs to', 'comes with', 'must not touch', 'hates'])} the {b}",
                f"{pick(lists()['person'])} {pick(['likes', 'hates', 'bought', 'wants', 'sold', 'lost', 'works with'])} {pick(['a', 'the'])} {a}",
                f"we {pick(['meet', 'eat', 'leave', 'train', 'pay'])} {pick(['at', 'near', 'after'])} the {a} {pick(['on monday', 'on friday', 'every week', 'tomorrow', ''])}".strip(),
                f"i {pick(['parked', 'left', 'bought', 'need', 'sold', 'lent', 'owe'])} {pick(['the', 'a', 'my'])} {a} {pick(['', 'for the ' + b, 'near the ' + b])}".strip(),
                f"the {a} {pick(['arrives', 'opens', 'closes', 'starts', 'ends'])} at {self._rng.randint(1, 12)}",
                f"{pick(lists()['host' + 'word'])}{self._rng.randint(1, 20)} {pick(['has', 'needs', 'runs'])} {pick(['a new', 'an old', 'no', 'the'])} {a}",
            ]
        )

    def _make_date(self) -> str:
        month = "january february march april may june july august september october november december".split()
        roll = self._rng.random()
        if roll < 0.5:
            return f"on {self._rng.choice(['the ' + str(self._rng.randint(1, 28)) + 'th of ' + self._rng.choice(month), self._rng.choice(month) + ' ' + str(self._rng.randint(1, 28))])}"
        day = self._rng.choice("monday tuesday wednesday thursday friday saturday sunday".split())
        return f"{self._rng.choice(['on', 'next', 'this'])} {day}" + self._rng.choice(
            ["", f" at {self._rng.randint(1, 12)}"]
        )

    def _make_number(self) -> str:
        return str(self._rng.randint(2, 999) if self._rng.random() < 0.8 else self._rng.randint(1000, 9_999_999))

    def _make_n(self) -> str:
        number = self._rng.randint(2, 20) if self._rng.random() < 0.5 else self._rng.randint(2, 999)
        return str(number)

    _make_m = _make_n

    def _make_expert(self) -> str:
        return self._rng.choice([*lists()["expert_extra"], "coding", "math", "creative", "general"])

    def _seconds(self) -> Value:
        for _ in range(500):
            roll = self._rng.random()
            everyday = self._rng.random() < 0.35
            if roll < 0.6:
                count, unit, factor = (
                    self._rng.choice([2, 3, 5, 10, 15, 20, 30, 45] if everyday else list(range(1, 121))),
                    "minute",
                    60,
                )
            elif roll < 0.8:
                count, unit, factor = (
                    self._rng.choice(
                        [10, 30, 60, 90, 120, 300] if everyday else [*range(1, 121), *range(120, 3601, 10)]
                    ),
                    "second",
                    1,
                )
            else:
                count, unit, factor = self._rng.choice([1, 2] if everyday else list(range(1, 25))), "hour", 3600
            seconds = count * factor
            if (is_held_out(str(seconds)) and seconds not in EVERYDAY_SECONDS) != self.held_out:
                continue
            shapes = [f"{count} {unit}s" if count > 1 else f"{count} {unit}"] * 3
            shapes += [f"{number_words(count)} {unit}{'s' if count > 1 else ''}"] * 3
            short = {"second": "sec", "minute": "min", "hour": "h"}[unit]
            if count == 1:
                shapes += [f"{'an' if unit == 'hour' else 'a'} {unit}"] * 3
            shapes += [f"{count}{unit[0]}", f"{count} {short}", f"{count}{short}"]
            text = self._rng.choice(shapes)
            if seconds == 1800 and roll > 0.5:
                text = "half an hour"
            if seconds == 5400:
                text = self._rng.choice([text, "one and a half hours", "an hour and a half"])
            return Value(text, seconds)
        raise LookupError("no duration in this split")

    def fill(self, parts: list[Part]) -> str:
        """A pattern's expansion as text, for context and filler."""
        return "".join(self.loose(part.name) if isinstance(part, Slot) else part for part in parts)

    def reword(self, text: str) -> str:
        """Fill the slots of a plain text."""
        return re.sub(r"<([a-z_]+)>", lambda match: self.loose(match[1]), text)
