"""All configured servers of the Model Context Protocol as one source of tools."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

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
    """

    def __init__(self, configs: Sequence[ServerConfig], patience: Timeouts | None = None) -> None:
        self._servers = [McpServer(config, self._renew, patience) for config in configs]
        self._tasks: list[asyncio.Task[None]] = []
        self._tools: Sequence[Tool] = ()
        self._off: Mapping[str, str] = {}
        self.changed = asyncio.Event()

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
        """The tools that cannot be used, with the reason."""
        return self._off

    async def health(self) -> ComponentHealth:
        """Not well while a server is not there; the agent answers all the same."""
        gone = [f"{server.name}: {server.why}" for server in self._servers if not server.running]
        return ComponentHealth(COMPONENT, not gone, "; ".join(gone), vital=False)

    def _renew(self) -> None:
        self._tools = tuple(tool for server in self._servers for tool in server.tools)
        self._off = {name: reason for server in self._servers for name, reason in server.off.items()}
        self.changed.set()
