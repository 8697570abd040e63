"""Answers for a service that sleeps: holds the requests that need it, wakes it once, passes them on.

What only reads is answered from what is known and wakes nothing. What the service would have refused (a strange source,
a wrong token) is refused here too, before anything is woken or held. All that is held has a bound: connections,
requests, bytes, time.
"""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
import json
import logging
import re
import socket
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from power_agent.http1 import HEAD_LIMIT, Head, MessageError, connect, read_body, read_head
from power_agent.passing import Held, NotTakenError, pass_on
from power_agent.reply import Reply, error_body, message
from power_agent.server import REMEMBERED
from power_agent.service import Service
from power_agent.states import NotAwakeError

logger = logging.getLogger(__name__)

# Quotation marks within a string of JSON are escaped: this is the field, and no words about it.
_STREAMS = re.compile(rb'(?<!\\)"stream"\s*:\s*true')
_OPEN_TO_ALL = ("/health", "/v1/health", "/v1/models", "/models")
_PIECE = 64 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """What one service may have held for it.

    Attributes:
        connections: open at once.
        requests: held at once.
        request_bytes, all_bytes: of one request, of all together.
        head_s: for the head of a request to come.
        held_s: for the service to take it, beyond the limit of a wake.
        silent_s, comments_s: see ``Reply``.
        tries: how often it is asked when it does not take a request.
    """

    connections: int = 256
    requests: int = 64
    request_bytes: int = 16 * 1024 * 1024
    all_bytes: int = 64 * 1024 * 1024
    head_s: float = 10.0
    held_s: float = 60.0
    silent_s: float = 20.0
    comments_s: float = 10.0
    tries: int = 8


