"""The sessions of programs at ``/mcp``: at most so many, each as long as it is used.

Who opens one more takes the place of the one that was idle longest; one in which a call runs keeps its own. Nothing
here can be taken up again, so a call whose connection is closed ends, and with it the card that waits for it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LIMIT = 50
IDLE_S = 600.0
_SESSION = "mcp-session-id"
_VERSION = "mcp-protocol-version"
_GONE = "pipecatapp.gone"
_REFUSED = 400
_UNKNOWN = 404


@dataclass(slots=True)
class _Session:
    used: float
    calls: int = 0
    streams: int = 0


class McpSessions:
    """ASGI app around the library's.

    Args:
        app: the library's, which ends a session that was idle for ``idle_s``.
        stateful: the versions of the protocol that have sessions.
        limit: how many there are at most.
        idle_s: seconds.
        clock: seconds that only grow.
    """

    def __init__(
        self,
        app: ASGIApp,
        stateful: frozenset[str],
        *,
        limit: int = LIMIT,
        idle_s: float = IDLE_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._app = app
        self._stateful = stateful
        self._limit = limit
        self._idle_s = idle_s
        self._clock = clock
        self._sessions: dict[str, _Session] = {}
        self._opening = 0
        self._room = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        gone = scope[_GONE] = asyncio.Event()
        headers = Headers(scope=scope)
        try:
            if (name := headers.get(_SESSION)) is not None:
                await self._use(name, scope, receive, send)
            elif scope["method"] == "POST" and headers.get(_VERSION) in (None, *self._stateful):
                await self._open(scope, receive, send)
            else:
                await self._app(scope, receive, send)
        finally:
            gone.set()

    async def _use(self, name: str, scope: Scope, receive: Receive, send: Send) -> None:
        session = self._sessions.get(name)
        if session is None:
            await self._app(scope, receive, send)
            return
        is_stream = scope["method"] == "GET"
        session.used = self._clock()
        session.streams += is_stream
        session.calls += not is_stream
        status = 0

        async def watch(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, watch)
        finally:
            session.used = self._clock()
            session.streams -= is_stream
            session.calls -= not is_stream
            if status == _UNKNOWN or (scope["method"] == "DELETE" and 0 < status < _REFUSED):
                self._sessions.pop(name, None)

    async def _open(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with self._room:
            await self._make_room(scope)
            self._opening += 1
        session = _Session(self._clock(), calls=1)
        opening = True

        async def watch(message: Message) -> None:
            nonlocal opening
            if message["type"] == "http.response.start" and message["status"] < _REFUSED:
                name = Headers(raw=message["headers"]).get(_SESSION)
                if name is not None and opening:
                    self._sessions[name] = session
                    self._opening -= 1
                    opening = False
            await send(message)

        try:
            await self._app(scope, receive, watch)
        finally:
            session.calls -= 1
            session.used = self._clock()
            self._opening -= opening

    async def _make_room(self, scope: Scope) -> None:
        """End the session that was idle longest, where one more would be too many."""
        now = self._clock()
        for name, session in list(self._sessions.items()):
            if not session.calls and not session.streams and now - session.used > self._idle_s:
                del self._sessions[name]  # the library has ended it
        while len(self._sessions) + self._opening >= self._limit:
            idle = [(session.used, name) for name, session in self._sessions.items() if not session.calls]
            if not idle:
                return
            name = min(idle)[1]
            del self._sessions[name]
            await self._end(name, scope)

    async def _end(self, name: str, scope: Scope) -> None:
        """Ask the library to, as the program itself would."""
        ending = {**scope, "method": "DELETE", "headers": [(_SESSION.encode(), name.encode("latin-1"))]}

        async def receive() -> Message:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(_: Message) -> None:
            return

        await self._app(ending, receive, send)


async def wait_until_gone(scope: Scope) -> None:
    """Until the connection of this request is closed, or it was answered."""
    gone: asyncio.Event = scope[_GONE]
    await gone.wait()
