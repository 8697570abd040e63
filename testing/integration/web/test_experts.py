"""The experts over HTTP: the table, choosing one, asking one as a model."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import httpx
import openai
import pytest
from openai import AsyncOpenAI
from websockets.asyncio.client import connect

from pipecatapp.registration import Registration
from testing.fakes.mission import Mission

pytestmark = pytest.mark.integration

CODING = Registration("coding", "http://10.0.0.7:8080/v1", model="scripted", context=4096, description="programs")
MAIN = Registration("main", "http://10.0.0.8:8080/v1")


@pytest.fixture
async def client(mission: Mission) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(base_url=f"{mission.url}/v1", api_key=mission.token, max_retries=0) as client:
        yield client


async def test_without_experts_the_table_is_empty(http: httpx.AsyncClient) -> None:
    assert (await http.get("/api/experts")).json() == {"experts": [], "stale": False, "chosen": ""}
    refused = await http.post("/api/experts/choose", json={"conversation": "c", "expert": "coding"})
    assert refused.status_code == 404
    assert "no expert coding is running" in refused.text


async def test_the_table_and_the_choice(mission: Mission, http: httpx.AsyncClient) -> None:
    mission.expert_answers["coding"] = ["Use sorted."]
    mission.experts.update([CODING, MAIN], stale=True)
    told = (await http.get("/api/experts")).json()
    assert told["stale"]
    coding = told["experts"][0]
    assert (coding["name"], coding["description"], coding["healthy"]) == ("coding", "programs", True)
    assert coding["instances"][0]["address"] == "10.0.0.7:8080"
    chosen = await http.post("/api/experts/choose", json={"conversation": "c", "expert": "coding"})
    assert chosen.status_code == 200
    assert (await http.get("/api/experts", params={"conversation": "c"})).json()["chosen"] == "coding"
    await http.post("/api/messages", json={"conversation": "c", "text": "sort a list"})
    async with asyncio.timeout(60):
        while 'pipecatapp_expert_turns_total{expert="coding"} 1.0' not in (await http.get("/metrics")).text:
            await asyncio.sleep(0.05)
    assert mission.model.requests == []
    assert (await http.get("/api/experts")).json()["experts"][0]["turns"] == 1
    back = await http.post("/api/experts/choose", json={"conversation": "c", "expert": ""})
    assert back.json() == {"conversation": "c", "expert": ""}


async def test_the_state_of_each_instance_is_a_metric(mission: Mission, http: httpx.AsyncClient) -> None:
    mission.experts.update([CODING, Registration("coding", "http://10.0.0.9:8080/v1", model="another")])
    up = 'pipecatapp_expert_up{expert="coding",instance="coding@10.0.0.%d:8080"} %d.0'
    async with asyncio.timeout(60):
        while (text := (await http.get("/metrics")).text) is not None and up % (9, 0) not in text:
            await asyncio.sleep(0.05)
    assert up % (7, 1) in text
    mission.experts.update([])
    async with asyncio.timeout(60):
        while "10.0.0.7" in (await http.get("/metrics")).text:
            await asyncio.sleep(0.05)


async def test_a_page_that_opens_later_is_told_too(mission: Mission) -> None:
    mission.experts.update([CODING])
    await asyncio.sleep(1.2)
    url = f"{mission.url.replace('http', 'ws')}/ws?conversation=c"
    headers = {"authorization": f"Bearer {mission.token}"}
    async with connect(url, additional_headers=headers, origin=mission.url) as page, asyncio.timeout(60):  # type: ignore[arg-type]
        while (event := json.loads(await page.recv()))["type"] != "experts":
            assert event["type"] != "replayed"
        assert event["experts"][0]["name"] == "coding"


async def test_an_expert_is_a_model(mission: Mission, client: AsyncOpenAI) -> None:
    mission.expert_answers["coding"] = ["Use sorted.", "Use sorted."]
    mission.experts.update([CODING, MAIN])
    assert [model.id async for model in client.models.list()] == ["pipecatapp", "coding"]
    answer = await client.chat.completions.create(model="coding", messages=[{"role": "user", "content": "sort"}])
    assert (answer.model, answer.choices[0].message.content) == ("coding", "Use sorted.")
    stream = await client.chat.completions.create(
        model="coding", messages=[{"role": "user", "content": "sort"}], stream=True
    )
    assert "".join([chunk.choices[0].delta.content or "" async for chunk in stream]) == "Use sorted."
    with pytest.raises(openai.NotFoundError, match="there is: pipecatapp, coding"):
        await client.chat.completions.create(model="math", messages=[{"role": "user", "content": "2 + 2"}])
