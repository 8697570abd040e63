"""The official client gets JSON from a real llama-server through this program, and its sampling counts."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI
from pydantic import BaseModel

from pipecatapp.app import Node
from testing.engine_node import engine_settings, running
from testing.fakes.gguf import write_random_model
from testing.ports import free_port

pytestmark = pytest.mark.integration

HI: list[Any] = [{"role": "user", "content": "a person, please"}]


class Person(BaseModel):
    """What is asked for."""

    name: str
    age: int


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[AsyncOpenAI]:
    # A model with random weights writes nonsense: what is JSON in its answers is so by the form alone.
    settings = engine_settings(
        tmp_path / "state", write_random_model(tmp_path / "starter.gguf"), web_port=free_port(), web_host="127.0.0.1"
    )
    async with running(Node(settings), ("approvals", "engine", "memory", "twin", "web")) as node:
        token = (node.settings.state_dir / "token").read_text().strip()
        url = f"http://127.0.0.1:{settings.web_port}/v1"
        async with AsyncOpenAI(base_url=url, api_key=token, max_retries=0) as client:
            yield client


async def ask(client: AsyncOpenAI, **more: Any) -> str:
    answer = await client.chat.completions.create(model="pipecatapp", messages=HI, **more)
    return answer.choices[0].message.content or ""


async def test_an_answer_has_the_form_that_the_client_gives(client: AsyncOpenAI) -> None:
    schema = {"name": "x", "schema": {"enum": ["red", "green"]}}
    said = await ask(client, response_format={"type": "json_schema", "json_schema": schema})
    assert json.loads(said) in ("red", "green")
    call = {"type": "object", "properties": {"name": {"const": "clock.now"}, "arguments": {"const": {}}},
            "required": ["name", "arguments"], "additionalProperties": False}  # fmt: skip
    said = await ask(client, response_format={"type": "json_schema", "json_schema": {"name": "x", "schema": call}})
    assert json.loads(said) == {"name": "clock.now", "arguments": {}}  # what is asked for in JSON is no call of a tool
    said = await ask(client, response_format={"type": "json_object"}, max_tokens=40, temperature=1.0)
    assert said.startswith("{")
    stream = await client.chat.completions.create(
        model="pipecatapp",
        messages=HI,
        stream=True,
        response_format={"type": "json_schema", "json_schema": schema},  # type: ignore[arg-type]
    )
    pieces = [choice.delta.content or "" async for chunk in stream for choice in chunk.choices]
    assert json.loads("".join(pieces)) in ("red", "green")


async def test_a_schema_that_cannot_be_done_is_refused(client: AsyncOpenAI) -> None:
    bad = {"name": "x", "schema": {"type": "object", "properties": {"a": {"type": "nonsense"}}, "required": ["a"]}}
    with pytest.raises(openai.BadRequestError):
        await ask(client, response_format={"type": "json_schema", "json_schema": bad})
    begun = [*HI, {"role": "assistant", "content": "{"}]
    with pytest.raises(openai.BadRequestError):
        await client.chat.completions.create(
            model="pipecatapp", messages=begun, response_format={"type": "json_object"}
        )


async def test_the_clients_sampling_counts(client: AsyncOpenAI) -> None:
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "string", "maxLength": 30}}}
    same = {"response_format": form, "temperature": 2.0, "max_tokens": 30}
    first, again, other = [await ask(client, **same, seed=seed) for seed in (1, 1, 2)]
    assert first == again
    assert first != other
    surest = [await ask(client, **same, seed=seed, extra_body={"top_k": 1}) for seed in (1, 2)]
    assert surest[0] == surest[1]
