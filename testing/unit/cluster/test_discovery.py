"""Blocking queries: what Consul says arrives at once, and what it said last stays while it is away."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Collection, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest

from pipecatapp.cluster.consul import ConsulClient
from pipecatapp.cluster.discovery import Discovery
from pipecatapp.cluster.part import ExpertKeys
from pipecatapp.registration import Registration

pytestmark = pytest.mark.unit


class ScriptedConsul(httpx.AsyncBaseTransport):
    """Consul as far as discovery sees it: answers at once without an index, waits with the newest one."""

    def __init__(self) -> None:
        self.index = 10
        self.services: dict[str, list[dict[str, Any]]] = {}
        self.failure: httpx.Response | Exception | None = None
        self.token = "token"
        self.asked: list[httpx.Request] = []
        self._news = asyncio.Event()

    def change(self, **services: int) -> None:
        """Services by name (``prima-api-`` is put in front) with how many instances pass."""
        self.services = {
            f"prima-api-{name}": [
                {"Node": {"Address": f"10.0.0.{number}"}, "Service": {"Service": f"prima-api-{name}", "Port": 8080}}
                for number in range(count)
            ]
            for name, count in services.items()
        }
        self.index += 1
        self.wake()

    def wake(self) -> None:
        """Everybody who waits looks again."""
        self._news.set()
        self._news = asyncio.Event()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        while self.failure is None and request.url.params.get("index") == str(self.index):
            await self._news.wait()
        if request.headers.get("X-Consul-Token") != self.token:
            return httpx.Response(403, text="ACL not found")
        if isinstance(self.failure, Exception):
            raise self.failure
        if self.failure is not None:
            return httpx.Response(self.failure.status_code, content=self.failure.content)
        name = request.url.path.rpartition("/")[2]
        every: dict[str, list[str]] = {key: [] for key in ["consul", *self.services]}
        value = every if name == "services" else self.services.get(name, [])
        return httpx.Response(200, headers={"X-Consul-Index": str(self.index)}, content=json.dumps(value))


class DiscoveryHarness:
    def __init__(self) -> None:
        self.consul = ScriptedConsul()
        self.told: list[tuple[list[str], bool]] = []
        self.keys: dict[str, str] = {}
        self.registered: Sequence[Registration] = ()
        self.token = "token"
        client = ConsulClient("consul:8500", "token", transport=self.consul, renewed=lambda: self.token)
        self.discovery = Discovery(client, self._changed, lambda expert: self.keys.get(expert, ""))

    def _changed(self, registrations: Sequence[Registration], names: Collection[str], stale: bool) -> None:
        self.registered = registrations
        self.told.append(([registration.id for registration in registrations], stale))

    async def until(self, wanted: tuple[list[str], bool]) -> None:
        async with asyncio.timeout(60):
            while not self.told or self.told[-1] != wanted:
                await asyncio.sleep(0.01)


@pytest.fixture
async def house() -> AsyncIterator[DiscoveryHarness]:
    house = DiscoveryHarness()
    yield house
    await house.discovery.aclose()


async def test_experts_come_and_go(house: DiscoveryHarness) -> None:
    house.consul.change(coding=1)
    house.discovery.start()
    await house.until((["coding@10.0.0.0:8080"], False))
    house.consul.change(coding=2, math=1)
    await house.until((["coding@10.0.0.0:8080", "coding@10.0.0.1:8080", "math@10.0.0.0:8080"], False))
    house.consul.change(math=1)
    await house.until((["math@10.0.0.0:8080"], False))
    house.consul.change()
    await house.until(([], False))


async def test_it_asks_for_passing_instances_with_the_token_and_waits(house: DiscoveryHarness) -> None:
    house.consul.change(coding=1)
    house.discovery.start()
    await house.until((["coding@10.0.0.0:8080"], False))
    await asyncio.sleep(0.3)
    asked = [(r.url.path, dict(r.url.params)) for r in house.consul.asked]
    assert ("/v1/health/service/prima-api-coding", {"passing": "1"}) in asked
    assert ("/v1/catalog/services", {"index": str(house.consul.index), "wait": "30s"}) in asked
    assert len(asked) == 4  # two that answered at once, two that wait: nobody polls
    assert {r.headers["X-Consul-Token"] for r in house.consul.asked} == {"token"}


@pytest.mark.parametrize("failure", [httpx.ConnectError("refused"), httpx.Response(500, text="No cluster leader")])
async def test_without_consul_the_last_known_set_stays_and_is_stale(
    house: DiscoveryHarness, failure: httpx.Response | Exception
) -> None:
    house.consul.change(coding=1)
    house.discovery.start()
    await house.until((["coding@10.0.0.0:8080"], False))
    house.consul.failure = failure
    house.consul.wake()
    await house.until((["coding@10.0.0.0:8080"], True))
    house.consul.failure = None
    house.consul.index = 3  # it was restored: its index went backwards
    house.consul.change(coding=2)
    await house.until((["coding@10.0.0.0:8080", "coding@10.0.0.1:8080"], False))


async def test_a_consul_that_was_never_there_is_stale_from_the_start(house: DiscoveryHarness) -> None:
    house.consul.failure = httpx.ConnectError("refused")
    house.discovery.start()
    await house.until(([], True))
    house.consul.failure = None
    house.consul.change(coding=1)
    await house.until((["coding@10.0.0.0:8080"], False))


async def test_each_expert_is_asked_with_its_own_key_also_one_that_came_while_we_ran(house: DiscoveryHarness) -> None:
    house.keys["coding"] = "first"
    house.consul.change(coding=1)
    house.discovery.start()
    await house.until((["coding@10.0.0.0:8080"], False))
    assert [registration.api_key for registration in house.registered] == ["first"]
    house.keys |= {"coding": "second", "math": "other"}
    house.consul.change(coding=1, math=1)
    await house.until((["coding@10.0.0.0:8080", "math@10.0.0.0:8080"], False))
    async with asyncio.timeout(60):
        while [registration.api_key for registration in house.registered] != ["second", "other"]:
            await asyncio.sleep(0.01)


def test_keys_are_read_from_files_and_the_shared_one_stands_in(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    keys = ExpertKeys(tmp_path, "shared")
    assert keys("coding") == "shared"
    (tmp_path / "coding.key").write_text("own\n")
    assert keys("coding") == "own"
    (tmp_path / "secret.key").write_text("not for this name")
    assert keys("../secret") == "shared"
    (tmp_path / "broken.key").mkdir()
    assert [keys("broken"), keys("broken")] == ["shared", "shared"]
    assert caplog.text.count("the key of the expert broken cannot be read") == 1


async def test_an_answer_that_is_none_does_no_harm(house: DiscoveryHarness) -> None:
    house.consul.change(coding=1)
    house.discovery.start()
    await house.until((["coding@10.0.0.0:8080"], False))
    house.consul.services["prima-api-coding"] = [{"Service": {"Service": "prima-api-coding", "Port": "x"}}]
    house.consul.index += 1
    house.consul.wake()
    await house.until(([], False))


async def test_a_token_that_was_replaced_is_taken_up_without_a_pause(house: DiscoveryHarness) -> None:
    house.consul.change(coding=1)
    house.discovery.start()
    await house.until((["coding@10.0.0.0:8080"], False))

    house.token = house.consul.token = "another"
    house.consul.change(coding=2)

    await house.until((["coding@10.0.0.0:8080", "coding@10.0.0.1:8080"], False))
    assert not any(stale for _, stale in house.told)


async def test_a_token_that_is_refused_and_has_no_other_is_stale_and_asked_for_again(house: DiscoveryHarness) -> None:
    house.consul.change(coding=1)
    house.discovery.start()
    await house.until((["coding@10.0.0.0:8080"], False))

    house.consul.token = "another"
    house.consul.change(coding=1)
    await house.until((["coding@10.0.0.0:8080"], True))
    house.token = ""  # somebody writes the file: nobody asks without a token, who would see an empty house
    await asyncio.sleep(0.1)
    assert all(request.headers.get("X-Consul-Token") for request in house.consul.asked)

    house.token = "another"
    await house.until((["coding@10.0.0.0:8080"], False))
