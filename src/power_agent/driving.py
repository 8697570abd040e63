"""What the policy knows of that which runs a service, and of the way that requests take to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Look:
    """How a service is, to that which runs it.

    Attributes:
        wanted: it is to run; False: stopped, by whomever.
        running: a process of it runs, ready or not.
        here: this machine's agent decides about it.
        there: systemd, or Nomad, knows it at all.
        blocked: why it must not be touched now; empty: it may.
        trouble: why it will not come up by waiting; empty: nothing known.
        slept: an agent put it to sleep, as all agents know; this one stands in for it where it is ``here``.
        cpu_s: seconds of a core that its processes have taken since they began; None: nobody says.
        ram_bytes: that they hold; None: nobody says.
    """

    wanted: bool
    running: bool
    here: bool = True
    there: bool = True
    blocked: str = ""
    trouble: str = ""
    slept: bool = False
    cpu_s: float | None = None
    ram_bytes: int | None = None


class Driver(Protocol):
    """Runs one service: a systemd unit, or a job of Nomad."""

    async def look(self) -> Look:
        """How it is.

        Raises:
            DriverError: nobody says.
        """

    async def sleep(self) -> None:
        """Stop it; returns when it does not run any more.

        Raises:
            BlockedError: not now.
            DriverError: it was not stopped.
        """

    async def wake(self) -> None:
        """Ask once for it to run; returns without waiting for it.

        Raises:
            BlockedError: not now.
            DriverError: it was not started.
        """

    async def address(self) -> tuple[str, int]:
        """Host and port where it can be asked; another one than before where it moved.

        Raises:
            DriverError: nobody says.
        """


class Gate(Protocol):
    """Whether requests to a service go to it, or to the activator."""

    async def close(self) -> None:
        """From now on new connections go to the activator; what still comes over old ones waits.

        Raises:
            DriverError: it cannot be closed.
        """

    async def settle(self) -> None:
        """Nothing of it runs any more: old connections end."""

    async def open(self) -> None:
        """Requests go to the service itself."""

    async def refresh(self) -> None:
        """Stay closed: without this it opens by itself after a minute."""


class OpenGate:
    """``Gate`` where there is none: callers know the activator's own address."""

    async def close(self) -> None:
        """Nothing to do."""

    async def settle(self) -> None:
        """Nothing to do."""

    async def open(self) -> None:
        """Nothing to do."""

    async def refresh(self) -> None:
        """Nothing to do."""
