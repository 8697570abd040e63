"""Abbreviations in words, where what stands around them shows that they are no words of their own."""

from __future__ import annotations

import re

from pipecatapp.languages import language

_ALOUD = language().aloud
_NUMBERS = language().numbers
_FORM = re.compile(r"([(\"'\u201c\u2018]*)([A-Za-z][A-Za-z.]*\.|[wW]/o?)([),;:!?\"'.\u201d\u2019]*)")
_TIMES = frozenset(
    {name[:3] for name in _NUMBERS.months if name != "may"} | {name[:3] for name in _NUMBERS.weekdays[:7]}
    | {"sept", "tues", "thurs"}
)  # fmt: skip
# Of these a sentence can end with one, and its full stop is both.
_NEVER_LAST = frozenset({"e.g", "eg", "i.e", "vs", "approx", "ca", "cf", "incl", "excl"}) | _ALOUD.before_names


def may_be_short(text: str) -> bool:
    """Whether what follows decides how this is said."""
    form = _FORM.fullmatch(text)
    if form is None:
        return False
    name = form[2].rstrip(".").lower()
    return name in _ALOUD.abbreviations or name in _ALOUD.before_numbers


def in_words(text: str, before: str, first: bool, after: str) -> str | None:
    """What an abbreviation stands for, None where it is none here.

    Args:
        text: with what touches it.
        before: the word before it, as it is written.
        first: that word begins its sentence, so that its capital says nothing.
        after: the word behind it; empty at the end of a line.
    """
    form = _FORM.fullmatch(text)
    if form is None:
        return None
    name = form[2].rstrip(".").lower()
    opening, rest = form[1], form[3]
    capital = after.lstrip("(\"'\u201c")[:1].isupper()
    if name in _ALOUD.before_numbers and after[:1].isdigit():
        return f"{opening}{_ALOUD.before_numbers[name]}{rest}"
    words = _ALOUD.abbreviations.get(name)
    if words is None:
        return None
    if name in _ALOUD.before_names:
        behind = before[:1].isupper() and not first and name in _ALOUD.behind_names
        if behind or not capital:
            if name not in _ALOUD.behind_names or not (behind or before[:1].isupper()):
                return None
            words = _ALOUD.behind_names[name]
            return f"{opening}{words}{'.' if not rest and (capital or not after) else ''}{rest}"
    if name in _TIMES and not (
        form[2][0].isupper() and (after[:1].isdigit() or "," in rest or before.isdigit() or _is_time(after))
    ):
        return None
    stop = name not in _NEVER_LAST and name not in _TIMES and not rest and (capital or not after)
    return f"{opening}{words}{'.' if stop and form[2].endswith('.') else ''}{rest}"


def _is_time(word: str) -> bool:
    bare = word.strip(".,").lower()
    return bare in _TIMES or bare in _NUMBERS.months
