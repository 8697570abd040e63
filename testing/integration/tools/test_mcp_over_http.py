"""Servers of the Model Context Protocol over HTTP, of today's kind and the older one, good and bad."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
import uvicorn
from mcp.server.mcpserver import MCPServer
from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse, RedirectResponse, Response, StreamingResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from pipecatapp.domain import ToolResult
from pipecatapp.errors import ToolError
from pipecatapp.ports import ToolContext
from pipecatapp.tools.mcp_servers.config import ServerConfig
from pipecatapp.tools.mcp_servers.entries import Way
from pipecatapp.tools.mcp_servers.server import Timeouts
from pipecatapp.tools.mcp_servers.servers import McpServers

pytestmark = pytest.mark.integration

QUICK = Timeouts(answer=30.0, look=0.5, again=0.1, first_wait=0.1, longest_wait=0.5)


class _Guarded:
    """Asks for a token, like a server on the network."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and Headers(scope=scope).get("authorization") != "Bearer right-secret":
            await PlainTextResponse("who are you?", 401)(scope, receive, send)
            return
        await self._app(scope, receive, send)


@asynccontextmanager
async def serving(app: ASGIApp, port: int = 0, lifespan: Any = "on") -> AsyncIterator[int]:
    """The app on a port, which it gives."""
    config = uvicorn.Config(app, port=port, log_level="error", lifespan=lifespan, timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve())
    await until(lambda: server.started)
    try:
        yield int(server.servers[0].sockets[0].getsockname()[1])
    finally:
        server.should_exit = server.force_exit = True
        await task


def official(way: Way) -> ASGIApp:
    """The official server."""
    mcp = MCPServer("house")

    @mcp.tool()
    def light(room: str, on: bool) -> str:
        """Turns the light of a room on or off."""
        return f"{room} {'on' if on else 'off'}"

    return _Guarded(mcp.sse_app() if way == "sse" else mcp.streamable_http_app())


async def until(what: Callable[[], bool] | Callable[[], Awaitable[bool]]) -> None:
    """Wait for it; a test that waits longer has failed."""
    async with asyncio.timeout(60):
        while True:
            found = what()
            if (await found) if isinstance(found, Awaitable) else found:
                return
            await asyncio.sleep(0.05)


@asynccontextmanager
async def running(config: ServerConfig) -> AsyncIterator[McpServers]:
    servers = McpServers([config], QUICK)
    servers.start()
    try:
        yield servers
    finally:
        await servers.stop()


async def well(servers: McpServers) -> bool:
    return (await servers.health()).ok


async def gone(servers: McpServers) -> bool:
    return not await well(servers)


async def reason(servers: McpServers) -> str:
    """Why it cannot be used, once that is known."""
    async with asyncio.timeout(60):
        while "it is being reached" in (await servers.health()).reason:
            await asyncio.sleep(0.05)
    health = await servers.health()
    return f"{health.reason}: {health.said}"


def house(port: int, way: Way = "http", token: str = "right-secret") -> ServerConfig:
    path = "sse" if way == "sse" else "mcp"
    headers = {"Authorization": f"Bearer {token}"}
    return ServerConfig("house", url=f"http://127.0.0.1:{port}/{path}", headers=headers, way=way)


async def light(servers: McpServers, **arguments: Any) -> ToolResult:
    (tool,) = servers.tools()
    return await tool.run(arguments, ToolContext("c", "t"))


@pytest.mark.parametrize("way", ["http", "sse"])
async def test_a_server_is_called_and_survives_its_restart(way: Way) -> None:
    async with AsyncExitStack() as stack:
        first = AsyncExitStack()
        port = await first.enter_async_context(serving(official(way)))
        servers = await stack.enter_async_context(running(house(port, way)))
        await until(lambda: well(servers))
        assert (await light(servers, room="kitchen", on=True)).text == "kitchen on"
        await first.aclose()
        await until(lambda: gone(servers))
        with pytest.raises(ToolError, match="the server house cannot be reached"):
            await light(servers, room="kitchen", on=True)
        await stack.enter_async_context(serving(official(way), port))
        await until(lambda: well(servers))
        assert (await light(servers, room="hall", on=False)).text == "hall off"


@pytest.mark.parametrize("way", ["http", "sse"])
async def test_a_wrong_token_is_told_without_the_token(way: Way, caplog: pytest.LogCaptureFixture) -> None:
    async with serving(official(way)) as port, running(house(port, way, "wrong-secret")) as servers:
        told = await reason(servers)
        assert not await well(servers)
        assert told.startswith("house: it answers with status 401: its headers hold no token that it takes")
        assert "wrong-secret" not in told
    assert "wrong-secret" not in caplog.text


