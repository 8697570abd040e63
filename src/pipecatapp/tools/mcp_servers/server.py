"""One server of the Model Context Protocol: started or reached, its tools listed, connected again when it is gone.

``run`` holds the connection from one task from beginning to end, as the library wants it; calls come from any task.
"""

from __future__ import annotations

import asyncio
import hashlib
import importlib
import json
import logging
import math
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
from pipecatapp.tools.mcp_servers.messages import TOOLS, schema_of
from pipecatapp.tools.mcp_servers.remote import RemoteTool, spec_of, tool_name
from pipecatapp.tools.mcp_servers.transport import Line, connect

if TYPE_CHECKING:
    from mcp.client import Client
    from mcp.shared.dispatcher import ProgressFnT

logger = logging.getLogger(__name__)

_PAGES = 50
_LIST = 16 * 1024 * 1024  # characters of all tools as they describe themselves
_SAID = 300  # characters of somebody else's words
_PROGRESS_S = 0.5  # between two lines about how far a call is
_PROGRESS = 200  # of them for one call
_REFUSED = 400
_OLDER = 'it answers with status {}: is the address right? A server of the older kind wants "type": "sse"'
_REFUSALS = {
    status: f"it answers with status {status}: its headers hold no token that it takes" for status in (401, 403)
}
_REFUSALS |= {status: _OLDER.format(status) for status in (404, 405, 406)}


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds: to list the tools again, between two looks whether it still answers, at least between two lists, until
    it is tried again (``first_wait`` after the first failure, twice as long after each further one), until it counts as
    steady. How long it may take to start is its own (``ServerConfig.start_timeout_s``)."""

    answer: float = 60.0
    look: float = 30.0
    again: float = 1.0
    first_wait: float = 1.0
    longest_wait: float = 60.0
    steady: float = 60.0


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why a server cannot be used: ``why`` in our words, ``said`` in its own, which are data."""

    why: str = ""
    said: str = ""

    def __str__(self) -> str:
        return ": ".join(part for part in (self.why, self.said) if part)


