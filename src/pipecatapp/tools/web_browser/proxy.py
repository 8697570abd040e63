"""The browser's only way out: a SOCKS proxy on loopback that connects to what the rule lets through.

It looks a name up once, checks every address of it and connects to one of those that it checked: a name that
resolves to something else a moment later gains nothing. SOCKS and not HTTP, because then it copies bytes and parses
nothing that a page wrote. Chromium knows no password for SOCKS, so the proxy asks the kernel whose connection it is.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from pipecatapp.background import BackgroundTasks
from pipecatapp.tools.web_browser.addresses import Rule, as_address, plain_host

logger = logging.getLogger(__name__)

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
Connect = Callable[[str, int], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]

_VERSION, _CONNECT, _NO_PASSWORD = 5, 1, 0
_IPV4, _NAME, _IPV6 = 1, 3, 4
_DONE, _FAILED, _FORBIDDEN, _UNREACHABLE, _NOT_SUPPORTED = 0, 1, 2, 4, 7
_HANDSHAKE_S = 10.0
_RESOLVE_S = 10.0
_CONNECT_S = 8.0
_ADDRESSES = 4  # of one name, tried one after the other
_REMEMBERED = 200  # troubles
_PIECE = 64 * 1024


class _RefusedError(Exception):
    """The connection is not made; ``code`` for SOCKS, the text for people."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code


class FilterProxy:
    """The proxy. ``port`` is where it listens once it is started; ``asked`` are the hosts it was asked for, the last
    ones.

    Args:
        rule: where connections may go.
        resolve: the addresses of a name; raises OSError when there are none.
        connect: opens a connection to an address.
    """

    def __init__(self, rule: Rule, resolve: Resolve | None = None, connect: Connect | None = None) -> None:
        self._rule = rule
        # Threads of its own: a page that asks for a thousand names must not occupy those of the agent.
        self._threads = ThreadPoolExecutor(4, thread_name_prefix="browser-dns")
        self._resolve = self._look_up if resolve is None else resolve
        self._connect: Connect = asyncio.open_connection if connect is None else connect
        self._server: asyncio.Server | None = None
        self._open = BackgroundTasks("a connection of the browser failed")
        self._troubles: OrderedDict[tuple[str, int], str] = OrderedDict()
        self.asked: deque[tuple[str, int]] = deque(maxlen=_REMEMBERED)
        self.port = 0

    async def start(self) -> None:
        """Listen on a free port of loopback."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def aclose(self) -> None:
        """End it and every connection through it."""
        if self._server is not None:
            self._server.close()
        await self._open.cancel()
        self._threads.shutdown(wait=False, cancel_futures=True)

    def trouble(self, host: str, port: int) -> str:
        """Why the last connection to this host was not made; empty when it was."""
        return self._troubles.get((plain_host(host), port), "")

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.start(self._serve(reader, writer))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._connect_through(reader, writer)
        except (OSError, EOFError, TimeoutError) as error:  # either side went away
            logger.debug("a connection of the browser ended: %r", error)
        finally:
            writer.close()

    async def _connect_through(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        their_port = writer.get_extra_info("peername")[1]
        if not await asyncio.to_thread(belongs_to_us, their_port, self.port, os.geteuid()):
            logger.warning("another user's program tried the browser's proxy; it was refused")
            return
        async with asyncio.timeout(_HANDSHAKE_S):
            asked = await _destination(reader, writer)
        if asked is None:
            return
        host, port = asked
        self.asked.append((host, port))
        try:
            far_reader, far_writer = await self._reach(host, port)
        except _RefusedError as error:
            self._remember(host, port, str(error))
            _answer(writer, error.code)
            await writer.drain()
            return
        self._troubles.pop((plain_host(host), port), None)
        try:
            _answer(writer, _DONE)
            await _join(_copy(reader, far_writer), _copy(far_reader, writer))
        finally:
            far_writer.close()

    def _remember(self, host: str, port: int, reason: str) -> None:
        key = (plain_host(host), port)
        self._troubles[key] = reason
        self._troubles.move_to_end(key)
        if len(self._troubles) > _REMEMBERED:
            self._troubles.popitem(last=False)

    async def _reach(self, host: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection to an address of the host that the rule has seen."""
        if (reason := self._rule.refuse_name(host, port)) is not None:
            raise _RefusedError(_FORBIDDEN, reason)
        addresses = await self._addresses(host, port)
        failure = "does not answer"
        for address in addresses[:_ADDRESSES]:
            try:
                async with asyncio.timeout(_CONNECT_S):
                    return await self._connect(address, port)
            except ConnectionRefusedError:
                failure = f"refuses connections on port {port}"
            except (OSError, TimeoutError) as error:
                logger.debug("%s is not reached: %r", address, error)
        raise _RefusedError(_UNREACHABLE, f"{host} {failure}")

    async def _addresses(self, host: str, port: int) -> list[str]:
        """All addresses of the host, none of them forbidden."""
        name = plain_host(host)
        if as_address(name) is not None:
            found = [name]
        else:
            try:
                async with asyncio.timeout(_RESOLVE_S):
                    found = list(await self._resolve(name, port))
            except (OSError, UnicodeError) as error:
                raise _RefusedError(_UNREACHABLE, f"there is no host named {name}") from error
            except TimeoutError as error:
                raise _RefusedError(_UNREACHABLE, f"the name {name} cannot be looked up now") from error
        if not self._rule.allows(host, port):
            for text in found:
                address = as_address(text)
                reason = f"{text} is no address" if address is None else self._rule.refuse_address(address)
                if reason is not None:
                    where = reason if text == name else f"{name} leads into the house: {reason}"
                    raise _RefusedError(_FORBIDDEN, where)
        if not found:
            raise _RefusedError(_UNREACHABLE, f"there is no host named {name}")
        return found

    async def _look_up(self, host: str, port: int) -> list[str]:
        loop = asyncio.get_running_loop()
        answers = await loop.run_in_executor(
            self._threads, lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        )
        return list(dict.fromkeys(str(address[0]) for *_, address in answers))


