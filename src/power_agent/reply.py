"""What a caller of a sleeping service hears: nothing at first, then signs of life, then the answer or the reason."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Mapping
from contextlib import suppress

_ENDED = b"0\r\n\r\n"
_WORDS = {200: "OK", 204: "No Content", 400: "Bad Request", 401: "Unauthorized", 413: "Content Too Large"}


def message(status: int, fields: Mapping[str, str], body: bytes = b"") -> bytes:
    """An answer of the agent's own; the connection ends behind it."""
    lines = [f"HTTP/1.1 {status} {_WORDS.get(status, 'Service Unavailable')}"]
    lines += [f"{name}: {value}" for name, value in fields.items()]
    lines += [f"Content-Length: {len(body)}", "Connection: close", "", ""]
    return "\r\n".join(lines).encode() + body


def error_body(status: int, reason: str) -> bytes:
    """As OpenAI's clients understand it."""
    kind = "service_unavailable" if status == 503 else "invalid_request_error"
    return json.dumps({"error": {"message": reason, "type": kind, "code": status}}).encode()


class Reply:
    """The answer to one held request.

    Args:
        writer: of the caller's connection.
        streams: it asked for events, so that comments can come before the answer.
        silent_s: so long nothing is said; a failure is then still a plain 503.
        every_s: between two comments.
    """

    def __init__(self, writer: asyncio.StreamWriter, *, streams: bool, silent_s: float, every_s: float) -> None:
        self._writer = writer
        self._streams, self._silent_s, self._every_s = streams, silent_s, every_s
        self.begun = False
        self.answered = False
        self._signs: asyncio.Task[None] | None = None

    def wait(self) -> None:
        """From now on the caller waits."""
        if self._streams and self._signs is None:
            self._signs = asyncio.create_task(self._show_signs(), name="signs of life")

    async def stop_waiting(self) -> None:
        """No more comments: something better comes."""
        signs, self._signs = self._signs, None
        if signs is not None:
            signs.cancel()
            with suppress(asyncio.CancelledError, OSError):
                await signs

    async def _show_signs(self) -> None:
        await asyncio.sleep(self._silent_s)
        self.begun = True
        self._writer.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache\r\n"
            b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
        )
        while True:
            await self.chunk(b": waking\n\n")
            await asyncio.sleep(self._every_s)

    async def chunk(self, content: bytes) -> None:
        """A piece of an answer that has begun."""
        await self.raw(f"{len(content):x}\r\n".encode() + content + b"\r\n")

    async def raw(self, content: bytes) -> None:
        """Bytes as they are, at once."""
        self.answered = True
        self._writer.write(content)
        await self._writer.drain()

    async def end(self) -> None:
        """Behind the last chunk."""
        await self.raw(_ENDED)

    async def fail(self, reason: str, retry_after_s: float, status: int = 503) -> None:
        """It did not work."""
        await self.stop_waiting()
        if self.begun:
            await self.chunk(b"data: " + error_body(status, reason) + b"\n\n")
            await self.end()
            return
        fields = {"Content-Type": "application/json", "Retry-After": str(max(1, math.ceil(retry_after_s)))}
        await self.raw(message(status, fields, error_body(status, reason)))
