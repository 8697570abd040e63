"""The gate in front of every route: security headers out; Host, token or cookie, Origin and size checked.

It is plain ASGI and denies by default, so that a route added later cannot forget to ask.
"""

from __future__ import annotations

import json
import logging
from contextlib import AbstractContextManager, nullcontext

from fastapi import HTTPException
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pipecatapp.web.auth import Access
from pipecatapp.web.connections import Guest
from pipecatapp.web.errors import Problem, error_body
from pipecatapp.web.hosts import HostRule, parse_host
from pipecatapp.web.protocols import CONNECTION
from pipecatapp.web.sessions import SESSION_S

log = logging.getLogger(__name__)

# The page runs its files as written and talks to its own server alone; nothing is ever parsed as HTML from a string.
CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'self'",
        "img-src 'self' data:",
        "object-src 'none'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
)
SECURITY_HEADERS = {
    "content-security-policy": CONTENT_SECURITY_POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    # Other sites learn nothing. Not "no-referrer": forms of ours would then send "Origin: null".
    "referrer-policy": "same-origin",
    "permissions-policy": "microphone=(self), camera=(), geolocation=()",
    "cross-origin-resource-policy": "same-origin",
}
MAX_BODY = 2 * 1024 * 1024
# Where more may come.
LARGE_BODIES = {"/api/memory/import": 20 * 1024 * 1024}
# Of whoever was not let in: a token in a form.
STRANGERS_BODY = 4096
# Where a request's scope["state"] says who sent it.
GUEST = "guest"

# What the login page is made of. /health is asked by supervisors, and tells strangers next to nothing.
PUBLIC_PATHS = frozenset(
    {
        "/active",
        "/health",
        "/login",
        "/logout",
        "/favicon.ico",
        "/static/favicon.svg",
        "/static/js/login.js",
        "/static/js/theme.js",
    }
)
PROGRAMS = "/mcp"  # other programs, with a token that opens nothing else
PUBLIC_PREFIXES = ("/static/css/", "/static/vendor/fonts/")


def cookie_name(secure: bool) -> str:
    """The session cookie's name. Ports share cookies, and plain http may not replace a Secure one: two names."""
    return "__Host-pipecatapp" if secure else "pipecatapp"


def session_cookie(value: str, secure: bool, max_age: int = SESSION_S) -> str:
    """The ``Set-Cookie`` header of a session; ``max_age`` 0 ends it."""
    parts = [f"{cookie_name(secure)}={value}", "Path=/", f"Max-Age={max_age}", "HttpOnly", "SameSite=Strict"]
    return "; ".join([*parts, "Secure"] if secure else parts)


def presented_session(scope: Scope, headers: Headers) -> str:
    """The session's cookie value that came with a request; empty where none did."""
    # Other programs on this host share the jar: one ill-formed cookie of theirs must not hide ours.
    return cookie_parser(headers.get("cookie", "")).get(cookie_name(is_secure(scope)), "")


def is_secure(scope: Scope) -> bool:
    """Whether the request came over TLS."""
    return scope.get("scheme") in ("https", "wss")


def client_address(scope: Scope) -> str:
    """The address that a request came from."""
    client = scope.get("client")
    return client[0] if client else "local"


