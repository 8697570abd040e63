"""Talks to a running agent over HTTP, for the command line: ask, link, status."""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from websockets.exceptions import WebSocketException
from websockets.sync.client import connect

from pipecatapp.cli.terminal import fail, printable, say
from pipecatapp.cluster.consul import ConsulClient
from pipecatapp.cluster.whereabouts import Place, agent_place
from pipecatapp.errors import ConfigurationError
from pipecatapp.settings import Settings
from pipecatapp.storage.conversations import valid_id
from pipecatapp.web.access import PROGRAMS
from pipecatapp.web.addresses import host_names, local_addresses
from pipecatapp.web.auth import load_token, program_token
from pipecatapp.web.hosts import allowed_names, parse_allowed
from pipecatapp.web.links import open_links


@dataclass(frozen=True, slots=True)
class Serving:
    """Where the agent of this PC listens."""

    host: str
    port: int
    tls_port: int


class Client:
    """Talks to one agent. Every command prints for people and returns the exit code."""

    def __init__(self, url: str, token: str, settings: Settings) -> None:
        self._url = url.rstrip("/")
        self._token = token
        self._settings = settings

    @classmethod
    def of(cls, settings: Settings, url: str = "") -> Client:
        """The agent of this PC, or the one at ``url`` (which has the same token)."""
        at = serving(settings)
        host = "127.0.0.1" if at.host in ("0.0.0.0", "::", "") else at.host  # noqa: S104 - it is compared
        host = f"[{host}]" if ":" in host else host
        # Made by the agent alone: one that a question left behind would belong to whoever asked.
        token = load_token(settings.state_dir) if (settings.state_dir / "token").exists() else ""
        return cls(url or f"http://{host}:{at.port}", token, settings)

    def ask(self, text: str, conversation: str, timeout_s: float) -> int:
        """Type a request and print the answer as it comes. 1 when the agent could only say what went wrong."""
        if not text.strip():
            raise ConfigurationError("there is nothing to ask; example: pipecatapp ask 'What can you do?'")
        if conversation and not valid_id(conversation):
            raise ConfigurationError(
                f"{conversation!r} is no conversation id: up to 64 letters, digits, hyphens and underscores"
            )
        conversation = conversation or f"ask-{secrets.token_hex(8)}"
        deadline = time.monotonic() + timeout_s
        events = f"{self._url.replace('http', 'ws', 1)}/ws?conversation={conversation}"
        try:
            with connect(events, additional_headers=self._headers(), proxy=None, max_size=None) as socket:
                self._until(socket, deadline, "", lambda event: event["type"] == "replayed")
                turn = self._post("/api/messages", {"conversation": conversation, "text": text})["turn"]
                failed = self._until(socket, deadline, turn, lambda event: event["type"] == "assistant")
        except TimeoutError:
            return fail(f"no answer within {timeout_s:g} seconds; `pipecatapp status` says why")
        except (OSError, WebSocketException, httpx.HTTPError) as error:
            return fail(f"the agent at {self._url} cannot be reached ({error}); is it running? `pipecatapp status`")
        return 1 if failed else 0

    def link(self) -> int:
        """Print the links that open the page; before the first start they are made for it. In a cluster the agent, and
        with it the token, may be on another machine: then say on which."""
        if (place := _elsewhere(self._settings)) is not None:
            return fail(f"the agent runs on {place.node} ({place.address}); there: sudo pipecatapp link")
        at = serving(self._settings)
        links = open_links(
            load_token(self._settings.state_dir),
            host=at.host,
            port=at.port,
            tls_port=at.tls_port,
            names=host_names(_names(self._settings)),
            addresses=local_addresses(),
        )
        say("\n".join(links))
        return 0

    def program_link(self) -> int:
        """Print what another program needs to use the agent's tools (Model Context Protocol)."""
        if (place := _elsewhere(self._settings)) is not None:
            return fail(f"the agent runs on {place.node} ({place.address}); there: sudo pipecatapp link --mcp")
        at = serving(self._settings)
        here = at.host if at.host not in ("0.0.0.0", "::") else "localhost"  # noqa: S104
        server = {
            "url": f"http://{here}:{at.port}{PROGRAMS}",
            "headers": {"Authorization": f"Bearer {program_token(load_token(self._settings.state_dir))}"},
        }
        say(json.dumps({"mcpServers": {"pipecatapp": server}}, indent=2))
        return 0

    def status(self, *, as_json: bool = False) -> int:
        """Print the health of every component; 0 when the agent can answer."""
        try:
            headers = self._headers() if self._token else {}
            answer = httpx.get(f"{self._url}/health", headers=headers, timeout=10.0, trust_env=False)
            state = answer.json()
        except (httpx.HTTPError, ValueError) as error:
            return fail(f"the agent at {self._url} does not run ({error}); start it with: pipecatapp serve")
        if not isinstance(state, dict) or "role" not in state:
            return fail(f"what answers at {self._url} is another program; set WEB_PORT to a free port")
        if "components" not in state:  # it tells more only to who shows the token
            state["ok"] = answer.is_success
        if as_json:
            say(json.dumps(state, indent=2))
        elif "components" not in state:
            say(f"it {'can answer' if state['ok'] else 'cannot answer yet'} (the service's user and root see why)")
        else:
            say(f"{'it can answer' if state['ok'] else 'it cannot answer yet'} (version {state['version']})")
            for name, part in state["components"].items():
                progress = f" {part['progress']:.0%}" if part.get("progress") is not None else ""
                line = f"  {name:<8} {'ok' if part['ok'] else 'not ok':<7} {part['reason']}{progress}"
                say(printable(line).rstrip())
        return 0 if state["ok"] else 1

    def _until(self, socket: Any, deadline: float, turn: str, last: Any) -> bool:
        """Print the words of ``turn`` until ``last``; whether an error was spoken instead of an answer."""
        failed = printed = False
        while True:
            event = json.loads(socket.recv(timeout=max(0.0, deadline - time.monotonic())))
            if event.get("turn", "") == turn and event["type"] == "delta":
                say(event["text"], end="")
                printed = True
            failed = failed or (bool(turn) and event["type"] == "error")
            if event.get("turn", "") == turn and last(event):
                if printed:
                    say()
                return failed

    def download(self, path: str, target: Path) -> None:
        """Write what the agent sends into a file that is there.

        Raises:
            ConfigurationError: it cannot be reached, or refuses; says why.
        """
        try:
            with (
                httpx.stream(
                    "GET", f"{self._url}{path}", headers=self._headers(), timeout=60.0, trust_env=False
                ) as got,
                target.open("r+b") as file,
            ):
                if not got.is_success:
                    raise ConfigurationError(f"the agent at {self._url} refuses this: status {got.status_code}")
                for chunk in got.iter_bytes():
                    file.write(chunk)
        except httpx.HTTPError as error:
            raise ConfigurationError(f"the agent at {self._url} cannot be reached ({error}); try again") from error

    def request(self, method: str, path: str, **more: Any) -> httpx.Response:
        """Ask the agent.

        Raises:
            ConfigurationError: it cannot be reached, or refuses; says why.
        """
        try:
            return self._request(method, path, **more)
        except httpx.HTTPError as error:
            raise ConfigurationError(
                f"the agent at {self._url} cannot be reached ({error}); is it running? `pipecatapp status`"
            ) from error

    def _post(self, path: str, body: dict[str, str]) -> dict[str, Any]:
        answer: dict[str, Any] = self._request("POST", path, json=body).json()
        return answer

    def _request(self, method: str, path: str, **more: Any) -> httpx.Response:
        response = httpx.request(
            method, f"{self._url}{path}", headers=self._headers(), timeout=30.0, trust_env=False, **more
        )
        if response.status_code in (401, 403):
            raise ConfigurationError(f"the agent at {self._url} has another token; check STATE_DIR")
        if response.is_client_error:
            raise ConfigurationError(f"the agent refuses this: {_reason(response)}")
        response.raise_for_status()
        return response

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._token}"}


def serving(settings: Settings) -> Serving:
    """Where the running agent listens, as it wrote down; else where the settings say that it will."""
    try:
        state = json.loads(settings.serving_file.read_text())
        if Path(f"/proc/{state['pid']}").exists():
            return Serving(state["host"], state["port"], state["tls_port"])
    except (OSError, ValueError, KeyError, TypeError):
        pass
    return Serving(settings.web_host, settings.web_port, settings.web_tls_port)


def _elsewhere(settings: Settings) -> Place | None:
    """The other machine of the cluster on which the agent runs; none where each has the house's page."""
    if settings.web_proxied_port or not (settings.nomad_addr and settings.consul_http_addr):
        return None
    place = asyncio.run(agent_place(ConsulClient(settings.consul_http_addr, settings.consul_http_token)))
    return None if place is None or place.address in local_addresses() else place


def _names(settings: Settings) -> list[str]:
    return allowed_names(parse_allowed(settings.allowed_hosts))


def _reason(response: httpx.Response) -> str:
    """The sentence in an error of ours."""
    try:
        return str(response.json()["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return f"status {response.status_code}"
