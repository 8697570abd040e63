"""The gate: who comes in from where, and what every answer carries."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.types import Message, Receive, Scope, Send

from pipecatapp.web.access import MAX_BODY, SECURITY_HEADERS, AccessMiddleware, cookie_name, session_cookie
from pipecatapp.web.auth import Access

pytestmark = pytest.mark.unit

TOKEN = "t" * 43


async def inside(scope: Scope, receive: Receive, send: Send) -> None:
    """What stands behind the gate: reads the body, answers 200 or accepts the socket."""
    if scope["type"] == "websocket":
        await send({"type": "websocket.accept"})
        return
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"inside"})


async def login_page(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 401, "headers": []})
    await send({"type": "http.response.body", "body": b"login page"})


class Knock:
    """Sends one request through a gate."""

    def __init__(self) -> None:
        self.access = Access(TOKEN, attempts=3)
        self.gate = AccessMiddleware(
            inside, access=self.access, allowed_hosts=("assistant.example",), denied=login_page
        )

    async def __call__(
        self,
        path: str = "/api/status",
        method: str = "GET",
        *,
        scheme: str = "http",
        headers: dict[str, str] | None = None,
        session: bool = False,
        body: list[bytes] | None = None,
    ) -> tuple[int, bytes, dict[str, str]]:
        sent: list[Message] = []
        everything = {"host": "pc:8000", **(headers or {})}
        if session:
            everything["cookie"] = f"{cookie_name(scheme in ('https', 'wss'))}={self.access.new_session()}"
        parts = body or [b""]
        messages: list[Message] = [
            {"type": "http.request", "body": part, "more_body": index < len(parts) - 1}
            for index, part in enumerate(parts)
        ]
        kind = "websocket" if scheme in ("ws", "wss") else "http"
        scope: dict[str, Any] = {
            "type": kind,
            "path": path,
            "scheme": scheme,
            "client": ("10.0.0.5", 1),
            "headers": [(name.encode(), value.encode()) for name, value in everything.items()],
        }
        if kind == "http":
            scope["method"] = method

        async def receive() -> Message:
            return messages.pop(0) if kind == "http" else {"type": "websocket.connect"}

        async def send(message: Message) -> None:
            sent.append(message)

        await self.gate(scope, receive, send)
        first = sent[0]
        if kind == "websocket":
            return (101, b"", {}) if first["type"] == "websocket.accept" else (first["code"], b"", {})
        names = {name.decode(): value.decode() for name, value in first["headers"]}
        return first["status"], sent[-1].get("body", b""), names


@pytest.fixture
def knock() -> Knock:
    return Knock()


async def test_nothing_is_open_but_health_and_what_the_login_page_needs(knock: Knock) -> None:
    for path in (
        "/",
        "/api/status",
        "/metrics",
        "/v1/models",
        "/ca.crt",
        "/static/js/main.js",
        "/static/index.html",
        "/new",
    ):
        assert (await knock(path))[0] == 401, path
    for path in ("/health", "/login", "/static/css/base.css", "/static/js/login.js", "/static/js/theme.js"):
        assert (await knock(path))[0] == 200, path
    assert (await knock("/static/css/../index.html"))[0] == 401


async def test_a_browser_without_a_session_sees_the_login_page(knock: Knock) -> None:
    assert (await knock("/ca", headers={"accept": "text/html,*/*"}))[1] == b"login page"
    assert b"pipecatapp link" in (await knock("/ca"))[1]


async def test_the_cookie_lets_in(knock: Knock) -> None:
    assert (await knock(session=True))[0] == 200
    assert (await knock(session=True, scheme="https"))[0] == 200
    assert (await knock(headers={"cookie": "pipecatapp=1.2.3"}))[0] == 401


async def test_a_cookie_of_the_plain_page_does_not_open_the_secure_one(knock: Knock) -> None:
    plain = {"cookie": f"pipecatapp={knock.access.new_session()}"}

    assert (await knock(scheme="https", headers=plain))[0] == 401


async def test_a_bearer_token_lets_in_and_needs_no_origin(knock: Knock) -> None:
    assert (await knock("/api/messages", "POST", headers={"authorization": f"Bearer {TOKEN}"}))[0] == 200
    assert (await knock(scheme="ws", path="/ws", headers={"authorization": f"bearer {TOKEN}"}))[0] == 101
    assert (await knock(headers={"authorization": "Bearer wrong"}))[0] == 401
    assert (await knock(headers={"authorization": f"Basic {TOKEN}"}))[0] == 401


async def test_guessing_bearer_tokens_is_slowed_down(knock: Knock) -> None:
    for _ in range(3):
        await knock(headers={"authorization": "Bearer wrong"})

    status, _, headers = await knock(headers={"authorization": "Bearer wrong"})

    assert status == 429
    assert int(headers["retry-after"]) > 0
    assert (await knock(session=True))[0] == 200
    assert (await knock(headers={"authorization": f"Bearer {TOKEN}"}))[0] == 200


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("http://pc:8000", 200),
        ("http://PC:8000", 200),
        ("https://assistant.example", 200),
        ("http://pc:8001", 403),
        ("https://pc:8000", 403),
        ("http://evil.example", 403),
        ("null", 403),
        (None, 403),
    ],
)
async def test_changing_something_needs_our_own_origin(knock: Knock, origin: str | None, status: int) -> None:
    headers = {} if origin is None else {"origin": origin}

    assert (await knock("/api/messages", "POST", headers=headers, session=True))[0] == status
    expected = 101 if status == 200 else 4403
    assert (await knock("/ws", scheme="ws", headers=headers, session=True))[0] == expected


async def test_a_socket_without_a_session_is_refused_before_it_opens(knock: Knock) -> None:
    assert (await knock("/ws", scheme="ws", headers={"origin": "http://pc:8000"}))[0] == 4401


async def test_another_site_cannot_log_a_person_in(knock: Knock) -> None:
    assert (await knock("/login", "POST", headers={"origin": "http://evil.example"}))[0] == 403
    assert (await knock("/login", "POST", headers={"origin": "http://pc:8000"}))[0] == 200


@pytest.mark.parametrize(("path", "session"), [("/health", False), ("/api/status", False), ("/api/status", True)])
async def test_every_answer_carries_the_security_headers(knock: Knock, path: str, session: bool) -> None:
    _, _, headers = await knock(path, session=session)

    assert {name: headers[name] for name in SECURITY_HEADERS} == SECURITY_HEADERS
    policy = headers["content-security-policy"]
    assert "unsafe" not in policy
    assert "blob:" not in policy
    assert "frame-ancestors 'none'" in policy
    assert headers["cache-control"] == "no-store"


async def test_a_body_that_is_too_large_is_refused(knock: Knock) -> None:
    half = b"x" * (MAX_BODY // 2 + 1)
    inside_origin = {"origin": "http://pc:8000"}

    assert (await knock("/api/messages", "POST", headers=inside_origin, session=True, body=[half, half]))[0] == 413
    declared = {**inside_origin, "content-length": str(MAX_BODY + 1)}
    assert (await knock("/api/messages", "POST", headers=declared, session=True))[0] == 413
    assert (await knock("/api/messages", "POST", headers=inside_origin, session=True, body=[half]))[0] == 200


def test_the_cookie_is_out_of_reach_for_scripts_and_other_sites() -> None:
    assert (
        session_cookie("v", secure=True)
        == "__Host-pipecatapp=v; Path=/; Max-Age=15552000; HttpOnly; SameSite=Strict; Secure"
    )
    assert "Secure" not in session_cookie("v", secure=False)


@pytest.mark.parametrize("other", ['theme={"dark": true}', "a=b=c", "lonely", 'q="unclosed', "\xe9t\xe9=1"])
async def test_another_programs_cookie_locks_nobody_out(knock: Knock, other: str) -> None:
    ours = f"{cookie_name(False)}={knock.access.new_session()}"
    for jar in (f"{other}; {ours}", f"{ours}; {other}"):
        assert (await knock(headers={"cookie": jar}))[0] == 200
    assert (await knock(headers={"cookie": other}))[0] == 401
