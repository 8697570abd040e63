"""Requests to remember, to forget and to hear what was remembered, in plain forms."""

from __future__ import annotations

import re

from pipecatapp.languages.language import MemoryRequests

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

MEMORY_REQUESTS = MemoryRequests(
    remember=_REMEMBER,
    forget=_FORGET,
    question=_QUESTION,
    everything=frozenset({"all", "everything", "anything", "both"}),
)
