"""The gate: who comes in from where, and what every answer carries."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.types import Message, Receive, Scope, Send

from pipecatapp.web.access import (
    MAX_BODY,
    SECURITY_HEADERS,
    STRANGERS_BODY,
    AccessMiddleware,
    cookie_name,
    session_cookie,
)
from pipecatapp.web.auth import Access, program_token
from pipecatapp.web.hosts import HostRule
from pipecatapp.web.protocols import CONNECTION

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
        hosts = HostRule(("https://assistant.example",), names=lambda: ["pc"])
        self.gate = AccessMiddleware(inside, access=self.access, hosts=hosts, denied=login_page)
        self.guest = ""

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
            everything["cookie"] = f"{cookie_name(scheme in ('https', 'wss'))}={self.access.sessions.new()}"
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
            "server": ("10.0.0.1", 8000),
            "headers": [(name.encode(), value.encode("latin-1")) for name, value in everything.items()],
            "state": {CONNECTION: self},
        }
        if kind == "http":
            scope["method"] = method

        async def receive() -> Message:
            return messages.pop(0) if kind == "http" else {"type": "websocket.connect"}

        async def send(message: Message) -> None:
            sent.append(message)

        self.guest = ""
        await self.gate(scope, receive, send)
        first = sent[0]
        if kind == "websocket":
            return (101, b"", {}) if first["type"] == "websocket.accept" else (first["code"], b"", {})
        names = {name.decode(): value.decode() for name, value in first["headers"]}
        return first["status"], sent[-1].get("body", b""), names

    def close(self) -> None:
        """Ends the connection."""

    def admit(self, guest: str) -> None:
        """Stands for the connection: who came on it was let in."""
        self.guest = guest


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
    plain = {"cookie": f"pipecatapp={knock.access.sessions.new()}"}

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
        ("https://assistant.example:8000", 403),
        ("http://assistant.example", 403),
        ("http://[", 403),
        ("http://pc:x", 403),
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
    ours = f"{cookie_name(False)}={knock.access.sessions.new()}"
    for jar in (f"{other}; {ours}", f"{ours}; {other}"):
        assert (await knock(headers={"cookie": jar}))[0] == 200
    assert (await knock(headers={"cookie": other}))[0] == 401


@pytest.mark.parametrize("path", ["/health", "/login", "/api/status", "/ws"])
async def test_a_name_that_is_not_ours_opens_nothing(knock: Knock, path: str) -> None:
    for host in ("evil.example:8000", "pc.evil.example"):
        status, body, _ = await knock(path, headers={"host": host}, session=True)
        assert status == 421
        assert b"WEB_ALLOWED_HOSTS" in body
    foreign = {"host": "evil.example", "origin": "http://evil.example"}
    assert (await knock("/ws", scheme="ws", headers=foreign, session=True))[0] == 4403
    assert (await knock("/health", headers={"host": "10.0.0.1:8000"}))[0] == 200


@pytest.mark.parametrize("host", ["[", "", "a b", "pc:port"])
async def test_a_host_that_is_none_is_refused(knock: Knock, host: str) -> None:
    assert (await knock("/health", headers={"host": host}))[0] == 400


async def test_who_shows_the_token_may_come_by_any_name(knock: Knock) -> None:
    headers = {"host": "host.docker.internal:8000", "authorization": f"Bearer {TOKEN}"}
    assert (await knock("/v1/models", headers=headers))[0] == 200
    assert (await knock("/health", headers=headers))[0] == 200
    assert (await knock("/health", headers={**headers, "authorization": "Bearer wrong"}))[0] == 421


@pytest.mark.parametrize(
    ("path", "headers", "guest"),
    [
        ("/health", {}, ""),
        ("/health", {"authorization": "Bearer wrong"}, ""),
        ("/health", {"authorization": f"Bearer {TOKEN}"}, "person"),
        ("/api/status", {"authorization": f"Bearer {TOKEN}"}, "person"),
        ("/mcp", {"authorization": f"Bearer {program_token(TOKEN)}"}, "program"),
        ("/health", {"authorization": f"Bearer {program_token(TOKEN)}"}, ""),
        ("/api/status", {}, ""),
    ],
)
async def test_the_connection_learns_who_was_let_in(
    knock: Knock, path: str, headers: dict[str, str], guest: str
) -> None:
    await knock(path, headers=headers)
    assert knock.guest == guest


async def test_the_connection_of_a_session_is_a_persons(knock: Knock) -> None:
    await knock(session=True)
    assert knock.guest == "person"
    await knock("/login", session=True)
    assert knock.guest == "person"


async def test_a_stranger_sends_no_more_than_a_token(knock: Knock) -> None:
    assert (await knock("/login", "POST", body=[b"x" * STRANGERS_BODY]))[0] == 200
    assert (await knock("/login", "POST", body=[b"x" * STRANGERS_BODY, b"x"]))[0] == 413


HEADER = st.text(st.characters(max_codepoint=255), max_size=80)


@given(
    st.sampled_from(["host", "origin", "authorization", "cookie", "content-length", "accept", "x-forwarded-for"]),
    HEADER | HEADER.map(lambda text: f"http://{text}") | HEADER.map(lambda text: f"Bearer {text}"),
    st.sampled_from([("/health", "GET"), ("/login", "POST"), ("/api/messages", "POST"), ("/mcp", "POST"), ("/ws", "")]),
    st.booleans(),
)
async def test_no_header_breaks_the_gate(name: str, value: str, route: tuple[str, str], session: bool) -> None:
    path, method = route
    status = (await Knock()(path, method, scheme="http" if method else "ws", headers={name: value}, session=session))[0]
    assert status in (101, 200, 400, 401, 403, 413, 421, 429, 4401, 4403)
