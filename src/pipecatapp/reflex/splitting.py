"""Where a request may be two: at a conjunction ("set a timer for ten minutes and add milk to the shopping list")."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pipecatapp.reflex.tagger import OUT
from pipecatapp.reflex.tokens import Token

# A comma joins less than an "and": who puts something right ("five minutes, no, ten") joins with it too.
_JOINT = re.compile(
    r"(?P<comma>,)\s+(?!(?:and|then|also|plus|no|not|sorry|wait|actually|rather|i mean|or|but)\b)"
    r"|[,;.]?\s+(?:and|then|plus|also)(?:\s+(?:then|also|after that|afterwards|please))*\s+",
    re.IGNORECASE,
)
_MOST_JOINTS = 4
# Any words can stand in these: where one of them reaches the joint, it may go on behind it ("remind me to call mum and
# set the table").
_OPEN: Mapping[str, frozenset[str]] = {
    "reminder.set": frozenset({"what"}), "memory.remember": frozenset({"text"}), "memory.recall": frozenset({"query"}),
    "memory.forget": frozenset({"query"}), "list.add": frozenset({"item"}), "ssh.run_command": frozenset({"command"}),
    "code_runner.run_python_code": frozenset({"code"}), "web_browser.type": frozenset({"text"}),
    "calendar.ask": frozenset({"question"}),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Joint:
    """A conjunction in a request: from where to where it stands. ``by_comma``: it is no more than that."""

    start: int
    end: int
    by_comma: bool


def joints(words: str) -> list[Joint]:
    """The first few places where a request may be two."""
    found = [Joint(each.start(), each.end(), each["comma"] is not None) for each in _JOINT.finditer(words)]
    return [joint for joint in found if joint.start > 0 and joint.end < len(words)][:_MOST_JOINTS]


def is_inside(joint: Joint, tokens: Sequence[Token], tags: Sequence[str]) -> bool:
    """Whether the joint stands inside of one argument: "buy bread and milk"."""
    before = [tag for token, tag in zip(tokens, tags, strict=True) if token.end <= joint.start]
    at = [tag for token, tag in zip(tokens, tags, strict=True) if joint.start <= token.start < joint.end]
    after = [tag for token, tag in zip(tokens, tags, strict=True) if token.start >= joint.end]
    if not before or not after or before[-1] == OUT:
        return False
    return before[-1] == after[0] and all(tag == before[-1] for tag in at)


def spans(joint: Joint, tokens: Sequence[Token], tags: Sequence[str]) -> bool:
    """Whether an argument takes words from both sides of the joint."""
    before = {tag for token, tag in zip(tokens, tags, strict=True) if token.end <= joint.start}
    after = {tag for token, tag in zip(tokens, tags, strict=True) if token.start >= joint.end}
    return bool((before & after) - {OUT})


def is_open(tool: str, tags: Sequence[str]) -> bool:
    """Whether the request ends in an argument that may go on behind a joint."""
    return bool(tags) and tags[-1] in _OPEN.get(tool, frozenset())


def rejoin(words: str, tokens: Sequence[Token], tags: Sequence[str], argument: str, value: str) -> str:
    """An argument that was taken from both sides of an "and" with the "and" in it: ``milk eggs`` -> "milk and eggs"."""
    marked = [token for token, tag in zip(tokens, tags, strict=True) if tag == argument]
    for joint in joints(words):
        left = [token for token in marked if token.end <= joint.start]
        right = [token for token in marked if token.start >= joint.end]
        if left and right and len(left) + len(right) == len(marked) and not joint.by_comma:
            one, two = words[left[0].start : left[-1].end], words[right[0].start : right[-1].end]
            if value == f"{one} {two}":
                return f"{one} and {two}"
    return value
