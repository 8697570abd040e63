"""The activator with real sockets: who is held, who is answered at once, what comes back."""

from __future__ import annotations

import asyncio
import ipaddress
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from power_agent.activator import Activator, Limits
from power_agent.driving import Look
from power_agent.service import Service
from power_agent.states import State
from testing.fakes.power import PowerWorld

pytestmark = pytest.mark.integration

CHAT = b'{"model": "m", "messages": []}'
STREAM = b'{"model": "m", "stream": true, "messages": []}'
_SECOND = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


@dataclass
class Engine:
    """A server that answers as scripted, and keeps what it was asked."""

    answer: Callable[[asyncio.StreamWriter], Awaitable[None]]
    asked: list[bytes] = field(default_factory=list)
    port: int = 0
    lost: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            length = next((int(line[15:]) for line in head.split(b"\r\n") if line.startswith(b"Content-Length:")), 0)
            self.asked.append(head + await reader.readexactly(length))
            await self.answer(writer)
            await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            self.lost += 1
        finally:
            writer.close()


async def plain(writer: asyncio.StreamWriter) -> None:
    writer.write(b'HTTP/1.1 200 OK\r\nContent-Length: 11\r\nConnection: close\r\n\r\n{"ok":true}')


@dataclass
class House:
    """A service that sleeps, its engine and its activator."""

    world: PowerWorld
    service: Service
    engine: Engine
    activator: Activator
    port: int

    async def ask(self, body: bytes = CHAT, head: str = "POST /v1/chat/completions HTTP/1.1", *fields: str) -> bytes:
        reader, writer = await self.connect()
        writer.write(request(body, head, *fields))
        try:
            return await asyncio.wait_for(reader.read(), 30)
        finally:
            writer.close()

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.port)

    async def waking(self, count: int) -> None:
        """So many are held, and that which runs it was asked to start it."""
        await self.held(count)
        while not self.world.count("wake"):
            await asyncio.sleep(0.005)

    async def held(self, count: int) -> None:
        while self.service.activity.in_flight != count:
            await asyncio.sleep(0.005)


def request(body: bytes = CHAT, head: str = "POST /v1/chat/completions HTTP/1.1", *fields: str) -> bytes:
    lines = [head, "Host: x", *fields, *([f"Content-Length: {len(body)}"] if body else [])]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


Build = Callable[..., Awaitable[House]]


@pytest.fixture
async def build(tmp_path: Path) -> AsyncIterator[Build]:
    closing: list[asyncio.Server] = []
    tasks: list[asyncio.Task[None]] = []

    async def make(
        answer: Callable[[asyncio.StreamWriter], Awaitable[None]] = plain,
        *,
        limits: Limits | None = None,
        token: str = "",
        **watched: object,
    ) -> House:
        world = PowerWorld(tmp_path, comes_up=False)
        world.known = {"/v1/models": '{"data": [{"id": "starter"}]}'}
        service = await world.asleep(**watched)
        engine = Engine(answer)
        server = await asyncio.start_server(engine.serve, "127.0.0.1", 0)
        world.port = engine.port = server.sockets[0].getsockname()[1]
        listening = socket.create_server(("127.0.0.1", 0))
        activator = Activator(service, token, limits or Limits())
        closing.extend([server, *await activator.listen([listening])])
        tasks.append(asyncio.create_task(service.run()))
        return House(world, service, engine, activator, listening.getsockname()[1])

    yield make
    for task in tasks:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
    for server in closing:
        server.close()
        await server.wait_closed()


async def test_ten_callers_are_held_and_answered_after_one_wake(build: Build) -> None:
    house = await build()
    asking = [asyncio.create_task(house.ask()) for _ in range(10)]
    await house.waking(10)
    house.world.answers = True

    answers = await asyncio.gather(*asking)

    assert all(answer.startswith(b"HTTP/1.1 200") and answer.endswith(b'{"ok":true}') for answer in answers)
    assert all(asked.endswith(CHAT) for asked in house.engine.asked)
    assert len(house.engine.asked) == 10
    assert house.world.count("wake") == 1


async def test_the_first_caller_leaves_and_nine_are_answered(build: Build) -> None:
    house = await build()
    _, leaving = await house.connect()
    leaving.write(request())
    await house.held(1)
    asking = [asyncio.create_task(house.ask()) for _ in range(9)]
    await house.held(10)
    leaving.close()
    await house.waking(9)
    house.world.answers = True

    assert all(b"200 OK" in answer for answer in await asyncio.gather(*asking))
    assert len(house.engine.asked) == 9
    assert house.world.count("wake") == 1


