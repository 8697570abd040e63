"""All configured servers of the Model Context Protocol as one source of tools."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from pipecatapp.domain import ComponentHealth
from pipecatapp.ports import Tool
from pipecatapp.tools.mcp_servers.config import ServerConfig
from pipecatapp.tools.mcp_servers.server import McpServer, Timeouts

COMPONENT = "mcp"
# The library gives a program two seconds to end, two more after SIGTERM.
_STOP_S = 4.5


class McpServers:
    """``ports.ToolSource`` and ``ports.HealthSource``: the servers run side by side, each in its own time.

    Args:
        configs: one for each server.
        off: servers that were named and cannot be used, with the reason.
    """

    def __init__(
        self,
        configs: Sequence[ServerConfig],
        timeouts: Timeouts | None = None,
        off: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self._tasks: list[asyncio.Task[None]] = []
        self._tools: Sequence[Tool] = ()
        self._named_off = off
        self._off: Mapping[str, str] = off
        self.changed = asyncio.Event()
        self._servers = [McpServer(config, self._renew, timeouts) for config in configs]
        self._renew()

    def start(self) -> None:
        """Begin to connect; returns at once."""
        self._tasks = [asyncio.create_task(server.run(), name=f"MCP server {server.name}") for server in self._servers]

    async def stop(self) -> None:
        """End every connection and program."""
        for server in self._servers:
            server.stop()
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=_STOP_S)
            for task in late:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []

    def tools(self) -> Sequence[Tool]:
        """The tools of all servers, also of those that are gone for the moment."""
        return self._tools

    def off(self) -> Mapping[str, str]:
        """The tools that cannot be used, with the reason; by its own name a server of which no tool is known."""
        return self._off

    async def health(self) -> ComponentHealth:
        """Not well while a server is not there; the agent answers all the same."""
        gone = {server.name: server.trouble for server in self._servers if not server.running}
        reasons = [f"{name}: {reason}" for name, reason in self._named_off.items()]
        reasons += [f"{name}: {trouble.why}" for name, trouble in gone.items()]
        if not reasons:
            fewer = [(len(server.off), server.name) for server in self._servers if server.off]
            notes = [f"{name}: {f'{count} tools are' if count > 1 else 'a tool is'} off" for count, name in fewer]
            return ComponentHealth(COMPONENT, ok=True, reason="; ".join(notes), vital=False)
        said = "; ".join(f"{name}: {trouble.said}" for name, trouble in gone.items() if trouble.said)
        return ComponentHealth(COMPONENT, ok=False, reason="; ".join(reasons), vital=False, said=said)

    def _renew(self) -> None:
        self._tools = tuple(tool for server in self._servers for tool in server.tools)
        unknown = {s.name: s.trouble.why for s in self._servers if not s.tools and not s.running}
        off = {name: reason for server in self._servers for name, reason in server.off.items()}
        self._off = dict(self._named_off) | unknown | off
        self.changed.set()
