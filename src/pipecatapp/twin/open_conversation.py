"""What the agent holds of a conversation that is open, and of the turn that runs in it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field

from pipecatapp.domain import INTERRUPTED, ApprovalRequest, Message, Source
from pipecatapp.twin.remember.history import History
from pipecatapp.twin.speak.prefill import Prefill
from pipecatapp.twin.speak.tool_loop import TurnRequest
from pipecatapp.twin.turn_progress import TurnProgress


@dataclass(slots=True)
class OpenConversation:
    """What the agent holds of one conversation."""

    id: str
    history: History
    preparation: Prefill
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    users: int = 0  # turns that run or wait, and what is still being stored

    @property
    def idle(self) -> bool:
        """Whether everything of it is in the store."""
        return not self.users and self.preparation.idle

    @contextmanager
    def used(self) -> Iterator[None]:
        """Keeps it from being forgotten meanwhile."""
        self.users += 1
        try:
            yield
        finally:
            self.users -= 1

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """One turn at a time."""
        with self.used():
            async with self.lock:
                yield


@dataclass(slots=True)
class RunningTurn:
    """A turn between its first and its last word."""

    text: str
    source: Source
    progress: TurnProgress
    started_at: float
    exchange: TurnRequest | None = None
    plain: tuple[Message, ...] = ()  # of a turn without the model
    announces: ApprovalRequest | None = None  # by all that it says
    failed_at: int | None = None  # characters that were said before the apology
    whole: bool = False

    def messages(self) -> list[Message]:
        """What the model will see of it later. A turn of which nothing came but an apology leaves no trace."""
        if self.plain:
            return [*self.plain, Message("assistant", self.progress.text.strip() or INTERRUPTED)]
        if self.exchange is None or not self.exchange.messages:
            return []
        if self.failed_at == 0 and not self.exchange.calls:
            return []
        messages = list(self.exchange.messages)
        if messages[-1].role == "user":
            said = self.progress.text[self.exchange.told :].strip()
            messages.append(Message("assistant", said or INTERRUPTED))
        return messages
