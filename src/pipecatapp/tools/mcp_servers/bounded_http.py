"""HTTP whose answers have an end: a body is at most so long, never compressed, and its JSON holds only so many values.

The library reads a whole body, or a whole event, at once: millions of small values would hold everybody up for seconds.
They are counted while they come, before anybody reads them.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable

import httpx2

_IN_STRING = re.compile(rb'[^"\\]*(?:\\.[^"\\]*)*', re.DOTALL)


async def bound(response: httpx2.Response, largest: int, values: int, tell: Callable[[str], None]) -> None:
    """Have the body of an answer that was not read yet end after ``largest`` bytes, or ``values`` in its JSON; of a
    stream of events that is so for each, and the reader bounds their length. ``tell`` hears of too many values: the
    library keeps that from whoever waits for an event.

    Raises:
        httpx2.DecodingError: it is compressed, so that nobody knows how long it is.
    """
    if response.headers.get("content-encoding", "identity").lower() != "identity":
        await response.aclose()
        raise httpx2.DecodingError("its answer is compressed, and was not to be", request=response.request)
    assert isinstance(response.stream, httpx2.AsyncByteStream)  # noqa: S101 - of an asynchronous client
    if response.headers.get("content-type", "").lower().startswith("text/event-stream"):
        response.stream = _Events(response.stream, values, tell)
    else:
        response.stream = _Body(response.stream, largest, values, tell)


class ValueCounter:
    """Counts what JSON holds, at least, while it comes: its texts, and what commas and brackets part."""

    def __init__(self) -> None:
        self.values = 0
        self._in_string = self._escaped = False

    def feed(self, piece: bytes, most: int) -> bool:
        """The next piece; False: there are more than ``most``."""
        at = 1 if self._escaped and piece else 0
        self._escaped = self._escaped and not piece
        while at < len(piece):
            if not self._in_string:
                quote = piece.find(b'"', at)
                part = piece[at:] if quote < 0 else piece[at:quote]
                self.values += part.count(b",") + part.count(b"[") + part.count(b"{") + (quote >= 0)
                if self.values > most:
                    return False
                if quote < 0:
                    break
                self._in_string, at = True, quote + 1
                continue
            inside = _IN_STRING.match(piece, at)
            at = inside.end() if inside else at
            if at < len(piece):
                self._escaped = piece[at : at + 1] == b"\\"
                self._in_string = self._escaped
                at += 1
        return self.values <= most


class _Counting(httpx2.AsyncByteStream):
    def __init__(self, stream: httpx2.AsyncByteStream, values: int, tell: Callable[[str], None]) -> None:
        self._stream = stream
        self._tell = tell
        self._most = values
        self._counter = ValueCounter()

    def _count(self, piece: bytes) -> None:
        if not self._counter.feed(piece, self._most):
            self._tell(why := f"its answer holds more than {self._most} values")
            raise httpx2.StreamError(why)

    async def aclose(self) -> None:
        await self._stream.aclose()


class _Body(_Counting):
    def __init__(self, stream: httpx2.AsyncByteStream, largest: int, values: int, tell: Callable[[str], None]) -> None:
        super().__init__(stream, values, tell)
        self._largest = largest

    async def __aiter__(self) -> AsyncIterator[bytes]:
        seen = 0
        async for piece in self._stream:
            seen += len(piece)
            if seen > self._largest:
                raise httpx2.StreamError(f"its answer is larger than {self._largest // 1024 // 1024} MB")
            self._count(piece)
            yield piece


class _Events(_Counting):
    """An event ends at an empty line; a line ends with LF, CR or both."""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        held, last = b"", b""
        async for piece in self._stream:
            text = held + piece
            held = b"\r" if text.endswith(b"\r") else b""  # a LF may follow
            text = text.removesuffix(held).replace(b"\r\n", b"\n").replace(b"\r", b"\n") if text else text
            first, *others = (last + text).split(b"\n\n")
            self._count(first)
            for event in others:
                self._counter = ValueCounter()
                self._count(event)
            if text:
                last = b"\n" if text.endswith(b"\n") else b""
            yield piece
