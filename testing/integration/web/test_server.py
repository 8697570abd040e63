"""The server over real sockets: login, health, messages, events, TLS, and what is written down."""

from __future__ import annotations

import asyncio
import json
import logging
import ssl
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus

from pipecatapp.domain import ComponentHealth
from pipecatapp.errors import ConfigurationError
from pipecatapp.events import AssistantDelta, AssistantMessage
from pipecatapp.tools.web_browser.pictures import Pictures
from pipecatapp.web.access import SECURITY_HEADERS
from pipecatapp.web.serving import Servers
from testing.fakes.mission import Mission

pytestmark = pytest.mark.integration

CONVERSATION = "c-0123456789"


def socket(mission: Mission, path: str, **headers: str) -> connect:
    wanted = headers or {"authorization": f"Bearer {mission.token}"}
    return connect(mission.url.replace("http", "ws") + path, additional_headers=wanted, proxy=None, max_size=None)


async def until(socket: ClientConnection, kind: str) -> list[dict[str, Any]]:
    seen: list[dict[str, Any]] = []
    while not seen or seen[-1]["type"] != kind:
        async with asyncio.timeout(60):
            seen.append(json.loads(await socket.recv()))
    return seen


async def test_the_printed_link_becomes_a_cookie(mission: Mission) -> None:
    async with httpx.AsyncClient(base_url=mission.url, trust_env=False) as browser:
        assert (await browser.get("/api/status")).status_code == 401

        answer = await browser.get(f"/?token={mission.token}")

        assert (answer.status_code, answer.headers["location"]) == (303, "/")
        assert "HttpOnly" in answer.headers["set-cookie"]
        assert "SameSite=Strict" in answer.headers["set-cookie"]
        assert (await browser.get("/")).text.startswith("<!doctype html>")
        again = await browser.get(f"/?token={mission.token}")
        assert (again.status_code, again.headers["location"]) == (303, "/")


async def test_guessing_at_the_login_is_slowed_down(mission: Mission) -> None:
    async with httpx.AsyncClient(base_url=mission.url, trust_env=False) as browser:
        answers = [await browser.get("/", params={"token": f"guess{number}"}) for number in range(11)]
        right = await browser.post("/login", content=f"token={mission.token}")

    assert [answer.status_code for answer in answers] == [401] * 10 + [429]
    assert int(answers[-1].headers["retry-after"]) > 0
    assert right.status_code == 303, "a stranger's guesses do not lock the owner out"


async def test_no_log_holds_the_token(mission: Mission, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        async with httpx.AsyncClient(base_url=mission.url, trust_env=False) as browser:
            # httpx, the test's own client, does write down what it asks.
            logging.getLogger("httpx").setLevel(logging.WARNING)
            await browser.get(f"/?token={mission.token}")
            await browser.get("/login?token=wrong-token-that-was-tried")
    logging.getLogger("httpx").setLevel(logging.NOTSET)

    ours = [record.getMessage() for record in caplog.records if not record.name.startswith(("httpx", "httpcore"))]
    assert not [line for line in ours if mission.token in line or "wrong-token" in line]


async def test_health_is_503_until_everything_works_and_tells_why_to_who_shows_the_token(
    mission: Mission, http: httpx.AsyncClient
) -> None:
    mission.health["engine"].state = ComponentHealth("engine", ok=False, reason="loading the model", progress=0.5)
    await mission.board.fresh(max_age_s=-1)
    async with httpx.AsyncClient(base_url=mission.url, trust_env=False) as anybody:
        told = await anybody.get("/health")
        waking = await http.get("/health")
        mission.health["engine"].state = ComponentHealth("engine", ok=True)
        await mission.board.fresh(max_age_s=-1)
        awake = await anybody.get("/health")
        asked = await anybody.get("/active")

    assert (told.status_code, told.json()) == (503, {"role": "alone"})
    assert (waking.status_code, waking.json()["role"]) == (503, "alone")
    assert waking.json()["components"]["engine"] == {
        "component": "engine", "ok": False, "reason": "loading the model", "progress": 0.5, "vital": True, "said": "",
    }  # fmt: skip
    assert (awake.status_code, awake.json()) == (200, {"role": "alone"})
    assert (asked.status_code, asked.json()) == (200, {"role": "alone"})


async def test_a_typed_message_is_answered_over_the_socket_and_counted(
    mission: Mission, http: httpx.AsyncClient
) -> None:
    async with socket(mission, f"/ws?conversation={CONVERSATION}") as page:
        await until(page, "replayed")
        answer = await http.post("/api/messages", json={"conversation": CONVERSATION, "text": " hello "})
        events = await until(page, "turn_finished")

    assert answer.status_code == 202
    kinds = [event["type"] for event in events]
    assert kinds[0] == "state"
    assert [kind for kind in kinds if kind in ("user", "assistant", "turn_finished")] == [
        "user",
        "assistant",
        "turn_finished",
    ]
    assert all(event["turn"] == answer.json()["turn"] for event in events if "turn" in event)
    assert 'pipecatapp_turns_total{outcome="answered"} 1.0' in (await http.get("/metrics")).text
    recent = (await http.get("/api/conversations")).json()["conversations"]
    assert [(entry["id"], entry["title"]) for entry in recent] == [(CONVERSATION, "hello")]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"conversation": CONVERSATION, "text": "   "},
        {"conversation": "../../etc", "text": "x"},
        {"conversation": CONVERSATION, "text": "x" * 8001},
        {"conversation": CONVERSATION, "text": "x", "source": "voice"},
        [],
    ],
)
async def test_nonsense_is_refused_in_a_sentence(http: httpx.AsyncClient, body: object) -> None:
    answer = await http.post("/api/messages", json=body)

    assert answer.status_code == 400
    assert answer.json()["error"]["message"]


