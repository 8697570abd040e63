"""The running server against people without a token: who stalls, floods or sends nonsense, and what it costs."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import socket
import ssl
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from websockets.asyncio.client import connect

from pipecatapp.web.connections import ConnectionTable, Limits
from pipecatapp.web.listening import Acceptor, listen
from testing.fakes.mission import Mission

pytestmark = pytest.mark.integration

# As the program has them, only less patient.
HASTY = Limits(handshake_s=0.5, header_s=0.5, body_s=0.5, silence_s=0.5, answer_s=0.5, idle_s=0.5)
SLACK_S = 5.0


@pytest.fixture
async def hasty(tmp_path: Path) -> AsyncIterator[Mission]:
    mission = Mission(tmp_path, tls=True, limits=HASTY)
    await mission.start()
    yield mission
    await mission.stop()


class Knocker:
    """A bare connection, perhaps from another address of the loopback, perhaps over TLS."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def come(cls, port: int, address: str = "127.0.0.1", tls: ssl.SSLContext | None = None) -> Knocker:
        return cls(*await asyncio.open_connection("127.0.0.1", port, local_addr=(address, 0), ssl=tls))

    async def send(self, data: bytes) -> None:
        with contextlib.suppress(ConnectionError):
            self.writer.write(data)
            await self.writer.drain()

    async def drip(self, data: bytes, pause_s: float = 0.05) -> None:
        """Send byte by byte, for ever."""
        while data:
            for byte in data:
                await self.send(bytes([byte]))
                await asyncio.sleep(pause_s)

    async def ended(self, within_s: float = SLACK_S) -> bytes:
        """What came until the server closed."""
        received = b""
        async with asyncio.timeout(within_s):
            with contextlib.suppress(ConnectionError):
                while piece := await self.reader.read(65536):
                    received += piece
        return received

    async def leave(self) -> None:
        self.writer.close()
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            await self.writer.wait_closed()


@contextlib.asynccontextmanager
async def dripping(knocker: Knocker, data: bytes) -> AsyncIterator[None]:
    task = asyncio.create_task(knocker.drip(data))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])
        await knocker.leave()


def descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


async def until(holds: object, seconds: float = SLACK_S) -> None:
    assert callable(holds)
    async with asyncio.timeout(seconds):
        while not holds():
            await asyncio.sleep(0.02)


STALLS = {
    "nothing": b"",
    "a request line": b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nX: ",
    "empty lines": b"\r\n",
    "half a body": b"POST /login HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 4000\r\n\r\ntoken=",
    "chunks": b"POST /login HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n",
}


@pytest.mark.parametrize("beginning", STALLS.values(), ids=STALLS)
@pytest.mark.parametrize("secure", [False, True], ids=["plain", "tls"])
async def test_who_never_finishes_a_request_is_sent_away(hasty: Mission, beginning: bytes, secure: bool) -> None:
    tls = ssl.create_default_context(cafile=str(hasty.services.ca_certificate)) if secure else None
    if tls is not None:
        tls.check_hostname = False
    port = hasty.servers.tls_port if secure else hasty.servers.port
    knocker = await Knocker.come(port, tls=tls)
    await knocker.send(beginning)
    async with dripping(knocker, beginning[-2:] if beginning == b"\r\n" else b"x" if beginning else b""):
        answer = await knocker.ended()
    assert answer == b"" or b" 408 " in answer.partition(b"\r\n")[0] or b" 400 " in answer.partition(b"\r\n")[0]


async def test_a_refused_request_whose_body_never_ends_is_sent_away(hasty: Mission) -> None:
    knocker = await Knocker.come(hasty.servers.port)
    await knocker.send(b"POST /api/messages HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100000\r\n\r\n{")
    async with dripping(knocker, b" "):
        assert (await knocker.ended()).startswith(b"HTTP/1.1 401")


async def test_a_tls_handshake_that_never_comes_ends(hasty: Mission) -> None:
    knocker = await Knocker.come(hasty.servers.tls_port)
    await knocker.send(b"\x16\x03\x01")
    assert await knocker.ended() == b""
    await knocker.leave()


async def test_who_takes_no_answer_is_sent_away(hasty: Mission) -> None:
    before = descriptors()
    with socket.create_connection(("127.0.0.1", hasty.servers.port)) as knocker:
        knocker.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        knocker.setblocking(False)
        font = next(Path("src/pipecatapp/web/static/vendor/fonts").glob("*.woff2"))
        request = f"GET /static/vendor/fonts/{font.name} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()
        with contextlib.suppress(BlockingIOError):
            knocker.send(request * 2000)
        await until(lambda: descriptors() > before + 1)
        await until(lambda: descriptors() <= before + 1, 10)


