"""The connection to NATS, in a thread with an event loop of its own: the journal's thread waits for it, nobody else."""

from __future__ import annotations

import asyncio
import json
import logging
import math
import ssl
import threading
import time
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError

from pipecatapp.errors import ConfigurationError

log = logging.getLogger(__name__)

T = TypeVar("T")
# How each server says how it keeps what it acknowledges: role `nats` lets the agent's account ask.
_SERVERS = "house.jetstream"
_NOT_FOUND, _UNAVAILABLE = 404, 503
_WRONG_LAST_SEQUENCE, _NO_PEERS = 10071, 10005


class LinkError(Exception):
    """Nobody answers, or not in time: whether something happened is not known."""


class _EnoughError(Exception):
    """All servers were tried long enough."""


class RefusedError(Exception):
    """The servers answered that they will not."""

    def __init__(self, text: str, code: int = 0) -> None:
        super().__init__(text)
        self.code = code

    @property
    def absent(self) -> bool:
        """Whether what was asked for is not there."""
        return self.code == _NOT_FOUND


class BehindError(RefusedError):
    """A write was refused: it is not the last any more that was expected to be."""


@dataclass(frozen=True, slots=True)
class Access:
    """How the servers are reached.

    ``servers``: URLs such as ``tls://node1:4222``. ``ca``, ``certificate``, ``key``: files; without ``ca`` no TLS.
    ``copies``: how many there should be of everything; 0: one on each server, up to three.
    """

    servers: Sequence[str]
    user: str
    password: str
    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    copies: int = 0

    @property
    def replicas(self) -> int:
        """How many copies there are of everything."""
        return self.copies or min(3, len(self.servers))


