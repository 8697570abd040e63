"""What a server says of itself beside its answers."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest

from pipecatapp.experts.server import Load, NoServer, ServerProbe

pytestmark = pytest.mark.unit


def probe(answer: Callable[[httpx.Request], httpx.Response]) -> ServerProbe:
    return ServerProbe("http://engine:1/v1", "key", transport=httpx.MockTransport(answer))


@pytest.mark.parametrize(("status", "alive"), [(200, True), (503, True), (401, True), (500, False), (502, False)])
async def test_whoever_answers_lives_unless_it_crashes(status: int, alive: bool) -> None:
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(status)

    assert await probe(answer).alive() is alive
    assert (asked[0].url.path, asked[0].headers["authorization"]) == ("/health", "Bearer key")


async def test_a_server_without_health_is_asked_for_its_models() -> None:
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path)
        return httpx.Response(404 if request.url.path == "/health" else 200)

    server = probe(answer)
    assert await server.alive()
    assert await server.alive()
    assert asked == ["/health", "/v1/models", "/v1/models"]


@pytest.mark.parametrize("error", [httpx.ConnectError("refused"), httpx.ReadTimeout("silence"), httpx.InvalidURL("?")])
async def test_one_that_cannot_be_reached_does_not_live(error: Exception) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        raise error

    assert not await probe(answer).alive()
    assert await probe(answer).load() is None


async def test_slots_tell_the_load_and_whether_there_is_progress() -> None:
    working = {"id": 0, "is_processing": True, "id_task": 7, "n_prompt_tokens_processed": 32}
    slots = [working, {"id": 1, "is_processing": False}]
    server = probe(lambda request: httpx.Response(200, json=slots))
    before = await server.load()
    assert before is not None
    assert (before.slots, before.busy) == (2, 1)
    assert await server.load() == before
    working["n_prompt_tokens_processed"] = 64
    after = await server.load()
    assert isinstance(after, Load)
    assert after.sign != before.sign


@pytest.mark.parametrize("content", [b"[]", b"{}", b"nonsense", b"[1]"])
async def test_one_that_does_not_tell_its_slots_tells_no_load(content: bytes) -> None:
    assert await probe(lambda request: httpx.Response(200, content=content)).load() is None
    assert await probe(lambda request: httpx.Response(501)).load() is None


async def test_a_model_in_this_process_lives_as_long_as_we_do() -> None:
    assert await NoServer().alive()
    assert await NoServer().load() is None