@pytest.mark.parametrize(
    ("head", "status", "ends"),
    [
        ("GET /health HTTP/1.1", b"200", b'{"status": "ok", "power": "asleep"}'),
        ("GET /v1/models?x=1 HTTP/1.1", b"200", b'{"data": [{"id": "starter"}]}'),
        ("GET /props HTTP/1.1", b"503", b'"code": 503}}'),
        ("GET /slots HTTP/1.1", b"503", b'"code": 503}}'),
        ("HEAD / HTTP/1.1", b"503", b"\r\n\r\n"),
        ("OPTIONS /v1/chat/completions HTTP/1.1", b"204", b"\r\n\r\n"),
    ],
)
async def test_what_only_reads_is_answered_from_what_is_known(
    build: Build, head: str, status: bytes, ends: bytes
) -> None:
    house = await build()

    answer = await house.ask(b"", head)

    assert answer.split()[1] == status
    assert answer.endswith(ends)
    assert house.service.state is State.ASLEEP
    assert house.engine.asked == []


async def test_a_bare_connection_wakes_nothing(build: Build) -> None:
    house = await build(limits=Limits(head_s=0.1))
    reader, writer = await house.connect()

    assert await reader.read() == b""
    writer.close()
    assert house.service.state is State.ASLEEP


async def test_tokens_go_through_one_by_one(build: Build) -> None:
    more = asyncio.Event()

    async def stream(writer: asyncio.StreamWriter) -> None:
        writer.write(_SECOND + b"9\r\ndata: a\n\n\r\n")
        await more.wait()
        writer.write(b"9\r\ndata: b\n\n\r\n0\r\n\r\n")

    house = await build(stream)
    house.world.comes_up = True
    reader, writer = await house.connect()
    writer.write(request(STREAM))

    first = await asyncio.wait_for(reader.readuntil(b"data: a\n\n"), 10)
    more.set()
    rest = await asyncio.wait_for(reader.read(), 10)
    writer.close()

    assert first.startswith(b"HTTP/1.1 200 OK\r\n")
    assert rest == b"\r\n9\r\ndata: b\n\n\r\n0\r\n\r\n"


