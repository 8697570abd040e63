"""What a server says about itself, and what its connections say where it does not."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from pipecatapp.expert_host.liveness import PULSE_SEED, client
from power_agent.http1 import connect
from power_agent.pulse import ADDRESS
from power_agent.server import LlamaServer, RawServer, owes_an_answer

pytestmark = pytest.mark.integration


class Server:
    """Answers by path as scripted; on `/wait` it never does, on `/drip` a byte at a time."""

    def __init__(self) -> None:
        self.answers: dict[str, tuple[int, str]] = {}
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            path = head.split()[1]
            if path == "/wait":
                await reader.read()
            elif path == "/drip":
                writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
                while not reader.at_eof():
                    writer.write(b"x")
                    await writer.drain()
                    await asyncio.sleep(0.05)
            else:
                status, body = self.answers.get(path, (404, ""))
                writer.write(f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
                if path == "/keep":
                    await reader.read()
        except (OSError, asyncio.IncompleteReadError):
            return
        finally:
            writer.close()

    async def address(self) -> tuple[str, int]:
        return "127.0.0.1", self.port


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    scripted = Server()
    listening = await asyncio.start_server(scripted.serve, "127.0.0.1", 0)
    scripted.port = listening.sockets[0].getsockname()[1]
    yield scripted
    listening.close()
    await listening.wait_closed()


@pytest.mark.parametrize(
    ("slots", "busy"),
    [
        ([{"id": 0, "is_processing": False}], False),
        ([{"id": 0, "is_processing": False}, {"id": 1, "is_processing": True}], True),
        # A server whose slots do not say it may be computing.
        ([{"id": 0}], True),
    ],
)
async def test_busy_is_what_the_slots_say(server: Server, slots: object, busy: bool) -> None:
    server.answers["/slots"] = 200, json.dumps(slots)

    assert await LlamaServer(server.address).busy() is busy


async def test_running_is_not_ready(server: Server) -> None:
    llama = LlamaServer(server.address)
    server.answers["/health"] = 503, '{"error": {"message": "Loading model"}}'
    assert not await llama.ready()
    server.answers["/health"] = 200, '{"status": "ok"}'
    assert await llama.ready()


async def test_its_work_changes_what_it_counts(server: Server) -> None:
    llama = LlamaServer(server.address)
    assert await llama.work_done() is None
    server.answers["/slots"] = 200, '[{"id": 0, "id_task": 7, "is_processing": false}]'
    before = await llama.work_done()
    assert before == await llama.work_done()
    server.answers["/slots"] = 200, '[{"id": 0, "id_task": 8, "is_processing": false}]'
    assert before != await llama.work_done()


async def test_a_token_for_its_supervisor_is_no_work(server: Server) -> None:
    """Its slots show with which seed they were asked; where the pulse came last, nobody's work is in that slot."""
    llama = LlamaServer(server.address)

    def slots(task: int, seed: int, *, processing: bool) -> tuple[int, str]:
        asked = {"id": 1, "id_task": task, "is_processing": processing, "params": {"seed": seed}}
        return 200, json.dumps([{"id": 0, "is_processing": False}, asked])

    server.answers["/slots"] = slots(8, PULSE_SEED, processing=True)
    before = await llama.work_done()
    assert await llama.busy() is False
    server.answers["/slots"] = slots(9, PULSE_SEED, processing=False)
    assert await llama.work_done() == before
    server.answers["/slots"] = slots(10, 7, processing=True)
    assert await llama.busy() is True
    assert await llama.work_done() != before


async def test_the_connection_of_a_supervisor_waits_for_nobodys_answer(server: Server) -> None:
    """As of a ring, which has no slots to show."""
    async with client("127.0.0.1", server.port, "key") as http:
        asked = asyncio.create_task(http.post("/wait"))
        while not await server_has_a_connection(server.port):
            await asyncio.sleep(0.05)
        try:
            assert await owes_an_answer(server.port, listens_s=0.1) is False
        finally:
            asked.cancel()


async def server_has_a_connection(port: int) -> bool:
    """Whether ss lists one from the pulse's address."""
    command = ["ss", "-Htn", "state", "established", f"( sport = :{port} )", "dst", ADDRESS]
    child = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    said, _ = await child.communicate()
    return bool(said.strip())


async def test_what_is_remembered_of_it(server: Server) -> None:
    server.answers["/v1/models"] = 200, '{"data": []}'
    server.answers["/props"] = 401, "no"

    assert await LlamaServer(server.address).remembered() == {"/v1/models": '{"data": []}'}


@pytest.mark.parametrize(("path", "busy"), [("/wait", True), ("/drip", True), ("/keep", False)])
async def test_without_slots_its_connections_say_whether_it_owes_an_answer(
    server: Server, path: str, busy: bool
) -> None:
    """A prompt that is computed in silence, an answer that drips, a connection that is merely kept."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(f"POST {path} HTTP/1.1\r\n\r\n".encode())
    if path != "/wait":
        await reader.readuntil(b"\r\n\r\n")
    # The counters of ss go by milliseconds.
    await asyncio.sleep(0.1)

    try:
        assert await owes_an_answer(server.port, listens_s=0.3) is busy
    finally:
        writer.close()


async def test_a_raw_server_is_asked_by_its_port(server: Server) -> None:
    raw = RawServer(server.address)

    assert await raw.ready()
    assert await raw.busy() is False
    assert await raw.work_done() is None


async def test_where_ss_is_missing_nobody_knows(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    assert await LlamaServer(server.address).busy() is None


class NoThreads(ThreadPoolExecutor):
    """Refuses all work."""

    def submit(self, *_: Any, **__: Any) -> Any:
        raise AssertionError("a thread for nothing")


async def test_an_address_is_not_looked_up(server: Server) -> None:
    asyncio.get_running_loop().set_default_executor(NoThreads(1))

    reader, writer = await connect("127.0.0.1", server.port)
    writer.write(b"GET /x HTTP/1.1\r\n\r\n")
    answer = await reader.read()
    writer.close()

    assert answer.startswith(b"HTTP/1.1 404")
