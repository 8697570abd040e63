"""The agent as an OpenAI endpoint, asked with the official client."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import httpx
import openai
import pytest
from openai import AsyncOpenAI
from openai.types.chat import ChatCompletionMessageParam

from pipecatapp.domain import ComponentHealth
from pipecatapp.errors import ContextOverflowError, ModelUnreachableError
from pipecatapp.web.access import MAX_BODY
from testing.fakes.mission import Mission

pytestmark = pytest.mark.integration


@pytest.fixture
async def client(mission: Mission) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(base_url=f"{mission.url}/v1", api_key=mission.token, max_retries=0) as client:
        yield client


async def test_the_models_are_listed(client: AsyncOpenAI) -> None:
    assert [model.id async for model in client.models.list()] == ["pipecatapp"]
    assert (await client.models.retrieve("pipecatapp")).owned_by == "pipecatapp"
    with pytest.raises(openai.NotFoundError):
        await client.models.retrieve("gpt-4")


async def test_a_question_is_answered_with_its_usage(client: AsyncOpenAI) -> None:
    answer = await client.chat.completions.create(model="pipecatapp", messages=[{"role": "user", "content": "hello"}])

    assert (answer.choices[0].message.content or "").strip() == "You said: hello"
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage is not None
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens, answer.usage.total_tokens) == (412, 18, 430)
    assert answer.usage.prompt_tokens_details is not None
    assert answer.usage.prompt_tokens_details.cached_tokens == 371


async def test_what_turned_out_to_be_a_thought_is_not_in_the_answer(mission: Mission, client: AsyncOpenAI) -> None:
    mission.model.replies["plan"] = "Hm, a plan.</think>It is done."
    answer = await client.chat.completions.create(model="pipecatapp", messages=[{"role": "user", "content": "plan"}])
    assert (answer.choices[0].message.content or "").strip() == "It is done."


async def test_the_answer_streams(mission: Mission, client: AsyncOpenAI) -> None:
    async def slowly(go_on: asyncio.Event) -> AsyncIterator[str]:
        yield "one "
        await go_on.wait()
        yield "two"

    mission.model.replies["count"] = slowly
    stream = await client.chat.completions.create(
        model="pipecatapp",
        messages=[{"role": "user", "content": "count"}],
        stream=True,
        stream_options={"include_usage": True},
    )
    pieces, usage, reasons = [], None, []
    async for chunk in stream:
        usage = chunk.usage or usage
        for choice in chunk.choices:
            reasons.append(choice.finish_reason)
            if choice.delta.content:
                pieces.append(choice.delta.content)
                mission.model.go_on.set()

    assert "".join(pieces).split() == ["one", "two"]
    assert len(pieces) >= 2
    assert reasons[-1] == "stop"
    assert usage is not None
    assert usage.completion_tokens == 18


async def test_the_clients_messages_are_the_history_and_nothing_is_kept(mission: Mission, client: AsyncOpenAI) -> None:
    await client.chat.completions.create(
        model="pipecatapp",
        messages=[
            {"role": "system", "content": "Answer like a pirate."},
            {"role": "user", "content": "my name is Ada"},
            {"role": "assistant", "content": "Hello Ada."},
            {"role": "user", "content": [{"type": "text", "text": "who am I"}]},
        ],
    )

    sent = mission.model.requests[-1]
    assert [message.role for message in sent] == ["system", "user", "assistant", "user"]
    assert "Answer like a pirate." in sent[0].content
    assert [message.content for message in sent[1:]] == ["my name is Ada", "Hello Ada.", "who am I"]
    assert await mission.storage.conversations.all() == []
    assert list((mission.state_dir / "events").glob("*.jsonl")) == []


async def test_tools_run_on_the_node_and_never_show(mission: Mission, client: AsyncOpenAI) -> None:
    mission.model.replies = {
        "tool_response": "All is well.",
        "status": '<tool_call>\n{"name": "mcp.get_status", "arguments": {}}\n</tool_call>',
    }

    answer = await client.chat.completions.create(
        model="pipecatapp", messages=[{"role": "user", "content": "your status"}]
    )

    assert (answer.choices[0].message.content or "").strip() == "All is well."
    assert len(mission.tool.calls) == 1


async def test_a_client_that_goes_away_cancels_the_turn(mission: Mission, client: AsyncOpenAI) -> None:
    async def endless(go_on: asyncio.Event) -> AsyncIterator[str]:
        yield "and "
        await go_on.wait()

    mission.model.replies["forever"] = endless
    stream = await client.chat.completions.create(
        model="pipecatapp", messages=[{"role": "user", "content": "forever"}], stream=True
    )
    async for chunk in stream:
        if chunk.choices[0].delta.content:
            break
    await stream.close()

    async with asyncio.timeout(60):
        while not mission.model.cancelled:
            await asyncio.sleep(0.02)


async def test_a_client_that_gives_up_waiting_cancels_the_turn_too(mission: Mission, client: AsyncOpenAI) -> None:
    async def endless(go_on: asyncio.Event) -> AsyncIterator[str]:
        yield "and "
        await go_on.wait()

    mission.model.replies["forever"] = endless
    question = client.chat.completions.create(model="pipecatapp", messages=[{"role": "user", "content": "forever"}])
    waiting = asyncio.ensure_future(question)
    async with asyncio.timeout(60):
        while not mission.model.requests:
            await asyncio.sleep(0.02)
        waiting.cancel()
        while not mission.model.cancelled:
            await asyncio.sleep(0.02)


async def test_a_conversation_that_is_too_long_is_the_clients_to_shorten(mission: Mission, client: AsyncOpenAI) -> None:
    mission.model.replies["long"] = ContextOverflowError("9000 tokens are more than 8192")
    with pytest.raises(openai.BadRequestError, match="9000 tokens") as refused:
        await client.chat.completions.create(model="pipecatapp", messages=[{"role": "user", "content": "long"}])
    assert refused.value.code == "context_length_exceeded"


@pytest.mark.parametrize("content", ["It is ", [{"type": "text", "text": "It is "}]])
async def test_an_answer_that_the_client_began_goes_on(mission: Mission, client: AsyncOpenAI, content: str) -> None:
    mission.model.replies["which"] = "B, and no other."
    messages: list[ChatCompletionMessageParam] = [
        {"role": "user", "content": "hello"},
        {"role": "assistant", "content": "Hello."},
        {"role": "user", "content": "which one"},
        {"role": "assistant", "content": content},
    ]
    answer = await client.chat.completions.create(model="pipecatapp", messages=messages, max_tokens=7)
    assert answer.choices[0].message.content == "B, and no other. "
    assert answer.choices[0].finish_reason == "stop"
    assert (mission.model.begun, mission.model.room) == ("It is ", 7)
    assert [m.content for m in mission.model.requests[-1][1:]] == ["hello", "Hello.", "which one"]
    stream = await client.chat.completions.create(model="pipecatapp", messages=messages, stop="and", stream=True)
    chunks = [chunk.choices[0] async for chunk in stream]
    assert "".join(chunk.delta.content or "" for chunk in chunks) == "B, "


@pytest.mark.parametrize(
    ("stop", "left"), [("fo", "one two three "), (["o th", "w"], "one t"), ([], "one two three four ")]
)
async def test_a_stop_ends_the_answer(mission: Mission, client: AsyncOpenAI, stop: str | list[str], left: str) -> None:
    mission.model.replies["count"] = "one two three four"
    messages: list[ChatCompletionMessageParam] = [{"role": "user", "content": "count"}]
    answer = await client.chat.completions.create(model="pipecatapp", messages=messages, stop=stop)
    assert answer.choices[0].message.content == left
    stream = await client.chat.completions.create(model="pipecatapp", messages=messages, stop=stop, stream=True)
    chunks = [chunk.choices[0] async for chunk in stream]
    assert "".join(chunk.delta.content or "" for chunk in chunks) == left
    assert chunks[-1].finish_reason == "stop"


async def test_what_cannot_be_text_is_a_bad_request(http: httpx.AsyncClient) -> None:
    body = b'{"messages": [{"role": "user", "content": "x \\ud800"}]}'
    answer = await http.post("/v1/chat/completions", content=body, headers={"content-type": "application/json"})
    assert (answer.status_code, "half of a character" in answer.text) == (400, True)


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/api/messages", "/login"])
async def test_a_body_that_is_too_large_is_said_to_be(http: httpx.AsyncClient, path: str) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(40):
            yield b"x" * 65536

    for content in (endless(), b"x" * (MAX_BODY + 1)):
        answer = await http.post(path, content=content, headers={"content-type": "application/json"})
        assert (answer.status_code, str(MAX_BODY) in answer.text) == (413, True)


async def test_a_wrong_token_is_an_authentication_error(mission: Mission) -> None:
    async with AsyncOpenAI(base_url=f"{mission.url}/v1", api_key="wrong", max_retries=0) as stranger:
        with pytest.raises(openai.AuthenticationError, match="pipecatapp link"):
            await stranger.chat.completions.create(model="pipecatapp", messages=[{"role": "user", "content": "hi"}])


@pytest.mark.parametrize(
    "messages",
    [
        [],
        [{"role": "user", "content": ""}],
        [{"role": "assistant", "content": "hm"}],
        [{"role": "user", "content": "hi"}, {"role": "assistant", "content": " "}],
        [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "a", "tool_calls": [{"id": "1"}]}],
        [{"role": "system", "content": "only rules"}],
        [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}],
        [{"role": "tool", "tool_call_id": "1", "content": "x"}],
        [{"role": "king", "content": "x"}],
        "hello",
    ],
)
async def test_messages_that_cannot_be_answered_are_bad_requests(client: AsyncOpenAI, messages: object) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        await client.chat.completions.create(model="pipecatapp", messages=messages)  # type: ignore[call-overload]

    assert refused.value.body is not None


async def test_an_unknown_model_is_named(client: AsyncOpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match="pipecatapp"):
        await client.chat.completions.create(model="gpt-4", messages=[{"role": "user", "content": "hi"}])


async def test_an_engine_that_wakes_up_or_fails_is_a_server_error(mission: Mission, client: AsyncOpenAI) -> None:
    mission.model.replies["hi"] = ModelUnreachableError("the engine is gone")
    with pytest.raises(openai.InternalServerError, match="gone"):
        await client.chat.completions.create(model="pipecatapp", messages=[{"role": "user", "content": "hi"}])
    stream = await client.chat.completions.create(
        model="pipecatapp", messages=[{"role": "user", "content": "hi"}], stream=True
    )
    with pytest.raises(openai.APIError, match="gone"):
        _ = [chunk async for chunk in stream]

    mission.health["engine"].state = ComponentHealth("engine", ok=False, reason="building, 40 %")
    await mission.board.fresh(max_age_s=-1)
    with pytest.raises(openai.InternalServerError, match="building"):
        await client.chat.completions.create(model="pipecatapp", messages=[{"role": "user", "content": "hi"}])