@pytest.mark.parametrize(
    "piece",
    [b"X: " + b"x" * 4096, b"x" * 4096, b"X: y\r\n" * 600, b"X: " + b"y" * 90 + b"\r\n"],
    ids=["one line", "a name", "many lines", "lines of a piece"],
)
async def test_a_header_without_an_end_is_refused_soon(hasty: Mission, piece: bytes) -> None:
    knocker = await Knocker.come(hasty.servers.port)
    await knocker.send(b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n")
    sent = 0
    while sent < 2_000_000 and not knocker.reader.at_eof() and not knocker.writer.is_closing():
        await knocker.send(piece)
        sent += len(piece)
        await asyncio.sleep(0)
    answer = await knocker.ended()
    assert sent < 1_500_000
    assert answer == b"" or answer.startswith((b"HTTP/1.1 431", b"HTTP/1.1 400"))
    await knocker.leave()


async def test_trailers_without_an_end_are_refused(hasty: Mission) -> None:
    knocker = await Knocker.come(hasty.servers.port)
    await knocker.send(b"POST /login HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n")
    for _ in range(400):
        await knocker.send(b"X: y\r\n" * 600)
    assert len(await knocker.ended()) < 10_000
    await knocker.leave()


NONSENSE = [
    b"\x00\xff" * 50,
    b"GET / HTTP/1.1\r\nHost: [\r\n\r\n",
    b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nOrigin: http://[\r\n\r\n",
    b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nHost: 127.0.0.1\r\n\r\n",
    b"GET /health HTTP/1.1\r\n\r\n",
    b"GET /health HTTP/1.0\r\n\r\n",
    b"GET /\xff\xfe?\xc3\x28 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    b"GET /%ff%fe%00?%ff=%c3%28 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    b"POST /login HTTP/1.1\r\nHost: 127.0.0.1\r\nOrigin: http://[\r\nContent-Length: 0\r\n\r\n",
    b"POST /login HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: \xb2\r\n\r\n",
    b"POST /login HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 99999999999999999999\r\n\r\n",
    b'GET /login?token=%ff HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: pipecatapp=\xff; =\xfe; "\r\n\r\n',
    b"GET /login HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer \xff\xfe\r\nCookie: pipecatapp=9.9.\xe4\r\n\r\n",
    b"CONNECT evil.example:443 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    b"OPTIONS * HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    b"GET http://evil.example/health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
]
UPGRADE = b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
KEY = b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
NONSENSE += [
    b"GET /ws HTTP/1.1\r\nHost: 127.0.0.1\r\nOrigin: http://[\r\n" + UPGRADE + KEY + b"\r\n",
    b"GET /ws\xff\xfe?\xff HTTP/1.1\r\nHost: 127.0.0.1\r\n" + UPGRADE + KEY + b"\r\n",
    b"GET /ws HTTP/1.1\r\nHost: 127.0.0.1\r\n" + UPGRADE + b"\r\n",
    b"GET /ws HTTP/1.1\r\nHost: 127.0.0.1\r\nX: \xff\xfe\r\n" + UPGRADE + KEY + b"\r\n",
    b"GET /ws HTTP/1.1\r\nHost: 127.0.0.1\r\nX: " + b"y" * 9000 + b"\r\n" + UPGRADE + KEY + b"\r\n",
    b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
    b"POST /ws HTTP/1.1\r\nHost: 127.0.0.1\r\n" + UPGRADE + KEY + b"Content-Length: 5\r\n\r\nhello",
]


async def test_no_nonsense_is_an_error_of_the_server(hasty: Mission, caplog: pytest.LogCaptureFixture) -> None:
    before = descriptors()
    for request in NONSENSE:
        for pieces in ([request], [request[:20], request[20:]], [request * 2]):
            knocker = await Knocker.come(hasty.servers.port)
            for piece in pieces:
                await knocker.send(piece)
                await asyncio.sleep(0)
            try:
                answer = await knocker.ended()
            except TimeoutError:
                pytest.fail(f"it is still open after {request[:200]!r}")
            assert b" 500 " not in answer, request
            await knocker.leave()
    await until(lambda: descriptors() <= before)
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR] == []
    async with httpx.AsyncClient(base_url=hasty.url, trust_env=False) as anybody:
        assert (await anybody.get("/health")).json() == {"role": "alone"}


async def test_a_crowd_of_idle_strangers_locks_nobody_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    mission = Mission(tmp_path, tls=True)
    await mission.start()
    limits = Limits()
    headers = {"authorization": f"Bearer {mission.token}"}
    url = f"{mission.url.replace('http', 'ws')}/ws?conversation=c-0123456789"
    crowd: list[socket.socket] = []
    try:
        async with connect(url, additional_headers=headers, proxy=None) as page:
            for number in range(400):
                stranger = socket.socket()
                stranger.bind((f"127.0.1.{number % 20 + 1}", 0))
                stranger.setblocking(False)
                with contextlib.suppress(BlockingIOError):
                    stranger.connect(("127.0.0.1", (mission.servers.port, mission.servers.tls_port)[number % 2]))
                crowd.append(stranger)
                if number % 10 == 0:
                    await asyncio.sleep(0.01)
            await asyncio.sleep(0.2)
            held = [stranger for stranger in crowd if still_open(stranger)]
            async with httpx.AsyncClient(base_url=mission.url, headers=headers, trust_env=False) as person:
                answer = await person.post("/api/messages", json={"conversation": "c-0123456789", "text": "hello"})
                assert answer.status_code == 202
            async with asyncio.timeout(SLACK_S):
                while '"turn_finished"' not in str(await page.recv()):
                    pass
        assert len(held) <= limits.strangers
        lines = [record.getMessage() for record in caplog.records if record.levelno >= logging.INFO]
        assert sum("without a login" in line for line in lines) <= 20
    finally:
        for stranger in crowd:
            stranger.close()
        await mission.stop()


