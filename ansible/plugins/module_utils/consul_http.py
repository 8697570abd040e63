"""Consul's HTTP API, as this repository's modules ask it on a node's loopback."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from typing import Any

ADDRESS = "http://127.0.0.1:8500"


class ConsulError(Exception):
    """Consul cannot be asked, or says no; the text says which request and why."""

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


class Consul:
    """One agent.

    Args:
        tokens: the first that the cluster knows is used; during a rotation it is the new one or the one before.
    """

    def __init__(self, tokens: Sequence[str] = (), address: str = ADDRESS) -> None:
        self._tokens = [token for token in tokens if token]
        self._address = address
        # The machine's proxies are for the world outside.
        self._open = urllib.request.build_opener(urllib.request.ProxyHandler({})).open

    def ask(self, method: str, path: str, body: Any = None, token: str | None = None, also: Sequence[int] = ()) -> Any:
        """The answer to one request, parsed.

        Args:
            token: instead of the agent's tokens.
            also: further statuses whose answer is wanted.

        Raises:
            ConsulError: no answer, or another status.
        """
        request = urllib.request.Request(f"{self._address}/v1/{path}", method=method)  # noqa: S310
        if body is not None:
            request.data = json.dumps(body).encode()
        if secret := token if token is not None else self._known():
            request.add_header("X-Consul-Token", secret)
        try:
            with self._open(request, timeout=10) as answer:
                said = answer.read()
        except urllib.error.HTTPError as error:
            said = error.read()
            if error.code not in also:
                text = said[:300].decode(errors="replace").strip()
                raise ConsulError(f"{method} /v1/{path}: {error.code} {text}", error.code) from None
        except OSError as error:
            raise ConsulError(f"{method} /v1/{path}: {getattr(error, 'reason', error)}") from None
        try:
            return json.loads(said) if said.strip() else None
        except ValueError:
            return said.decode(errors="replace")

    def _known(self) -> str:
        # Asked anew each time: a rotation makes the first and removes the second in between.
        for secret in self._tokens[:-1]:
            if self.knows(secret):
                return secret
        return self._tokens[-1] if self._tokens else ""

    def knows(self, secret: str) -> dict[str, Any] | None:
        """The token of this secret; None where the cluster has none."""
        try:
            found: dict[str, Any] = self.ask("GET", "acl/token/self", token=secret)
        except ConsulError as error:
            if error.status in (403, 404):
                return None
            raise
        return found

    def leader(self) -> str:
        """The leader's address; empty where there is none, or no answer."""
        try:
            return str(self.ask("GET", "status/leader", token="") or "")
        except ConsulError:
            return ""


def wait_until(limit_s: float, holds: Callable[[], str]) -> str:
    """Ask twice a second until ``holds`` returns an empty text; what it returned last."""
    deadline = time.monotonic() + limit_s
    while True:
        try:
            missing = holds()
        except ConsulError as error:
            missing = str(error)
        if not missing or time.monotonic() > deadline:
            return missing
        time.sleep(0.5)
