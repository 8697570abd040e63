"""HTTP whose answers have an end: a body is at most so long, and never compressed."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx2


async def bound(response: httpx2.Response, largest: int) -> None:
    """Have the body of an answer that was not read yet end after ``largest`` bytes; of a stream of events the reader
    bounds each.

    Raises:
        httpx2.DecodingError: it is compressed, so that nobody knows how long it is.
    """
    if response.headers.get("content-encoding", "identity").lower() != "identity":
        await response.aclose()
        raise httpx2.DecodingError("its answer is compressed, and was not to be", request=response.request)
    if not response.headers.get("content-type", "").lower().startswith("text/event-stream"):
        assert isinstance(response.stream, httpx2.AsyncByteStream)  # noqa: S101 - of an asynchronous client
        response.stream = _Counted(response.stream, largest)


class _Counted(httpx2.AsyncByteStream):
    def __init__(self, stream: httpx2.AsyncByteStream, largest: int) -> None:
        self._stream = stream
        self._largest = largest

    async def __aiter__(self) -> AsyncIterator[bytes]:
        seen = 0
        async for piece in self._stream:
            seen += len(piece)
            if seen > self._largest:
                raise httpx2.StreamError(f"its answer is larger than {self._largest // 1024 // 1024} MB")
            yield piece

    async def aclose(self) -> None:
        await self._stream.aclose()