class AccessMiddleware:
    """ASGI middleware: who came is in ``scope["state"][GUEST]`` behind it.

    Args:
        app: what stands behind the gate.
        access: tokens and sessions.
        hosts: the names that this machine has.
        denied: answers a person's browser that came without a session (the login page).
    """

    def __init__(self, app: ASGIApp, *, access: Access, hosts: HostRule, denied: ASGIApp) -> None:
        self._app = app
        self._access = access
        self._hosts = hosts
        self._denied = denied

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the request through, or answer it."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        if scope["type"] == "http" and scope["method"] == "HEAD" and scope["path"] != PROGRAMS:
            # The answer is GET's; the server leaves the body out.
            scope = {**scope, "method": "GET"}
        send = _add_headers(send, cacheable=scope["path"].startswith("/static/"), secure=is_secure(scope))
        headers = Headers(scope=scope)
        admitted = self._admit(scope, headers)
        if isinstance(admitted, _Refusal):
            await self._refuse(admitted, scope, receive, send, headers)
            return
        state = scope.setdefault("state", {})
        state[GUEST] = admitted
        limit = STRANGERS_BODY
        if admitted != "stranger":
            limit = LARGE_BODIES.get(scope["path"], MAX_BODY)
            if CONNECTION in state:
                state[CONNECTION].admit(admitted)
            if scope["type"] == "http":
                log.debug("%s %r", scope["method"], scope["path"])
        try:
            with self._end_with_session(scope, headers):
                await self._app(scope, _limit_body(receive, headers, limit), send)
        except _TooLargeError as error:
            refusal = _Refusal(error.status_code, "invalid_request_error", error.detail)
            await self._refuse(refusal, scope, receive, send, headers)

    def _admit(self, scope: Scope, headers: Headers) -> Guest | _Refusal:
        hosts = headers.getlist("host")
        if len(hosts) != 1 or parse_host(hosts[0]) is None:
            return _Refusal(400, "invalid_request_error", "the Host header is missing or not well formed")
        path = scope["path"]
        public = _is_public(path)
        scheme, _, presented = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            admitted = self._admit_bearer(scope, headers, presented.strip())
            if not (public and isinstance(admitted, _Refusal)):
                return admitted
        if not self._hosts.knows(hosts[0]):
            return _Refusal(
                421, "forbidden", "this machine is not known by that name; WEB_ALLOWED_HOSTS lists further names"
            )
        foreign = _FOREIGN if _writes(scope) and not self._origin_fits(scope, headers) else None
        if not public and not self._has_session(scope, headers):
            return _Refusal(401, "authentication_error", "no token; `pipecatapp link` prints the link that logs in")
        if public and (foreign is None or "origin" not in headers):
            return "person" if self._has_session(scope, headers) else "stranger"
        return foreign or "person"

    def _admit_bearer(self, scope: Scope, headers: Headers, presented: str) -> Guest | _Refusal:
        """Who shows a token may come by any name: no page of another site can show one."""
        client, at_programs = client_address(scope), scope["path"] == PROGRAMS
        if at_programs and "origin" in headers and not self._origin_fits(scope, headers):
            return _FOREIGN
        wait = self._access.must_wait(client)
        if at_programs and self._access.program_token_fits(presented):
            return "program"
        if self._access.token_fits(presented, client):
            return "person"
        if wait:
            return _Refusal(429, "rate_limit_error", f"too many wrong tokens; try again in {wait} s", wait)
        return _Refusal(401, "authentication_error", "wrong token; `pipecatapp link` prints the right one")

    def _has_session(self, scope: Scope, headers: Headers) -> bool:
        return self._access.sessions.fits(presented_session(scope, headers))

    def _origin_fits(self, scope: Scope, headers: Headers) -> bool:
        """Whether the page that sends this was served by us."""
        server = scope.get("server") or ("", 0)
        host, origin = headers.get("host", ""), headers.get("origin", "")
        return self._hosts.is_ours(origin, secure=is_secure(scope), host=host, port=server[1] or 0)

    def _end_with_session(self, scope: Scope, headers: Headers) -> AbstractContextManager[None]:
        """Close a socket when the session that opened it is signed out."""
        session, state = presented_session(scope, headers), scope["state"]
        if scope["type"] != "websocket" or CONNECTION not in state or not self._access.sessions.fits(session):
            return nullcontext()
        return self._access.sessions.watch(session, state[CONNECTION].close)

    async def _refuse(self, refusal: _Refusal, scope: Scope, receive: Receive, send: Send, headers: Headers) -> None:
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 4401 if refusal.status == 401 else 4403})
            return
        wants_page = scope["method"] == "GET" and "text/html" in headers.get("accept", "")
        if refusal.status == 401 and (wants_page or scope["path"] == "/"):
            await self._denied(scope, receive, send)
            return
        await refusal.answer(send)


class _Refusal:
    """Why a request goes no further."""

    def __init__(self, status: int, kind: str, text: str, retry_after: int = 0) -> None:
        self.status, self.kind, self.text, self.retry_after = status, kind, text, retry_after

    async def answer(self, send: Send) -> None:
        """Say so, in the shape of OpenAI's errors (any client can read it)."""
        body = json.dumps(error_body(self.text, Problem(self.status, self.kind))).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        if self.status == 401:
            headers.append((b"www-authenticate", b"Bearer"))
        if self.retry_after:
            headers.append((b"retry-after", str(self.retry_after).encode()))
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": body})


_FOREIGN = _Refusal(403, "forbidden", "this request comes from another site; WEB_ALLOWED_HOSTS lists further names")


class _TooLargeError(HTTPException):
    """More bytes came than a request may have. FastAPI lets no other kind of exception out of reading a body."""

    def __init__(self, limit: int) -> None:
        super().__init__(413, f"the request is larger than {limit} bytes")


def _writes(scope: Scope) -> bool:
    """Whether the request changes something, or opens a socket (to which no same-origin rule applies)."""
    return scope["type"] == "websocket" or scope["method"] not in ("GET", "HEAD", "OPTIONS")


def _is_public(path: str) -> bool:
    return path in PUBLIC_PATHS or (path.startswith(PUBLIC_PREFIXES) and ".." not in path)


def _limit_body(receive: Receive, headers: Headers, limit: int) -> Receive:
    """Count the body's bytes as they come: a Content-Length may lie or be missing."""
    seen = 0
    declared = headers.get("content-length", "")

    async def receive_counted() -> Message:
        nonlocal seen
        message = await receive()
        if message["type"] == "http.request":
            seen += len(message.get("body", b""))
            if seen > limit or (declared.isascii() and declared.isdecimal() and int(declared) > limit):
                raise _TooLargeError(limit)
        return message

    return receive_counted


def _add_headers(send: Send, *, cacheable: bool, secure: bool) -> Send:
    """Add the security headers to whatever answer is sent."""

    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in SECURITY_HEADERS.items():
                headers[name] = value
            if secure:  # browsers ignore it elsewhere, and complain
                headers["cross-origin-opener-policy"] = "same-origin"
            # Files are revalidated by their ETag, so that an update takes effect at once; all else is never stored.
            headers["cache-control"] = "no-cache" if cacheable else "no-store"
        await send(message)

    return send_with_headers
