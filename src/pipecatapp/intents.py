"""What a request wants, and what of the conversation counts for that. Frozen values, as in domain.py."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

# unsure: a tool is the best guess, and not a good one: the person is asked. dropped: what was asked is not wanted now.
IntentKind = Literal["tool", "expert", "mind", "talk", "cannot", "unsure", "dropped"]


@dataclass(frozen=True, slots=True)
class Guess:
    """A tool with its arguments, which are words of the request or of the open dialogue."""

    tool: str
    arguments: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Part:
    """One of several things that a request wants: the words of it, and what they want."""

    words: str
    intent: Intent


@dataclass(frozen=True, slots=True)
class Intent:
    """What a request wants.

    ``guesses``: the tool, where one is sure; where it is unsure those that it may be, the best first. ``missing`` names
    the arguments that the tool cannot do without and nobody said yet. ``expert`` is whom it is for. ``wants``: what
    there is no hand or sensor for ("lights", or the name of a tool that is off). ``amends``: it replaces what was done
    last. ``continues``: it says something of the turn before again, or answers its question. ``parts``: it wants all of
    these, in this order, each of them surely; the rest of the intent is what it would want as a whole. ``partly``: the
    guess is but one part of what was said. ``command``: the household's own words for it, as it wrote them down; its
    calls are the ``parts``.
    ``confidence`` (0 to 1) is how often such a decision is right.
    """

    kind: IntentKind
    confidence: float = 0.0
    guesses: Sequence[Guess] = ()
    missing: Sequence[str] = ()
    expert: str = ""
    wants: str = ""
    amends: bool = False
    continues: bool = False
    parts: Sequence[Part] = ()
    partly: bool = False
    command: str = ""


@dataclass(frozen=True, slots=True)
class OpenQuestion:
    """What the person was asked last: which of these, or (one guess with ``missing``) what is missing."""

    guesses: Sequence[Guess]
    missing: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Dialogue:
    """What of the conversation a decision looks at.

    ``tools`` can be called now, ``off`` cannot (with the reason); ``experts`` answer now. ``done`` is what the turn
    before this one did, the latest last; ``asked`` what it asked.
    """

    tools: frozenset[str] = frozenset()
    off: Mapping[str, str] = field(default_factory=dict)
    experts: frozenset[str] = frozenset()
    done: Sequence[Guess] = ()
    asked: OpenQuestion | None = None
