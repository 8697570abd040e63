"""The PROXY protocol, version 1: a proxy of the house says in front of all else where a connection comes from.

It is a line for connections that the proxy passes on as they are, TLS too, in which it cannot write a header.
"""

from __future__ import annotations

import asyncio
import socket
from dataclasses import dataclass

from pipecatapp.web.connections import parse_address

_BEGIN, _END = b"PROXY ", b"\r\n"
_LONGEST = 107
_AGAIN_S = 0.01


@dataclass(frozen=True, slots=True)
class Passage:
    """From where a connection came to the proxy, and to which of its addresses and ports."""

    client: tuple[str, int]
    server: tuple[str, int]


class PassageError(OSError):
    """A line that is none."""


async def read_passage(connected: socket.socket) -> Passage | None:
    """What the proxy says, taken off the connection; None where it says nothing and what comes is a client's.

    Raises:
        PassageError: it begins like such a line and is none, or the connection ends.
    """
    while True:
        seen = await _peek(connected)
        if not seen:
            raise PassageError("the connection ended")
        if not (seen.startswith(_BEGIN) or _BEGIN.startswith(seen)):
            return None
        if (end := seen.find(_END)) >= 0:
            connected.recv(end + len(_END))
            return parse_passage(seen[:end])
        if len(seen) >= _LONGEST:
            raise PassageError("no line of the PROXY protocol ends here")
        await asyncio.sleep(_AGAIN_S)  # it stays readable


def parse_passage(line: bytes) -> Passage | None:
    """The line without its end; None: the proxy speaks for itself, as in a check.

    Raises:
        PassageError: it is none.
    """
    words = line.decode("ascii", "replace").split(" ")
    match words:
        case ["PROXY", "UNKNOWN", *_]:
            return None
        case ["PROXY", "TCP4" | "TCP6" as family, client, server, *ports] if len(ports) == 2:
            version = int(family[-1])
            addresses = [parse_address(text) for text in (client, server)]
            numbers = [int(text) for text in ports if text.isascii() and text.isdecimal() and len(text) <= 5]
            whole = len(numbers) == 2 and all(0 <= number <= 65535 for number in numbers)
            if whole and all(one is not None and version in (one.version, 6) for one in addresses):
                return Passage((str(addresses[0]), numbers[0]), (str(addresses[1]), numbers[1]))
    raise PassageError("a line of the PROXY protocol cannot be read")


async def _peek(connected: socket.socket) -> bytes:
    """What lies ready, without taking it; waits for the first byte."""
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    loop.add_reader(connected, ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_reader(connected)
    try:
        return connected.recv(_LONGEST, socket.MSG_PEEK)
    except BlockingIOError:
        return _BEGIN[:1]  # woken for nothing: look again
