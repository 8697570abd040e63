"""What a proxy says in front of a connection that it passes on as it is."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from functools import partial

import pytest

from pipecatapp.web.connections import ConnectionTable, Limits
from pipecatapp.web.proxied import Passage, PassageError, parse_passage, read_passage

pytestmark = pytest.mark.unit

LINE = b"PROXY TCP4 192.168.1.50 192.168.1.11 40000 8443"
SAID = Passage(("192.168.1.50", 40000), ("192.168.1.11", 8443))


@pytest.mark.parametrize(
    ("line", "passage"),
    [
        (LINE, SAID),
        (b"PROXY TCP6 fd00::50 fd00::11 1 8443", Passage(("fd00::50", 1), ("fd00::11", 8443))),
        (b"PROXY UNKNOWN", None),
        (b"PROXY UNKNOWN fd00::50 fd00::11 1 2", None),
    ],
)
def test_it_is_the_client_and_where_it_came_to(line: bytes, passage: Passage | None) -> None:
    assert parse_passage(line) == passage


@pytest.mark.parametrize(
    "line",
    [
        b"PROXY ", b"PROXY TCP4", b"PROXY TCP4 a b 1 2", b"PROXY TCP4 fd00::5 192.168.1.11 1 2",
        b"PROXY TCP4 192.168.1.50 192.168.1.11 1 70000", b"PROXY TCP4 192.168.1.50 192.168.1.11 1 -2",
        b"PROXY TCP4 192.168.1.50 192.168.1.11 1 \xb2", b"PROXY TCP4  192.168.1.50 192.168.1.11 1 2", b"PROXY \xff",
        b"PROXY TCP4 192.168.1.50 192.168.1.11 1 2 3",
    ],
)  # fmt: skip
def test_a_line_that_is_none_is_refused(line: bytes) -> None:
    with pytest.raises(PassageError):
        parse_passage(line)


async def come(*pieces: bytes) -> tuple[Passage | None, bytes]:
    """What is read of a connection on which these come, and what is left of it."""
    here, there = socket.socketpair()
    with here, there:
        here.setblocking(False)
        reading = asyncio.create_task(read_passage(here))
        for piece in pieces:
            await asyncio.sleep(0)
            there.send(piece)
        passage = await asyncio.wait_for(reading, 5)
        try:
            return passage, here.recv(4096)
        except BlockingIOError:
            return passage, b""


async def test_the_line_is_taken_off_and_the_rest_stays() -> None:
    assert await come(LINE + b"\r\n\x16\x03\x01hello") == (SAID, b"\x16\x03\x01hello")
    assert await come(b"PRO", LINE[3:], b"\r", b"\nGET / HTTP/1.1\r\n") == (SAID, b"GET / HTTP/1.1\r\n")


@pytest.mark.parametrize("first", [b"GET / HTTP/1.1\r\n", b"\x16\x03\x01", b"PROPFIND / HTTP/1.1\r\n"])
async def test_what_a_client_says_itself_stays_as_it_is(first: bytes) -> None:
    assert await come(first) == (None, first)


async def test_a_line_without_an_end_is_refused() -> None:
    with pytest.raises(PassageError):
        await come(b"PROXY " + b"x" * 200)


def test_a_client_behind_a_proxy_has_the_room_of_its_own_address() -> None:
    ended: list[int] = []
    table = ConnectionTable(Limits(strangers_per_network=2), [ipaddress.ip_network("10.0.0.1")])
    for number in range(3):
        connection = table.open("10.0.0.1", partial(ended.append, number))
        connection.pass_on(("192.168.1.50", number), ("10.0.0.1", 8443))
    assert ended == [0]
    assert len(table) == 2
    connection.release()
    assert len(table) == 1
