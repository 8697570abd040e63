"""Long-term memory as the agent uses it: real files, real FAISS, a toy embedding model."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path

import pytest

from pipecatapp.domain import Fact, Turn
from pipecatapp.errors import StorageError
from pipecatapp.memory.long_term import FaissMemory
from pipecatapp.memory.notes import Note, Summarise
from pipecatapp.memory.records import FactAdded, StoredFact
from testing.fakes.embedding import HashEmbedder

pytestmark = pytest.mark.integration

SYNONYMS = {"kid": "daughter", "physician": "doctor", "automobil": "car"}
Open = Callable[..., Awaitable[FaissMemory]]


@pytest.fixture
async def opened(tmp_path: Path) -> AsyncIterator[Open]:
    """Opens memories on one folder, each after the one before was closed."""
    memories: list[FaissMemory] = []

    async def open_memory(
        embedder: HashEmbedder | None = None, *, model: str = "toy", summarise: Summarise | None = None, **more: float
    ) -> FaissMemory:
        for memory in memories:
            await memory.close()
        memories.clear()
        memory = FaissMemory(
            tmp_path,
            embedder or HashEmbedder(synonyms=SYNONYMS),
            embedding_model=model,
            summarise=summarise,
            **more,  # type: ignore[arg-type]
        )
        await memory.open()
        memories.append(memory)
        return memory

    yield open_memory
    for memory in memories:
        await memory.close()


def texts(facts: Sequence[Fact]) -> list[str]:
    return [fact.text for fact in facts]


def turn(user: str, assistant: str = "All right.") -> Turn:
    return Turn("t-1", user, assistant, "typed", 0.0)


async def test_a_fact_is_found_by_its_meaning_and_by_its_words(opened: Open) -> None:
    memory = await opened()
    await memory.add("My daughter visits the doctor on Thursday")
    await memory.add("The invoice of Zorlika is open")
    await memory.add("The car is in the garage")
    await memory.settled()

    assert texts(await memory.recall("physician of my kid")) == ["My daughter visits the doctor on Thursday"]
    assert texts(await memory.recall("what about Zorlika?")) == ["The invoice of Zorlika is open"]
    assert await memory.recall("tell a joke") == []
    assert await memory.recall("") == []
    (best,) = await memory.recall("my daughter visits the doctor on Thursday", limit=1)
    assert 0.9 < best.score <= 1.0


async def test_a_fact_is_found_by_its_words_before_it_has_a_vector(opened: Open) -> None:
    embedder = HashEmbedder()
    embedder.hang = asyncio.Event()
    memory = await opened(embedder, embed_timeout_s=0.01)
    await memory.add("The passport is in the blue drawer")

    assert texts(await memory.recall("where is the passport")) == ["The passport is in the blue drawer"]
    health = await memory.health()
    assert health.ok
    assert health.progress == 0.0
    embedder.hang.set()
    await memory.settled()
    assert (await memory.health()).progress is None


async def test_a_query_whose_vector_takes_too_long_is_answered_by_words(opened: Open) -> None:
    embedder = HashEmbedder()
    memory = await opened(embedder, embed_timeout_s=0.01)
    await memory.add("The passport is in the blue drawer")
    await memory.settled()
    embedder.hang = asyncio.Event()

    assert texts(await memory.recall("where is the passport")) == ["The passport is in the blue drawer"]


async def test_without_an_embedding_model_facts_are_kept_and_found_by_words(opened: Open) -> None:
    embedder = HashEmbedder()
    embedder.broken = True
    memory = await opened(embedder)
    await memory.add("The passport is in the blue drawer")
    await memory.settled()

    assert texts(await memory.recall("passport drawer")) == ["The passport is in the blue drawer"]
    health = await memory.health()
    assert not health.ok
    assert "embedding model is not here" in health.reason

    embedder.broken = False
    await memory.add("It is Monday")
    await memory.settled()
    assert (await memory.health()).ok


async def test_a_correction_replaces_and_the_old_fact_stays_as_history(opened: Open) -> None:
    memory = await opened()
    old = await memory.add("The meeting is on Wednesday", kind="date")
    new = await memory.replace(old.id, "The meeting is on Thursday", turn="t-2")
    await memory.settled()

    assert new is not None
    assert texts(await memory.recall("when is the meeting", limit=5)) == ["The meeting is on Thursday"]
    assert [fact.text for fact in await memory.history(new.id)] == ["The meeting is on Wednesday"]
    stored = await memory.get(new.id)
    assert stored is not None
    assert (stored.kind, stored.turn) == ("date", "t-2")
    assert await memory.replace(old.id, "again") is None
    assert await memory.replace("nonsense", "again") is None


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
    for path in tmp_path.iterdir():
        assert b"Vornalith" not in path.read_bytes()
        assert b"Quaxelblim" not in path.read_bytes()


async def test_what_is_said_twice_is_one_fact(opened: Open) -> None:
    memory = await opened()
    first = await memory.add("Anna likes tea.")
    again = await memory.add("anna likes the tea")
    other = await memory.add("Tea is what Anna likes")
    merged = await memory.merge(first.id, [other.id, "77"])

    assert again.id == first.id
    assert merged is not None
    assert len(memory) == 1
    stored = await memory.get(first.id)
    assert stored is not None
    assert stored.seen == 3
    assert await memory.merge("77", [first.id]) is None


async def test_a_correction_to_what_is_known_already_merges(opened: Open) -> None:
    memory = await opened()
    known = await memory.add("Anna lives in Oslo")
    wrong = await memory.add("Anna lives in Rome")

    corrected = await memory.replace(wrong.id, "Anna lives in Oslo")

    assert corrected is not None
    assert corrected.id == known.id
    assert len(memory) == 1


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
    (tmp_path / "long_term_memory.jsonl").unlink()

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


async def test_an_export_can_be_imported_elsewhere(opened: Open, tmp_path: Path) -> None:
    memory = await opened()
    await memory.add("Zoë plays the cello", kind="person", turn="t-4")
    wrong = await memory.add("It is Wednesday")
    await memory.replace(wrong.id, "It is Thursday")
    lines = [line async for line in memory.export()]
    elsewhere = FaissMemory(tmp_path / "elsewhere", HashEmbedder(), embedding_model="toy")
    await elsewhere.open()
    await elsewhere.add("it is thursday")

    report = await elsewhere.import_lines([*lines, "nonsense", json.dumps({"text": "x" * 9}), '{"text": "xxxxxxxxx"}'])

    assert (report.added, report.merged) == (2, 2)
    assert report.refused == [(3, "no JSON")]
    assert {fact.text for fact in await elsewhere.facts()} == {"Zoë plays the cello", "it is thursday", "x" * 9}
    imported = next(fact for fact in await elsewhere.facts() if fact.kind == "person")
    original = next(fact for fact in await memory.facts() if fact.kind == "person")
    assert (imported.turn, imported.created_at) == ("t-4", original.created_at)
    await elsewhere.close()


async def test_keep_writes_what_the_summariser_finds_worth_it(opened: Open) -> None:
    shown: list[tuple[str, ...]] = []

    async def summarise(turn: Turn, before: Sequence[Turn], related: Sequence[Fact]) -> Sequence[Note]:
        shown.append(tuple(texts(related)))
        if "Thursday" in turn.user_text:
            return [Note("The meeting is on Thursday", kind="date", replaces=related[0].id)]
        if "hello" in turn.user_text:
            return []
        return [Note("The meeting is on Wednesday", replaces="404"), Note("  ")]

    memory = await opened(summarise=summarise)
    await memory.keep(turn("the meeting is on Wednesday"))
    await memory.settled()
    await memory.keep(turn("no, the meeting is on Thursday"))
    await memory.keep(turn("hello"))

    assert [fact.text for fact in await memory.facts()] == ["The meeting is on Thursday"]
    assert shown[:2] == [(), ("The meeting is on Wednesday",)]
    assert (await memory.facts())[0].turn == "t-1"


async def test_a_note_corrects_only_the_fact_that_was_meant(opened: Open) -> None:
    # While the summariser thinks a state is loaded, in which another fact has this number.
    other = FactAdded(StoredFact(1, "The cat is called Tom", "told", "t-0", 1.0))

    async def summarise(turn: Turn, before: Sequence[Turn], related: Sequence[Fact]) -> Sequence[Note]:
        await memory.replace_all([other])
        return [Note("The meeting is on Thursday", replaces=related[0].id)]

    memory = await opened(summarise=summarise)
    assert (await memory.add("The meeting is on Wednesday")).id == "1"
    await memory.settled()
    await memory.keep(turn("no, the meeting is on Thursday"))
    assert sorted(fact.text for fact in await memory.facts()) == ["The cat is called Tom", "The meeting is on Thursday"]


async def test_keep_is_cancelled_when_the_person_speaks_again(opened: Open) -> None:
    started = asyncio.Event()

    async def summarise(turn: Turn, before: Sequence[Turn], related: Sequence[Fact]) -> Sequence[Note]:
        started.set()
        await asyncio.Event().wait()
        raise AssertionError

    memory = await opened(summarise=summarise)
    keeping = asyncio.create_task(memory.keep(turn("something")))
    await started.wait()
    keeping.cancel()

    with pytest.raises(asyncio.CancelledError):
        await keeping
    assert len(memory) == 0
    await memory.add("still works")
    assert len(memory) == 1


async def test_without_a_summariser_nothing_is_kept(opened: Open) -> None:
    memory = await opened()

    await memory.keep(turn("the meeting is on Wednesday"))

    assert len(memory) == 0


async def test_an_empty_text_is_no_fact(opened: Open) -> None:
    memory = await opened()

    with pytest.raises(ValueError, match="nothing to remember"):
        await memory.add(" \n")


async def test_a_recall_goes_before_the_background_work(opened: Open) -> None:
    embedder = HashEmbedder()
    memory = await opened(embedder)
    await memory.add("Person0 likes dish0")
    await memory.settled()
    embedder.embedded.clear()
    await memory.import_lines(json.dumps({"text": f"Person{number} likes dish{number}"}) for number in range(1, 200))

    assert texts(await memory.recall("person0 likes dish0", limit=1)) == ["Person0 likes dish0"]

    assert embedder.embedded.index("person0 likes dish0") < 20
    await memory.settled()


async def test_two_processes_cannot_use_one_memory(opened: Open, tmp_path: Path) -> None:
    await opened()

    with pytest.raises(StorageError, match="only one may use a memory"):
        await FaissMemory(tmp_path, None).open()


async def test_a_memory_that_is_not_open_says_so(tmp_path: Path) -> None:
    health = await FaissMemory(tmp_path, None).health()

    assert (health.ok, health.reason) == (False, "the memory is not open")


async def test_searching_shows_badly_fitting_facts_too(opened: Open) -> None:
    memory = await opened()
    await memory.add("The garden needs water every week in the summer")
    await memory.settled()

    assert await memory.recall("garden party invitation list music band") == []
    assert len(await memory.search("garden party invitation list music band")) == 1


CHILD = """
import asyncio, sys
from pathlib import Path
from pipecatapp.memory.long_term import FaissMemory
from testing.fakes.embedding import HashEmbedder

async def main():
    memory = FaissMemory(Path(sys.argv[1]), HashEmbedder(), embedding_model="toy")
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
