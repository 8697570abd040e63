"""The sessions of programs at ``/mcp``, by a clock that jumps."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from pipecatapp.web.mcp_sessions import McpSessions

pytestmark = pytest.mark.unit


class Library:
    """Opens a session for each request that names none, and ends those that it is asked to."""

    def __init__(self) -> None:
        self.living: list[str] = []
        self._opened = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        name = Headers(scope=scope).get("mcp-session-id")
        if name is None:
            self._opened += 1
            name = f"s{self._opened}"
            self.living.append(name)
        status = 200 if name in self.living else 404
        if scope["method"] == "DELETE" and name in self.living:
            self.living.remove(name)
        await Response(status_code=status, headers={"mcp-session-id": name})(scope, receive, send)


async def request(app: McpSessions, method: str = "POST", **headers: str) -> None:
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    scope: dict[str, Any] = {"type": "http", "method": method, "path": "/mcp", "headers": raw}

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(_: Message) -> None:
        return

    await app(scope, receive, send)


async def test_the_one_that_was_idle_longest_makes_room() -> None:
    now = 0.0
    library = Library()
    app = McpSessions(library, frozenset({"2025-06-18"}), limit=3, clock=lambda: now)
    for _ in range(3):
        now += 1
        await request(app)
    now += 1
    await request(app, mcp_session_id="s1")
    await request(app)
    assert library.living == ["s1", "s3", "s4"]
    await request(app, mcp_protocol_version="2025-06-18")
    assert library.living == ["s1", "s4", "s5"]


async def test_who_needs_no_session_ends_none() -> None:
    library = Library()
    app = McpSessions(library, frozenset({"2025-06-18"}), limit=1)
    await request(app)
    await request(app, mcp_protocol_version="2026-07-28")
    await request(app, mcp_protocol_version="nonsense")
    assert "s1" in library.living


async def test_one_that_ended_leaves_its_place() -> None:
    library = Library()
    app = McpSessions(library, frozenset(), limit=2)
    await request(app)
    await request(app)
    await request(app, "DELETE", mcp_session_id="s2")
    await request(app)
    assert library.living == ["s1", "s3"]


async def test_one_that_the_library_ended_for_idleness_is_forgotten() -> None:
    now = 0.0
    library = Library()
    app = McpSessions(library, frozenset(), limit=2, idle_s=10, clock=lambda: now)
    await request(app)
    now += 11
    library.living.clear()
    await request(app)
    await request(app)
    assert library.living == ["s2", "s3"]
