"""The lock of a sleeping job and the entry of its activator, in a real Consul."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from pipecatapp.registration import from_consul
from power_agent.api import Api
from power_agent.configuration import Endpoint, Watched
from power_agent.gate import Entry
from power_agent.job import JobDriver, Lock
from power_agent.policy import PolicyInConsul
from testing.consul import ConsulAgent, consul_servers
from testing.fakes.nomad_cluster import NomadDouble

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="module")]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def agent(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ConsulAgent]:
    async with consul_servers(tmp_path_factory.mktemp("consul"), ["127.0.83.1"]) as agents:
        yield agents[0]


@pytest.fixture
def consul(agent: ConsulAgent) -> Api:
    host, port = agent.address.split(":")
    return Api("Consul", Endpoint(host, int(port)), "X-Consul-Token")


async def test_one_of_two_has_the_lock_and_what_it_wrote_outlives_its_session(consul: Api) -> None:
    first, second = Lock(consul, "prima/expert"), Lock(consul, "prima/expert")

    assert await first.take({"count": 3})
    assert await first.take()
    assert not await second.take({"count": 9})
    assert await second.value() == {"count": 3}

    # The session of the first ends with its agent; Consul then waits a second (its lock delay).
    await consul.ask("PUT", f"/v1/session/destroy/{first._session}")
    assert await second.value() == {"count": 3}
    async with asyncio.timeout(30):
        while not await second.take():
            await asyncio.sleep(0.1)
    assert await second.value() == {"count": 3}

    await second.give_up()
    assert await second.value() is None
    assert await first.take({"count": 1})
    await first.give_up()


async def test_a_job_sleeps_and_wakes_under_a_real_lock(consul: Api) -> None:
    nomad = NomadDouble(count=2)
    here = JobDriver("llm", "llm", nomad, Lock(consul, "llm"))
    there = JobDriver("llm", "llm", nomad.seen_from("n2"), Lock(consul, "llm"))

    await here.sleep()
    looks = [await here.look(), await there.look()]
    await here.wake()
    await here.look()

    assert [(look.slept, look.here) for look in looks] == [(True, True), (True, False)]
    assert nomad.scalings == [0, 2]
    assert await Lock(consul, "llm").value() is None


async def test_the_activator_is_found_under_the_name_of_the_service(agent: ConsulAgent, consul: Api) -> None:
    entry = Entry(consul, "prima-api-coding", "127.0.83.1", 18081, lambda: 17.24)
    awake = await agent.register("coding", "127.0.83.1", 8081, model="qwen", description="programs")

    await entry.close()
    await agent.deregister(awake)
    (found,) = await consul.json("GET", "/v1/health/service/prima-api-coding?passing=true")
    await entry.refresh()
    await entry.open()

    registration = from_consul(found)
    assert registration is not None
    assert registration.url == "http://127.0.83.1:18081/v1"
    assert (registration.asleep, registration.wake_s) == (True, 17.2)
    assert (registration.model, registration.description) == ("qwen", "programs")
    assert await consul.json("GET", "/v1/health/service/prima-api-coding") == []


async def test_the_policy_lies_in_consul_for_all_machines(consul: Api) -> None:
    policy = PolicyInConsul(consul, "experts/power/policy")
    watched = Watched("prima-api-coding", "127.0.83.1", 8081, 18081, job="llm", idle_s=600)
    assert policy().idle_of(watched) is None  # nobody knows yet

    assert await policy.read()
    assert policy().idle_of(watched) == 600
    wanted = {"version": 1, "services": {watched.name: {"idle_seconds": 60}, "x": {"idle_seconds": "soon"}}}
    changes = asyncio.create_task(policy.read())
    await asyncio.sleep(0.2)
    assert (await consul.ask("PUT", "/v1/kv/experts/power/policy", wanted)).status == 200
    async with asyncio.timeout(20):
        while not await changes:  # another key's change ends a wait, too
            changes = asyncio.create_task(policy.read())
    assert policy().idle_of(watched) == 60
    assert list(policy().broken) == ["x"]

    await consul.ask("PUT", "/v1/kv/experts/power/policy", "no policy")
    async with asyncio.timeout(20):
        while not await policy.read():
            pass
    assert policy().idle_of(watched) is None
    away = PolicyInConsul(Api("Consul", Endpoint("127.0.83.1", 1), ""), "experts/power/policy")
    assert not await away.read()
    assert away().idle_of(watched) is None
    await consul.ask("DELETE", "/v1/kv/experts/power/policy")
