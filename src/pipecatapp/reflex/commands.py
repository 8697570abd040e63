"""Commands that a household gives its own words: sentence patterns, each with the calls that it stands for.

``check the disk on {machine}``, ``[please] (dim|darken) the screen``: ``{slots}`` take any words, ``[...]`` may be left
out, of ``a|b`` in brackets one is said. No pattern is a regular expression: matching takes time in proportion to the
words.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from pipecatapp.intents import Guess

_LONGEST_SLOT = 15  # words
_LONGEST = 40  # words of a request
_MOST_FORMS = 64
_EDGE = " \t\n.,!?;:\"'()\u2026\u201c\u201d\u2018\u2019"
_SLOT = re.compile(r"\{([a-z][a-z0-9_]*)\}")
_PIECE = re.compile(r"\{[^{}]*\}|[\[\]()|]|[^\s\[\]()|{}]+|[{}]")
_POLITE = frozenset({"please"})


class PatternError(ValueError):
    """A pattern that cannot be said; the text says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Command:
    """What a household says, as it wrote it, and the calls that this stands for.

    ``forms``: the pattern with nothing left open: words in small letters, and slots as ``{name}``.
    """

    say: str
    calls: Sequence[Guess]
    forms: Sequence[tuple[str, ...]] = field(default=())


@dataclass(frozen=True, slots=True)
class Match:
    """A command that was said: its calls with the slots filled in, and the ``values`` of these."""

    command: Command
    calls: Sequence[Guess]
    values: Sequence[str] = ()


def forms(pattern: str) -> list[tuple[str, ...]]:
    """Every way in which a pattern can be said.

    Raises:
        PatternError: it cannot be.
    """
    pieces = _PIECE.findall(pattern.casefold().replace("\u2019", "'"))
    found, rest = _read(pieces, 0, "")
    if rest < len(pieces):
        raise PatternError(f"a {pieces[rest]!r} has no beginning")
    for form in found:
        _check(form)
    return list(dict.fromkeys(found))


def slots_of(form: Sequence[str]) -> list[str]:
    """The names of the slots in a form, or in any text."""
    return [name for piece in form for name in _SLOT.findall(piece)]


def fill(text: str, values: Mapping[str, str]) -> str:
    """The text with the values of the slots in it."""
    return _SLOT.sub(lambda slot: values.get(slot[1], slot[0]), text)


def match(words: str, commands: Sequence[Command]) -> Match | None:
    """The command that these words are, from the first to the last: of several the one with the most words of its
    own."""
    tokens = [token.strip(_EDGE) for token in words.split()]
    tokens = [token for token in tokens if token]
    plain = [token.casefold().replace("\u2019", "'") for token in tokens]
    while plain and plain[-1] in _POLITE:
        tokens, plain = tokens[:-1], plain[:-1]
    while plain and plain[0] in _POLITE:
        tokens, plain = tokens[1:], plain[1:]
    if not plain or len(plain) > _LONGEST:
        return None
    there = set(plain)
    best: tuple[int, Match] | None = None
    for command in commands:
        for form in command.forms:
            own = [piece for piece in form if piece[0] != "{"]
            if (best is not None and len(own) <= best[0]) or not there.issuperset(own):
                continue
            if (places := _places(form, plain)) is None:
                continue
            values = {name: " ".join(tokens[first:last]) for name, (first, last) in places.items()}
            calls = [
                Guess(call.tool, {name: fill(text, values) for name, text in call.arguments.items()})
                for call in command.calls
            ]
            best = len(own), Match(command, calls, list(values.values()))
    return best[1] if best is not None else None


def _read(pieces: Sequence[str], at: int, until: str) -> tuple[list[tuple[str, ...]], int]:
    """The forms of the pieces from here to the closing bracket ``until``, and where that stands."""
    ways: list[list[tuple[str, ...]]] = [[()]]
    while at < len(pieces) and pieces[at] not in ("]", ")"):
        piece = pieces[at]
        if piece == "|":
            if not until:
                raise PatternError("a '|' stands outside of brackets")
            ways.append([()])
            at += 1
            continue
        more: list[tuple[str, ...]]
        if piece in ("[", "("):
            closing = "]" if piece == "[" else ")"
            more, at = _read(pieces, at + 1, closing)
            if at >= len(pieces) or pieces[at] != closing:
                raise PatternError(f"a {piece!r} has no end")
            if piece == "[":
                more = [(), *more]
        elif piece[0] == "{" or piece == "}":
            if not _SLOT.fullmatch(piece):
                raise PatternError(f"{piece!r} is no slot; a slot is a small letter and then letters, digits or _")
            more = [(piece,)]
        else:
            more = [(word,)] if (word := piece.strip(_EDGE)) else [()]
        ways[-1] = [(*one, *other) for one in ways[-1] for other in more]
        if sum(map(len, ways)) > _MOST_FORMS:
            raise PatternError(f"it can be said in more than {_MOST_FORMS} ways")
        at += 1
    return [form for way in ways for form in way], at


def _check(form: Sequence[str]) -> None:
    names = slots_of(form)
    if len(names) == len(form):
        raise PatternError("it needs at least one word of its own" if form else "it says nothing")
    if len(set(names)) < len(names):
        raise PatternError("a slot stands in it twice")
    if any(one[0] == other[0] == "{" for one, other in pairwise(form)):
        raise PatternError("two slots stand side by side; nobody could tell where one ends")


def _places(form: Sequence[str], words: Sequence[str]) -> dict[str, tuple[int, int]] | None:
    """Which words each slot takes (from, to); None where the form does not fit. Slots take as few as they can."""
    failed: set[tuple[int, int]] = set()

    def fit(piece: int, word: int) -> dict[str, tuple[int, int]] | None:
        if piece == len(form):
            return {} if word == len(words) else None
        if (piece, word) in failed:
            return None
        if form[piece][0] != "{":
            if word < len(words) and words[word] == form[piece] and (rest := fit(piece + 1, word + 1)) is not None:
                return rest
        else:
            for end in range(word + 1, min(len(words), word + _LONGEST_SLOT) + 1):
                if (rest := fit(piece + 1, end)) is not None:
                    return {form[piece][1:-1]: (word, end), **rest}
        failed.add((piece, word))
        return None

    return fit(0, 0)
