"""What is worth keeping of a turn, and who says so."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from pipecatapp.domain import Fact, Turn


@dataclass(frozen=True, slots=True)
class FactCandidate:
    """What is worth keeping of a turn. ``replaces`` is the id of the fact that it corrects."""

    text: str
    kind: str = "note"
    replaces: str = ""


# Given a turn, those before it in its conversation (the latest last) and the facts that are related to it, what to
# keep; nothing is a valid answer.
Summarise = Callable[[Turn, Sequence[Turn], Sequence[Fact]], Awaitable[Sequence[FactCandidate]]]
