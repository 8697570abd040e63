"""Conversations on disk: whole after a kill at any instant, and only where they belong."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from pipecatapp.domain import Message, ToolCall, Turn, TurnCost, TurnRecord, Usage
from pipecatapp.errors import ConfigurationError
from pipecatapp.storage.conversations import JsonlConversations

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


async def test_what_was_kept_is_loaded_again(tmp_path: Path) -> None:
    store = JsonlConversations(tmp_path)
    for number in range(3):
        await store.append("a-1", record(number))
    assert await JsonlConversations(tmp_path).load("a-1") == [record(number) for number in range(3)]
    assert await store.load("other") == []


async def test_a_kill_at_any_byte_loses_at_most_the_last_turn(tmp_path: Path) -> None:
    store = JsonlConversations(tmp_path)
    await store.append("c", record(0))
    file = tmp_path / "c.jsonl"
    first = file.stat().st_size
    await store.append("c", record(1))
    whole = file.read_bytes()
    for end in range(first, len(whole)):
        file.write_bytes(whole[:end])
        after = JsonlConversations(tmp_path)
        loaded = await after.load("c")
        assert loaded[0] == record(0)
        assert len(loaded) == (2 if end == len(whole) - 1 else 1)
        await after.append("c", record(2))
        assert (await after.load("c"))[-1] == record(2)


async def test_a_torn_line_is_set_aside_once(tmp_path: Path) -> None:
    store = JsonlConversations(tmp_path)
    await store.append("c", record(0))
    with (tmp_path / "c.jsonl").open("ab") as file:
        file.write(b'{"v": 1, "turn": {"id"')
    await store.load("c")
    await store.load("c")
    assert (tmp_path / "c.torn").read_bytes() == b'{"v": 1, "turn": {"id"\n'


async def test_what_was_heard_replaces_the_answer(tmp_path: Path) -> None:
    store = JsonlConversations(tmp_path)
    await store.append("c", record(0))
    await store.amend("c", "t0", "Ach")
    (loaded,) = await store.load("c")
    assert (loaded.turn.assistant_text, loaded.turn.interrupted) == ("Ach", True)
    assert loaded.messages[-1] == Message("assistant", "Ach")


async def test_a_cleared_conversation_begins_afresh_and_loses_nothing(tmp_path: Path) -> None:
    store = JsonlConversations(tmp_path)
    await store.append("c", record(0))
    await store.clear("c")
    assert await store.load("c") == []
    await store.append("c", record(1))
    assert await store.load("c") == [record(1)]
    assert "t0" in (tmp_path / "c.jsonl").read_text()


async def test_writers_at_once_do_not_mix_lines(tmp_path: Path) -> None:
    store = JsonlConversations(tmp_path)
    await asyncio.gather(*(store.append("c", record(number)) for number in range(20)))
    assert [r.turn.id for r in await store.load("c")] == [f"t{number}" for number in range(20)]


async def test_all_conversations_are_listed(tmp_path: Path) -> None:
    store = JsonlConversations(tmp_path)
    assert await store.all() == []
    await store.append("a", record(0))
    await store.append("b", record(0))
    await store.append("b", record(1))
    (tmp_path / "not a conversation.jsonl").write_text("{}")
    assert {info.id: info.turns for info in await store.all()} == {"a": 1, "b": 2}


@pytest.mark.parametrize("name", ["", "..", "../x", "a/b", "a.b", "x" * 65, "a\n", "ä"])
async def test_an_id_cannot_leave_the_folder(tmp_path: Path, name: str) -> None:
    store = JsonlConversations(tmp_path / "in")
    with pytest.raises(ConfigurationError):
        await store.append(name, record(0))
    with pytest.raises(ConfigurationError):
        await store.load(name)
    assert list(tmp_path.iterdir()) == []


async def test_others_cannot_read_what_people_said(tmp_path: Path) -> None:
    store = JsonlConversations(tmp_path / "new")
    await store.append("c", record(0))
    assert (tmp_path / "new/c.jsonl").stat().st_mode & 0o007 == 0
    assert (tmp_path / "new").stat().st_mode & 0o007 == 0


async def test_half_a_character_costs_no_turn(tmp_path: Path) -> None:
    store = JsonlConversations(tmp_path)
    whole = record(1)
    await store.append("a", TurnRecord(whole.turn, (Message("user", "x \ud83d y"),)))
    assert [r.messages for r in await store.load("a")] == [(Message("user", "x ? y"),)]


async def test_counting_reads_only_what_has_changed(tmp_path: Path) -> None:
    store = JsonlConversations(tmp_path)
    await store.append("a", record(1))
    await store.append("b", record(1))
    assert {info.id: info.turns for info in await store.all()} == {"a": 1, "b": 1}
    known = (tmp_path / "a.jsonl").stat()
    (tmp_path / "a.jsonl").write_bytes(b"x" * known.st_size)  # nobody looks into it, for it seems the same
    os.utime(tmp_path / "a.jsonl", ns=(known.st_atime_ns, known.st_mtime_ns))
    await store.append("b", record(2))
    assert {info.id: info.turns for info in await store.all()} == {"a": 1, "b": 2}


async def test_a_conversation_is_put_back_as_it_was(tmp_path: Path) -> None:
    store = JsonlConversations(tmp_path)
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
