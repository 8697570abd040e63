"""Where the agent runs, as Consul says it; and nothing that only looks like an answer."""

from __future__ import annotations

import httpx
import pytest

from pipecatapp.cluster.consul import ConsulClient
from pipecatapp.cluster.whereabouts import Place, agent_place

pytestmark = pytest.mark.unit

AGENT = {"Node": {"Node": "n2", "Address": "10.0.0.2"}, "Service": {"Service": "pipecat-app", "Port": 8000}}


def consul(status: int, body: object) -> ConsulClient:
    def answer(request: httpx.Request) -> httpx.Response:
        assert request.url.path == "/v1/health/service/pipecat-app"
        assert request.url.params["passing"] == "1"
        return httpx.Response(status, json=body)

    return ConsulClient("consul:8500", "token", transport=httpx.MockTransport(answer))


async def test_it_is_where_its_check_passes() -> None:
    assert await agent_place(consul(200, [AGENT])) == Place("n2", "10.0.0.2")


@pytest.mark.parametrize(
    ("status", "body"),
    [(200, []), (200, None), (200, [{"Node": {"Node": 7, "Address": "10.0.0.2"}}]), (200, {"Node": "n2"}),
     (403, "Permission denied"), (500, "No cluster leader")],
)  # fmt: skip
async def test_it_is_nowhere_where_nobody_says(status: int, body: object) -> None:
    assert await agent_place(consul(status, body)) is None
