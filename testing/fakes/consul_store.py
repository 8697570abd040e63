"""Consul as far as the ranks of an expert see it: instances of a service, and keys with their indexes."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import Any

import httpx


class ConsulStore(httpx.AsyncBaseTransport):
    """Answers as Consul does: at once without an index, else when something changed; ``away``: it does not answer."""

    def __init__(self) -> None:
        self.away = False
        self.keys: dict[str, tuple[str, int]] = {}
        self._ranks: dict[str, dict[str, Any]] = {}
        self._index = 10
        self._news = asyncio.Event()

    def register(self, name: str, rank: int, host: str, port: int) -> None:
        """A rank is there and passes; ``name`` is its own."""
        self._index += 1
        service = {"Address": host, "Port": port, "Tags": [f"rank-{rank}"], "CreateIndex": self._index}
        self._ranks[name] = {"Node": {"Address": host}, "Service": service}
        self._wake()

    def deregister(self, name: str) -> None:
        """It passes no more."""
        self._ranks.pop(name, None)
        self._index += 1
        self._wake()

    def value(self, key: str) -> str:
        """What a key holds, empty where there is none."""
        return self.keys.get(key, ("", 0))[0]

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if self.away:
            raise httpx.ConnectError("nobody is there")
        path = request.url.path
        if request.method == "PUT":
            return self._put(path.removeprefix("/v1/kv/"), request)
        wait = request.url.params.get("index")
        while wait is not None and int(wait) == self._index:
            try:
                await asyncio.wait_for(self._news.wait(), 30)
            except TimeoutError:
                break
        if self.away:
            raise httpx.ReadError("it went away")
        headers = {"X-Consul-Index": str(self._index)}
        if path.startswith("/v1/health/service/"):
            return httpx.Response(200, headers=headers, content=json.dumps(list(self._ranks.values())))
        key = path.removeprefix("/v1/kv/")
        if key not in self.keys:
            return httpx.Response(404, headers=headers)
        text, index = self.keys[key]
        entry = {"Key": key, "Value": base64.b64encode(text.encode()).decode(), "ModifyIndex": index}
        return httpx.Response(200, headers=headers, content=json.dumps([entry]))

    def _put(self, key: str, request: httpx.Request) -> httpx.Response:
        expected = request.url.params.get("cas")
        if expected is not None and int(expected) != self.keys.get(key, ("", 0))[1]:
            return httpx.Response(200, text="false")
        self._index += 1
        self.keys[key] = (request.content.decode(), self._index)
        self._wake()
        return httpx.Response(200, text="true")

    def _wake(self) -> None:
        self._news.set()
        self._news = asyncio.Event()