def still_open(stranger: socket.socket) -> bool:
    try:
        return stranger.recv(1) != b""
    except BlockingIOError:
        return True
    except OSError:
        return False


async def test_a_slow_upload_of_somebody_who_was_let_in_may_take_its_time(hasty: Mission) -> None:
    body = b'{"conversation": "c-0123456789", "text": "' + b"x" * 20 + b'"}'
    knocker = await Knocker.come(hasty.servers.port)
    await knocker.send(
        b"POST /api/messages HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n"
        b"Authorization: Bearer %b\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
        % (mission_token(hasty), len(body))
    )
    began = time.monotonic()
    for byte in body:
        await knocker.send(bytes([byte]))
        await asyncio.sleep(0.02)
    assert time.monotonic() - began > 2 * HASTY.body_s
    assert (await knocker.ended()).startswith(b"HTTP/1.1 202")
    await knocker.leave()


def mission_token(mission: Mission) -> bytes:
    return mission.token.encode()


@pytest.mark.parametrize(("proxies", "believed"), [("", False), ("127.0.0.1", True)])
async def test_a_forwarded_address_counts_from_a_proxy_that_is_named_only(
    tmp_path: Path, proxies: str, believed: bool
) -> None:
    mission = Mission(tmp_path, proxies=proxies)
    await mission.start()
    try:
        async with httpx.AsyncClient(base_url=mission.url, trust_env=False) as guesser:
            answers = [
                await guesser.get(
                    "/api/status",
                    headers={"authorization": "Bearer wrong", "x-forwarded-for": f"192.0.2.{number}"},
                )
                for number in range(12)
            ]
            secure = await guesser.post("/login", content="token=" + mission.token,
                                        headers={"x-forwarded-proto": "https"})  # fmt: skip
    finally:
        await mission.stop()
    assert (answers[-1].status_code == 429) is not believed
    assert ("Secure" in secure.headers["set-cookie"]) is believed


@pytest.mark.parametrize(("proxies", "believed"), [("", False), ("127.0.0.1", True)])
async def test_the_line_of_a_proxy_counts_from_one_that_is_named_only(
    tmp_path: Path, proxies: str, believed: bool
) -> None:
    mission = Mission(tmp_path, proxies=proxies, tls=True)
    await mission.start()
    said = b""
    try:
        for number in range(12):
            reader, writer = await asyncio.open_connection("127.0.0.1", mission.servers.tls_port)
            writer.write(f"PROXY TCP4 192.0.2.{number} 192.0.2.200 40000 8443\r\n".encode())
            with contextlib.suppress(ConnectionError, ssl.SSLError):
                await writer.start_tls(_trusting_all(), server_hostname="localhost")
                # What the client itself says of its address is not the proxy's word.
                writer.write(b"GET /api/status HTTP/1.1\r\nHost: 192.0.2.200:8443\r\nAuthorization: Bearer wrong\r\n"
                             b"X-Forwarded-For: 192.0.2.99\r\n\r\n")  # fmt: skip
                said = await reader.read(64)
            writer.close()
    finally:
        await mission.stop()
    assert said.startswith(b"HTTP/1.1 401") is believed


def _trusting_all() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


class Exhausted:
    """A listening socket whose system has no descriptor left for a while."""

    def __init__(self, listener: socket.socket, failures: int) -> None:
        self._listener, self.failures, self.asked = listener, failures, 0

    def fileno(self) -> int:
        return self._listener.fileno()

    def accept(self) -> tuple[socket.socket, tuple[str, int]]:
        self.asked += 1
        if self.asked <= self.failures:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return self._listener.accept()


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with contextlib.closing(listen("127.0.0.1", 0, "PORT")) as listener:
        yield listener


async def test_without_descriptors_it_waits_and_accepts_later(
    listener: socket.socket, caplog: pytest.LogCaptureFixture
) -> None:
    accepted = asyncio.Event()

    class Greeting(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            accepted.set()
            transport.close()

    exhausted = Exhausted(listener, failures=2)
    table = ConnectionTable(replace(Limits(), strangers=4))
    freed: list[str] = []
    table.open("127.0.0.9", lambda: freed.append("an old stranger"))
    acceptor = Acceptor(exhausted, table, lambda _: Greeting())  # type: ignore[arg-type]
    acceptor.start()
    knocker = await Knocker.come(listener.getsockname()[1])
    await asyncio.sleep(0.5)
    assert exhausted.asked == 1, "it does not spin"
    async with asyncio.timeout(SLACK_S):
        await accepted.wait()
    assert freed == ["an old stranger"]
    assert len([record for record in caplog.records if "cannot be accepted" in record.message]) == 2
    await knocker.leave()
    acceptor.close()
    await acceptor.wait_closed()
