"""How a server is reached: its program with a pipe, or HTTP; both say when the connection has ended.

The program gets nothing of our environment but PATH, HOME and the like. What it writes to its standard error is kept
for the reason when it dies; lines on its standard output that are no messages are counted and dropped.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TextIO

from pipecatapp.errors import ToolError
from pipecatapp.proxies import is_in_house
from pipecatapp.tools.mcp_servers.config import ServerConfig

if TYPE_CHECKING:
    from mcp.client._transport import TransportStreams
    from mcp.shared._stream_protocols import ReadStream

STRAY_LINES = 200  # a program that writes more of them to its standard output does not speak the protocol
_STDERR_LINES = 3
_STDERR_LINE = 200


class Line:
    """One connection: ``ended`` is set when nothing more can come, ``why`` says what is known of the reason."""

    def __init__(self) -> None:
        self.ended = asyncio.Event()
        self.stray = 0
        self.errors: deque[str] = deque(maxlen=_STDERR_LINES)

    @property
    def why(self) -> str:
        """What a person can do something with."""
        if self.stray > STRAY_LINES:
            return "it writes what is no message to its standard output"
        return f"it ended: {self.errors[-1]}" if self.errors else "it ended"


@asynccontextmanager
async def connected(config: ServerConfig, line: Line) -> AsyncIterator[TransportStreams]:
    """The streams to the server, as the library's client takes them."""
    opened = _http(config) if config.url else _program(config, line)
    async with opened as (reader, writer):
        yield _Watched(reader, line), writer


@asynccontextmanager
async def _http(config: ServerConfig) -> AsyncIterator[TransportStreams]:
    import httpx2
    from mcp.client.streamable_http import streamable_http_client

    timeout = httpx2.Timeout(10.0, read=max(60.0, config.timeout_s))
    async with (
        httpx2.AsyncClient(
            headers=dict(config.headers), timeout=timeout, trust_env=not is_in_house(config.url)
        ) as client,
        streamable_http_client(config.url, http_client=client) as streams,
    ):
        yield streams


@asynccontextmanager
async def _program(config: ServerConfig, line: Line) -> AsyncIterator[TransportStreams]:
    from mcp.client.stdio import StdioServerParameters, stdio_client

    if config.cwd is not None and not await asyncio.to_thread(Path(config.cwd).is_dir):
        raise ToolError(f"there is no folder {config.cwd} to start it in")
    parameters = StdioServerParameters(
        command=config.command,
        args=list(config.args),
        env=dict(config.env),
        cwd=config.cwd,
        encoding_error_handler="replace",
    )
    async with _stderr(line) as errors:
        try:
            async with stdio_client(parameters, errlog=errors) as streams:
                yield streams
        except (FileNotFoundError, PermissionError) as error:
            raise ToolError(f"{config.command} cannot be started: {(error.strerror or '').lower()}") from error


@asynccontextmanager
async def _stderr(line: Line) -> AsyncIterator[TextIO]:
    """A file for the program's standard error, whose last lines are kept."""
    reading, writing = os.pipe()
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.connect_read_pipe(lambda: _LastLines(line), os.fdopen(reading, "rb"))
    try:
        with os.fdopen(writing, "w") as file:
            yield file
        # Programs that it left behind may hold the other end for ever.
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(protocol.closed.wait(), 0.2)
    finally:
        transport.close()


class _LastLines(asyncio.Protocol):
    """Puts the lines that come into ``line.errors``."""

    def __init__(self, line: Line) -> None:
        self.closed = asyncio.Event()
        self._line = line
        self._open = ""

    def data_received(self, data: bytes) -> None:
        *lines, rest = (self._open + data.decode(errors="replace")).split("\n")
        self._open = rest[-_STDERR_LINE:]
        for text in lines:
            printable = "".join(char if char.isprintable() else " " for char in text).strip()
            if printable:
                self._line.errors.append(printable[-_STDERR_LINE:])

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed.set()


class _Watched:
    """The stream from the server: passes messages on, drops what is none, notices the end."""

    def __init__(self, stream: ReadStream[Any], line: Line) -> None:
        self._stream = stream
        self._line = line

    @property
    def last_context(self) -> Any:
        return getattr(self._stream, "last_context", None)

    async def receive(self) -> Any:
        return await self._stream.receive()

    async def aclose(self) -> None:
        await self._stream.aclose()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        while True:
            try:
                item = await self._stream.__anext__()
            except BaseException:
                self._line.ended.set()
                raise
            if not isinstance(item, Exception):
                return item
            self._line.stray += 1
            if self._line.stray > STRAY_LINES:
                self._line.ended.set()
                raise StopAsyncIteration

    async def __aenter__(self) -> Self:
        await self._stream.__aenter__()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> bool | None:
        self._line.ended.set()
        return await self._stream.__aexit__(exc_type, exc_val, exc_tb)
