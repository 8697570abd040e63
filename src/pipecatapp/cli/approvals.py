"""The verbs ``approvals``: what waits for a person, and the person's answer from the terminal."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import click

from pipecatapp.cli.terminal import printable, say
from pipecatapp.cli.verb import Verbs, json_option, url_option
from pipecatapp.errors import ConfigurationError

if TYPE_CHECKING:
    from pipecatapp.cli.client import Client

_STEPS = {
    "look": "Step 1 of 2: a yes lets it look, and runs nothing.",
    "run": "Step 2 of 2: it looked, and this is what it found; a yes runs it.",
}


@click.group(cls=Verbs, example="pipecatapp approvals list")
def approvals() -> None:
    """Actions that wait for a yes: list and answer them."""


@approvals.command("list", example="pipecatapp approvals list")
@json_option
@url_option
def show(as_json: bool, url: str) -> int:
    """Print the actions that wait."""
    return _client(url).show(as_json=as_json)


def _answer_options(function: Callable[..., int]) -> Callable[..., int]:
    function = url_option(function)
    function = click.option("--yes", "sure", is_flag=True, help="Do not ask again.")(function)
    return click.argument("id", help="Its id in `pipecatapp approvals list`, or how it begins.")(function)


@approvals.command(example="pipecatapp approvals approve 3f0c")
@_answer_options
def approve(id: str, sure: bool, url: str) -> int:  # noqa: A002 - the name stands in the help
    """Let an action be done, once."""
    return _client(url).answer(id, "approve", sure=sure)


@approvals.command(example="pipecatapp approvals refuse 3f0c")
@_answer_options
def refuse(id: str, sure: bool, url: str) -> int:  # noqa: A002 - the name stands in the help
    """Let an action not be done."""
    return _client(url).answer(id, "refuse", sure=sure)


def _client(url: str) -> ApprovalClient:
    from pipecatapp.cli.client import Client
    from pipecatapp.settings import load_settings

    return ApprovalClient(Client.of(load_settings(), url))


class ApprovalClient:
    """Shows and answers the requests of one agent. Every command prints for people and returns the exit code.

    Args:
        client: talks to the agent.
        confirm: asks the person at the terminal a question and gives back what they typed.
    """

    def __init__(self, client: Client, confirm: Callable[[str], str] = input) -> None:
        self._client = client
        self._confirm = confirm

    def show(self, *, as_json: bool = False) -> int:
        """Print what waits."""
        waiting = self._waiting()
        if as_json:
            say(json.dumps(waiting, indent=2))
            return 0
        if not waiting:
            say("nothing waits for an answer")
        for number, request in enumerate(waiting):
            say("\n" * bool(number) + _shown(request))
        return 0

    def answer(self, approval: str, decision: str, *, sure: bool = False) -> int:
        """Show the call, ask (but not when ``sure``), and answer it. 1 when the person does not confirm."""
        found = [request for request in self._waiting() if str(request["id"]).startswith(approval)]
        if len(found) != 1 or not approval:
            which = "no request" if not found else f"{len(found)} requests"
            raise ConfigurationError(f"there is {which} {approval!r}; see: pipecatapp approvals list")
        request = found[0]
        say(_shown(request))
        if not sure and not self._is_sure(f"{decision} exactly this? [y/N] "):
            say("nothing was decided")
            return 1
        body = {"decision": decision, "digest": request["digest"], "scope": "once"}
        answer = self._client.request("POST", f"/api/approvals/{request['id']}", json=body).json()
        if answer["state"] == "approved" and answer["step"] == "look":
            say(f"{request['id']} is approved: the agent looks now; what it finds waits for an answer of its own")
        else:
            say(f"{request['id']} is {answer['state']}; the agent goes on in its conversation")
        return 0

    def _is_sure(self, question: str) -> bool:
        try:
            return self._confirm(question).strip().lower() in ("y", "yes")
        except EOFError:
            raise ConfigurationError("there is nobody at the terminal to confirm it; add --yes") from None

    def _waiting(self) -> list[dict[str, Any]]:
        waiting: list[dict[str, Any]] = self._client.request("GET", "/api/approvals").json()["approvals"]
        return waiting


def _shown(request: Mapping[str, Any]) -> str:
    """The exact call, on lines of its own."""
    lines = [
        f"{request['id']}  {request['tool']}  ({request['risk']}, {_left(request['expires_at'])})",
        f"  {request['sentence']}",
        *(f"  {note}" for note in [_STEPS.get(str(request.get("step", "")), "")] if note),
        *(f"  {name}: {json.dumps(value, ensure_ascii=True)}" for name, value in request["arguments"].items()),
        *(f"  | {line}" for line in str(request["detail"]).splitlines()),
        f"  conversation {request['conversation']}, digest {request['digest']}",
    ]
    return "\n".join(printable(line) for line in lines)


def _left(expires_at: float) -> str:
    return f"{max(0, round(expires_at - time.time()))} s left"