class Link:
    """One connection, which comes back by itself.

    Args:
        access: where to and who we are.
        timeout_s: how long an answer may take.
        connect_s: how long all servers are tried.
    """

    def __init__(self, access: Access, *, timeout_s: float = 2.0, connect_s: float = 5.0) -> None:
        self.access = access
        self._connect_s = connect_s
        self._until = math.inf
        self.timeout_s = timeout_s
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="nats", daemon=True)
        self._client: Client | None = None
        self._thread.start()

    # From other threads.

    def begin(self, work: Coroutine[Any, Any, T]) -> asyncio.Future[T]:
        """Have it done in the link's loop; for a caller in another loop."""
        return asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self._loop))

    def wait(self, work: Coroutine[Any, Any, T]) -> T:
        """Have it done and wait for it; for a thread without a loop. Raises what the work raises."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def end(self) -> None:
        """End the thread; the connection is closed before. Blocks."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    # In the link's loop.

    async def connect(self) -> None:
        """Connect unless that was done; from then on it comes back by itself.

        Raises:
            LinkError: no server can be reached.
            ConfigurationError: a certificate cannot be read.
        """
        if self._client is not None:
            return
        client = Client()
        # The library tries for ever, and takes no cancelling meanwhile: its calls of `error_cb` end it.
        self._until = time.monotonic() + self._connect_s
        try:
            await client.connect(
                servers=list(self.access.servers),
                user=self.access.user,
                password=self.access.password,
                tls=self._tls(),
                name="pipecatapp",
                # By default a server that is cut off is noticed after minutes.
                ping_interval=1,
                max_outstanding_pings=2,
                connect_timeout=2,
                reconnect_time_wait=0.2,  # type: ignore[arg-type]  # seconds, of any kind
                max_reconnect_attempts=-1,
                # What is written while nobody is there must not arrive later.
                pending_size=0,
                error_cb=self._note_error,
            )
        except (NatsError, OSError, TimeoutError, _EnoughError) as error:
            self._until = math.inf
            await close_client(client)
            raise LinkError(f"no server of NATS can be reached: {_named(error)}") from error
        finally:
            self._until = math.inf
        self._client = client

    async def close(self) -> None:
        """Close the connection."""
        client, self._client = self._client, None
        if client is not None:
            await close_client(client)

    async def ask(
        self, subject: str, body: bytes, headers: Mapping[str, str] | None = None, timeout_s: float | None = None
    ) -> dict[str, Any]:
        """The answer of JetStream to a request.

        Raises:
            LinkError: there is none in time.
            RefusedError: it is an error; BehindError where another write was before.
        """
        if self._client is None or not self._client.is_connected:
            raise LinkError("not connected")
        try:
            answer = await self._client.request(
                subject, body, timeout=timeout_s or self.timeout_s, headers=dict(headers) if headers else None
            )
        except (NatsError, OSError, TimeoutError) as error:
            raise LinkError(_named(error)) from error
        return _checked(answer)

    async def api(self, what: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """``ask`` JetStream's API, e.g. ``STREAM.INFO.name``."""
        return await self.ask(f"$JS.API.{what}", json.dumps(body).encode() if body else b"")

    async def early_servers(self) -> list[str]:
        """The names of the servers that acknowledge before they have written.

        Raises:
            RefusedError: none says how it does it; LinkError: not connected.
        """
        if self._client is None:
            raise LinkError("not connected")
        early, answered = [], 0
        inbox = self._client.new_inbox()
        try:
            answers = await self._client.subscribe(inbox)
            try:
                await self._client.publish(_SERVERS, b'{"config": true}', reply=inbox)
                while answered < len(self.access.servers):
                    said = json.loads((await answers.next_msg(timeout=self.timeout_s)).data)
                    answered += 1
                    if not said["data"]["config"].get("sync_always"):
                        early.append(str(said["server"]["name"]))
            finally:
                await answers.unsubscribe()
        except (NatsError, OSError, TimeoutError, ValueError, KeyError, TypeError) as error:
            if not answered:
                raise RefusedError(
                    f"no server says how it keeps what it acknowledges ({_named(error)}); "
                    "run the playbook's role nats again"
                ) from error
        return early

    async def _note_error(self, error: Exception) -> None:
        log.debug("NATS: %s", _named(error))
        if time.monotonic() > self._until:
            raise _EnoughError(_named(error))

    def _tls(self) -> ssl.SSLContext | None:
        if self.access.ca is None:
            return None
        try:
            context = ssl.create_default_context(cafile=self.access.ca)
            if self.access.certificate is not None:
                context.load_cert_chain(self.access.certificate, self.access.key)
        except OSError as error:
            raise ConfigurationError(
                f"the certificates for NATS cannot be read: {error}; check NATS_CA, NATS_CERTIFICATE and NATS_KEY"
            ) from error
        return context


def _checked(answer: Msg) -> dict[str, Any]:
    try:
        said = json.loads(answer.data)
    except ValueError as error:
        # No responders: nobody leads the stream now.
        raise LinkError("no answer") from error
    if trouble := said.get("error"):
        text = str(trouble.get("description", trouble))
        if trouble.get("err_code") == _WRONG_LAST_SEQUENCE:
            raise BehindError(text)
        if trouble.get("code") == _UNAVAILABLE or trouble.get("err_code") == _NO_PEERS:
            raise LinkError(text)
        raise RefusedError(text, int(trouble.get("code", 0)))
    return dict(said)


async def close_client(client: Client, within_s: float = 3.0) -> None:
    """Close a connection. With TLS the library may wait for ever for a server that was killed: then it is left."""
    closing = asyncio.ensure_future(client.close())
    done, _ = await asyncio.wait({closing}, timeout=within_s)
    if not done:
        closing.cancel()
        log.debug("NATS was not closed within %g s", within_s)
    elif (error := closing.exception()) is not None:
        if not isinstance(error, (NatsError, OSError, TimeoutError)):
            raise error
        log.debug("NATS was not closed well: %s", error)


def _named(error: BaseException) -> str:
    return str(error) or type(error).__name__
