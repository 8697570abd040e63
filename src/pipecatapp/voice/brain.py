"""What the voice needs of the brain."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Protocol

from pipecatapp.domain import Source
from pipecatapp.twin.turn_progress import TurnProgress


class Brain(Protocol):
    """What voice needs of ``twin.agent.Agent``."""

    async def prepare(self, conversation: str, words: str) -> None:
        """Start what can be started on the words so far."""

    def respond(
        self, conversation: str, text: str, source: Source, progress: TurnProgress | None = None
    ) -> AsyncGenerator[str, None]:
        """The answer, piece by piece."""

    def resume(
        self, conversation: str, approval: str, progress: TurnProgress | None = None
    ) -> AsyncGenerator[str, None]:
        """What came of a call that a person decided, piece by piece."""

    async def record_heard(self, conversation: str, turn_id: str, text: str) -> None:
        """Only this came out of the speaker."""

    def finish(self, progress: TurnProgress) -> None:
        """What the turn cost is known."""
