"""Sick model servers over real sockets: the answer is whole, whatever one of them does."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
import uvicorn

from pipecatapp.domain import Message
from pipecatapp.errors import ContextOverflowError
from pipecatapp.experts.directory import Experts
from pipecatapp.experts.instance import Instance
from pipecatapp.experts.server import ServerProbe
from pipecatapp.experts.watch import Limits
from pipecatapp.llm.client import OpenAIChatModel
from pipecatapp.ports import ChatRequest
from pipecatapp.registration import Registration
from testing.fakes.agent_harness import RecordingSink
from testing.fakes.llm_server import PROFILES, Fault, ScriptedServer, create_app

pytestmark = pytest.mark.integration

WHOLE = "The kitchen light is on and the heating is set to nineteen degrees. Everything else is off."
REQUEST = ChatRequest([Message("system", "You know the house."), Message("user", "How is the house?")], slot_key="c")
LIMITS = Limits(first_token_s=3.0, between_s=1.0, silent_s=0.3)


@asynccontextmanager
async def serving(*faults: Fault, name: str = "scripted") -> AsyncIterator[str]:
    """A server that does this with its first requests; its URL."""
    app = create_app(ScriptedServer(PROFILES["instant"], [WHOLE], faults=faults), name)
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="error"))
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        task = asyncio.create_task(server.serve([listening]))
        try:
            while not server.started:
                await asyncio.sleep(0.01)
            yield f"http://127.0.0.1:{listening.getsockname()[1]}/v1"
        finally:
            server.should_exit = server.force_exit = True
            await task


def connect(registration: Registration) -> Instance:
    return Instance(registration, OpenAIChatModel(registration.url), ServerProbe(registration.url), LIMITS)


async def heard(urls: Sequence[str], **more: object) -> tuple[str, Experts]:
    """What the person hears of an expert with instances at these URLs, asked in this order."""
    registrations = [Registration("house", url, **more) for url in urls]  # type: ignore[arg-type]
    experts = Experts(connect, RecordingSink(), wait_s=2.0)
    experts.update(registrations)
    for instance in experts.stand_ins()[0].instances:
        instance.elsewhere = urls.index(instance.registration.url)  # the later ones are busier
    text = ""
    try:
        async for chunk in experts.ask("house", REQUEST):
            text = text if chunk.kept is None else text[: chunk.kept]
            text += chunk.text
    finally:
        await experts.aclose()
    return text, experts


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (Fault("loading"), "Loading model"),
        (Fault("crash"), "compute error"),
        (Fault("half", 0), "broke off"),
        (Fault("half", 4), "broke off"),
        (Fault("garbage", 0), "not JSON"),
        (Fault("garbage", 4), "not JSON"),
        (Fault("hang", 0), "wrote nothing"),
        (Fault("hang", 4), "wrote nothing"),
    ],
    ids=lambda value: f"{value.kind} after {value.tokens}" if isinstance(value, Fault) else "",
)
async def test_the_answer_is_whole_whatever_a_server_does(fault: Fault, reason: str) -> None:
    async with serving(fault) as sick, serving() as well:
        text, experts = await heard([sick, well])
        assert text == WHOLE
        row = next(i for i in experts.table()[0]["instances"] if sick.endswith(i["address"] + "/v1"))
        assert reason in row["reason"]


async def test_one_that_refuses_connections_is_passed_over() -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        closed = f"http://127.0.0.1:{nobody.getsockname()[1]}/v1"
        async with serving() as well:
            assert (await heard([closed, well]))[0] == WHOLE


async def test_one_that_serves_another_model_is_passed_over() -> None:
    async with serving(name="qwen3-4b") as wrong, serving(name="scripted") as right:
        text, experts = await heard([wrong, right], model="scripted.gguf")
        assert text == WHOLE
        assert "serves qwen3-4b" in next(i["reason"] for i in experts.table()[0]["instances"] if i["reason"])


async def test_two_that_break_off_after_each_other_still_make_one_answer() -> None:
    async with AsyncExitStack() as stack:
        urls = [await stack.enter_async_context(serving(Fault("half", 4))) for _ in range(2)]
        urls.append(await stack.enter_async_context(serving()))
        assert (await heard(urls))[0] == WHOLE


async def test_what_fits_nowhere_says_so() -> None:
    async with serving(Fault("overflow"), Fault("overflow")) as small:
        with pytest.raises(ContextOverflowError):
            await heard([small])
