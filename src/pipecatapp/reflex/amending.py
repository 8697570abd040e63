"""The other value of a deed that is put right: what was said of the old one and not of the new one stays.

"An alarm for Wednesday at seven." "No, Thursday." -> "at seven Thursday"; "Ten seconds." "I said fifty." -> "fifty
seconds".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

from pipecatapp.languages import language
from pipecatapp.languages.spoken_time import SpokenWhen

_TIMES = language().times
_MOST_WORDS = 14
_SMALL = frozenset({"at", "on", "in", "for", "the"})


def amend(old: Mapping[str, str], new: Mapping[str, str]) -> dict[str, str]:
    """The arguments with the new values in them."""
    joined: dict[str, Callable[[str, str], str]] = {"when": _when, "duration": _duration, "change": _change}
    return {**old, **{name: joined.get(name, _other)(old.get(name, ""), value) for name, value in new.items()}}


def _other(old: str, new: str) -> str:
    return new


def _when(old: str, new: str) -> str:
    """The new day with the old time, or the new time on the old day."""
    said, before = _TIMES.when(new) or _TIMES.when(f"at {new}"), _TIMES.when(old)
    if said is None or before is None or said.after_s is not None or before.after_s is not None:
        return new
    wanted = _merge(before, said)
    is_more = not ((said.day and before.day) or (said.time and before.time) or (said.part and before.part) or said.rule)
    for kept in (*([old] if is_more else []), *_without(old)):
        for joined in (f"{kept} {new}", f"{kept} at {new}", f"{kept} in the {new}"):
            if _TIMES.when(joined) == wanted:
                return joined
    return new


def _merge(before: SpokenWhen, said: SpokenWhen) -> SpokenWhen:
    if said.day is not None or said.rule is not None:
        before = replace(before, day=said.day, rule=said.rule)
    if said.time is not None:
        part = said.part or (before.part if said.time.bare else None)
        return replace(before, time=said.time, part=part)
    return replace(before, part=said.part) if said.part is not None else before


def _without(words: str) -> Iterator[str]:
    """The words without some that stand together, the fewest first; small words at the end of it are no loss."""
    tokens = words.split()[:_MOST_WORDS]
    for length in range(1, len(tokens)):
        for first in range(len(tokens) - length + 1):
            kept = tokens[:first] + tokens[first + length :]
            while kept and kept[-1].casefold() in _SMALL:
                kept.pop()
            if kept:
                yield " ".join(kept)


def _duration(old: str, new: str) -> str:
    return _with_unit(old, new, lambda words: _TIMES.duration(words) is not None)


def _change(old: str, new: str) -> str:
    before = _TIMES.change(old)

    def is_alike(words: str) -> bool:
        change = _TIMES.change(words)
        return change is not None and before is not None and change.how == before.how

    return _with_unit(old, new, is_alike)


def _with_unit(old: str, new: str, is_one: Callable[[str], bool]) -> str:
    """A number alone has the unit of the old one; it would be minutes otherwise."""
    if not _is_number(new):
        return new
    tokens = old.split()[:_MOST_WORDS]
    for first in range(1, len(tokens)):
        joined = " ".join([new, *tokens[first:]])
        if _is_number(" ".join(tokens[:first])) and is_one(joined):
            return joined
    return new


def _is_number(words: str) -> bool:
    """Whether it is a number alone, or "a": what "minutes" makes a duration of."""
    seconds = _TIMES.duration(f"{words} minutes")
    return seconds is not None and _TIMES.duration(words) in (seconds, None)
