"""One server of the Model Context Protocol: started or reached, its tools listed, connected again when it is gone.

``run`` holds the connection from one task from beginning to end, as the library wants it; calls come from any task.
"""

from __future__ import annotations

import asyncio
import importlib
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import mcp_types as types

from pipecatapp import __version__
from pipecatapp.errors import ToolError, ToolOffError
from pipecatapp.tools.mcp_servers.config import ServerConfig
from pipecatapp.tools.mcp_servers.content import clipped
from pipecatapp.tools.mcp_servers.remote import RemoteTool, spec_of, tool_name
from pipecatapp.tools.mcp_servers.transport import Line, connected

if TYPE_CHECKING:
    from mcp.client import Client
    from mcp.shared.dispatcher import ProgressFnT

logger = logging.getLogger(__name__)

TOOLS = 200  # more of one server are left out
_PAGES = 50
_REASON = 300


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds: to connect and list the tools, between two looks whether it still answers, until it is tried again
    (``first_wait`` after the first failure, twice as long after each further one), until it counts as steady."""

    connect: float = 60.0
    look: float = 30.0
    first_wait: float = 1.0
    longest_wait: float = 60.0
    steady: float = 60.0


class McpServer:
    """One configured server. Its tools stay known while it is gone, so that the prompt stays as it is.

    Args:
        config: how it is reached, what its tools may do.
        changed: told after its tools, or whether it can be reached, became others.
    """

    def __init__(self, config: ServerConfig, changed: Callable[[], None], patience: Timeouts | None = None) -> None:
        self.name = config.name
        self.tools: Sequence[RemoteTool] = ()
        self.off: Mapping[str, str] = {}
        self.trouble = "it is being started"
        self._config = config
        self._changed = changed
        self._patience = patience or Timeouts()
        self._client: Client | None = None
        self._line = Line()
        self._calls = 0
        self._listed: Sequence[types.Tool] | None = None
        self._stop = asyncio.Event()

    @property
    def running(self) -> bool:
        """Whether its tools can be called now."""
        return self._client is not None and not self._line.ended.is_set()

    @property
    def why(self) -> str:
        """Why it is not running."""
        return self.trouble or self._line.why

    async def run(self) -> None:
        """Keep it connected until ``stop``; never raises."""
        wait = self._patience.first_wait
        while not self._stop.is_set():
            began = time.monotonic()
            try:
                await self._connection()
            except Exception as error:  # noqa: BLE001 - what the library, its transports and the server make of it
                self._gone(_reason(error))
            if time.monotonic() - began > self._patience.steady:
                wait = self._patience.first_wait
            if not await self._within(self._stop, wait):
                wait = min(wait * 2, self._patience.longest_wait)

    def stop(self) -> None:
        """End the connection, and ``run`` with it."""
        self._stop.set()

    async def call(
        self, name: str, arguments: Mapping[str, Any], progress: Callable[[str], None]
    ) -> types.CallToolResult:
        """Run a tool by the server's own name for it.

        Raises:
            ToolError: the server is not there, does not answer, or refuses.
        """
        client = self._client
        if client is None or not self.running:
            raise ToolError(f"the server {self.name} cannot be reached: {self.why}")

        self._calls += 1
        try:
            async with asyncio.timeout(self._config.timeout_s):
                return await client.call_tool(name, dict(arguments), progress_callback=_told(progress))
        except TimeoutError as error:
            raise ToolError(f"{self.name} took longer than {self._config.timeout_s:g} seconds") from error
        except Exception as error:
            if self._line.ended.is_set():
                raise ToolError(f"the server {self.name} went away in the middle of it") from error
            raise ToolError(f"{self.name} answered: {_reason(error)}") from error
        finally:
            self._calls -= 1

    async def _connection(self) -> None:
        """One connection from its first to its last message."""
        client_module = await asyncio.to_thread(importlib.import_module, "mcp.client")
        line, stale = Line(), asyncio.Event()
        self._line = line
        stale.set()

        async def heard(message: object) -> None:
            if isinstance(message, types.ToolListChangedNotification):
                stale.set()

        client = client_module.Client(
            connected(self._config, line),
            message_handler=heard,
            client_info=types.Implementation(name="pipecatapp", version=__version__),
            cache=None,
        )
        async with AsyncExitStack() as stack:
            async with asyncio.timeout(self._patience.connect):
                try:
                    await stack.enter_async_context(client)
                except Exception as error:
                    ended = line.ended.is_set() and not self._config.url
                    raise ToolError(line.why if ended else _reason(error)) from error
            listening = asyncio.create_task(_listen(client, stale), name=f"changes of {self.name}")
            try:
                while not (self._stop.is_set() or line.ended.is_set()):
                    if stale.is_set() or not self._calls:  # who is busy with a call may not answer
                        stale.clear()
                        await self._list(client)
                        self._here(client)
                    await self._first(self._patience.look, self._stop, line.ended, stale)
            finally:
                self._client = None
                listening.cancel()
                await asyncio.wait([listening])
        if not self._stop.is_set():
            self._gone(line.why)

    async def _list(self, client: Client) -> None:
        """Read the tools; nothing changes when they are those of before."""
        listed: list[types.Tool] = []
        async with asyncio.timeout(self._patience.connect):
            cursor: str | None = None
            for _ in range(_PAGES):
                page = await client.list_tools(cursor=cursor)
                listed += page.tools
                cursor = page.next_cursor
                if cursor is None or len(listed) > TOOLS:
                    break
        if listed == self._listed:
            return
        # A schema takes 10 ms to check and more on an old PC, and there may be hundreds.
        tools, off = await asyncio.to_thread(self._taken, listed)
        self._listed = listed
        if [tool.spec for tool in tools] != [tool.spec for tool in self.tools] or off != self.off:
            self.tools, self.off = tools, off
            logger.info("MCP server %s has %d tools, %d are off", self.name, len(tools), len(off))
            self._changed()

    def _taken(self, listed: Sequence[types.Tool]) -> tuple[list[RemoteTool], dict[str, str]]:
        """The tools that can be used, and why the others cannot."""
        tools: dict[str, RemoteTool] = {}
        off: dict[str, str] = {}
        for tool in listed:
            name = tool_name(self.name, tool.name)
            if self._config.enabled_tools is not None and tool.name not in self._config.enabled_tools:
                continue
            if len(tools) >= TOOLS:
                off[name] = f"{self.name} has more than {TOOLS} tools; name those you need in enabled_tools"
            elif name in tools:
                off[f"{name} (2)"] = f"another tool of {self.name} has this name already"
            else:
                try:
                    tools[name] = RemoteTool(spec_of(self._config, tool), tool.name, self.name, self.call)
                except ToolOffError as error:
                    off[name] = str(error)
        return list(tools.values()), off

    def _here(self, client: Client) -> None:
        if self._client is None:
            self._client, self.trouble = client, ""
            logger.info("MCP server %s is there", self.name)
            self._changed()

    def _gone(self, reason: str) -> None:
        self._client = None
        if reason != self.trouble:
            self.trouble = reason
            logger.warning("MCP server %s cannot be used: %s", self.name, reason)
            self._changed()

    @staticmethod
    async def _within(event: asyncio.Event, seconds: float) -> bool:
        try:
            await asyncio.wait_for(event.wait(), seconds)
        except TimeoutError:
            return False
        return True

    @staticmethod
    async def _first(seconds: float, *events: asyncio.Event) -> None:
        """Wait for one of them, at most so long."""
        waiting = [asyncio.create_task(event.wait()) for event in events]
        try:
            await asyncio.wait(waiting, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in waiting:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)


def _told(tell: Callable[[str], None]) -> ProgressFnT:
    async def told(progress: float, total: float | None, message: str | None) -> None:
        share = f"{progress:g} of {total:g}" if total else f"{progress:g}"
        tell(clipped(message, _REASON) if message else share)

    return told


async def _listen(client: Client, stale: asyncio.Event) -> None:
    """Since 2026-07-28 changes come on a stream of their own; without it the regular look finds them."""
    from mcp.client.subscriptions import ListenNotSupportedError

    tools = client.server_capabilities.tools
    if tools is None or not tools.list_changed:
        return
    try:
        async with client.listen(tools_list_changed=True) as changes:
            async for _ in changes:
                stale.set()
    except ListenNotSupportedError:
        return
    except Exception as error:  # noqa: BLE001 - the connection itself is watched elsewhere
        logger.debug("no news of changes from an MCP server: %s", error)


def _reason(error: BaseException) -> str:
    """The innermost sentence of what went wrong, bounded: it may be a server's own words."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, TimeoutError):
        return "it does not answer"
    text = " ".join(str(error).split()) or type(error).__name__
    return clipped("".join(char for char in text if char.isprintable()), _REASON)
