"""The verbs ``power``: which experts sleep, and what a person wants instead."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click

from pipecatapp.cli.terminal import printable, say
from pipecatapp.cli.verb import Verbs, json_option


@click.group(cls=Verbs, example="pipecatapp power list")
def power() -> None:
    """Experts that sleep when nobody asks them: list, wake, pin them."""


@power.command("list", example="pipecatapp power list")
@json_option
def show(as_json: bool) -> int:
    """Print each one: awake or asleep, since when and why."""
    return _client().show(as_json=as_json)


def _service_option(function: Callable[..., int]) -> Callable[..., int]:
    return click.argument("service", help="Its name in `pipecatapp power list`.")(function)


@power.command(example="pipecatapp power sleep prima-api-coding")
@_service_option
def sleep(service: str) -> int:
    """Put it to sleep as soon as it computes nothing."""
    return _client().steer("sleep", service)


@power.command(example="pipecatapp power wake prima-api-coding")
@_service_option
def wake(service: str) -> int:
    """Wake it now."""
    return _client().steer("wake", service)


@power.command(example="pipecatapp power pin prima-api-coding")
@_service_option
def pin(service: str) -> int:
    """Keep it awake until it is unpinned."""
    return _client().steer("pin", service)


@power.command(example="pipecatapp power unpin prima-api-coding")
@_service_option
def unpin(service: str) -> int:
    """Let it sleep again when nobody asks it."""
    return _client().steer("unpin", service)


def _client() -> PowerClient:
    from pipecatapp.settings import load_settings

    return PowerClient(load_settings().power_socket)


class PowerClient:
    """Asks the power agent of this machine. Every command prints for people and returns the exit code.

    Args:
        socket: where it listens.
        now: epoch seconds.
    """

    def __init__(self, socket: Path, now: Callable[[], float] = time.time) -> None:
        self._socket = socket
        self._now = now

    def show(self, *, as_json: bool = False) -> int:
        """Print all that may sleep, and what is wrong with the rest."""
        listed = self._asked()
        if as_json:
            say(json.dumps(listed, indent=2))
            return 0
        for service in listed["services"]:
            say(self._line(service))
        if not listed["services"]:
            say("no service of this machine may sleep; see docs/howto/which-experts-sleep.md")
        for name, why in listed["broken"].items():
            say(printable(f"{name}: not watched: {why}"))
        say(printable(f"idleness is measured by {listed['measured_by']}"))
        return 1 if listed["broken"] else 0

    def steer(self, verb: str, service: str) -> int:
        """Tell it what a person wants."""
        say(self._line(self._asked((verb, service))))
        return 0

    def _line(self, service: Mapping[str, Any]) -> str:
        since = max(0, self._now() - float(service["since"]))
        idle = service["idle_s"]
        patience = "never sleeps" if idle is None else f"sleeps after {_span(idle)} without use"
        wakes = service["wake_estimate_s"]
        waking = f", wakes in about {_span(wakes)}" if wakes is not None else ""
        return printable(
            f"{service['service']}  {service['state']} for {_span(since)} ({service['why']}); {patience}{waking}"
        )

    def _asked(self, steered: tuple[str, str] | None = None) -> dict[str, Any]:
        import asyncio

        from pipecatapp.power_control import PowerControl

        control = PowerControl(self._socket)
        return asyncio.run(control.steer(*steered) if steered is not None else control.services())


def _span(seconds: float) -> str:
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
