"""The socket by which people's tools ask and steer: one line of JSON in, one out."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from power_agent.records import Records
from power_agent.service import Service
from power_agent.states import State

_LINE_LIMIT = 4096
_WITHIN_S = 10


class Control:
    """Answers ``{"do": "list"}`` and ``{"do": "sleep" | "wake" | "pin" | "unpin", "service": NAME}``.

    Args:
        services: all that are watched.
        broken: entries that are not, and why; asked for each time.
        records: for the history.
        measured_by: the loader of the kernel's measurement, or why there is none.
    """

    def __init__(
        self,
        services: Sequence[Service],
        broken: Callable[[], Mapping[str, str]],
        records: Records,
        measured_by: str,
    ) -> None:
        self._services = {service.watched.name: service for service in services}
        self._broken, self._records, self._measured_by = broken, records, measured_by

    async def serve(self, path: Path) -> asyncio.Server:
        """Listen; the folder says who may ask."""
        return await asyncio.start_unix_server(self._connected, sock=_listening(path), limit=_LINE_LIMIT)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_WITHIN_S):
                line = await reader.readline()
            writer.write(json.dumps(self.answer(line)).encode() + b"\n")
            await writer.drain()
        except (OSError, TimeoutError, ValueError):
            return
        finally:
            writer.close()

    def answer(self, line: bytes) -> dict[str, Any]:
        """Do what the line asks for."""
        try:
            asked = json.loads(line)
            verb, name = str(asked["do"]), str(asked.get("service", ""))
        except (ValueError, KeyError, TypeError, AttributeError):
            return {"error": "no request: one line of JSON with `do` is one"}
        if verb == "list":
            return self._all()
        if verb == "history":
            return {"history": self._records.history()}
        service = self._services.get(name)
        if service is None:
            known = ", ".join(sorted(self._services)) or "none"
            return {"error": f"there is no service {name!r} that may sleep; there are: {known}"}
        if service.state is State.AWAY and verb != "unpin":
            return {"error": f"{name} is not decided about here: {service.why}"}
        match verb:
            case "wake":
                service.wake()
            case "sleep" if service.state is State.PINNED:
                return {"error": f"{name} is pinned awake; unpin it first"}
            case "sleep":
                service.sleep()
            case "pin" | "unpin":
                service.pin(verb == "pin")
            case _:
                return {"error": f"{verb!r} is none of list, history, sleep, wake, pin, unpin"}
        return {"service": service.describe()}

    def _all(self) -> dict[str, Any]:
        return {
            "measured_by": self._measured_by,
            "services": [service.describe() for service in self._services.values()],
            "broken": dict(self._broken()),
        }


def _listening(path: Path) -> socket.socket:
    path.unlink(missing_ok=True)
    opened = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    opened.setblocking(False)
    opened.bind(str(path))
    path.chmod(0o660)
    return opened
