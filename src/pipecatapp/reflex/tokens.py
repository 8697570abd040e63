"""A request as words with their places, and the shapes of words that the judges look at."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

_PIECE = re.compile(r"\S+")
_EDGE = ".,!?;:\"'`()[]\u2026\u201c\u201d\u2018\u2019"
# Of these arguments every sign counts: only the end of the sentence is taken off.
EXACT = frozenset({"code", "command", "url", "expression", "text", "playbook"})
_LONGEST = 120  # words; what a person asks in one breath is far shorter

NUMBERS = frozenset(
    [
        "zero",
        "one",
        "two",
        "three",
        "four",
        "five",
        "six",
        "seven",
        "eight",
        "nine",
        "ten",
        "eleven",
        "twelve",
        "thirteen",
        "fourteen",
        "fifteen",
        "sixteen",
        "seventeen",
        "eighteen",
        "nineteen",
        "twenty",
        "thirty",
        "forty",
        "fifty",
        "sixty",
        "seventy",
        "eighty",
        "ninety",
        "hundred",
        "thousand",
        "million",
        "half",
        "quarter",
        "third",
        "dozen",
    ]
)
_CLASSES = {
    "weekday": "monday tuesday wednesday thursday friday saturday sunday mondays tuesdays wednesdays thursdays fridays "
    "saturdays sundays",
    "month": "january february march april may june july august september october november december",
    "span": "second seconds sec secs minute minutes min mins hour hours h hr hrs day days week weeks month months "
    "year years "
    "fortnight m s",
    "part": "morning afternoon evening night noon midnight midday tonight lunchtime bedtime",
    "rel": "today tomorrow yesterday tonight weekend weekdays weekday daily weekly",
    "ampm": "am pm a.m p.m o'clock oclock",
    "every": "every each",
    "prep": "at on in by for to of from till until before after around about past",
    "det": "the a an my our your this that",
    "sum": "plus minus times divided multiplied percent percentage over squared cubed root power % + - * / x",
}
_CLASS_OF = {word: name for name, words in _CLASSES.items() for word in words.split()}


@dataclass(frozen=True, slots=True)
class Token:
    """A word: where it stands without the signs around it, in small letters, and whether a comma or an end follows."""

    start: int
    end: int
    word: str
    cut: bool


def tokens_of(text: str) -> list[Token]:
    """The words of a request, at most 120."""
    found = []
    for piece in _PIECE.finditer(text):
        raw = piece[0]
        left = len(raw) - len(raw.lstrip(_EDGE))
        core = raw.strip(_EDGE)
        if not core:
            left, core = 0, raw
        start = piece.start() + left
        word = core.lower().replace("\u2019", "'")
        found.append(Token(start, start + len(core), word, piece.end() > start + len(core)))
        if len(found) == _LONGEST:
            break
    return found


def shape_of(word: str) -> str:
    """What kind of word it is: its class, or the shape of its signs; empty for an ordinary word."""
    if (known := _CLASS_OF.get(word)) is not None:
        return known
    if word in NUMBERS:
        return "num"
    if word.isdecimal():
        return f"d{min(len(word), 5)}"
    if word[:1].isdigit() or word[-1:].isdigit():
        if ":" in word:
            return "d:d"
        if word.replace(".", "").replace(",", "").isdecimal():
            return "d.d"
        return "dx" if word[:1].isdigit() else "xd"
    if not word.replace("'", "").replace("-", "").isalpha():
        return "sign"
    return ""


def span_text(text: str, tokens: Sequence[Token], marks: Sequence[bool], *, exact: bool) -> str:
    """The marked words exactly as they stand in the request; separate runs of them are joined by a blank."""
    runs: list[str] = []
    at = 0
    while at < len(tokens):
        if not marks[at]:
            at += 1
            continue
        first = at
        while at + 1 < len(tokens) and marks[at + 1]:
            at += 1
        start, end = tokens[first].start, tokens[at].end
        if exact:
            while start > 0 and not text[start - 1].isspace():
                start -= 1
            while end < len(text) and not text[end].isspace():
                end += 1
            run = text[start:end].rstrip(".?!,;")
            if len(run) > 1 and run[0] == run[-1] and run[0] in "\"'`":
                run = run[1:-1]
        else:
            run = text[start:end]
        runs.append(run)
        at += 1
    return " ".join(runs)