async def test_an_older_server_that_is_reached_the_new_way_is_told_with_the_next_step() -> None:
    async with serving(official("sse")) as port, running(house(port)) as servers:
        assert 'status 404: is the address right? A server of the older kind wants "type": "sse"' in await reason(
            servers
        )


INITIALIZED = {
    "protocolVersion": "2025-06-18",
    "capabilities": {"tools": {}},
    "serverInfo": {"name": "bad", "version": "1"},
}


def answer(body: Any, content: Callable[[dict[str, Any]], Response]) -> Response:
    """A server's answer; to the list of tools it is what ``content`` makes of the request."""
    match body.get("method"):
        case "initialize":
            return Response(
                json.dumps({"jsonrpc": "2.0", "id": body["id"], "result": INITIALIZED}), media_type="application/json"
            )
        case "tools/list":
            return content(body)
    if "id" in body:
        error = {"code": -32601, "message": "no such method"}
        return Response(json.dumps({"jsonrpc": "2.0", "id": body["id"], "error": error}), media_type="application/json")
    return Response(status_code=202)


class Bad:
    """Answers everything well, but for the list of its tools."""

    def __init__(self, content: Callable[[dict[str, Any]], Response]) -> None:
        self._content = content
        self.paths: list[str] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.paths.append(scope["path"])
        message = await receive()
        body = json.loads(message.get("body") or b"{}")
        await answer(body, self._content)(scope, receive, send)


def listing(body: dict[str, Any], text: str = "") -> bytes:
    tool = {"name": "a", "description": text, "inputSchema": {"type": "object"}}
    return json.dumps({"jsonrpc": "2.0", "id": body["id"], "result": {"tools": [tool]}}).encode()


def too_long(body: dict[str, Any]) -> Response:
    async def pieces() -> AsyncIterator[bytes]:
        yield b'{"x": "'
        for _ in range(40):
            yield b"x" * 1_000_000

    return StreamingResponse(pieces(), media_type="application/json")


def event_without_end(body: dict[str, Any]) -> Response:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(40):
            yield b"data: " + b"x" * 1_000_000 + b"\n"

    return StreamingResponse(pieces(), media_type="text/event-stream")


def bomb(body: dict[str, Any]) -> Response:
    packed = gzip.compress(listing(body, "x" * 100_000_000))
    return Response(packed, media_type="application/json", headers={"content-encoding": "gzip"})


def deep(body: dict[str, Any]) -> Response:
    text = f'{{"jsonrpc": "2.0", "id": {body["id"]}, "result": {"[" * 5000}{"]" * 5000}}}'
    return Response(text, media_type="application/json")


def many(body: dict[str, Any]) -> bytes:
    values = b"[]," * 2_000_000
    return b'{"jsonrpc": "2.0", "id": %d, "result": {"tools": [%s1]}}' % (body["id"], values)


def many_values(body: dict[str, Any]) -> Response:
    return Response(many(body), media_type="application/json")


def many_values_in_an_event(body: dict[str, Any]) -> Response:
    return Response(b"event: message\r\ndata: " + many(body) + b"\r\n\r\n", media_type="text/event-stream")


def many_values_in_lines(body: dict[str, Any]) -> Response:
    lines = b"\r\n".join(b"data: " + b"1," * 1000 for _ in range(1000))
    return Response(
        b'data: {"jsonrpc": "2.0", "x": [\r\n' + lines + b"\r\ndata: 1]}\r\n\r\n", media_type="text/event-stream"
    )


def elsewhere(body: dict[str, Any]) -> Response:
    return RedirectResponse("http://localhost:9/secret", 307)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (too_long, "larger than 8 MB"),
        (event_without_end, "SSE"),
        (bomb, "compressed"),
        (deep, "recursion limit"),
        (many_values, "more than 100000 values"),
        (many_values_in_an_event, "more than 100000 values"),
        (many_values_in_lines, "more than 100000 values"),
        (elsewhere, "not followed"),
        (lambda body: Response("<html>", media_type="text/html"), "text/html"),
        (lambda body: Response("{", media_type="application/json"), "JSON"),
    ],
    ids=lambda value: value.__name__ if callable(value) else value,
)
async def test_an_answer_that_does_harm_is_the_end_of_it(
    content: Callable[[dict[str, Any]], Response], said: str
) -> None:
    async with serving(Bad(content), lifespan="off") as port, running(house(port)) as servers:
        assert said in await reason(servers)
        assert servers.tools() == ()
        assert set(servers.off()) == {"house"}
