"""A power agent's control socket with services that do what they are told."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

DAY = {
    "awake_h": 2.0, "asleep_h": 5.0, "cpu_s": 600.0, "ram_gb_h": 4.0, "wh": 12.5, "saved_cpu_s": 36.0,
    "saved_ram_gb_h": 10.0, "saved_wh": 4.2, "estimated": True,
}  # fmt: skip


class ControlDouble:
    """Listens as the power agent does.

    Attributes:
        services: by name, as it lists them.
        asked: what it was asked, apart from the list.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._server: asyncio.Server | None = None
        self.services: dict[str, dict[str, Any]] = {}
        self.broken: dict[str, str] = {}
        self.asked: list[dict[str, Any]] = []

    def add(self, name: str, state: str, why: str, *, pinned: bool = False) -> None:
        """A service that may sleep."""
        self.services[name] = {
            "service": name, "state": state, "since": 1_790_000_000.0, "why": why, "pinned": pinned, "idle_s": 600.0,
            "idle_for_s": 3.0, "wake_estimate_s": 21.4, "slept_s": 0.0, "days": {"2026-11-28": {}, "2026-11-29": DAY},
        }  # fmt: skip

    async def start(self) -> None:
        self._server = await asyncio.start_unix_server(self._answer, str(self._path))

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()
            self._path.unlink(missing_ok=True)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(json.dumps(self._do(json.loads(await reader.readline()))).encode() + b"\n")
        await writer.drain()
        writer.close()

    def _do(self, asked: dict[str, Any]) -> dict[str, Any]:
        if asked["do"] == "list":
            listed = list(self.services.values())
            return {"services": listed, "broken": self.broken, "measured_by": "the kernel (libbpf)"}
        self.asked.append(asked)
        service = self.services.get(asked["service"])
        if service is None:
            return {"error": f"there is no service {asked['service']!r} that may sleep"}
        state = {"sleep": "asleep", "wake": "waking", "pin": "pinned", "unpin": "awake"}[asked["do"]]
        service |= {"state": state, "pinned": state == "pinned", "why": "a person decided so"}
        return {"service": service}
