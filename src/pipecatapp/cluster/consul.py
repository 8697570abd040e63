"""Consul's HTTP API, as much as discovery needs: blocking queries that answer when something changed.

Our own few lines over httpx, because py-consul 1.8.0's asyncio client passes aiohttp arguments that aiohttp has
deprecated, reads the environment itself, and its other client would hold a thread for each query that waits.
"""

from __future__ import annotations

import asyncio
import base64
import logging
import ssl
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Any
from urllib.parse import urlsplit

import httpx

from pipecatapp.errors import ConfigurationError, PipecatAppError

logger = logging.getLogger(__name__)

# Consul answers after this long though nothing changed, plus up to a sixteenth of it.
WAIT_S = 30


class ConsulUnreachableError(PipecatAppError):
    """Consul is away, has no leader or refuses the token. What it said last may still be true."""


def consul_url(address: str) -> str:
    """The URL in ``CONSUL_HTTP_ADDR``: ``host``, ``host:port`` or with ``http://`` or ``https://``.

    Raises:
        ConfigurationError: it is none of these.
    """
    try:
        at = urlsplit(address if "//" in address else f"http://{address}")
        port = at.port or (443 if at.scheme == "https" else 8500)
    except ValueError:
        at, port = urlsplit(""), 0
    if at.scheme not in ("http", "https") or not at.hostname or at.path.strip("/") or at.query:
        raise ConfigurationError(
            f"CONSUL_HTTP_ADDR {address!r} is no address; write host:port, http://host:port or https://host:port"
        )
    host = f"[{at.hostname}]" if ":" in at.hostname else at.hostname
    return f"{at.scheme}://{host}:{port}"


class Query:
    """One question that is asked again and again; each answer waits until it differs from the one before.

    Args:
        http: the client.
        path: of the API.
        parameters: further ones.
    """

    def __init__(self, http: httpx.AsyncClient, path: str, parameters: dict[str, str] | None = None) -> None:
        self._http = http
        self._path = path
        self._parameters = parameters or {}
        self._index = 0

    async def next(self) -> Any:
        """The answer: at once the first time, then when it changed or Consul's wait ended.

        Raises:
            ConsulUnreachableError: there is no answer; the next question begins anew.
        """
        parameters = dict(self._parameters)
        if self._index:
            parameters |= {"index": str(self._index), "wait": f"{WAIT_S}s"}
        try:
            response = await self._http.get(self._path, params=parameters)
            if response.status_code != httpx.codes.OK:
                raise ConsulUnreachableError(f"Consul answers {response.status_code}: {response.text.strip()[:100]}")
            value = response.json()
        except ConsulUnreachableError:
            self._index = 0
            raise
        except (httpx.HTTPError, ValueError) as error:
            self._index = 0
            raise ConsulUnreachableError(f"Consul does not answer: {type(error).__name__}") from error
        self._index = next_index(self._index, response.headers.get("X-Consul-Index", ""))
        return value


class ValueQuery:
    """A key of Consul's store that is asked for again and again; each answer waits until it differs.

    Args:
        http: the client.
        key: its name.
    """

    def __init__(self, http: httpx.AsyncClient, key: str) -> None:
        self._http = http
        self._key = key
        self._index = 0

    async def next(self) -> tuple[str, int]:
        """What it holds, empty where there is none, and the index of its last change (0 where there is none).

        Raises:
            ConsulUnreachableError: there is no answer; the next question begins anew.
        """
        parameters = {"index": str(self._index), "wait": f"{WAIT_S}s"} if self._index else {}
        try:
            response = await self._http.get(f"/v1/kv/{self._key}", params=parameters)
            self._index = next_index(self._index, response.headers.get("X-Consul-Index", ""))
            if response.status_code == httpx.codes.NOT_FOUND:
                return "", 0
            if response.status_code != httpx.codes.OK:
                raise ConsulUnreachableError(f"Consul answers {response.status_code}: {response.text.strip()[:100]}")
            (entry,) = response.json()
            return base64.b64decode(entry["Value"] or "").decode("utf-8", "replace"), int(entry["ModifyIndex"])
        except ConsulUnreachableError:
            self._index = 0
            raise
        except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
            self._index = 0
            raise ConsulUnreachableError(f"Consul does not answer: {type(error).__name__}") from error


