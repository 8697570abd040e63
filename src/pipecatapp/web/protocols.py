"""uvicorn's protocols with an end to patience: times for header, body and idleness, and a size for the header."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState

from pipecatapp.web.connections import Connection, Limits

log = logging.getLogger(__name__)

# Where a request's scope["state"] holds its Connection.
CONNECTION = "connection"


class LimitedHttpProtocol(HttpToolsProtocol):
    """HTTP/1.1 on one connection.

    Args:
        config: of uvicorn.
        server_state: of uvicorn.
        app_state: what each request finds in its scope; the connection is put in.
        connection: released when it ends.
        limits: the times and sizes.
    """

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        *,
        connection: Connection,
        limits: Limits,
    ) -> None:
        super().__init__(config, server_state, {**app_state, CONNECTION: connection})
        self._connection = connection
        self._limits = limits
        self._timer: asyncio.TimerHandle | None = None
        # What the client is in the middle of; between two requests nothing.
        self._in_header = self._in_body = False
        self._header_bytes = self._header_lines = self._unparsed_bytes = 0
        self._last_data = 0.0
        self._too_large = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first request."""
        super().connection_made(transport)
        if self._connection.passage is not None:
            self.client, self.server = self._connection.passage
        self._connection.close_with(transport.abort)
        self._arm(self._limits.header_s)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it."""
        self._disarm()
        super().connection_lost(exc)
        self._connection.release()

    def data_received(self, data: bytes) -> None:
        """Read. What cannot be read ends the connection, whatever it is."""
        self._last_data = self.loop.time()
        was_in_header = self._in_header
        try:
            super().data_received(data)
        except Exception as error:  # noqa: BLE001 - the parsers behind it raise what they like on nonsense
            log.debug("a request could not be read: %s", error)
            self.connections.difference_update([one for one in self.connections if one.transport is self.transport])
            self.transport.abort()
            return
        if was_in_header and self._in_header and not self.transport.is_closing():
            # httptools keeps an unfinished line without a limit.
            self._unparsed_bytes += len(data)
            if self._unparsed_bytes > self._limits.header_bytes:
                self._refuse(431)

    def on_message_begin(self) -> None:
        """A request begins."""
        super().on_message_begin()
        self._in_header, self._too_large = True, False
        self._header_bytes = self._header_lines = self._unparsed_bytes = 0
        self._arm(self._limits.header_s)

    def on_url(self, url: bytes) -> None:
        """A piece of the request line."""
        if self._grow(len(url)):
            super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """A line of the header, or behind the body."""
        self._header_lines += 1
        if self._grow(len(name) + len(value)):
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """The header is there."""
        self._in_header = False
        if self._too_large:
            raise ValueError("the header is too large")
        super().on_headers_complete()
        self._in_body = True
        self._arm(self._limits.body_s)

    def on_message_complete(self) -> None:
        """The request is there."""
        self._in_body = False
        super().on_message_complete()
        self._arm(self._limits.answer_s)

    def on_response_complete(self) -> None:
        """It was answered."""
        super().on_response_complete()
        if not (self._in_header or self._in_body or self.transport.is_closing()):
            self._arm(self._limits.idle_s)

    def handle_websocket_upgrade(self) -> None:
        """From here on it is a WebSocket's."""
        self._disarm()
        super().handle_websocket_upgrade()

    def send_400_response(self, msg: str) -> None:
        """Refuse what cannot be read."""
        if self._too_large:
            self._refuse(431)
        else:
            super().send_400_response(msg)

    def _grow(self, size: int) -> bool:
        """Count a piece of the header; whether it is still small enough to be kept."""
        self._header_bytes += size
        limits = self._limits
        if self._header_bytes > limits.header_bytes or self._header_lines > limits.header_lines:
            self._too_large = True
        return not self._too_large

    def _arm(self, seconds: float) -> None:
        self._disarm()
        self._timer = self.loop.call_later(seconds, self._run_out)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _run_out(self) -> None:
        """The time for what the client is doing is over."""
        admitted = self._connection.guest != "stranger"
        answering = self.cycle is not None and not self.cycle.response_complete
        if admitted and self._in_body:
            silent = 0.0 if self.flow.read_paused else self.loop.time() - self._last_data
            if silent < self._limits.silence_s:
                self._arm(self._limits.silence_s - silent)
                return
        elif admitted and answering and not self._in_header:
            return  # an answer may take as long as it likes
        begun = self.cycle is not None and self.cycle.response_started
        if (self._in_header and not answering) or (self._in_body and not begun):
            self._refuse(408)
        else:
            self._end()

    def _refuse(self, status: int) -> None:
        self.transport.write(_closing_answer(status))
        self._end()

    def _end(self) -> None:
        """Close, without waiting for a client that reads nothing."""
        if self.transport.get_write_buffer_size():
            self.transport.abort()
        else:
            self.transport.close()


class LimitedWebSocketProtocol(WebSocketsSansIOProtocol):
    """A WebSocket on one connection; uvicorn makes it out of the HTTP protocol's state."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take it over."""
        super().connection_made(transport)
        if (passage := self.app_state[CONNECTION].passage) is not None:
            self.client, self.server = passage

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it."""
        super().connection_lost(exc)
        self.app_state[CONNECTION].release()

    def data_received(self, data: bytes) -> None:
        """Read. What cannot be read ends the connection, whatever it is."""
        try:
            super().data_received(data)
        except Exception as error:  # noqa: BLE001 - the parsers behind it raise what they like on nonsense
            log.debug("a WebSocket could not be read: %s", error)
            self.transport.abort()
            return
        # The whole handshake came at once: what is no request now, will never be one.
        if not self.handshake_initiated and not self.transport.is_closing():
            self.transport.write(_closing_answer(400))
            self.transport.close()


def _closing_answer(status: int) -> bytes:
    return STATUS_LINE[status] + b"connection: close\r\ncontent-length: 0\r\n\r\n"
