"""Is a reaction the wanted one? Arguments are compared as the tools would understand them, not letter by letter."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pipecatapp.twin.understand.routing import ROUTE
from starter_model.speech import spoken

_HOSTLIKE = frozenset({"host", "limit", "playbook", "service", "url", "username", "tags", "expert", "command", "code"})
_ARTICLE = re.compile(r"^(?:the|a|an|my|our|your) ")


@dataclass(frozen=True, slots=True)
class Case:
    """A request and the wanted call; no tool: the model should speak."""

    text: str
    tool: str | None
    arguments: Mapping[str, Any]
    intent: str = ""


@dataclass(frozen=True, slots=True)
class Reaction:
    """What the model did."""

    tool: str | None
    arguments: Mapping[str, Any]
    said: str = ""


def same(case: Case, reaction: Reaction) -> bool:
    """Whether tool and all arguments fit.

    The query of ``route_to_expert`` is the whole request by construction; it counts only where the case names one.
    """
    if case.tool != reaction.tool:
        return False
    wanted = {name: normalized(name, value) for name, value in case.arguments.items()}
    got = {name: normalized(name, value) for name, value in reaction.arguments.items()}
    if case.tool == ROUTE and "query" not in wanted:
        got.pop("query", None)
    return wanted == got


def normalized(name: str, value: Any) -> str:
    """An argument as its tool reads it: an address with or without scheme, said or written, an expert's short name."""
    if isinstance(value, bool | int | float):
        return str(value)
    text = " ".join(str(value).split()).strip("\"'`")
    if name == "url":
        text = re.sub(r"^https?://", "", text.lower()).rstrip("/")
    if name in ("service", "expert"):
        text = re.sub(r"^(?:the )?(?:prima[- ]api[- ])?", "", text.lower())
        text = re.sub(r" (?:expert|service|server)$", "", text)
    if name == "playbook":
        text = re.sub(r"(?:\.| dot )ya?ml$", "", text.lower())
    if name not in ("command", "code"):
        text = text.lower().rstrip(".?!")
    if name in ("query", "text", "target", "host"):
        text = _ARTICLE.sub("", text)
    if name in _HOSTLIKE:
        # "node three" is node3, "example dot org" is example.org: said and written forms meet in the spoken one.
        text = spoken(text, spell_signs=True).replace(" ", "")
    return text
