"""Wishes to remember or to forget, said as plainly as a command: the call is clear before a model is asked.

For the starter model alone, which mistakes one for the other now and then. Only a whole request in such a form counts.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from pipecatapp.domain import ToolCall

REMEMBER, FORGET = "memory.remember", "memory.forget"

_BEFORE = r"(?:(?:hey|ok|okay|please|now|so|well|um|uh|no|and|computer|could you|can you|would you|will you)[\s,]+)*"
_AFTER = r"(?:[\s,]+(?:please|thanks|thank you|for me|ok|okay))*[\s.!?]*"
_REMEMBER = re.compile(
    rf"{_BEFORE}(?:remember|(?:make a )?note|keep in mind|bear in mind|(?:do not|don't|don\u2019t|never) forget)"
    rf"(?: this)?(?: that\b|:|,)\s*(?!(?:time|day|night|one|was|you|i told|we talked)\b)"
    rf"(?P<text>\w+(?:[\s,]+[^\s,]+){{2,40}}?){_AFTER}",
    re.IGNORECASE,
)
_FORGET = re.compile(
    rf"{_BEFORE}forget (?:that|this|that again|that one|about that|what i (?:have |just |)(?:said|told you))"
    rf"(?: just now)?{_AFTER}",
    re.IGNORECASE,
)


def plain_wish(words: str, tools: Collection[str]) -> ToolCall | None:
    """The call that a request clearly asks for, among these tools; None when a model has to decide."""
    said = " ".join(words.split())
    if REMEMBER in tools and (found := _REMEMBER.fullmatch(said)):
        return ToolCall("", REMEMBER, {"text": found["text"].rstrip(" .!?")})
    if FORGET in tools and _FORGET.fullmatch(said):
        return ToolCall("", FORGET, {"query": "that"})
    return None
