"""How a server is reached: its program with pipes, or HTTP; all say when the connection has ended, and why.

Over HTTP an answer is bounded as well: the library reads a whole body, and unpacks one that is compressed.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from pipecatapp.proxies import is_in_house
from pipecatapp.tools.mcp_servers.config import ServerConfig
from pipecatapp.tools.mcp_servers.messages import LARGEST, VALUES, Brake, tame
from pipecatapp.tools.mcp_servers.program import Traces, run_program

if TYPE_CHECKING:
    import httpx2
    from mcp.client._transport import TransportStreams
    from mcp.shared._stream_protocols import ReadStream

STRAY_LINES = 200  # a program that writes more of them to its standard output does not speak the protocol
_CONNECT_S = 10.0
_QUIET_S = 60.0


class Line:
    """One connection: ``ended`` is set when nothing more can come."""

    def __init__(self) -> None:
        self.ended = asyncio.Event()
        self.stray = 0
        self.status = 0  # of the last answer over HTTP
        self.traces = Traces()
        self.excess = ""  # what of its last answer was too much

    def note_excess(self, what: str) -> None:
        """Its answer was not read, for this reason."""
        self.excess = what

    @property
    def why(self) -> str:
        """Why it ended, in our words."""
        if self.stray > STRAY_LINES:
            return "it writes what is no message to its standard output"
        return self.traces.fault or "it ended"

    @property
    def said(self) -> str:
        """What the program said last of it, in its own words."""
        return self.traces.lines[-1] if self.traces.lines and self.stray <= STRAY_LINES else ""


@asynccontextmanager
async def connect(config: ServerConfig, line: Line) -> AsyncIterator[TransportStreams]:
    """The streams to the server, as the library's client takes them."""
    if not config.url:
        opened = run_program(config, line.traces)
    else:
        opened = _over_sse(config, line) if config.way == "sse" else _over_http(config, line)
    async with opened as (reader, writer):
        yield _Watched(reader, line), writer


@asynccontextmanager
async def _over_http(config: ServerConfig, line: Line) -> AsyncIterator[TransportStreams]:
    from mcp.client.streamable_http import streamable_http_client

    async with (
        _make_client(
            config.url, line, dict(config.headers), max(_QUIET_S, config.timeout_s, config.start_timeout_s)
        ) as client,
        streamable_http_client(config.url, http_client=client, max_sse_event_size=LARGEST) as streams,
    ):
        yield streams


@asynccontextmanager
async def _over_sse(config: ServerConfig, line: Line) -> AsyncIterator[TransportStreams]:
    from mcp.client.sse import sse_client

    def make(headers: dict[str, str] | None = None, timeout: object = None, auth: object = None) -> httpx2.AsyncClient:
        # Events come when they come: whether it is still there is asked by listing its tools.
        return _make_client(config.url, line, headers or {}, None)

    async with sse_client(config.url, headers=dict(config.headers), httpx_client_factory=make) as streams:
        yield streams


def _make_client(url: str, line: Line, headers: dict[str, str], read_s: float | None) -> httpx2.AsyncClient:
    import httpx2

    from pipecatapp.tools.mcp_servers.bounded_http import bound

    async def look(response: httpx2.Response) -> None:
        line.status = response.status_code
        await bound(response, LARGEST, VALUES, line.note_excess)

    return httpx2.AsyncClient(
        headers={"accept-encoding": "identity", **headers},
        timeout=httpx2.Timeout(_CONNECT_S, read=read_s),
        event_hooks={"response": [look]},
        trust_env=not is_in_house(url),
    )


class _Watched:
    """The stream from the server: passes messages on, cut to size; drops what is none, notices the end."""

    def __init__(self, stream: ReadStream[Any], line: Line) -> None:
        self._stream = stream
        self._line = line
        self._brake = Brake()

    @property
    def last_context(self) -> Any:
        return getattr(self._stream, "last_context", None)

    async def receive(self) -> Any:
        return tame(await self._stream.receive())

    async def aclose(self) -> None:
        await self._stream.aclose()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        while True:
            await self._brake.hold()
            try:
                item = await self._stream.__anext__()
            except BaseException:
                self._line.ended.set()
                raise
            if not isinstance(item, Exception):
                return tame(item)
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
