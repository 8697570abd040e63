"""As much of HTTP/1.1 as the agent needs: heads of messages, where a body ends, and one request with its answer."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

# The packet mark of the agent's own connections: not counted as traffic, not redirected (traffic_monitor.c, gate.py).
MARK = 0x50574D41
HEAD_LIMIT = 64 * 1024
_ANSWER_LIMIT = 8 * 1024 * 1024
_PIECE = 64 * 1024


class MessageError(Exception):
    """What came is no HTTP that this program understands, or more than it takes."""


@dataclass(frozen=True, slots=True)
class Head:
    """The first line of a message and its fields; names in lower case, the last of equal ones."""

    first: str
    fields: Mapping[str, str]
    raw: bytes

    @property
    def length(self) -> int | None:
        """Bytes of the body; None: chunks, or until the connection ends.

        Raises:
            MessageError: the field is no number, or there are two ways to read it.
        """
        said = self.fields.get("content-length")
        if self.chunked and said is not None:
            raise MessageError("a length and chunks")
        if said is None:
            return None
        if not (said.isascii() and said.isdigit()):
            raise MessageError("the length is no number")
        return int(said)

    @property
    def chunked(self) -> bool:
        """Whether the body comes in chunks."""
        return self.fields.get("transfer-encoding", "").lower() == "chunked"


def parse_head(raw: bytes) -> Head:
    """Read a head, from the first line to the empty one.

    Raises:
        MessageError: it is none.
    """
    first, _, rest = raw.decode("latin-1").partition("\r\n")
    fields: dict[str, str] = {}
    for line in rest.split("\r\n"):
        if not line:
            continue
        name, colon, value = line.partition(":")
        name = name.lower()
        if not colon or not name or name != name.strip():
            raise MessageError("a field without a name")
        if name == "content-length" and fields.get(name, value.strip()) != value.strip():
            raise MessageError("two lengths")
        fields[name] = value.strip()
    if not first:
        raise MessageError("no first line")
    return Head(first, fields, raw)


async def read_head(reader: asyncio.StreamReader) -> Head:
    """The next head. The reader's limit must be above ``HEAD_LIMIT``.

    Raises:
        MessageError: the connection ended, or it is longer than ``HEAD_LIMIT``.
    """
    try:
        raw = await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
        raise MessageError("no head") from error
    if len(raw) > HEAD_LIMIT:
        raise MessageError("the head is too long")
    return parse_head(raw)


async def read_body(reader: asyncio.StreamReader, head: Head, *, answer: bool = False) -> AsyncIterator[bytes]:
    """The body as it comes over the wire, chunks with their sizes. ``answer``: without a length the connection ends it.

    Raises:
        MessageError: the connection ended before it, or the chunks are none.
    """
    if head.chunked:
        async for piece in _chunks(reader):
            yield piece
        return
    left = head.length
    if left is None:
        while answer and (piece := await reader.read(_PIECE)):
            yield piece
        return
    while left:
        piece = await reader.read(min(left, _PIECE))
        if not piece:
            raise MessageError("the body ended early")
        left -= len(piece)
        yield piece


async def _chunks(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    try:
        while True:
            line = await reader.readuntil(b"\r\n")
            size = int(line.split(b";")[0].strip(), 16)
            if size < 0:
                raise MessageError("a chunk of less than nothing")
            left = size + 2
            yield line
            if size == 0:
                break
            while left:
                piece = await reader.read(min(left, _PIECE))
                if not piece:
                    raise MessageError("a chunk ended early")
                left -= len(piece)
                yield piece
        while (line := await reader.readuntil(b"\r\n")) != b"\r\n":
            yield line
        yield line
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError) as error:
        raise MessageError("no chunk") from error


def dechunked(raw: bytes) -> bytes:
    """The content of a body that came in chunks."""
    content, at = bytearray(), 0
    while (end := raw.find(b"\r\n", at)) >= 0:
        size = int(raw[at:end].split(b";")[0], 16)
        if size == 0:
            break
        content += raw[end + 2 : end + 2 + size]
        at = end + 4 + size
    return bytes(content)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server said."""

    status: int
    fields: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """The body as JSON.

        Raises:
            ValueError: it is none.
        """
        return json.loads(self.body)


async def connect(
    host: str, port: int, tls: ssl.SSLContext | None = None
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection with the agent's mark, where this process may set it."""
    loop = asyncio.get_running_loop()
    try:
        # The loop looks up addresses, too, in a thread: half of what passing a request on would cost.
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except socket.gaierror:
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    family, _, _, _, address = found[0]
    opened = socket.socket(family, socket.SOCK_STREAM)
    try:
        opened.setblocking(False)
        with suppress(PermissionError):
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, MARK)
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await loop.sock_connect(opened, address)
        return await asyncio.open_connection(
            sock=opened, limit=2 * HEAD_LIMIT, ssl=tls, server_hostname=host if tls else None
        )
    except BaseException:
        opened.close()
        raise


async def request(
    host: str,
    port: int,
    method: str,
    path: str,
    *,
    body: Any = None,
    fields: Mapping[str, str] | None = None,
    tls: ssl.SSLContext | None = None,
    within_s: float = 5.0,
) -> Answer:
    """Ask once, over a connection of its own.

    Raises:
        OSError: no connection.
        TimeoutError: no answer in time.
        MessageError: no HTTP, or more than 8 MB.
    """
    content = b"" if body is None else json.dumps(body).encode()
    lines = [
        f"{method} {path} HTTP/1.1",
        f"Host: {host}:{port}",
        "Connection: close",
        f"Content-Length: {len(content)}",
    ]
    lines += [f"{name}: {value}" for name, value in (fields or {}).items()]
    async with asyncio.timeout(within_s):
        reader, writer = await connect(host, port, tls)
        try:
            writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + content)
            await writer.drain()
            head = await read_head(reader)
            taken = bytearray()
            async for piece in read_body(reader, head, answer=True):
                taken += piece
                if len(taken) > _ANSWER_LIMIT:
                    raise MessageError("the answer is too long")
        finally:
            writer.close()
    return Answer(status_of(head), head.fields, dechunked(bytes(taken)) if head.chunked else bytes(taken))


def status_of(head: Head) -> int:
    """The number in the first line of an answer.

    Raises:
        MessageError: there is none.
    """
    parts = head.first.split(" ", 2)
    if len(parts) < 2 or not parts[0].startswith("HTTP/1.") or not parts[1].isdigit():
        raise MessageError("no status")
    return int(parts[1])
