"""Accepts connections: counted before their TLS handshake, and calmly where the system has no descriptor left."""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
import ssl
from collections.abc import Callable, Sequence

from pipecatapp.errors import ConfigurationError
from pipecatapp.web.connections import Connection, ConnectionTable
from pipecatapp.web.proxied import read_passage

log = logging.getLogger(__name__)

_BACKLOG = 128
# At a time, so that a flood leaves the loop to others in between.
_AT_ONCE = 16
_RETRY_S = 1.0
_GOODBYE_S = 5.0


class Acceptor:
    """Takes connections from one listening socket. Stands where uvicorn has an ``asyncio.Server``.

    Args:
        listener: listens already, and does not block.
        table: where each connection is counted.
        make_protocol: the protocol of a connection.
        tls: with it every connection begins with a handshake.
    """

    def __init__(
        self,
        listener: socket.socket,
        table: ConnectionTable,
        make_protocol: Callable[[Connection], asyncio.Protocol],
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._listener = listener
        self._table = table
        self._make_protocol = make_protocol
        self._tls = tls
        self._loop = asyncio.get_running_loop()
        self._opening: set[asyncio.Task[None]] = set()
        self._retry: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Accept from now on."""
        self._retry = None
        self._loop.add_reader(self._listener, self._accept)

    def close(self) -> None:
        """Accept no more; handshakes that still go on end."""
        self._loop.remove_reader(self._listener)
        if self._retry is not None:
            self._retry.cancel()
        for task in self._opening:
            task.cancel()

    async def wait_closed(self) -> None:
        """Wait until no handshake goes on."""
        if self._opening:
            await asyncio.wait(self._opening)

    def _accept(self) -> None:
        for _ in range(_AT_ONCE):
            try:
                connected, peer = self._listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:  # mostly: no descriptor is left
                log.error("connections cannot be accepted now: %s", error)
                self._table.shed()
                self._loop.remove_reader(self._listener)
                self._retry = self._loop.call_later(_RETRY_S, self.start)
                return
            connected.setblocking(False)
            self._open(connected, str(peer[0]))

    def _open(self, connected: socket.socket, address: str) -> None:
        connection = self._table.open(address, connected.close)
        proxied = self._table.is_proxy(address)
        task = self._loop.create_task(self._serve(connected, connection, proxied=proxied))
        connection.close_with(lambda: _cancel(task))
        self._opening.add(task)

        def finish(task: asyncio.Task[None]) -> None:
            self._opening.discard(task)
            error = None if task.cancelled() else task.exception()
            if task.cancelled() or error is not None:
                if error is not None and not isinstance(error, OSError):  # TLS and its time-out are OSErrors, too
                    log.error("a connection failed", exc_info=error)
                connection.release()
                connected.close()

        task.add_done_callback(finish)

    async def _serve(self, connected: socket.socket, connection: Connection, *, proxied: bool) -> None:
        """Hand the connection to its protocol, after what a proxy says and the handshake if there is one."""
        limits = self._table.limits
        if proxied:
            async with asyncio.timeout(limits.header_s):
                passage = await read_passage(connected)
            if passage is not None:
                connection.pass_on(passage.client, passage.server)
        patience = limits.handshake_s if self._tls is not None else None
        await self._loop.connect_accepted_socket(
            lambda: self._make_protocol(connection),
            connected,
            ssl=self._tls,
            ssl_handshake_timeout=patience,
            ssl_shutdown_timeout=_GOODBYE_S if self._tls is not None else None,
        )


def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()


def listen_on(host: str, port: int, setting: str) -> list[socket.socket]:
    """Sockets that accept connections; for ``::``, all addresses, one of each family that this machine has.

    Raises:
        ConfigurationError: one cannot be had; names ``setting``.
    """
    if host != "::":
        return [listen(host, port, setting)]
    # Two sockets, so that an IPv4 address stays one: in a shared one it would look like an IPv6 address.
    listeners = [listen("0.0.0.0", port, setting)]  # noqa: S104 - that is what was asked for
    if socket.has_dualstack_ipv6():
        try:
            listeners.append(listen("::", port_of(listeners), setting))
        except ConfigurationError as error:
            # Switched off: the machine has no address of that family.
            if not (isinstance(error.__cause__, OSError) and error.__cause__.errno == errno.EADDRNOTAVAIL):
                listeners[0].close()
                raise
    return listeners


def port_of(listeners: Sequence[socket.socket]) -> int:
    """The port that they share."""
    return int(listeners[0].getsockname()[1])


def listen(host: str, port: int, setting: str) -> socket.socket:
    """A listening socket that does not block.

    Raises:
        ConfigurationError: it cannot be had; names ``setting``.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6:
        listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    try:
        listener.bind((host, port))
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise ConfigurationError(
            f"cannot listen on {host}:{port}: {error.strerror}; choose another {setting}"
        ) from error
    listener.setblocking(False)
    return listener
