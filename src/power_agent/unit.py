"""A service that is a systemd unit of this PC, started and stopped through the one program that may (``switch.py``)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

from power_agent.driving import Look
from power_agent.errors import DriverError

_SHOW = "LoadState,ActiveState,Result,NRestarts,CPUUsageNSec,MemoryCurrent"
_SHOWS_WITHIN_S = 10
_SWITCHES_WITHIN_S = 60
# So often systemd may start it again within one wake before it counts as broken.
_RESTARTS = 3


class UnitDriver:
    """``driving.Driver`` of a systemd unit.

    Args:
        unit: its name.
        host, port: where it listens.
        switch: asks for ``start`` or ``stop`` of a unit.
        show: what systemctl shows of a unit.
    """

    def __init__(
        self,
        unit: str,
        host: str,
        port: int,
        switch: Callable[[str, str], Awaitable[None]],
        show: Callable[[str], Awaitable[dict[str, str]]] | None = None,
    ) -> None:
        self._unit, self._host, self._port = unit, host, port
        self._switch = switch
        self._show = show or shown
        self._restarts = 0

    async def look(self) -> Look:
        """By `systemctl show`."""
        shown = await self._show(self._unit)
        state, restarts = shown.get("ActiveState", ""), int(shown.get("NRestarts") or 0)
        trouble = ""
        if state == "failed":
            trouble = f"{self._unit} failed ({shown.get('Result', 'no reason given')})"
        elif restarts - self._restarts >= _RESTARTS:
            # While it is started anew systemd has no result of the time before.
            result = shown.get("Result", "success")
            why = "" if result == "success" else f" ({result})"
            trouble = f"{self._unit} ended {restarts - self._restarts} times while it started{why}"
        return Look(
            wanted=state in ("active", "activating", "reloading"),
            running=state in ("active", "reloading"),
            there=shown.get("LoadState") == "loaded",
            trouble=trouble,
            cpu_s=None if (used := _number(shown, "CPUUsageNSec")) is None else used / 1e9,
            ram_bytes=_number(shown, "MemoryCurrent"),
        )

    async def sleep(self) -> None:
        """Stop the unit."""
        await self._switch("stop", self._unit)

    async def wake(self) -> None:
        """Start the unit."""
        self._restarts = int((await self._show(self._unit)).get("NRestarts") or 0)
        await self._switch("start", self._unit)

    async def address(self) -> tuple[str, int]:
        """Always the same."""
        return self._host, self._port


def _number(shown: Mapping[str, str], name: str) -> int | None:
    """A number; None where systemd does not count ("[not set]", or all bits set)."""
    value = shown.get(name, "")
    return int(value) if value.isdecimal() and int(value) < 2**63 else None


async def shown(unit: str) -> dict[str, str]:
    """What systemd says about a unit.

    Raises:
        DriverError: nothing.
    """
    try:
        child = await asyncio.create_subprocess_exec(
            "systemctl", "show", f"--property={_SHOW}", "--", unit, stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
    except OSError as error:
        raise DriverError(f"systemctl does not start: {error.strerror}") from error
    try:
        said, complained = await asyncio.wait_for(child.communicate(), _SHOWS_WITHIN_S)
    except TimeoutError as error:
        child.kill()
        await child.wait()
        raise DriverError(f"systemctl says nothing within {_SHOWS_WITHIN_S} s") from error
    if child.returncode != 0:
        raise DriverError(f"systemctl: {complained.decode(errors='replace').strip()}")
    return dict(line.split("=", 1) for line in said.decode(errors="replace").splitlines() if "=" in line)


def through(socket: Path) -> Callable[[str, str], Awaitable[None]]:
    """Asks the program behind the socket to start or stop a unit."""

    async def ask(verb: str, unit: str) -> None:
        answer = await _asked(socket, f"{verb} {unit}")
        if answer != "done":
            raise DriverError(f"{verb} {unit}: {answer or 'no answer'}")

    return ask


def energy_through(socket: Path) -> Callable[[], Awaitable[int]]:
    """Asks the program behind the socket what the processors have taken, in microjoules."""

    async def ask() -> int:
        answer = await _asked(socket, "energy")
        if not answer.isdecimal():
            raise DriverError(answer or "energy: no answer")
        return int(answer)

    return ask


async def _asked(socket: Path, line: str) -> str:
    try:
        async with asyncio.timeout(_SWITCHES_WITHIN_S):
            reader, writer = await asyncio.open_unix_connection(str(socket))
            try:
                writer.write(f"{line}\n".encode())
                await writer.drain()
                return (await reader.readline()).decode(errors="replace").strip()
            finally:
                writer.close()
    except (OSError, TimeoutError) as error:
        raise DriverError(f"{line}: {socket} does not answer ({error or 'in time'})") from error
