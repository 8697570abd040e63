"""Conversations in the journal: as they were, over restarts, and only where they belong."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from pipecatapp.domain import Message, ToolCall, Turn, TurnCost, TurnRecord, Usage
from pipecatapp.errors import ConfigurationError
from pipecatapp.storage.conversations import Conversations, fold, to_body
from pipecatapp.storage.erasure import Erasure
from pipecatapp.storage.part import Storage
from testing.fakes.approvals import JumpingClock
from testing.fakes.storage import close_storage, storage_in

pytestmark = pytest.mark.unit


def record(number: int) -> TurnRecord:
    return TurnRecord(
        Turn(
            id=f"t{number}",
            user_text=f"wie spät ist es {number}\nbitte",
            assistant_text="Acht.",
            source="voice",
            started_at=1000.0 + number,
            tool_calls=(ToolCall("1", "clock.now", {"timezone": "Berlin"}),),
            cost=TurnCost(0.1, 0.2, None, 0.4, Usage(10, 5, 3)),
        ),
        (Message("user", "wie spät"), Message("assistant", "Acht.")),
    )


@pytest.fixture
def store(tmp_path: Path) -> Conversations:
    return storage_in(tmp_path).conversations


async def test_what_was_kept_is_loaded_again(store: Conversations, tmp_path: Path) -> None:
    for number in range(3):
        await store.append("a-1", record(number))
    close_storage(tmp_path)
    again = storage_in(tmp_path).conversations
    assert await again.load("a-1") == [record(number) for number in range(3)]
    assert await again.load("other") == []


async def test_what_was_heard_replaces_the_answer(store: Conversations) -> None:
    await store.append("c", record(0))
    await store.amend("c", "t0", "Ach")
    (loaded,) = await store.load("c")
    assert (loaded.turn.assistant_text, loaded.turn.interrupted) == ("Ach", True)
    assert loaded.messages[-1] == Message("assistant", "Ach")


async def test_a_cleared_conversation_begins_afresh_and_loses_nothing(store: Conversations, tmp_path: Path) -> None:
    await store.append("c", record(0))
    await store.clear("c")
    assert await store.load("c") == []
    await store.append("c", record(1))
    assert await store.load("c") == [record(1)]
    close_storage(tmp_path)
    assert b"t0" in (tmp_path / "journal.db").read_bytes()


async def test_writers_at_once_keep_their_order(store: Conversations) -> None:
    await asyncio.gather(*(store.append("c", record(number)) for number in range(20)))
    assert [r.turn.id for r in await store.load("c")] == [f"t{number}" for number in range(20)]


async def test_all_conversations_are_listed_the_latest_first(tmp_path: Path) -> None:
    clock = JumpingClock()
    storage = Storage(tmp_path, clock=clock)
    store = storage.conversations
    assert await store.all() == []
    for name in ("a", "b", "b"):
        clock.jump(1.0)
        await store.append(name, record(0))
    assert [(info.id, info.turns, info.updated_at) for info in await store.all()] == [
        ("b", 2, clock.now),
        ("a", 1, clock.now - 2),
    ]
    await store.clear("b")
    assert {info.id: info.turns for info in await store.all()} == {"a": 1, "b": 0}
    await storage.stop()


@pytest.mark.parametrize("name", ["", "..", "../x", "a/b", "a.b", "x" * 65, "a\n", "ä"])
async def test_an_id_is_short_and_plain(tmp_path: Path, name: str) -> None:
    store = storage_in(tmp_path / "in").conversations
    with pytest.raises(ConfigurationError):
        await store.append(name, record(0))
    with pytest.raises(ConfigurationError):
        await store.load(name)
    assert list(tmp_path.iterdir()) == []


async def test_half_a_character_costs_no_turn(store: Conversations) -> None:
    whole = record(1)
    await store.append("a", TurnRecord(whole.turn, (Message("user", "x \ud83d y"),)))
    assert [r.messages for r in await store.load("a")] == [(Message("user", "x ? y"),)]


async def test_a_conversation_is_put_back_as_it_was(store: Conversations) -> None:
    await store.append("c", record(0))
    await store.clear("c")
    await store.append("c", record(1))
    await store.amend("c", "t1", "Ach")
    before = [line for name, line in await store.stored() if name == "c"]
    at_that_time = await store.load("c")
    assert not await store.put_back("c", before)

    await store.append("c", record(2))
    assert await store.put_back("c", before)
    assert await store.load("c") == at_that_time
    assert [turn.turn.assistant_text for turn in at_that_time] == ["Ach"]


def test_the_lines_of_an_older_state_add_up() -> None:
    lines = [to_body(record(0)), {"cleared": 1.0}, to_body(record(1)), {"heard": "t1", "text": "Ach"}]
    assert fold(lines) == [to_body(record(1).heard("Ach"))]


async def test_what_is_too_old_is_erased_cleared_or_not(tmp_path: Path) -> None:
    clock = JumpingClock(100 * 86_400.0)
    storage = Storage(tmp_path, clock=clock)
    for name, days, text in (("a", 40, "oldest words"), ("a", 29, "newer words"), ("b", 31, "another secret")):
        turn = replace(
            record(days), turn=replace(record(days).turn, user_text=text, started_at=clock.now - days * 86_400)
        )
        await storage.conversations.append(name, turn)
    await storage.conversations.clear("a")

    await storage.expire(0)
    assert len(await storage.conversations.all()) == 2
    await storage.expire(30)

    assert {info.id for info in await storage.conversations.all()} == {"a"}
    await storage.stop()
    content = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert [words in content for words in (b"oldest words", b"newer words", b"another secret")] == [False, True, False]


async def test_turns_in_which_a_forgotten_fact_was_said_are_erased(tmp_path: Path) -> None:
    storage = storage_in(tmp_path)
    for number, text in enumerate(["remember that my locker opens with marzipan, please", "hello", "good night"]):
        await storage.conversations.append(
            "c", replace(record(number), turn=replace(record(number).turn, user_text=text))
        )
    await storage.journal.run(storage.conversations.erase_now, Erasure(["My locker opens with marzipan."], ["t2"]))
    assert [kept.turn.user_text for kept in await storage.conversations.load("c")] == ["hello"]