def next_index(before: int, header: str) -> int:
    """The index to wait on. One that goes backwards (Consul was restored or its leader lost) begins at 0 again; a new
    one is at least 1, or Consul would not wait and we would ask without a pause."""
    try:
        index = int(header)
    except ValueError:
        return 0
    if index < before:
        return 0
    return max(1, index)


class Token(httpx.Auth):
    """The token of each request; where it is refused, what ``renewed`` says now: a rotation replaces it."""

    def __init__(self, value: str, renewed: Callable[[], str]) -> None:
        self._value = value
        self._renewed = renewed

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """Ask once, and once more where there is another token by now."""
        used = self._value
        if used:
            request.headers["X-Consul-Token"] = used
        response = yield request
        if response.status_code != httpx.codes.FORBIDDEN:
            return
        if self._value == used:
            self._value = await asyncio.to_thread(self._renewed) or used
        if self._value != used:
            request.headers["X-Consul-Token"] = self._value
            yield request


class ConsulClient:
    """A Consul agent.

    Args:
        address: as in ``CONSUL_HTTP_ADDR``.
        token: ACL token, if it wants one.
        renewed: the token as it is now, asked in a thread when one is refused.
        transport: what carries the requests, in place of the network.
        authority: whose certificates count; None: those that the system knows.
    """

    def __init__(
        self,
        address: str,
        token: str = "",
        transport: httpx.AsyncBaseTransport | None = None,
        *,
        renewed: Callable[[], str] | None = None,
        authority: ssl.SSLContext | None = None,
    ) -> None:
        self.url = consul_url(address)
        self._http = httpx.AsyncClient(
            base_url=self.url,
            auth=Token(token, renewed or (lambda: token)),
            timeout=httpx.Timeout(WAIT_S * 17 / 16 + 5, connect=2.0, pool=None),
            limits=httpx.Limits(max_connections=None),
            trust_env=False,
            transport=transport,
            verify=authority or True,
        )

    def services(self) -> Query:
        """All services by name, with their tags."""
        return Query(self._http, "/v1/catalog/services")

    def instances(self, service: str) -> Query:
        """The instances of a service whose checks pass, that of their node too: on a dead node the service's own
        check stays as it was."""
        return Query(self._http, f"/v1/health/service/{service}", {"passing": "1"})

    def value(self, key: str) -> ValueQuery:
        """What a key holds, again and again."""
        return ValueQuery(self._http, key)

    async def values(self, prefix: str) -> dict[str, str]:
        """All keys that begin so, with what they hold now.

        Raises:
            ConsulUnreachableError: Consul does not say.
        """
        try:
            response = await self._http.get(f"/v1/kv/{prefix}", params={"recurse": "true"})
            if response.status_code == httpx.codes.NOT_FOUND:
                return {}
            if response.status_code != httpx.codes.OK:
                raise ConsulUnreachableError(f"Consul answers {response.status_code}: {response.text.strip()[:100]}")
            return {
                str(entry["Key"]): base64.b64decode(entry["Value"] or "").decode("utf-8", "replace")
                for entry in response.json()
            }
        except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
            raise ConsulUnreachableError(f"Consul does not answer: {type(error).__name__}") from error

    async def put(self, key: str, value: str, *, unless_changed_since: int | None = None) -> bool:
        """Write a key; False, and nothing is written, where somebody else did since that index (0: it is there).

        Raises:
            ConsulUnreachableError: it is not written, or nobody knows.
        """
        parameters = {} if unless_changed_since is None else {"cas": str(unless_changed_since)}
        try:
            response = await self._http.put(f"/v1/kv/{key}", params=parameters, content=value.encode())
        except httpx.HTTPError as error:
            raise ConsulUnreachableError(f"Consul does not answer: {type(error).__name__}") from error
        if response.status_code != httpx.codes.OK:
            raise ConsulUnreachableError(f"Consul answers {response.status_code}: {response.text.strip()[:100]}")
        return response.text.strip() == "true"

    async def aclose(self) -> None:
        """Close all connections."""
        await self._http.aclose()


def names_of(services: object, prefix: str) -> Sequence[str]:
    """The names in an answer to ``services`` that begin with ``prefix``."""
    if not isinstance(services, dict):
        return []
    return sorted(name for name in services if isinstance(name, str) and name.startswith(prefix))