async def test_a_streaming_caller_who_waits_long_gets_signs_of_life_then_the_answer(build: Build) -> None:
    """So a proxy in front that cuts after 60 s of silence does not cut a long wake, nor a long prefill."""
    prefilled = asyncio.Event()

    async def stream(writer: asyncio.StreamWriter) -> None:
        await prefilled.wait()
        writer.write(_SECOND + b"9\r\ndata: a\n\n\r\n0\r\n\r\n")

    house = await build(stream, limits=Limits(silent_s=0.05, comments_s=0.05))
    reader, writer = await house.connect()
    writer.write(request(STREAM))
    head = await asyncio.wait_for(reader.readuntil(b": waking\n\n"), 10)
    await house.waking(1)
    house.world.answers = True
    while not house.engine.asked:
        await asyncio.sleep(0.01)
    await asyncio.wait_for(reader.readuntil(b": waking\n\n"), 10)
    prefilled.set()
    rest = await asyncio.wait_for(reader.read(), 10)
    writer.close()

    assert head.startswith(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n")
    assert rest.endswith(b"9\r\ndata: a\n\n\r\n0\r\n\r\n")
    assert rest.count(b"HTTP/1.1") == 0


@pytest.mark.parametrize("streams", [True, False])
async def test_a_failed_wake_is_said_in_the_form_that_is_still_possible(build: Build, streams: bool) -> None:
    house = await build(limits=Limits(silent_s=0.05, comments_s=0.05))
    reader, writer = await house.connect()
    writer.write(request(STREAM if streams else CHAT))
    await house.waking(1)
    if streams:
        await asyncio.wait_for(reader.readuntil(b": waking\n\n"), 10)
    else:
        await asyncio.sleep(0.2)
    house.world.looks = Look(wanted=True, running=False, trouble="coding.service failed (core-dump)")
    house.world.now += 5

    answer = await asyncio.wait_for(reader.read(), 10)
    writer.close()

    assert b"core-dump" in answer
    if streams:
        assert answer.endswith(b"\n\n\r\n0\r\n\r\n")
        assert b'data: {"error"' in answer
    else:
        assert answer.startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
        assert b"Retry-After: 10\r\n" in answer


async def test_an_engine_that_still_loads_or_breaks_is_asked_again(build: Build) -> None:
    answers = [
        b'HTTP/1.1 503 X\r\nContent-Length: 15\r\n\r\n"Loading model"',
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    ]

    async def loading(writer: asyncio.StreamWriter) -> None:
        writer.write(answers.pop(0))

    house = await build(loading)
    house.world.comes_up = True

    answer = await house.ask()

    assert answer.endswith(b"\r\n\r\nok")
    assert len(house.engine.asked) == 3


async def test_an_engine_that_is_too_busy_is_passed_on(build: Build) -> None:
    async def busy(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 503 X\r\nRetry-After: 7\r\nContent-Length: 4\r\n\r\nbusy")

    house = await build(busy)
    house.world.comes_up = True

    answer = await house.ask()

    assert answer.startswith(b"HTTP/1.1 503 X\r\nRetry-After: 7\r\n")
    assert len(house.engine.asked) == 1


async def test_a_body_in_chunks_and_one_that_asks_first(build: Build) -> None:
    house = await build()
    house.world.comes_up = True
    reader, writer = await house.connect()
    chunked = ["Transfer-Encoding: chunked", "Expect: 100-continue"]
    writer.write(request(b"", "POST /v1/completions HTTP/1.1", *chunked))
    assert await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10) == b"HTTP/1.1 100 Continue\r\n\r\n"
    writer.write(b'5\r\n{"a":\r\n2\r\n1}\r\n0\r\n\r\n')

    answer = await asyncio.wait_for(reader.read(), 10)
    writer.close()

    assert answer.endswith(b'{"ok":true}')
    assert b"Expect" not in house.engine.asked[0]


@pytest.mark.parametrize(
    ("limits", "status"),
    [(Limits(request_bytes=10), b"413"), (Limits(requests=0), b"503"), (Limits(all_bytes=9), b"503")],
)
async def test_all_that_is_held_has_a_bound(build: Build, limits: Limits, status: bytes) -> None:
    house = await build(limits=limits)

    answer = await house.ask()

    assert answer.split()[1] == status
    assert house.service.state is State.ASLEEP


async def test_a_request_with_two_lengths_is_no_request(build: Build) -> None:
    house = await build()

    smuggled = await house.ask(CHAT, "POST /v1/completions HTTP/1.1", "Transfer-Encoding: chunked")

    assert smuggled == b""
    assert house.service.state is State.ASLEEP


async def test_a_wrong_token_wakes_nothing(build: Build) -> None:
    house = await build(token="right")
    house.world.comes_up = True

    wrong = [await house.ask(), await house.ask(CHAT, "POST /v1/completions HTTP/1.1", "Authorization: Bearer wrong")]
    assert [answer.split()[1] for answer in wrong] == [b"401", b"401"]
    assert house.service.state is State.ASLEEP

    right = await house.ask(CHAT, "POST /v1/completions HTTP/1.1", "Authorization: Bearer right")
    assert right.endswith(b'{"ok":true}')


async def test_who_may_come_from_where(build: Build) -> None:
    house = await build(sources=(ipaddress.ip_network("10.1.0.0/16"),))

    allowed = ("127.0.0.1", "::1", "::ffff:127.0.0.1", "10.1.2.3", "::ffff:10.1.2.3")
    strange = ("10.2.0.1", "192.0.2.1", "fe80::1%eth0", "2001:db8::1")

    assert [address for address in (*allowed, *strange) if house.activator.lets_in(address)] == list(allowed)


async def test_the_first_payload_on_a_raw_port_wakes(build: Build) -> None:
    async def echo(writer: asyncio.StreamWriter) -> None:
        writer.write(b"pong")

    house = await build(echo, http=False)
    reader, writer = await house.connect()
    await asyncio.sleep(0.05)
    assert house.service.state is State.ASLEEP

    house.world.comes_up = True
    writer.write(b"\x16\x03\x01 hello\r\n\r\n")

    assert await asyncio.wait_for(reader.read(), 10) == b"pong"
    writer.close()
    assert house.engine.asked == [b"\x16\x03\x01 hello\r\n\r\n"]


async def test_a_wake_that_nobody_wanted_any_more_is_no_error(build: Build) -> None:
    house = await build()
    _, writer = await house.connect()
    writer.write(request())
    await house.held(1)
    writer.close()
    await house.waking(0)
    house.world.answers = True
    while house.service.state is not State.AWAKE:
        await asyncio.sleep(0.01)

    assert json.loads((await house.ask())[-11:]) == {"ok": True}


async def test_a_flood_of_connections_wakes_nothing_and_is_bounded(build: Build) -> None:
    house = await build(limits=Limits(connections=20, head_s=20))
    connections = [await house.connect() for _ in range(100)]

    async def is_closed(reader: asyncio.StreamReader) -> bool:
        try:
            return await asyncio.wait_for(reader.read(1), 1) == b""
        except TimeoutError:
            return False
        except ConnectionError:
            return True

    closed = await asyncio.gather(*(is_closed(reader) for reader, _ in connections))
    for _, writer in connections:
        writer.close()

    assert closed.count(False) == 20
    assert house.service.state is State.ASLEEP
