"""Wishes to remember, to forget or to hear what was remembered, as plain as a command: no model need be asked.

For the starter model alone, which mistakes one for the other now and then. Only a whole request in such a form counts.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from pipecatapp.domain import Fact, ToolCall
from pipecatapp.languages import language

REMEMBER, RECALL, FORGET = "memory.remember", "memory.recall", "memory.forget"

_REQUESTS = language().memory_requests

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
    if REMEMBER in tools and (found := _REQUESTS.remember.fullmatch(said)):
        return ToolCall("", REMEMBER, {"text": found["text"].rstrip(" .!?")})
    if FORGET in tools and _REQUESTS.forget.fullmatch(said):
        return ToolCall("", FORGET, {"query": "that"})
    if RECALL in tools and facts and facts[0].score >= _ANSWERS and _REQUESTS.question.fullmatch(said):
        return ToolCall("", RECALL, {"query": said})
    return None