class McpServer:
    """One configured server. Its tools stay known while it is gone, so that the prompt stays as it is.

    Args:
        config: how it is reached, what its tools may do.
        changed: told after its tools, or whether it can be reached, became others.
    """

    def __init__(self, config: ServerConfig, changed: Callable[[], None], timeouts: Timeouts | None = None) -> None:
        self.name = config.name
        self.tools: Sequence[RemoteTool] = ()
        self.off: Mapping[str, str] = {}
        self._config = config
        self._changed = changed
        self._timeouts = timeouts or Timeouts()
        self._trouble = Trouble(
            "it is being reached"
            if config.url
            else f"it is being started, for at most {config.start_timeout_s:g} seconds"
        )
        self._client: Client | None = None
        self._line = Line()
        self._calls = 0
        self._listed = b""
        self._stop = asyncio.Event()

    @property
    def running(self) -> bool:
        """Whether its tools can be called now."""
        return self._client is not None and not self._line.ended.is_set()

    @property
    def trouble(self) -> Trouble:
        """Why it is not running."""
        return self._trouble if self._trouble.why else self._end_of(self._line)

    async def run(self) -> None:
        """Keep it connected until ``stop``; never raises."""
        wait = self._timeouts.first_wait
        while not self._stop.is_set():
            began = time.monotonic()
            try:
                await self._connection()
            except Exception as error:  # noqa: BLE001 - what the library, its transports and the server make of it
                self._gone(self._explain(error))
            if time.monotonic() - began > self._timeouts.steady:
                wait = self._timeouts.first_wait
            if not await self._within(self._stop, wait):
                wait = min(wait * 2, self._timeouts.longest_wait)

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
            raise ToolError(f"the server {self.name} cannot be reached: {self.trouble}")
        self._calls += 1
        try:
            async with asyncio.timeout(self._config.timeout_s):
                return await client.call_tool(name, dict(arguments), progress_callback=_tell_progress(progress))
        except TimeoutError as error:
            raise ToolError(f"{self.name} took longer than {self._config.timeout_s:g} seconds") from error
        except Exception as error:
            if self._line.ended.is_set():
                raise ToolError(f"the server {self.name} went away in the middle of it") from error
            raise ToolError(f"{self.name} answered: {self._explain(error).said or self._explain(error).why}") from error
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
            connect(self._config, line),
            message_handler=heard,
            client_info=types.Implementation(name="pipecatapp", version=__version__),
            cache=None,
        )
        async with AsyncExitStack() as stack:
            await self._enter(stack, client, line)
            listening = asyncio.create_task(_listen(client, stale), name=f"changes of {self.name}")
            pause = self._timeouts.again
            try:
                while not (self._stop.is_set() or line.ended.is_set()):
                    changed = False
                    if stale.is_set() or not self._calls:  # who is busy with a call may not answer
                        stale.clear()
                        changed = await self._list(client)
                        self._here(client)
                    # Who says again and again that its tools are others is asked more and more seldom.
                    pause = min(pause * 2, self._timeouts.longest_wait) if changed else self._timeouts.again
                    await self._first(pause, self._stop, line.ended)
                    await self._first(self._timeouts.look, self._stop, line.ended, stale)
            finally:
                self._client = None
                listening.cancel()
                await asyncio.wait([listening])
        if not self._stop.is_set():
            self._gone(self._end_of(line))

    async def _enter(self, stack: AsyncExitStack, client: Client, line: Line) -> None:
        limit = self._config.start_timeout_s
        try:
            async with asyncio.timeout(limit):
                await stack.enter_async_context(client)
        except TimeoutError as error:
            raise ToolError(
                f"it did not answer within {limit:g} seconds of its start (start_timeout_s allows more)"
            ) from error
        except Exception as error:
            if line.ended.is_set() and not self._config.url:
                raise _EndedError(self._end_of(line)) from error
            raise

    async def _list(self, client: Client) -> bool:
        """Read the tools; whether they are others than before."""
        listed: list[types.Tool] = []
        digest, size = hashlib.sha256(), 0
        async with asyncio.timeout(self._timeouts.answer if self._listed else self._config.start_timeout_s):
            cursor: str | None = None
            for _ in range(_PAGES):
                page = await client.list_tools(cursor=cursor)
                enabled = self._config.enabled_tools
                tools = [tool for tool in page.tools if enabled is None or tool.name in enabled]
                text = await asyncio.to_thread(_write_down, tools)
                size += len(text)
                if size > _LIST:
                    raise ToolError(f"the list of its tools is larger than {_LIST // 1024 // 1024} MB")
                digest.update(text)
                listed += tools
                cursor = page.next_cursor
                if cursor is None or len(listed) > TOOLS:
                    break
        if digest.digest() == self._listed:
            return False
        found, off = await asyncio.to_thread(self._take, listed)
        self._listed = digest.digest()
        if [tool.spec for tool in found] == [tool.spec for tool in self.tools] and off == self.off:
            return False
        self.tools, self.off = found, off
        logger.info("MCP server %s has %d tools, %d are off", self.name, len(found), len(off))
        self._changed()
        return True

    def _take(self, listed: Sequence[types.Tool]) -> tuple[list[RemoteTool], dict[str, str]]:
        """The tools that can be used, and why the others cannot."""
        tools: dict[str, RemoteTool] = {}
        off: dict[str, str] = {}
        for tool in listed:
            name = tool_name(self.name, tool.name)
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
            self._client, self._trouble = client, Trouble()
            logger.info("MCP server %s is there", self.name)
            self._changed()

    def _gone(self, trouble: Trouble) -> None:
        self._client = None
        if trouble != self._trouble:
            self._trouble = trouble
            # Its own words may hold secrets that it was given.
            logger.warning("MCP server %s cannot be used: %s", self.name, trouble.why)
            self._changed()

    def _end_of(self, line: Line) -> Trouble:
        return Trouble(line.why, self._quote(line.said))

    def _explain(self, error: BaseException) -> Trouble:
        """The innermost reason of what went wrong."""
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        if isinstance(error, _EndedError):
            return error.trouble
        if isinstance(error, TimeoutError):
            return Trouble("it does not answer")
        if isinstance(error, ToolError):
            return Trouble(str(error))
        status = self._line.status
        refused = f"it answers with status {status}" if status >= _REFUSED else "it cannot be used"
        why = self._line.excess or _REFUSALS.get(status, refused)
        return Trouble(why, self._quote(str(error) or type(error).__name__))

    def _quote(self, text: str) -> str:
        return self._config.hide_secrets(clipped(" ".join(text[: _SAID * 4].split()), _SAID))

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


class _EndedError(Exception):
    """A program ended before it could be used."""

    def __init__(self, trouble: Trouble) -> None:
        super().__init__(str(trouble))
        self.trouble = trouble


def _write_down(tools: Sequence[types.Tool]) -> bytes:
    said = [[tool.name, tool.title, tool.description, schema_of(tool)] for tool in tools]
    return json.dumps(said, ensure_ascii=False).encode("utf-8", "replace")


def _tell_progress(tell: Callable[[str], None]) -> ProgressFnT:
    """How far a call is, not too often: each line is kept and shown."""
    told, last = 0, -math.inf

    async def hear(progress: float, total: float | None, message: str | None) -> None:
        nonlocal told, last
        now = time.monotonic()
        if told >= _PROGRESS or now - last < _PROGRESS_S:
            return
        told, last = told + 1, now
        share = f"{progress:g} of {total:g}" if total else f"{progress:g}"
        tell(clipped(message, _SAID) if message else share)

    return hear


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
