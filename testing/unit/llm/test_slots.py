"""Each conversation keeps its slot; a slot that changes hands starts with the system message evaluated."""

from __future__ import annotations

import httpx
import pytest

from pipecatapp.domain import Message, Usage
from pipecatapp.llm.client import OpenAIChatModel
from pipecatapp.ports import ChatRequest
from testing.unit.llm.server import COUNTS, Server, word

pytestmark = pytest.mark.unit

LONG = Message("system", "you are a helpful voice assistant " * 10)
SHORT = Message("system", "tools: none")


async def say(model: OpenAIChatModel, key: str, system: Message = LONG) -> Usage:
    chunks = [chunk async for chunk in model.stream(ChatRequest([system, Message("user", "hi")], slot_key=key))]
    assert chunks[-1].usage is not None
    return chunks[-1].usage


def server_with_two_slots() -> Server:
    server = Server()
    server.stream(word("x", "stop"), COUNTS)
    return server


def slots(server: Server) -> list[int]:
    return [body["id_slot"] for body in server.asked("/v1/chat/completions")]


async def test_conversations_keep_their_slots() -> None:
    server = server_with_two_slots()
    model = server.model()

    for key in ("kitchen", "hall", "kitchen", "hall"):
        await say(model, key)

    assert slots(server) == [0, 1, 0, 1]


async def test_a_further_conversation_takes_the_slot_that_was_quiet_longest() -> None:
    server = server_with_two_slots()
    model = server.model()

    for key in ("kitchen", "hall", "kitchen", "garden", "kitchen"):
        await say(model, key)

    assert slots(server) == [0, 1, 0, 1, 0]


async def test_a_slot_in_use_is_not_taken_while_another_is_idle() -> None:
    server = server_with_two_slots()
    model = server.model()
    running = model.stream(ChatRequest([SHORT, Message("user", "hi")], slot_key="kitchen"))
    await anext(running)

    for key in ("hall", "garden"):
        await say(model, key, SHORT)

    assert slots(server) == [0, 1, 1]
    await running.aclose()  # type: ignore[attr-defined]


async def test_the_system_message_is_evaluated_once_and_restored_for_the_next_conversation() -> None:
    server = server_with_two_slots()
    model = server.model()

    await say(model, "kitchen")
    await say(model, "hall")

    assert len(server.asked("/completion")) == 1
    assert server.asked("/completion")[0]["prompt"].endswith("assistant")
    assert len(server.snapshots) == 1
    assert len(server.asked("/slots/1")) == 1


async def test_what_the_warm_up_evaluated_is_counted_in_the_request() -> None:
    server = server_with_two_slots()
    model = server.model()

    first, second = await say(model, "kitchen"), await say(model, "hall")

    # The server said 20 of 30 were cached; 7 of them were evaluated a moment before, for this request.
    assert (first.cached_tokens, first.evaluated_tokens) == (13, 17)
    assert (second.cached_tokens, second.evaluated_tokens) == (20, 10)


async def test_a_short_system_message_is_not_worth_a_snapshot() -> None:
    server = server_with_two_slots()

    await say(server.model(), "kitchen", SHORT)

    assert server.asked("/slots/0") == []


async def test_a_server_without_snapshots_is_asked_once() -> None:
    server = server_with_two_slots()
    for slot in (0, 1):
        server.answers[f"/slots/{slot}"] = lambda request: httpx.Response(501, json={})
    model = server.model()

    for key in ("kitchen", "hall"):
        await say(model, key)

    assert len(server.asked("/slots/0")) == 1
    assert server.asked("/slots/1") == []
    assert slots(server) == [0, 1]