class Activator:
    """The agent's end of one service.

    Args:
        service: what it answers for.
        token: of the service's API; empty: it wants none.
        limits: what it holds.
    """

    def __init__(self, service: Service, token: str = "", limits: Limits | None = None) -> None:
        self._service, self._token = service, token
        self._limits = limits or Limits()
        self._open = self._held = self._bytes = 0

    async def listen(self, sockets: Sequence[socket.socket]) -> list[asyncio.Server]:
        """Answer on these sockets, which listen already or are bound."""
        return [
            await asyncio.start_server(self._connected, sock=each, limit=2 * HEAD_LIMIT, backlog=128)
            for each in sockets
        ]

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = writer.get_extra_info("peername")
        if self._open >= self._limits.connections or peer is None or not self.lets_in(peer[0]):
            writer.transport.abort()
            return
        self._open += 1
        try:
            if self._service.watched.http:
                await self._http(reader, writer)
            else:
                await self._raw(reader, writer)
            await writer.drain()
        except (OSError, TimeoutError, MessageError) as error:
            logger.debug("%s: a caller is gone: %s", self._service.watched.name, error)
        finally:
            self._open -= 1
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    def lets_in(self, address: str) -> bool:
        """Whether a caller may come from there."""
        source = ipaddress.ip_address(address.partition("%")[0])
        if isinstance(source, ipaddress.IPv6Address) and source.ipv4_mapped:
            source = source.ipv4_mapped
        return source.is_loopback or any(source in network for network in self._service.watched.sources)

    async def _raw(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Another protocol: the first payload wakes, a connection alone does not."""
        async with asyncio.timeout(self._limits.held_s):
            first = await reader.read(_PIECE)
        if not first:
            return
        self._service.activity.began()
        try:
            try:
                host, port = await self._ready()
            except NotAwakeError:
                writer.transport.abort()
                return
            there, back = await connect(host, port)
            try:
                back.write(first)
                await asyncio.gather(_pump(reader, back), _pump(there, writer))
            finally:
                back.close()
        finally:
            self._service.activity.ended()

    async def _http(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with asyncio.timeout(self._limits.head_s):
            head = await read_head(reader)
        method, path = _target(head)
        if not self._service.awake and (known := self._known(method, path, head)) is not None:
            writer.write(known)
            return
        if path not in _OPEN_TO_ALL and not self._may(head):
            writer.write(message(401, _JSON, error_body(401, "Invalid API Key")))
            return
        if head.length is not None and head.length > self._limits.request_bytes:
            writer.write(message(413, _JSON, error_body(413, "the request is too long to be held")))
            return
        if self._held >= self._limits.requests or self._bytes + (head.length or 0) > self._limits.all_bytes:
            fields = _JSON | {"Retry-After": "5"}
            writer.write(message(503, fields, error_body(503, "too many wait for it already")))
            return
        self._held += 1
        self._service.activity.began()
        try:
            await self._hold(head, reader, writer)
        finally:
            self._service.activity.ended()
            self._held -= 1

    def _known(self, method: str, path: str, head: Head) -> bytes | None:
        """The answer to what wakes nothing; None: it needs the service."""
        if method == "OPTIONS":
            return message(204, {"Allow": "GET, HEAD, OPTIONS, POST"})
        if method not in ("GET", "HEAD"):
            return None
        name, status, body = self._service.watched.name, 503, error_body(503, f"{self._service.watched.name} sleeps")
        if path in ("/health", "/v1/health"):
            status, body = 200, json.dumps({"status": "ok", "power": self._service.state.value}).encode()
        elif path in REMEMBERED and (path in _OPEN_TO_ALL or self._may(head)):
            remembered = self._service.remembered(path)
            if remembered is not None:
                status, body = 200, remembered.encode()
        fields = _JSON | {"X-Power-State": self._service.state.value, "X-Service": name}
        if status == 503:
            fields["Retry-After"] = "60"
        answer = message(status, fields, body)
        return answer if method == "GET" else answer[: answer.index(b"\r\n\r\n") + 4]

    def _may(self, head: Head) -> bool:
        if not self._token:
            return True
        given = head.fields.get("authorization", "").encode()
        return hmac.compare_digest(given, f"Bearer {self._token}".encode())

    async def _hold(self, head: Head, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if head.fields.get("expect", "").lower() == "100-continue":
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        body = bytearray()
        try:
            async with asyncio.timeout(self._limits.held_s):
                async for piece in read_body(reader, head):
                    body += piece
                    self._bytes += len(piece)
                    if len(body) > self._limits.request_bytes or self._bytes > self._limits.all_bytes:
                        writer.write(message(413, _JSON, error_body(413, "the request is too long to be held")))
                        return
            await self._answer(Held(head, bytes(body)), reader, writer)
        finally:
            self._bytes -= len(body)

    async def _answer(self, held: Held, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        streams = bool(_STREAMS.search(held.body)) and held.head.first.endswith("HTTP/1.1")
        reply = Reply(writer, streams=streams, silent_s=self._limits.silent_s, every_s=self._limits.comments_s)
        answering = asyncio.create_task(self._wake_and_pass_on(held, reply), name="held request")
        leaving = asyncio.create_task(_gone(reader), name="caller leaves")
        try:
            await asyncio.wait((answering, leaving), return_when=asyncio.FIRST_COMPLETED)
            if not answering.done():
                raise MessageError("the caller left")
            await answering
        finally:
            for task in (answering, leaving):
                task.cancel()
            await asyncio.gather(answering, leaving, return_exceptions=True)
            await reply.stop_waiting()

    async def _wake_and_pass_on(self, held: Held, reply: Reply) -> None:
        reply.wait()
        reason = "it does not answer"
        for attempt in range(self._limits.tries):
            try:
                host, port = await self._ready()
                await pass_on(held, host, port, reply)
            except NotTakenError as error:
                reason = str(error)
                await asyncio.sleep(min(0.1 * 2**attempt, 5.0))
                continue
            except NotAwakeError as error:
                await reply.fail(f"{self._service.watched.name}: {error}", error.retry_after_s)
            return
        await reply.fail(f"{self._service.watched.name}: {reason}", 5.0)

    async def _ready(self) -> tuple[str, int]:
        limit = self._service.watched.wake_within_s + self._limits.held_s
        try:
            async with asyncio.timeout(limit):
                return await self._service.ready()
        except TimeoutError as error:
            raise NotAwakeError(f"not awake after {limit:.0f} s", 30.0) from error


_JSON = {"Content-Type": "application/json"}


def _target(head: Head) -> tuple[str, str]:
    method, _, rest = head.first.partition(" ")
    target, _, version = rest.rpartition(" ")
    if not version.startswith("HTTP/1.") or not target:
        raise MessageError("no request")
    return method, target.partition("?")[0]


async def _gone(reader: asyncio.StreamReader) -> None:
    """Returns when the caller closed; what it sends beyond its request is not read by anybody."""
    while await reader.read(_PIECE):
        continue


async def _pump(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    while piece := await source.read(_PIECE):
        target.write(piece)
        await target.drain()
    if target.can_write_eof():
        target.write_eof()
