"""Long-term memory, made from the settings."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from pipecatapp.memory.embedding import Embedder, Floats
from pipecatapp.memory.long_term import FaissMemory
from pipecatapp.memory.registry import create_embedding, is_here
from pipecatapp.memory.states import States
from pipecatapp.memory.summary import Summariser
from pipecatapp.parts import Part
from pipecatapp.ports import ChatModel, EventSink, HealthSource
from pipecatapp.settings import Settings
from pipecatapp.storage.erasure import Erasure
from pipecatapp.storage.part import Storage

# Of six: enough to tell kinds of requests apart in a few milliseconds.
_SHALLOW_LAYERS = 2


class ErasingSink(EventSink, Protocol):
    """Where events go that can be taken out again."""

    async def erase(self, erasure: Erasure) -> None:
        """Take out what concerns it."""


class MemoryPart(Part):
    """What is remembered of people."""

    def __init__(self, facts: FaissMemory) -> None:
        self.facts = facts

    @property
    def health(self) -> Mapping[str, HealthSource]:
        """The component ``memory``."""
        return {"memory": self.facts}

    async def start(self) -> None:
        """Open it in the background."""
        self.facts.start()

    async def stop(self) -> None:
        """Close it."""
        await self.facts.close()


def create(settings: Settings, storage: Storage, model: ChatModel, hub: ErasingSink) -> MemoryPart:
    """Long-term memory; reads nothing yet. ``model`` writes down what is worth keeping of a turn.

    Raises:
        ConfigurationError: EMBEDDING_SERVICE names what is not there.
    """
    embedding = create_embedding(settings.embedding_service, settings.models)
    facts = FaissMemory(
        settings.state_dir,
        storage.journal,
        storage.facts,
        embedding.embedder,
        embedding_model=embedding.model,
        summarise=Summariser(model),
        sink=hub,
    )
    facts.erase_also(storage.erase)
    facts.erase_also(hub.erase)
    return MemoryPart(facts)


def create_states(facts: FaissMemory, storage: Storage, reread: Callable[[str], Awaitable[None]]) -> States:
    """The named states of facts and conversations; ``reread`` has a conversation read again after one was loaded."""
    states = States(storage.folder / "states", facts, storage.conversations, reread)
    facts.erase_also(states.erase)
    return states


def create_meanings(folder: Path) -> Callable[[Sequence[str]], Floats] | None:
    """Rows that tell kinds of requests apart, from the first layers of MiniLM; None where its files are not there."""
    if not is_here(folder):
        return None
    embedder = Embedder(folder)
    return lambda texts: embedder.embed_now(texts, _SHALLOW_LAYERS)
