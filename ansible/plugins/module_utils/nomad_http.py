"""Nomad's HTTP API for the modules of this repository, with nothing but Python's own library: it runs on the nodes."""

from __future__ import annotations

import http.client
import json
import ssl
import time
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

# A server's certificate names its role, not its address, which a router may change.
SERVER_NAME = "server.global.nomad"
# What an agent on the way up answers: it is asked again.
_NOT_YET = ("No cluster leader", "no cluster leader", "No path to region", "leadership lost", "Not ready to serve")


class NomadError(Exception):
    """Nomad does not answer, or refuses.

    Args:
        text: what it said.
        status: of HTTP; 0 where nothing was heard.
        body: the answer, where it is JSON.
    """

    def __init__(self, text: str, status: int = 0, body: Any = None) -> None:
        super().__init__(text)
        self.status = status
        self.body = body

    @property
    def passing(self) -> bool:
        """Whether it may go by itself: no answer, no leader yet."""
        return self.status == 0 or any(words in str(self) for words in _NOT_YET)


class _Connection(http.client.HTTPSConnection):
    """HTTPS to an address, with a certificate for another name."""

    def __init__(self, host: str, port: int, context: ssl.SSLContext, name: str, timeout: float) -> None:
        super().__init__(host, port, context=context, timeout=timeout)
        self._tls, self._name = context, name

    def connect(self) -> None:
        """Connect, and expect the other name in the certificate."""
        http.client.HTTPConnection.connect(self)
        self.sock = self._tls.wrap_socket(self.sock, server_hostname=self._name)


class Nomad:
    """One Nomad API, behind one or more agents that give the same answers.

    Args:
        addresses: `https://host:port` (or `http://`), asked in this order until one answers.
        ca_file: the authority of their certificates.
        token: the SecretID of an ACL token; empty: none.
        timeout: seconds for each request.
    """

    def __init__(self, addresses: Sequence[str], ca_file: str = "", token: str = "", timeout: float = 10) -> None:
        self._addresses = list(addresses)
        self._ca_file = ca_file
        self._token = token
        self._timeout = timeout

    def get(self, path: str) -> Any:
        """What is at ``path``, decoded.

        Raises:
            NomadError: nobody answered, or the answer is a refusal.
        """
        return self.request("GET", path)

    def state(self, path: str) -> dict[str, Any]:
        """A report on health, whose status says the same as its text: also a bad one is an answer."""
        try:
            found: dict[str, Any] = self.get(path)
        except NomadError as error:
            if not isinstance(error.body, dict):
                raise
            return error.body
        return found

    def request(self, method: str, path: str, body: Any = None) -> Any:
        """Ask the first agent that answers. Raises NomadError as ``get`` does."""
        silent = []
        for address in self._addresses:
            try:
                return self._ask(address, method, path, body)
            except NomadError as error:
                if not error.passing:
                    raise
                silent.append(str(error))
        raise NomadError("; ".join(silent) or "no address of a Nomad agent is known")

    def find(self, path: str) -> Any:
        """What is at ``path``, None where there is nothing (404)."""
        try:
            return self.get(path)
        except NomadError as error:
            if error.status == 404:
                return None
            raise

    def patiently(self, method: str, path: str, body: Any = None, *, limit: float = 60) -> Any:
        """As ``request``, again each half second for ``limit`` seconds while nobody answers or there is no leader."""
        deadline = time.monotonic() + limit
        while True:
            try:
                return self.request(method, path, body)
            except NomadError as error:
                if not error.passing or time.monotonic() > deadline:
                    raise
            time.sleep(0.5)

    def _ask(self, address: str, method: str, path: str, body: Any) -> Any:
        at = urlsplit(address)
        headers = {"Content-Type": "application/json"}
        if self._token:
            headers["X-Nomad-Token"] = self._token
        try:
            connection = self._connection(at.scheme, at.hostname or "", at.port or 4646)
            try:
                connection.request(method, path, None if body is None else json.dumps(body), headers)
                answer = connection.getresponse()
                said = answer.read()
            finally:
                connection.close()
        except (OSError, http.client.HTTPException) as error:
            raise NomadError(f"{address} does not answer: {error}") from error
        if answer.status >= 400:
            raise NomadError(f"{address}{path}: {said.decode(errors='replace').strip()}", answer.status, _decoded(said))
        return _decoded(said)

    def _connection(self, scheme: str, host: str, port: int) -> http.client.HTTPConnection:
        if scheme == "http":
            return http.client.HTTPConnection(host, port, timeout=self._timeout)
        context = ssl.create_default_context(cafile=self._ca_file or None)
        name = SERVER_NAME if host not in ("localhost", "127.0.0.1", "::1") else host
        return _Connection(host, port, context, name, self._timeout)


def _decoded(said: bytes) -> Any:
    try:
        return json.loads(said)
    except ValueError:
        return None


# How the modules take it.
ARGUMENTS: dict[str, Any] = {
    "addresses": {"type": "list", "elements": "str", "required": True},
    "ca_file": {"type": "path", "default": ""},
    "token": {"type": "str", "default": "", "no_log": True},
}


def from_parameters(parameters: dict[str, Any]) -> Nomad:
    """The API that a module's parameters name."""
    return Nomad(parameters["addresses"], parameters["ca_file"] or "", parameters["token"] or "")
