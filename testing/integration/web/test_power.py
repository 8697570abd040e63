"""The power agent over HTTP: who sleeps, steering them, and what it saves as metrics."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest

from testing.fakes.mission import Mission
from testing.fakes.power_agent import ControlDouble

pytestmark = pytest.mark.integration


@pytest.fixture
async def agent(mission: Mission) -> AsyncIterator[ControlDouble]:
    agent = ControlDouble(mission.state_dir / "power.sock")
    agent.add("prima-api-main", "awake", "it runs")
    await agent.start()
    yield agent
    await agent.stop()


async def test_without_a_power_agent_nobody_sleeps(http: httpx.AsyncClient) -> None:
    assert (await http.get("/api/power")).json() == {"services": [], "broken": {}, "measured_by": ""}
    refused = await http.post("/api/power", json={"service": "prima-api-main", "do": "sleep"})
    assert refused.status_code == 503
    assert "no power agent runs here" in refused.text
    assert "pipecatapp_power_state{" not in (await http.get("/metrics")).text


async def test_services_are_listed_and_steered(http: httpx.AsyncClient, agent: ControlDouble) -> None:
    listed = (await http.get("/api/power")).json()
    done = await http.post("/api/power", json={"service": "prima-api-main", "do": "sleep"})
    unknown = await http.post("/api/power", json={"service": "x", "do": "sleep"})
    odd = await http.post("/api/power", json={"service": "prima-api-main", "do": "history"})

    assert [(each["service"], each["state"]) for each in listed["services"]] == [("prima-api-main", "awake")]
    assert done.json()["service"]["state"] == "asleep"
    assert (unknown.status_code, odd.status_code) == (409, 400)
    assert "there is no service" in unknown.text
    assert agent.asked == [{"do": "sleep", "service": "prima-api-main"}, {"do": "sleep", "service": "x"}]


async def test_what_sleeping_saves_is_a_metric(http: httpx.AsyncClient, agent: ControlDouble) -> None:
    text = (await http.get("/metrics")).text

    assert 'pipecatapp_power_state{service="prima-api-main",state="awake"} 1.0' in text
    assert 'pipecatapp_power_watt_hours{by="estimate",kind="used",service="prima-api-main"} 12.5' in text
    assert 'pipecatapp_power_ram_gb_hours{kind="saved",service="prima-api-main"} 10.0' in text
    await http.post("/api/power", json={"service": "prima-api-main", "do": "sleep"})
    text = (await http.get("/metrics")).text
    assert 'state="awake"} 1.0' not in text
    assert 'pipecatapp_power_state{service="prima-api-main",state="asleep"} 1.0' in text


async def test_only_who_is_signed_in_may_steer(mission: Mission, agent: ControlDouble) -> None:
    async with httpx.AsyncClient(base_url=mission.url, trust_env=False) as stranger:
        refused = await stranger.post("/api/power", json={"service": "prima-api-main", "do": "sleep"})

    assert refused.status_code == 401
    assert agent.asked == []
