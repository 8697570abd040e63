"""The mini-language of ``phrases/*.txt``: sections of patterns with choices, options and slots.

``(a|b)`` chooses, ``[x]`` is optional (``[x|y]``: one of them or nothing), ``<slot>`` is a value, a leading ``!`` marks
an imperative. In each section one pattern in five is held out: training never sees it, evaluation sees nothing else.
A leading ``~`` marks a pattern that came later and is for training only, so that it does not move the split.
"""

from __future__ import annotations

import random
import re
import zlib
from dataclasses import dataclass
from functools import cache
from importlib import resources

HELD_OUT_SHARE = 5


@dataclass(frozen=True, slots=True)
class Slot:
    """A place in a pattern that a value fills."""

    name: str


Part = str | Slot
_Node = str | Slot | list[list["_Node"]]


@dataclass(frozen=True, slots=True)
class Pattern:
    """One way to say something."""

    source: str
    imperative: bool
    held_out: bool
    tree: tuple[_Node, ...]

    def expand(self, rng: random.Random) -> list[Part]:
        """Make the choices; neighbouring text is joined, slots stay."""
        parts: list[Part] = []
        _walk(list(self.tree), rng, parts)
        merged: list[Part] = []
        for part in parts:
            if isinstance(part, str) and merged and isinstance(merged[-1], str):
                merged[-1] += part
            else:
                merged.append(part)
        return tidy(merged)

    @property
    def slots(self) -> set[str]:
        """The slots that any expansion may contain."""
        return set(re.findall(r"<([a-z_0-9]+)>", self.source))


@dataclass(frozen=True, slots=True)
class Section:
    """The patterns of one intent, and what follows them in the file (facts, answers)."""

    name: str
    patterns: tuple[Pattern, ...]
    answers: tuple[str, ...]
    facts: tuple[Pattern, ...]

    def choose(self, rng: random.Random, held_out: bool) -> Pattern:
        """A pattern of the wanted split."""
        return rng.choice([pattern for pattern in self.patterns if pattern.held_out == held_out])

    def has(self, held_out: bool) -> bool:
        """Whether the split has a pattern here."""
        return any(pattern.held_out == held_out for pattern in self.patterns)


def tidy(parts: list[Part]) -> list[Part]:
    """Collapse the doubled blanks that empty choices leave, and drop blanks at both ends."""
    out: list[Part] = []
    for part in parts:
        if isinstance(part, str):
            part = re.sub(r" +", " ", part)
            if out and isinstance(out[-1], str) and out[-1].endswith(" "):
                part = part.lstrip(" ")
        if part != "":
            out.append(part)
    if out and isinstance(out[0], str):
        out[0] = out[0].lstrip(" ")
    if out and isinstance(out[-1], str):
        out[-1] = out[-1].rstrip(" ")
    return [part for part in out if part != ""]


def read_resource(name: str) -> str:
    """The text of a file in ``phrases/``."""
    return resources.files("starter_model").joinpath("phrases", name).read_text(encoding="utf-8")


@cache
def load_sections(name: str) -> dict[str, Section]:
    """The sections of one file of patterns, in file order."""
    raw: dict[str, dict[str, list[str]]] = {}
    current = ""
    for line in read_resource(name).splitlines():
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        if line.startswith("@ "):
            current = line[2:].strip()
            raw[current] = {"patterns": [], "answers": [], "facts": []}
        elif line.startswith("= "):
            raw[current]["answers"].append(line[2:].strip())
        elif line.startswith("+ "):
            raw[current]["facts"].append(line[2:].strip())
        else:
            raw[current]["patterns"].append(line)
    return {
        key: Section(
            name=key,
            patterns=_with_split(parts["patterns"]),
            answers=tuple(parts["answers"]),
            facts=tuple(parse_pattern(line, held_out=False) for line in parts["facts"]),
        )
        for key, parts in raw.items()
    }


def _with_split(lines: list[str]) -> tuple[Pattern, ...]:
    split = [line for line in lines if not line.startswith("~")]
    ranked = sorted(split, key=lambda line: zlib.crc32(line.encode()))
    held_out = set(ranked[: len(ranked) // HELD_OUT_SHARE])
    return tuple(parse_pattern(line.removeprefix("~ "), held_out=line in held_out) for line in lines)


def parse_pattern(line: str, *, held_out: bool) -> Pattern:
    """Parse one line of a phrases file.

    Raises:
        ValueError: brackets do not match.
    """
    imperative = line.startswith("!")
    text = line[1:].strip() if imperative else line
    tokens = re.findall(r"<[a-z_0-9=]+>|[()\[\]|]|[^()\[\]|<]+", text)
    tree, rest = _sequence(tokens, 0)
    if rest != len(tokens):
        raise ValueError(f"unbalanced brackets in the pattern: {line}")
    return Pattern(source=text, imperative=imperative, held_out=held_out, tree=tuple(tree))


def _sequence(tokens: list[str], at: int) -> tuple[list[_Node], int]:
    nodes: list[_Node] = []
    while at < len(tokens) and tokens[at] not in (")", "]", "|"):
        piece = tokens[at]
        if piece in ("(", "["):
            end = ")" if piece == "(" else "]"
            branches: list[list[_Node]] = []
            while True:
                branch, at = _sequence(tokens, at + 1)
                branches.append(branch)
                if at >= len(tokens):
                    raise ValueError(f"missing {end}")
                if tokens[at] != "|":
                    break
            if tokens[at] != end:
                raise ValueError(f"expected {end}, found {tokens[at]}")
            if piece == "[" and [] not in branches:
                # Said and left out are equally likely, however many ways there are to say it.
                branches = branches + [[]] * len(branches)
            nodes.append(branches)
        elif piece.startswith("<") and piece.endswith(">"):
            nodes.append(Slot(piece[1:-1]))
        else:
            nodes.append(piece)
        at += 1
    return nodes, at


def _walk(nodes: list[_Node], rng: random.Random, out: list[Part]) -> None:
    for node in nodes:
        if isinstance(node, list):
            _walk(rng.choice(node), rng, out)
        else:
            out.append(node)
