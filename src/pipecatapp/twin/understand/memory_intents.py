"""Wishes to remember, to forget or to hear what was remembered, as plain as a command: no model need be asked.

For the starter model alone, which mistakes one for the other now and then. Only a whole request in such a form counts.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from pipecatapp.domain import Fact, ToolCall

REMEMBER, RECALL, FORGET = "memory.remember", "memory.recall", "memory.forget"

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
# A question about what the person told, not about the agent.
_QUESTION = re.compile(
    rf"{_BEFORE}(?:where|when|who|whose|what|what's|which|how)\b(?!.*\byou(?:r|rs)?\b).*", re.IGNORECASE
)
# So well a fact fits when it holds nearly all that is asked for.
_ANSWERS = 0.75


def match_intent(words: str, tools: Collection[str], facts: Sequence[Fact] = ()) -> ToolCall | None:
    """The call that a request clearly asks for; None when a model has to decide.

    Args:
        words: the request.
        tools: the names of those that can be called.
        facts: what was recalled for it, the best first.
    """
    said = " ".join(words.split())
    if REMEMBER in tools and (found := _REMEMBER.fullmatch(said)):
        return ToolCall("", REMEMBER, {"text": found["text"].rstrip(" .!?")})
    if FORGET in tools and _FORGET.fullmatch(said):
        return ToolCall("", FORGET, {"query": "that"})
    if RECALL in tools and facts and facts[0].score >= _ANSWERS and _QUESTION.fullmatch(said):
        return ToolCall("", RECALL, {"query": said})
    return None