async def test_a_socket_needs_a_session_our_origin_and_a_conversation(mission: Mission) -> None:
    cookie = f"pipecatapp={mission.access.sessions.new()}"
    for headers in ({"x": "y"}, {"cookie": cookie, "origin": "http://evil.example"}, {"cookie": cookie}):
        with pytest.raises(InvalidStatus, match="403"):
            async with socket(mission, f"/ws?conversation={CONVERSATION}", **headers):
                pass
    async with socket(mission, f"/ws?conversation={CONVERSATION}", cookie=cookie, origin=mission.url) as page:
        assert (await until(page, "replayed"))[0]["type"] == "hello"
    async with socket(mission, "/ws?conversation=../x") as page:
        await page.wait_closed()
        assert page.close_code == 4400
    async with socket(mission, "/ws/voice?conversation=") as page:
        await page.wait_closed()
        assert page.close_code == 4400


async def test_a_ticket_takes_the_session_to_the_secure_page(mission: Mission, http: httpx.AsyncClient) -> None:
    ticket = (await http.post("/api/ticket")).json()["ticket"]
    trust = ssl.create_default_context(cafile=str(mission.services.ca_certificate))
    secure = f"https://localhost:{mission.servers.tls_port}"

    async with httpx.AsyncClient(base_url=secure, verify=trust, trust_env=False) as browser:
        answer = await browser.get("/", params={"ticket": ticket})
        assert answer.status_code == 303
        assert "__Host-pipecatapp=" in answer.headers["set-cookie"]
        assert "Secure" in answer.headers["set-cookie"]
        status = (await browser.get("/api/status")).json()
        certificate = await browser.get("/ca.crt")
        browser.cookies.clear()
        assert "used already" in (await browser.get("/", params={"ticket": ticket})).text

    assert status["secure"]
    assert len(status["ca_fingerprint"]) == 95
    assert certificate.headers["content-type"] == "application/x-x509-ca-cert"
    assert b"BEGIN CERTIFICATE" in certificate.content
    assert b"PRIVATE" not in certificate.content


async def test_the_tools_are_listed_with_those_that_are_off(http: httpx.AsyncClient) -> None:
    listed = (await http.get("/api/tools")).json()
    assert [tool["name"] for tool in listed["tools"]] == [
        "ansible.run_playbook", "mcp.get_status", "power.set_idle_threshold", "ssh.run_command",
    ]  # fmt: skip
    assert listed["off"] == [{"name": "lamp.on", "off": "it is broken"}]


async def test_a_picture_is_served_by_its_name_to_who_is_logged_in(mission: Mission, http: httpx.AsyncClient) -> None:
    path = Pictures(mission.state_dir / "pictures").add(b"\x89PNG")
    (mission.state_dir / "pictures" / "secret.png").write_bytes(b"x")
    answer = await http.get(path)
    assert (answer.status_code, answer.content) == (200, b"\x89PNG")
    assert answer.headers["content-type"] == "image/png"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert (await http.get(f"/api/pictures/{'0' * 32}.png")).status_code == 404
    for name in ("secret", "..%2fpictures%2fsecret", "%2e%2e%2faccess.token", path.rpartition("/")[2]):
        assert (await http.get(f"/api/pictures/{name}.png")).status_code in (400, 404)
    async with httpx.AsyncClient(base_url=mission.url, trust_env=False) as stranger:
        assert (await stranger.get(path)).status_code == 401


async def test_every_file_of_the_page_is_served_with_its_type_and_headers(
    mission: Mission, http: httpx.AsyncClient
) -> None:
    folder = Path("src/pipecatapp/web/static")
    types = {
        ".js": "text/javascript",
        ".css": "text/css",
        ".svg": "image/svg+xml",
        ".woff2": "font/woff2",
        ".html": "text/html",
    }
    for path in folder.rglob("*"):
        if path.suffix in types:
            answer = await http.get(f"/static/{path.relative_to(folder)}")
            assert answer.status_code == 200
            assert answer.headers["content-type"].startswith(types[path.suffix]), path
            assert answer.headers["cache-control"] == "no-cache"
            assert answer.headers["x-content-type-options"] == SECURITY_HEADERS["x-content-type-options"]


async def test_an_unknown_path_and_a_wrong_method_say_so(http: httpx.AsyncClient) -> None:
    assert (await http.get("/nothing")).status_code == 404
    assert (await http.delete("/api/messages")).status_code == 405
    assert (await http.get("/static/../auth.py")).status_code == 404
    assert (await http.get("/docs")).status_code == 404