async def _destination(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> tuple[str, int] | None:
    """The SOCKS handshake; None for what is none that Chromium makes."""
    version, methods = await reader.readexactly(2)
    if version != _VERSION or _NO_PASSWORD not in await reader.readexactly(methods):
        return None
    writer.write(bytes((_VERSION, _NO_PASSWORD)))
    version, command, _, kind = await reader.readexactly(4)
    if kind == _NAME:
        raw = await reader.readexactly((await reader.readexactly(1))[0])
        host = raw.decode("ascii", "replace")
    elif kind in (_IPV4, _IPV6):
        family, length = (socket.AF_INET, 4) if kind == _IPV4 else (socket.AF_INET6, 16)
        host = socket.inet_ntop(family, await reader.readexactly(length))
    else:
        return None
    port = int.from_bytes(await reader.readexactly(2), "big")
    if version != _VERSION or command != _CONNECT:
        _answer(writer, _NOT_SUPPORTED)
        return None
    return host, port


def _answer(writer: asyncio.StreamWriter, code: int) -> None:
    """The SOCKS reply; the address in it is one that nobody reads."""
    writer.write(bytes((_VERSION, code, 0, _IPV4, 0, 0, 0, 0, 0, 0)))


async def _copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    """Copy until the source ends."""
    while piece := await source.read(_PIECE):
        target.write(piece)
        await target.drain()


async def _join(*ways: Coroutine[None, None, None]) -> None:
    """Both ways of a connection, until one side closes: a browser never closes only half of it."""
    tasks = [asyncio.ensure_future(way) for way in ways]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def belongs_to_us(their_port: int, our_port: int, user: int, table: Path = Path("/proc/net/tcp")) -> bool:
    """Whether the connection from ``their_port`` on loopback belongs to a program of this user."""
    local, remote = f"0100007F:{their_port:04X}", f"0100007F:{our_port:04X}"
    for line in table.read_text(encoding="ascii").splitlines()[1:]:
        fields = line.split()
        if fields[1:3] == [local, remote]:
            return int(fields[7]) == user
    return False
