"""What the agent holds of the conversations that are open, and of the turn that runs in one."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any

from pipecatapp.background import BackgroundTasks
from pipecatapp.domain import INTERRUPTED, ApprovalRequest, Message, Source, TurnRecord
from pipecatapp.errors import StorageError
from pipecatapp.intents import Guess, OpenQuestion
from pipecatapp.ports import ConversationStore, Forgotten
from pipecatapp.twin.remember.history import History
from pipecatapp.twin.speak.prefill import Prefill
from pipecatapp.twin.speak.turn_request import TurnRequest
from pipecatapp.twin.turn_progress import TurnProgress

logger = logging.getLogger(__name__)

# Idle conversations beyond these are forgotten in memory; they come back from the store.
OPEN_CONVERSATIONS = 64


@dataclass(slots=True)
class OpenConversation:
    """What the agent holds of one conversation."""

    id: str
    history: History
    prefill: Prefill
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    users: int = 0  # turns that run or wait, and what is still being stored
    offers_more: bool = False  # the last answer ended by asking whether to go on
    asked: OpenQuestion | None = None  # what the last turn asked the person, for the reflex
    last_done: Sequence[Guess] = ()  # the tools that the reflex used in the last turn
    last_words: str = ""  # that led to them, or to what was asked
    last_turn: str = ""  # its id

    @property
    def idle(self) -> bool:
        """Whether everything of it is in the store."""
        return not self.users and self.prefill.idle

    def release(self) -> None:
        """One user less."""
        self.users -= 1

    @contextmanager
    def use(self) -> Iterator[None]:
        """Keeps it from being forgotten meanwhile."""
        self.users += 1
        try:
            yield
        finally:
            self.release()

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """One turn at a time."""
        with self.use():
            async with self.lock:
                yield


@dataclass(slots=True)
class RunningTurn:
    """A turn between its first and its last word."""

    text: str
    source: Source
    progress: TurnProgress
    started_at: float
    request: TurnRequest | None = None
    plain: tuple[Message, ...] = ()  # of a turn without the model
    announces: ApprovalRequest | None = None  # by all that it says
    failed_at: int | None = None  # characters that were said before the apology
    whole: bool = False

    def messages(self) -> list[Message]:
        """What the model will see of it later. A turn of which nothing came but an apology leaves no trace."""
        if self.plain:
            return [*self.plain, Message("assistant", self.progress.text.strip() or INTERRUPTED)]
        if self.request is None or not self.request.messages:
            return []
        if self.failed_at == 0 and not self.request.calls:
            return []
        messages = list(self.request.messages)
        if messages[-1].role == "user":
            said = self.progress.text[self.request.told :].strip()
            messages.append(Message("assistant", said or INTERRUPTED))
        return messages


class OpenConversations:
    """Opens conversations, and closes those that nobody uses.

    Args:
        store: keeps them over restarts.
        prefill: makes the prefill of a conversation, of its id and its history.
    """

    def __init__(self, store: ConversationStore, prefill: Callable[[str, History], Prefill]) -> None:
        self._store = store
        self._prefill = prefill
        self._open: dict[str, OpenConversation] = {}
        self._opening = asyncio.Lock()
        self._saving = BackgroundTasks("storing a turn failed")

    def __len__(self) -> int:
        return len(self._open)

    def find(self, conversation: str) -> OpenConversation | None:
        """The conversation, if it is open."""
        return self._open.get(conversation)

    async def open(self, conversation: str) -> OpenConversation:
        """The conversation, read from the store the first time."""
        if (state := self._open.get(conversation)) is not None:
            return state
        async with self._opening:
            if conversation not in self._open:
                history = History.resume(await self._read(conversation))
                self._forget_idle()
                self._open[conversation] = OpenConversation(conversation, history, self._prefill(conversation, history))
            return self._open[conversation]

    async def reread(self, state: OpenConversation) -> None:
        """Go on with what is stored now."""
        state.history.become(await self._read(state.id))

    async def reread_all(self) -> None:
        """Another agent wrote to the store: go on with what is there."""
        for name, state in list(self._open.items()):
            if state.idle:
                del self._open[name]
            else:
                async with state.turn():
                    await self.reread(state)

    def erase(self, forgotten: Forgotten) -> None:
        """Let nobody be reminded of turns that concern what is forgotten."""
        for state in self._open.values():
            turns = state.history.turns
            kept = [record for record in turns if not forgotten.concerns(asdict(record))]
            if len(kept) < len(turns):
                state.history.become(kept)

    def save(self, state: OpenConversation, work: Coroutine[Any, Any, None]) -> None:
        """Write something of the conversation to the store, without waiting; until then it stays open."""
        state.users += 1
        self._saving.start(work).add_done_callback(lambda _: state.release())

    async def wait_saved(self) -> None:
        """Return when everything is in the store."""
        await self._saving.wait()

    async def aclose(self) -> None:
        """End what is prepared, and wait for the store."""
        for state in list(self._open.values()):
            await state.prefill.stop()
        await self._saving.wait()

    def _forget_idle(self) -> None:
        """Drop from memory, oldest first, what is in the store anyway: every `pipecatapp ask` is a conversation."""
        for name, state in list(self._open.items()):
            if len(self._open) < OPEN_CONVERSATIONS:
                return
            if state.idle:
                del self._open[name]

    async def _read(self, conversation: str) -> list[TurnRecord]:
        try:
            return await self._store.load(conversation)
        except StorageError:
            logger.exception("conversation %s cannot be read; it begins afresh", conversation)
            return []
