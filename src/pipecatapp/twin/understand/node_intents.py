"""Wishes about the house's machines, as plain as a command.

For the starter model alone, which was trained before there were these tools and takes others in their place ("heal
node3" became a command by ssh). Only a whole request in such a form counts.
"""

from __future__ import annotations

from collections.abc import Collection

from pipecatapp.domain import ToolCall
from pipecatapp.languages import language

_REQUESTS = language().node_requests
_VERBS = ("join", "remove", "heal", "wake")
_LONGEST = 200  # characters: no such request is longer


def match_node_intent(words: str, tools: Collection[str]) -> ToolCall | None:
    """The call that a request clearly asks for; None when a model has to decide.

    Args:
        words: the request.
        tools: the names of all tools, also of those that are off, which say why.
    """
    said = " ".join(words.split())
    if len(said) > _LONGEST:
        return None
    for verb in _VERBS:
        if (name := f"nodes.{verb}") in tools:
            for form in getattr(_REQUESTS, verb):
                if (found := form.fullmatch(said)) is not None:
                    node = _node(found.groupdict().get("machine") or "")
                    return ToolCall("", name, {"node": node} if node else {})
    return None


def _node(machine: str) -> str:
    """``the kitchen pc`` -> ``kitchen``, ``node 3`` -> ``node3``; empty where no name is said."""
    words = [word for word in machine.casefold().split() if word not in _REQUESTS.articles]
    names = [word for word in words if word not in _REQUESTS.kinds]
    if not names:
        return ""
    return f"{words[0]}{names[0]}" if names[0].isdecimal() and words[0] != names[0] else names[0]
