"""Serves one app on a plain and a TLS port in one event loop, and ends both cleanly."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Iterator, Sequence

import uvicorn
from starlette.types import ASGIApp

from pipecatapp.errors import ConfigurationError
from pipecatapp.web.addresses import host_names, local_addresses
from pipecatapp.web.connections import Connection, ConnectionTable, Limits, Network, parse_address
from pipecatapp.web.links import open_links
from pipecatapp.web.listening import Acceptor, listen_on, port_of
from pipecatapp.web.logs import thin_out
from pipecatapp.web.protocols import LimitedHttpProtocol, LimitedWebSocketProtocol
from pipecatapp.web.tls import LocalAuthority

log = logging.getLogger(__name__)

# How long open requests and sockets may take to end.
GRACE_S = 3
_CERTIFICATE_CHECK_S = 600.0


class _Server(uvicorn.Server):
    """uvicorn on our own acceptor and protocols, without its signal handlers: the program has its own."""

    def __init__(self, config: uvicorn.Config, table: ConnectionTable) -> None:
        super().__init__(config)
        self._table = table

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen. The sockets are there already."""
        await self.lifespan.startup()
        if self.lifespan.should_exit:
            raise ConfigurationError("Mission Control could not start; the log says why")
        acceptors = [Acceptor(one, self._table, self._make_protocol, self.config.ssl) for one in sockets or ()]
        self.servers = acceptors  # type: ignore[assignment]  # close() and wait_closed() are all that is used
        for acceptor in acceptors:
            acceptor.start()
        self.started = True

    def _make_protocol(self, connection: Connection) -> asyncio.Protocol:
        return LimitedHttpProtocol(
            self.config, self.server_state, self.lifespan.state, connection=connection, limits=self._table.limits
        )

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals alone."""
        yield


class Servers:
    """The HTTP and HTTPS servers of Mission Control.

    Args:
        app: what to serve.
        host: address to listen on; ``::`` is all of them, IPv4 and IPv6.
        port: plain port; 0 takes a free one.
        tls_port: TLS port; with ``authority`` None there is no TLS.
        token: for the links.
        authority: makes the certificates.
        extra_names: further names in the certificate (``WEB_ALLOWED_HOSTS``).
        proxies: whose word about where a request came from counts (``X-Forwarded-For``, ``-Proto``).
        limits: of connections, on both ports together.
        shown: the two ports that people use where a proxy of the house has them; else those above.
    """

    def __init__(
        self,
        app: ASGIApp,
        host: str,
        port: int,
        tls_port: int,
        *,
        token: str,
        authority: LocalAuthority | None = None,
        extra_names: Sequence[str] = (),
        proxies: Sequence[Network] = (),
        limits: Limits | None = None,
        shown: tuple[int, int] | None = None,
    ) -> None:
        self._app, self._host = app, host
        self._shown = shown
        self._ports = (port, tls_port)
        self._token = token
        self._authority = authority
        self._extra_names = tuple(extra_names)
        self._proxies = tuple(proxies)
        self._table = ConnectionTable(limits, proxies)
        self._servers: list[_Server] = []
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def port(self) -> int:
        """The plain port that is really used."""
        return (self._shown or self._ports)[0]

    @property
    def tls_port(self) -> int:
        """The TLS port that is really used; 0: no TLS."""
        return (self._shown or self._ports)[1] if self._authority is not None else 0

    def open_links(self) -> list[str]:
        """The links to print, the best first."""
        return open_links(
            self._token,
            host=self._host,
            port=self.port,
            tls_port=self.tls_port,
            names=host_names(self._extra_names),
            addresses=local_addresses(),
        )

    async def start(self) -> None:
        """Listen on both ports; returns once connections are accepted.

        Raises:
            ConfigurationError: a port is taken or a certificate cannot be made.
        """
        thin_out("uvicorn.error", "asyncio", "pipecatapp.web.connections", "pipecatapp.web.listening")
        plain = listen_on(self._host, self._ports[0], "WEB_PORT")
        self._ports = (port_of(plain), self._ports[1])
        await self._serve(self._make_config(lifespan="on"), plain)
        if self._authority is None:
            return
        await asyncio.to_thread(self._authority.ensure, *self._covered())
        secure = listen_on(self._host, self._ports[1], "WEB_TLS_PORT")
        self._ports = (self._ports[0], port_of(secure))
        files = self._authority.files
        config = self._make_config(lifespan="off", ssl_certfile=str(files.certificate), ssl_keyfile=str(files.key))
        await self._serve(config, secure)
        self._tasks.append(asyncio.create_task(self._renew(config), name="certificate check"))

    async def stop(self) -> None:
        """Stop accepting, give open requests a moment, end."""
        for server in self._servers:
            server.should_exit = True
        renewals, serving = self._tasks[len(self._servers) :], self._tasks[: len(self._servers)]
        for task in renewals:
            task.cancel()
        await asyncio.gather(*serving, *renewals, return_exceptions=True)
        self._servers.clear()
        self._tasks.clear()

    def _make_config(
        self, *, lifespan: str, ssl_certfile: str | None = None, ssl_keyfile: str | None = None
    ) -> uvicorn.Config:
        return uvicorn.Config(
            self._app,
            lifespan="on" if lifespan == "on" else "off",
            ssl_certfile=ssl_certfile,
            ssl_keyfile=ssl_keyfile,
            # A request line may hold the token: nobody writes request lines down.
            access_log=False,
            log_config=None,
            log_level=logging.WARNING,
            server_header=False,
            http=LimitedHttpProtocol,
            ws=LimitedWebSocketProtocol,
            proxy_headers=bool(self._proxies),
            forwarded_allow_ips=[str(network) for network in self._proxies],
            # A shade longer than clients keep an idle connection, so that they do not use one that just ends.
            timeout_keep_alive=round(self._table.limits.idle_s),
            # Sound does not compress, and an old PC has better things to do.
            ws_per_message_deflate=False,
            ws_ping_interval=20.0,
            ws_ping_timeout=20.0,
            ws_max_size=1024 * 1024,
            timeout_graceful_shutdown=GRACE_S,
        )

    def _covered(self) -> tuple[list[str], list[str]]:
        """The names and addresses that the certificate is for: this machine's, and what people use besides."""
        further = [name for name in self._extra_names if parse_address(name) is not None]
        names = [name for name in self._extra_names if name not in further]
        return host_names(names), list(dict.fromkeys([*local_addresses(), *further]))

    async def _serve(self, config: uvicorn.Config, listeners: list[socket.socket]) -> None:
        server = _Server(config, self._table)
        task = asyncio.create_task(server.serve(sockets=listeners), name=f"web {port_of(listeners)}")
        self._servers.append(server)
        self._tasks.insert(len(self._servers) - 1, task)
        while not server.started:
            if task.done():
                for listener in listeners:
                    listener.close()
                raise ConfigurationError("Mission Control could not start; the log says why") from task.exception()
            await asyncio.sleep(0.01)

    async def _renew(self, config: uvicorn.Config) -> None:
        """Follow the machine to new addresses: connections from then on get the new certificate."""
        authority, context = self._authority, config.ssl
        if authority is None or context is None:
            return
        while True:
            await asyncio.sleep(_CERTIFICATE_CHECK_S)
            try:
                changed = await asyncio.to_thread(authority.ensure, *self._covered())
                if changed:
                    context.load_cert_chain(authority.files.certificate, authority.files.key)
            except (ConfigurationError, OSError) as error:
                log.error("the certificate could not be renewed: %s", error)
