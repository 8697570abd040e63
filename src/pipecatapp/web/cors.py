"""Lets pages of other sites that the settings name use the OpenAI API, and nothing else, from a browser."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from pipecatapp.errors import ConfigurationError
from pipecatapp.web.hosts import parse_origin

_API = "/v1/"


def parse_cors(text: str) -> tuple[str, ...]:
    """The origins of ``WEB_CORS_ORIGINS``.

    Raises:
        ConfigurationError: an entry is none.
    """
    origins = tuple(entry.strip().lower().rstrip("/") for entry in text.split(",") if entry.strip())
    for origin in origins:
        if parse_origin(origin) is None:
            raise ConfigurationError(f"WEB_CORS_ORIGINS: {origin!r} is no origin; example: http://localhost:3000")
    return origins


class ApiCors:
    """ASGI middleware around everything. Pages elsewhere show the token: cookies are never sent for them."""

    def __init__(self, app: ASGIApp, *, origins: Sequence[str]) -> None:
        self._app = app
        self._shared = CORSMiddleware(
            app, allow_origins=origins, allow_methods=["GET", "HEAD", "POST"], allow_headers=["*"]
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the API's answers be read by the named origins."""
        shared = scope["type"] == "http" and scope["path"].startswith(_API)
        await (self._shared if shared else self._app)(scope, receive, send)
