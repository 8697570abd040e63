"""What JSON holds is counted while it comes, however it is cut: nobody has to read it first."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from itertools import pairwise

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipecatapp.tools.mcp_servers.bounded_http import ValueCounter, bound

pytestmark = pytest.mark.unit


@given(
    st.lists(st.sampled_from(['"', "\\", ",", "[", "{", "}", "a", '"a,b"', '\\"', " "]), max_size=30),
    st.lists(st.integers(0, 60)),
)
def test_any_chunking_counts_the_same(pieces: list[str], places: list[int]) -> None:
    text = "".join(pieces).encode()
    edges = sorted({min(place, len(text)) for place in places} | {0, len(text)})
    whole, cut = ValueCounter(), ValueCounter()
    whole.feed(text, 10**9)
    for begin, end in pairwise(edges):
        cut.feed(text[begin:end], 10**9)
    assert cut.values == whole.values


@pytest.mark.parametrize(
    ("text", "values"),
    [(b'{"a": [1, 2], "b,[{": "c\\",["}', 7), (b'"x" "y"', 2), (b"1", 0), (b"", 0), (b'"\\\\",', 2)],
)
def test_signs_in_texts_do_not_count(text: bytes, values: int) -> None:
    counter = ValueCounter()
    assert counter.feed(text, 1000)
    assert counter.values == values


def test_a_long_text_is_one_value_and_counting_stops_at_the_limit() -> None:
    began = time.process_time()
    assert ValueCounter().feed(b'"' + b"x," * 4_000_000 + b'"', 10)
    assert not ValueCounter().feed(b'"",' * 3_000_000, 100_000)
    counter = ValueCounter()
    for _ in range(8000):
        assert counter.feed(b"x" * 1000 + b'\\"', 100_000)
    assert time.process_time() - began < 10


told: list[str] = []


async def read(*pieces: bytes, kind: str, most: int = 50) -> bytes:
    class Stream(httpx2.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            for piece in pieces:
                yield piece

    request = httpx2.Request("POST", "http://house/mcp")
    response = httpx2.Response(200, headers={"content-type": kind}, stream=Stream(), request=request)
    await bound(response, 1000 if kind.endswith("json") else 0, most, told.append)
    return await response.aread()


EVENT = b'data: {"a": [1, 2, 3]}'


@pytest.mark.parametrize("ends", [b"\n\n", b"\r\n\r\n", b"\r\r"])
async def test_events_are_counted_each_for_itself(ends: bytes) -> None:
    stream = (EVENT + ends) * 100
    assert await read(stream, kind="text/event-stream") == stream
    assert await read(*(stream[at : at + 1] for at in range(len(stream))), kind="text/event-stream") == stream


@pytest.mark.parametrize("line", [b"\n", b"\r\n", b"\r"])
async def test_no_line_end_within_an_event_begins_the_count_anew(line: bytes) -> None:
    stream = line.join([b"data: 1,2,3,4,"] * 20)
    for cut in (len(stream), 1, 3, len(line) + 14):
        pieces = [stream[at : at + cut] for at in range(0, len(stream), cut)]
        with pytest.raises(httpx2.StreamError, match="more than 50 values"):
            await read(*pieces, kind="text/event-stream")


async def test_a_body_is_counted_whole() -> None:
    with pytest.raises(httpx2.StreamError, match="more than 50 values"):
        await read(b"[1,\n\n", *[b"2,\n\n"] * 60, kind="application/json")
