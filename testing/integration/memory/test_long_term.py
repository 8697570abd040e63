"""Long-term memory as the agent uses it: real files, real FAISS, a toy embedding model."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from pipecatapp.domain import Fact
from testing.fakes.embedding import HashEmbedder
from testing.fakes.storage import memory_in
from testing.integration.memory.conftest import Open

pytestmark = pytest.mark.integration


def texts(facts: Sequence[Fact]) -> list[str]:
    return [fact.text for fact in facts]


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


async def test_an_export_can_be_imported_elsewhere(opened: Open, tmp_path: Path) -> None:
    memory = await opened()
    await memory.add("Zoë plays the cello", kind="person", turn="t-4")
    wrong = await memory.add("It is Wednesday")
    await memory.replace(wrong.id, "It is Thursday")
    lines = [line async for line in memory.export()]
    elsewhere = memory_in(tmp_path / "elsewhere", HashEmbedder(), embedding_model="toy")
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


async def test_a_memory_that_is_not_open_says_so(tmp_path: Path) -> None:
    health = await memory_in(tmp_path, None).health()

    assert (health.ok, health.reason) == (False, "the memory is not open")


async def test_searching_shows_badly_fitting_facts_too(opened: Open) -> None:
    memory = await opened()
    await memory.add("The garden needs water every week in the summer")
    await memory.settled()

    assert await memory.recall("garden party invitation list music band") == []
    assert len(await memory.search("garden party invitation list music band")) == 1
