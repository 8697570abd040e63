"""The web on loopback: a site that answers by path as a test says, and names that lead wherever a test wants.

It speaks what it is told to, also nonsense; it counts what reached it, so that a test can show that nothing did.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

# Addresses on the public internet that lead to the test's own site; nothing is ever sent to them.
PUBLIC = "93.184.216.34"


@dataclass
class Answer:
    """``body`` may be a generator of pieces; it is then sent as they come, until the other side goes away."""

    body: str | bytes | Callable[[], AsyncIterator[bytes]] = b""
    status: int = 200
    type: str = "text/html; charset=utf-8"
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Website:
    """The pages, and the requests that came. ``connections`` counts also those that asked for nothing."""

    pages: dict[str, Answer] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    connections: int = 0
    port: int = 0

    def page(self, path: str, body: str, **answer: object) -> None:
        """Serve a page."""
        self.pages[path] = Answer(body, **answer)  # type: ignore[arg-type]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one connection."""
        self.connections += 1
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            method, target, _ = head.split(b"\r\n", 1)[0].decode().split(" ", 2)
            self.requests.append(f"{method} {target}")
            answer = self.pages.get(target.partition("?")[0])
            await self._send(writer, answer or Answer("nothing here", status=404, type="text/plain"))
        except (OSError, EOFError, asyncio.CancelledError):
            return  # the browser went away, or the test is over
        finally:
            writer.close()

    async def _send(self, writer: asyncio.StreamWriter, answer: Answer) -> None:
        lines = [f"HTTP/1.1 {answer.status} X", f"Content-Type: {answer.type}", "Connection: close"]
        lines += [f"{name}: {value}" for name, value in answer.headers.items()]
        body = answer.body.encode() if isinstance(answer.body, str) else answer.body
        if isinstance(body, bytes):
            lines.append(f"Content-Length: {len(body)}")
            writer.write("\r\n".join([*lines, "", ""]).encode() + body)
        else:
            writer.write("\r\n".join([*lines, "", ""]).encode())
            async for piece in body():
                writer.write(piece)
                await writer.drain()
        await writer.drain()


@asynccontextmanager
async def running_website(tls: ssl.SSLContext | None = None) -> AsyncIterator[Website]:
    """A site on a free port, for as long as the block runs."""
    site = Website()
    tasks: set[asyncio.Task[None]] = set()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(site.serve(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=tls)
    site.port = server.sockets[0].getsockname()[1]
    try:
        yield site
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class Names:
    """Resolves names as a test says: each name has the answers it gives one after the other, the last one for ever."""

    def __init__(self, **names: Sequence[list[str]]) -> None:
        self._names: dict[str, Iterator[list[str]]] = {}
        self._last: dict[str, list[str]] = {}
        for name, answers in names.items():
            self.set(name.replace("_", "."), *answers)

    def set(self, name: str, *answers: list[str]) -> None:
        """What a name resolves to."""
        self._names[name] = iter(answers)
        self._last.pop(name, None)

    async def resolve(self, host: str, port: int) -> list[str]:
        """``proxy.Resolve``."""
        if host not in self._names:
            raise OSError("no such name")
        self._last[host] = next(self._names[host], self._last.get(host, []))
        return self._last[host]


Connected = tuple[asyncio.StreamReader, asyncio.StreamWriter]


def leading_to(site: Website, tls: Website | None = None) -> Callable[[str, int], Awaitable[Connected]]:
    """``proxy.Connect``: PUBLIC is the site (port 443 its TLS twin), everything else is really connected to."""

    async def connect(address: str, port: int) -> Connected:
        if address == PUBLIC:
            there = tls if port == 443 and tls is not None else site
            return await asyncio.open_connection("127.0.0.1", there.port)
        return await asyncio.open_connection(address, port)

    return connect
