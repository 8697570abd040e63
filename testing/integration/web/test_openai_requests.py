"""What a client may ask of the OpenAI endpoint: done, or refused by name; asked with the official client."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from openai import AsyncOpenAI

from pipecatapp.errors import ConfigurationError
from pipecatapp.web.cors import parse_cors
from testing.fakes.mission import Mission

pytestmark = pytest.mark.integration

CALL = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Bonn"}'}}
TOOL = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}}}
HI = [{"role": "user", "content": "hi"}]


@pytest.fixture
async def client(mission: Mission) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(base_url=f"{mission.url}/v1", api_key=mission.token, max_retries=0) as client:
        yield client


async def ask(client: AsyncOpenAI, messages: list[Any], **more: Any) -> Any:
    return await client.chat.completions.create(model="pipecatapp", messages=messages, **more)


async def test_old_pictures_and_tool_messages_are_text_so_that_the_conversation_goes_on(
    mission: Mission, client: AsyncOpenAI
) -> None:
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,xxxx"}}
    await ask(
        client,
        [
            {"role": "user", "content": [{"type": "text", "text": "what is this"}, picture]},
            {"role": "assistant", "content": "A cat."},
            {"role": "user", "content": "and the weather"},
            {"role": "assistant", "content": None, "tool_calls": [CALL]},
            {"role": "tool", "tool_call_id": "call_1", "content": [{"type": "text", "text": "20 degrees"}]},
            {"role": "tool", "tool_call_id": "unknown", "content": "x"},
            {"role": "assistant", "content": "It is warm."},
            {"role": "user", "content": [picture]},
            {"role": "assistant", "content": "", "refusal": None},
            {"role": "user", "content": "thank you"},
        ],
    )
    sent = [(message.role, message.content) for message in mission.model.requests[-1][1:]]
    assert sent == [
        ("user", "what is this\n[a picture]"),
        ("assistant", "A cat."),
        ("user", "and the weather"),
        (
            "assistant",
            '[called weather with {"city": "Bonn"}]\n[weather returned: 20 degrees]\n[a tool returned: x]\nIt is warm.',
        ),
        ("user", "[a picture]"),
        ("user", "thank you"),
    ]


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"tools": [TOOL]}, "tools"),
        ({"tools": [TOOL], "tool_choice": "auto"}, "tools"),
        ({"functions": [TOOL["function"]]}, "functions"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"tool_choice": {"type": "function", "function": {"name": "x"}}}, "tool_choice"),
        ({"response_format": {"type": "json_object"}}, "response_format"),
        ({"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {}}}}, "response_format"),
        ({"modalities": ["text", "audio"]}, "modalities"),
        ({"logprobs": True}, "logprobs"),
        ({"logit_bias": {"50256": -100}}, "logit_bias"),
        ({"web_search_options": {}}, "web_search_options"),
        ({"n": 2}, "n"),
        ({"extra_body": {"grammar": 'root ::= "x"'}}, "grammar"),
        ({"extra_body": {"guided_json": {"type": "object"}}}, "guided_json"),
        ({"extra_body": {"top_k": 3}}, "top_k"),  # this model server is none that takes it
        ({"extra_body": {"min_p": "much"}}, "min_p"),
        ({"extra_body": {"samplers": ["top_k"]}}, "samplers"),
        ({"extra_body": {"ignore_eos": True}}, "ignore_eos"),
        ({"temperature": 3}, "temperature"),
        ({"top_p": -1}, "top_p"),
        ({"presence_penalty": 5}, "presence_penalty"),
        ({"response_format": {"type": "json_schema", "json_schema": {"name": "x"}}}, "response_format"),
        ({"response_format": {"type": "xml"}}, "response_format"),
    ],
)
async def test_what_would_change_the_answer_and_is_not_done_is_refused_by_name(
    client: AsyncOpenAI, more: dict[str, Any], field: str
) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        await ask(client, HI, **more)
    assert refused.value.param == field


async def test_how_the_model_picks_its_words_goes_on_to_its_server(mission: Mission, client: AsyncOpenAI) -> None:
    asked = {"temperature": 0.1, "top_p": 0.5, "seed": 3, "presence_penalty": 1.5, "frequency_penalty": -1.0}
    await ask(client, HI, **asked)
    assert mission.model.sampling == asked
    await ask(client, HI, temperature=None)
    assert mission.model.sampling == {}


@pytest.mark.parametrize(
    "more",
    [
        {"tools": []},
        {"tools": [TOOL], "tool_choice": "none"},
        {"tool_choice": "auto"},
        {"response_format": {"type": "text"}},
        {"modalities": ["text"]},
        {"user": "x", "metadata": {"a": "b"}, "extra_body": {"chat_id": "1"}},
        {"logprobs": False, "logit_bias": {}},
    ],
)
async def test_what_changes_nothing_is_taken(client: AsyncOpenAI, more: dict[str, Any]) -> None:
    answer = await ask(client, HI, **more)
    assert (answer.choices[0].message.content or "").strip() == "You said: hi"


@pytest.mark.parametrize(
    ("more", "room"),
    [({"max_tokens": 7}, 7), ({"max_completion_tokens": 9}, 9), ({"max_tokens": 7, "max_completion_tokens": 9}, 9)],
)
async def test_the_clients_limit_counts_and_an_answer_without_an_end_says_so(
    mission: Mission, client: AsyncOpenAI, more: dict[str, int], room: int
) -> None:
    mission.model.finish_reason = "length"
    answer = await ask(client, HI, **more)
    assert mission.model.room == room
    assert answer.choices[0].finish_reason == "length"
    chunks = [chunk async for chunk in await ask(client, HI, **more, stream=True)]
    assert chunks[-1].choices[0].finish_reason == "length"


async def test_the_clients_limit_never_exceeds_the_nodes(mission: Mission, client: AsyncOpenAI) -> None:
    await ask(client, HI)
    most = mission.model.room
    await ask(client, HI, max_tokens=10**9)
    assert mission.model.room == most
    with pytest.raises(openai.BadRequestError) as refused:
        await ask(client, HI, max_tokens=0)
    assert refused.value.param == "max_tokens"


@pytest.mark.parametrize("path", ["/v1/models", "/v1/models/pipecatapp", "/health", "/"])
async def test_head_answers_as_get_without_a_body(http: httpx.AsyncClient, path: str) -> None:
    got, headed = await http.get(path), await http.head(path)
    assert (headed.status_code, headed.content) == (got.status_code, b"")
    assert headed.headers["content-type"] == got.headers["content-type"]


PREFLIGHT = {
    "origin": "http://localhost:3000",
    "access-control-request-method": "POST",
    "access-control-request-headers": "authorization,content-type",
}


async def test_a_page_elsewhere_may_use_the_api_where_the_settings_name_it(tmp_path: Path) -> None:
    mission = Mission(tmp_path, cors="http://localhost:3000")
    await mission.start()
    key = {"authorization": f"Bearer {mission.token}"}
    try:
        async with httpx.AsyncClient(base_url=mission.url, trust_env=False) as page:
            asked = await page.options("/v1/chat/completions", headers=PREFLIGHT)
            answered = await page.get("/v1/models", headers={**key, "origin": "http://localhost:3000"})
            stranger = await page.get("/v1/models", headers={**key, "origin": "http://evil.example"})
            elsewhere = await page.get("/api/status", headers={**key, "origin": "http://localhost:3000"})
            unnamed = await page.options("/v1/models", headers={**PREFLIGHT, "origin": "http://evil.example"})
            keyless = await page.get("/v1/models", headers={"origin": "http://localhost:3000"})
    finally:
        await mission.stop()
    allowed = "access-control-allow-origin"
    assert (asked.status_code, asked.headers[allowed]) == (200, "http://localhost:3000")
    assert "access-control-allow-credentials" not in asked.headers
    assert answered.headers[allowed] == "http://localhost:3000"
    assert allowed not in stranger.headers
    assert allowed not in elsewhere.headers
    assert allowed not in unnamed.headers
    assert keyless.status_code == 401


async def test_without_the_setting_no_page_elsewhere_may(mission: Mission) -> None:
    async with httpx.AsyncClient(base_url=mission.url, trust_env=False) as page:
        answer = await page.options("/v1/chat/completions", headers=PREFLIGHT)
    assert answer.status_code == 401
    assert "access-control-allow-origin" not in answer.headers


def test_an_origin_that_is_none_refuses_to_start() -> None:
    with pytest.raises(ConfigurationError, match="WEB_CORS_ORIGINS"):
        parse_cors("*")
