"""What of long-term memory is there after a kill, a restart, damage and a change of the embedding model."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from pipecatapp.domain import Fact
from pipecatapp.errors import StorageError
from pipecatapp.storage.part import Storage
from testing.fakes.embedding import HashEmbedder
from testing.fakes.storage import close_storage, storage_in
from testing.integration.memory.conftest import SYNONYMS, Open

pytestmark = pytest.mark.integration


def texts(facts: Sequence[Fact]) -> list[str]:
    return [fact.text for fact in facts]


async def test_forgetting_shows_what_and_leaves_no_trace_in_the_files(opened: Open, tmp_path: Path) -> None:
    memory = await opened()
    old = await memory.add("The secret word is Quaxelblim")
    new = await memory.replace(old.id, "The secret word is Vornalith")
    kept = await memory.add("The garden needs water")
    await memory.settled()
    assert new is not None

    gone = await memory.forget([new.id, new.id, "999", "x"])
    await memory.settled()

    assert texts(gone) == ["The secret word is Vornalith"]
    assert await memory.recall("secret word Vornalith Quaxelblim") == []
    assert [fact.id for fact in await memory.facts()] == [int(kept.id)]
    assert await memory.forget([new.id]) == []
    await storage_in(tmp_path).journal.snapshot()  # behind what the thread had to do
    for path in tmp_path.iterdir():
        assert b"Vornalith" not in path.read_bytes()
        assert b"Quaxelblim" not in path.read_bytes()


async def test_facts_and_vectors_are_there_after_a_restart(opened: Open) -> None:
    memory = await opened()
    for number in range(30):
        await memory.add(f"Person{number} likes dish{number}", kind="taste" if number % 2 else "note")
    await memory.settled()
    embedder = HashEmbedder()

    memory = await opened(embedder)
    await memory.settled()

    assert embedder.embedded == []
    assert texts(await memory.recall("what does person7 like", limit=1)) == ["Person7 likes dish7"]
    page = await memory.facts(kind="taste", offset=1, limit=2)
    assert [fact.text for fact in page] == ["Person27 likes dish27", "Person25 likes dish25"]


async def test_a_lost_index_is_built_from_the_records_without_the_model(opened: Open, tmp_path: Path) -> None:
    memory = await opened()
    await memory.add("My daughter visits the doctor")
    await memory.settled()
    await memory.close()
    (tmp_path / "long_term_memory.faiss").unlink()
    embedder = HashEmbedder(synonyms=SYNONYMS)

    memory = await opened(embedder)
    await memory.settled()

    assert embedder.embedded == []
    assert texts(await memory.recall("physician kid")) == ["My daughter visits the doctor"]
    await memory.close()
    assert (tmp_path / "long_term_memory.faiss").exists()


async def test_a_damaged_index_is_set_aside_and_nothing_is_lost(opened: Open, tmp_path: Path) -> None:
    memory = await opened()
    await memory.add("My daughter visits the doctor")
    await memory.settled()
    await memory.close()
    (tmp_path / "long_term_memory.faiss").write_bytes(b"something else")

    memory = await opened()

    assert "long_term_memory.faiss" in memory.notices[0]
    assert texts(await memory.recall("physician kid")) == ["My daughter visits the doctor"]
    assert [path.read_bytes() for path in tmp_path.glob("*.unreadable-*")] == [b"something else"]


async def test_the_index_of_other_facts_is_never_used(opened: Open, tmp_path: Path) -> None:
    memory = await opened()
    await memory.add("My daughter visits the doctor")
    await memory.settled()
    await memory.close()
    close_storage(tmp_path)
    (tmp_path / "journal.db").unlink()

    memory = await opened()
    await memory.add("The car is red")
    await memory.settled()

    assert await memory.recall("physician kid") == []
    assert texts(await memory.recall("automobil")) == ["The car is red"]


async def test_another_embedding_model_embeds_everything_anew_in_the_background(opened: Open) -> None:
    memory = await opened()
    for number in range(100):
        await memory.add(f"Person{number} likes dish{number}")
    await memory.settled()
    embedder = HashEmbedder(dimensions=32, seed=9, synonyms={"enjoy": "lik"})
    embedder.hang = asyncio.Event()

    memory = await opened(embedder, model="toy 2", embed_timeout_s=0.01)
    health = await memory.health()
    assert (health.ok, health.progress) == (True, 0.0)
    assert "100 facts" in health.reason
    assert texts(await memory.recall("person7 likes", limit=1)) == ["Person7 likes dish7"]
    embedder.hang.set()
    await memory.settled()

    assert len(embedder.embedded) == 100
    assert (await memory.health()).progress is None
    assert texts(await memory.recall("enjoys person7", limit=1)) == ["Person7 likes dish7"]


async def test_two_processes_cannot_use_one_memory(opened: Open, tmp_path: Path) -> None:
    await opened()

    with pytest.raises(StorageError, match="only one may use a memory"):
        await Storage(tmp_path).journal.open()


CHILD = """
import asyncio, sys
from pathlib import Path
from testing.fakes.embedding import HashEmbedder
from testing.fakes.storage import memory_in

async def main():
    memory = memory_in(Path(sys.argv[1]), HashEmbedder(), embedding_model="toy")
    await memory.open()
    for number in range(100000):
        fact = await memory.add(f"Person{number} said word{number}")
        if number % 7 == 3:
            await memory.forget([fact.id])
            print("forgot", number, flush=True)
        else:
            print("kept", number, flush=True)

asyncio.run(main())
"""


async def test_a_killed_process_loses_nothing_that_it_had_acknowledged(opened: Open, tmp_path: Path) -> None:
    acknowledged: dict[int, bool] = {}
    for _ in range(3):
        with subprocess.Popen(
            [sys.executable, "-c", CHILD, str(tmp_path)],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": "src:."},
        ) as child:
            assert child.stdout is not None
            for line in child.stdout:
                what, number = line.split()
                acknowledged[int(number)] = what == "kept"
                if len(acknowledged) % 60 == 0:
                    break
            child.send_signal(signal.SIGKILL)

    memory = await opened()
    stored = {fact.text for fact in await memory.facts(limit=10**6)}

    kept = {f"Person{number} said word{number}" for number, alive in acknowledged.items() if alive}
    assert len(kept) > 40
    assert kept <= stored
    forgotten = {f"Person{number} said word{number}" for number, alive in acknowledged.items() if not alive}
    # The one in flight may have been added again after a restart.
    assert len(forgotten & stored) <= 1
    assert memory.notices == []
