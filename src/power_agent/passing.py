"""Passing one held request on to the service that woke, and its answer back as it comes."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from power_agent.http1 import Head, MessageError, connect, dechunked, read_body, read_head, status_of
from power_agent.reply import Reply

_CONNECTS_WITHIN_S = 5.0
_ERROR_LIMIT = 64 * 1024
# Of one connection only: what they say does not go on to the next one.
_HOP = ("connection", "keep-alive", "proxy-connection", "expect", "upgrade")


class NotTakenError(Exception):
    """The service did not take the request, or ended before it said anything: it may be asked again."""


@dataclass(frozen=True, slots=True)
class Held:
    """One request, whole.

    Attributes:
        body: as it came, chunks with their sizes.
    """

    head: Head
    body: bytes


def rewritten(head: Head) -> bytes:
    """The head with this connection's end in it; all else as it came, in its order."""
    lines = head.raw.split(b"\r\n")[:-2]
    kept = [lines[0], *(line for line in lines[1:] if line.partition(b":")[0].strip().lower().decode() not in _HOP)]
    return b"\r\n".join([*kept, b"Connection: close", b"", b""])


async def pass_on(held: Held, host: str, port: int, reply: Reply) -> None:
    """Ask the service, and hand its answer on piece by piece.

    Raises:
        NotTakenError: it was not taken; nothing of an answer was handed on.
        MessageError, OSError: the answer broke off.
    """
    try:
        async with asyncio.timeout(_CONNECTS_WITHIN_S):
            reader, writer = await connect(host, port)
    except (OSError, TimeoutError) as error:
        raise NotTakenError(f"no connection ({error or 'in time'})") from error
    try:
        try:
            writer.write(rewritten(held.head) + held.body)
            await writer.drain()
            head = await read_head(reader)
            status = status_of(head)
        except (OSError, MessageError) as error:
            raise NotTakenError("it ended before it answered") from error
        if status == 503:
            await _not_yet(reader, head, reply)
            return
        await reply.stop_waiting()
        if reply.begun:
            await _go_on(reader, head, status, reply)
            return
        await reply.raw(rewritten(head))
        async for piece in read_body(reader, head, answer=True):
            await reply.raw(piece)
    finally:
        writer.close()


async def _not_yet(reader: asyncio.StreamReader, head: Head, reply: Reply) -> None:
    """503: it still loads, and is asked again; or it is too busy, which the caller shall hear."""
    body = await _whole(reader, head)
    if b"oading" in body:
        raise NotTakenError("it still loads")
    await reply.stop_waiting()
    if reply.begun:
        await reply.chunk(b"data: " + b" ".join(body.split()) + b"\n\n")
        await reply.end()
        return
    plain = b"\r\n".join(line for line in rewritten(head).split(b"\r\n") if not line.lower().startswith(b"transfer-"))
    if head.chunked:
        plain = plain[:-2] + f"Content-Length: {len(body)}\r\n\r\n".encode()
    await reply.raw(plain + body)


async def _go_on(reader: asyncio.StreamReader, head: Head, status: int, reply: Reply) -> None:
    """The caller was told 200 and events already."""
    if status != 200:
        body = await _whole(reader, head)
        await reply.chunk(b"data: " + b" ".join(body.split()) + b"\n\n")
        await reply.end()
        return
    async for piece in read_body(reader, head, answer=True):
        if head.chunked:
            await reply.raw(piece)
        else:
            await reply.chunk(piece)
    if not head.chunked:
        await reply.end()


async def _whole(reader: asyncio.StreamReader, head: Head) -> bytes:
    body = bytearray()
    async for piece in read_body(reader, head, answer=True):
        body += piece
        if len(body) > _ERROR_LIMIT:
            raise MessageError("the error is too long")
    return dechunked(bytes(body)) if head.chunked else bytes(body)