async def test_a_port_that_is_taken_is_named(mission: Mission) -> None:
    second = Servers(lambda *_: None, "127.0.0.1", mission.servers.port, 0, token="t")  # type: ignore[arg-type, return-value]

    with pytest.raises(ConfigurationError, match="another WEB_PORT"):
        await second.start()


async def test_ending_the_server_ends_open_pages_within_the_grace(mission: Mission) -> None:
    async with socket(mission, f"/ws?conversation={CONVERSATION}") as page:
        await until(page, "replayed")
        async with asyncio.timeout(30):  # a page that holds on would be waited for without end
            await mission.stop()
            await page.wait_closed()
    await mission.start()


async def test_a_page_that_stops_reading_does_not_hold_up_the_others(mission: Mission, http: httpx.AsyncClient) -> None:
    async with (
        socket(mission, f"/ws?conversation={CONVERSATION}") as stuck,
        socket(mission, "/ws?conversation=c-another-one") as other,
    ):
        await until(stuck, "replayed")
        await until(other, "replayed")
        stuck.transport.pause_reading()
        for _ in range(2000):  # more than all buffers on the way hold
            mission.hub.emit(AssistantDelta(conversation=CONVERSATION, turn="t", text="x" * 10_000))
            await asyncio.sleep(0)
        await http.post("/api/messages", json={"conversation": "c-another-one", "text": "still there?"})
        events = await until(other, "turn_finished")
        mission.hub.emit(AssistantMessage(conversation=CONVERSATION, turn="t", text="the end"))
        stuck.transport.resume_reading()
        caught_up = await until(stuck, "assistant")

    assert "still there?" in next(event["text"] for event in events if event["type"] == "assistant")
    assert caught_up[-1]["text"] == "the end"
    assert len([event for event in caught_up if event["type"] == "delta"]) < 2000


@pytest.mark.parametrize("everywhere", [False, True])
async def test_a_cookie_is_worth_nothing_once_it_was_signed_out(mission: Mission, everywhere: bool) -> None:
    phone = f"pipecatapp={mission.access.sessions.new()}"
    async with httpx.AsyncClient(base_url=mission.url, trust_env=False) as browser:
        await browser.get(f"/?token={mission.token}")
        cookie = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
        page = await socket(mission, f"/ws?conversation={CONVERSATION}", cookie=cookie, origin=mission.url)
        await until(page, "replayed")

        form = {"everywhere": "1"} if everywhere else {}
        answer = await browser.post("/logout", data=form, headers={"origin": mission.url})

        assert (answer.status_code, answer.headers["location"]) == (303, "/login")
        async with asyncio.timeout(60):
            await page.wait_closed()
        assert (await browser.get("/api/status", headers={"cookie": cookie})).status_code == 401
        assert (await browser.get("/api/status", headers={"cookie": phone})).status_code == (401 if everywhere else 200)
    await mission.stop()
    await mission.start()
    async with httpx.AsyncClient(base_url=mission.url, trust_env=False) as browser:
        assert (await browser.get("/api/status", headers={"cookie": cookie})).status_code == 401


async def test_another_site_signs_nobody_out(mission: Mission) -> None:
    cookie = f"pipecatapp={mission.access.sessions.new()}"
    async with httpx.AsyncClient(base_url=mission.url, trust_env=False) as browser:
        headers = {"cookie": cookie, "origin": "http://evil.example"}
        assert (await browser.post("/logout", data={"everywhere": "1"}, headers=headers)).status_code == 403
        assert (await browser.get("/api/status", headers={"cookie": cookie})).status_code == 200


STATUS = '<tool_call>\n{"name": "mcp.get_status", "arguments": {}}\n</tool_call>'


async def test_the_time_zone_of_the_device_reaches_the_tools_from_typing_and_from_talking(
    mission: Mission, http: httpx.AsyncClient
) -> None:
    mission.model.replies = {"tool_response": "All is well.", "status": STATUS}

    async def zone_seen_by_a_tool(**more: str) -> str:
        async with socket(mission, f"/ws?conversation={CONVERSATION}") as page:
            await until(page, "replayed")
            await http.post("/api/messages", json={"conversation": CONVERSATION, "text": "status", **more})
            await until(page, "turn_finished")
        return mission.tool.calls[-1][1].zone

    assert await zone_seen_by_a_tool() == ""
    assert await zone_seen_by_a_tool(zone="Europe/Berlin") == "Europe/Berlin"
    async with socket(mission, f"/ws/voice?conversation={CONVERSATION}&zone=Asia/Kolkata"):
        await mission.voice.connected.wait()
    assert await zone_seen_by_a_tool() == "Asia/Kolkata"
    async with socket(mission, f"/ws/voice?conversation={CONVERSATION}&zone=..%2f%00"):
        await mission.voice.connected.wait()
    assert await zone_seen_by_a_tool() == "Asia/Kolkata"
    refused = await http.post("/api/messages", json={"conversation": CONVERSATION, "text": "x", "zone": "a b"})
    assert refused.status_code == 400
