"""What the voice needs of the brain."""

from __future__ import annotations

from typing import Protocol

from pipecatapp.twin.turn_progress import TurnProgress
from pipecatapp.twin.turn_queue import Answering


class Brain(Answering, Protocol):
    """What voice needs of ``twin.agent.Agent``."""

    async def prepare(self, conversation: str, words: str) -> None:
        """Start what can be started on the words so far."""

    async def record_heard(self, conversation: str, turn_id: str, text: str) -> None:
        """Only this came out of the speaker."""

    def finish(self, progress: TurnProgress) -> None:
        """What the turn cost is known."""
