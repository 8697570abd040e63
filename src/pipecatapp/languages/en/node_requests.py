"""Requests to join, remove, heal or wake one of the house's machines, in plain forms."""

from __future__ import annotations

import re

from pipecatapp.languages.language import NodeRequests

_BEFORE = r"(?:(?:hey|ok|okay|please|now|so|well|computer|could you|can you|would you|will you)[\s,]+)*"
_AFTER = r"(?:[\s,]+(?:please|thanks|thank you|for me|now|again))*[\s.!?]*"
_ARTICLES = frozenset({"the", "that", "this", "my", "our", "a", "new"})
_KINDS = frozenset(
    {"node", "nodes", "machine", "machines", "pc", "pcs", "computer", "computers", "worker", "workers", "controller"}
)
_KIND = f"(?:{'|'.join(sorted(_KINDS, key=len, reverse=True))})"
_NAME = (
    rf"(?!(?:{'|'.join(sorted(_ARTICLES))}|me|us|him|her|them|it|up|everyone|everybody|all|everything)\b)"
    r"[a-z0-9][a-z0-9-]{0,62}"
)
# Said with its kind, or so that it can be nothing else.
_NUMBERED = r"(?:node|pc|machine|worker|controller)-?\d{1,3}"
_MACHINE = rf"(?:(?:the|that|this|my|our)\s)?(?:new\s)?(?:{_KIND}\s{_NAME}|{_NAME}\s{_KIND}|{_NUMBERED})"
_SOME_NEW_ONE = rf"(?:the|that|this|my|a)\s(?:new\s)?{_KIND}"
_CLUSTER = (
    rf"(?:(?:the|my|this|our)\s(?:whole\s)?(?:cluster|house|{_KIND})|everything|all(?:\s(?:the|my|our))?\s{_KIND})"
)
_OUT_OF = "(?:out of|out from|from|off)"


def _whole(*forms: str) -> tuple[re.Pattern[str], ...]:
    return tuple(re.compile(rf"{_BEFORE}{form}{_AFTER}", re.IGNORECASE) for form in forms)


def _named(*machines: str) -> str:
    return f"(?P<machine>{'|'.join(machines)})"


NODE_REQUESTS = NodeRequests(
    join=_whole(
        rf"(?:add|join)\s{_named(_MACHINE, _SOME_NEW_ONE, _NAME)}(?:\sat\s\S{{1,60}})?\s(?:to|into)\s{_CLUSTER}",
        rf"join\s{_named(_MACHINE, _SOME_NEW_ONE)}(?:\sat\s\S{{1,60}})?",
        rf"let\s{_named(_MACHINE, _SOME_NEW_ONE, _NAME)}(?:\sat\s\S{{1,60}})?\sjoin(?:\s{_CLUSTER})?",
    ),
    remove=_whole(
        rf"(?:remove|take|drop|kick|retire|delete)\s{_named(_MACHINE, _NAME)}\s{_OUT_OF}\s{_CLUSTER}",
        rf"(?:remove|drop|kick out|retire|delete)\s{_named(_MACHINE)}",
    ),
    heal=_whole(
        rf"(?:heal|repair|mend|fix)\s{_CLUSTER}",
        rf"(?:repair|mend|fix)\s{_named(_MACHINE)}",
        rf"heal\s{_named(_MACHINE, _NAME)}",
    ),
    wake=_whole(
        rf"(?:switch on|turn on|power on|power up|boot)\s{_named(_MACHINE)}",
        rf"(?:switch|turn|power)\s{_named(_MACHINE)}\son",
        rf"wake(?:\sup)?\s{_named(_MACHINE, _NAME)}(?:\sup)?",
    ),
    kinds=_KINDS,
    articles=_ARTICLES,
)
