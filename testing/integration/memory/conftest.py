"""Long-term memories on one folder, each opened after the one before was closed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from pipecatapp.memory.fact_candidates import Summarise
from pipecatapp.memory.long_term import FaissMemory
from testing.fakes.embedding import HashEmbedder
from testing.fakes.storage import close_storage, memory_in

SYNONYMS = {"kid": "daughter", "physician": "doctor", "automobil": "car"}
Open = Callable[..., Awaitable[FaissMemory]]


@pytest.fixture
async def opened(tmp_path: Path) -> AsyncIterator[Open]:
    memories: list[FaissMemory] = []

    async def close() -> None:
        for memory in memories:
            await memory.close()
        memories.clear()
        close_storage(tmp_path)

    async def open_memory(
        embedder: HashEmbedder | None = None, *, model: str = "toy", summarise: Summarise | None = None, **more: float
    ) -> FaissMemory:
        await close()
        memory = memory_in(
            tmp_path,
            embedder or HashEmbedder(synonyms=SYNONYMS),
            embedding_model=model,
            summarise=summarise,
            **more,
        )
        await memory.open()
        memories.append(memory)
        return memory

    yield open_memory
    await close()
