"""``/mcp``: the agent's own tools and memory for other programs, over the Model Context Protocol (streamable HTTP).

Tools that act wait for a person's yes on the page (twin/act/external_calls.py). The library behind it is imported when
somebody comes for the first time: an agent that nobody uses this way carries none of it.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from types import ModuleType
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import unquote

from starlette.types import ASGIApp, Receive, Scope, Send

from pipecatapp.domain import Fact, Risk, ToolResult, ToolSpec
from pipecatapp.memory.long_term import FaissMemory
from pipecatapp.storage.records import StoredFact
from pipecatapp.web.access import PROGRAMS
from pipecatapp.web.mcp_sessions import IDLE_S, LIMIT, McpSessions, wait_until_gone

if TYPE_CHECKING:
    from mcp.server.streamable_http_manager import StreamableHTTPSessionManager

log = logging.getLogger(__name__)

PATH = PROGRAMS
FACTS = "memory://facts"
_SEARCH = f"{FACTS}/{{query}}"
_FACTS = 200
_PROGRESS_S = 10.0
_BODY = 1024 * 1024
_FIRST = asyncio.FIRST_COMPLETED
_INSTRUCTIONS = (
    "The tools of a voice assistant at home. Tools that act wait up to two minutes for a person's yes on its page; "
    "a refusal is an answer, do not ask again for the same."
)


class ExternalCalls(Protocol):
    """Takes calls of tools (``twin.act.external_calls.ExternalCalls``)."""

    @property
    def tools(self) -> Sequence[ToolSpec]:
        """What can be called."""

    async def call(self, name: str, arguments: Mapping[str, Any]) -> ToolResult:
        """Run one; one that acts after a person's yes."""


class McpEndpoint:
    """The ASGI app behind ``/mcp``.

    Args:
        calls: the tools.
        memory: what its facts are read from.
        version: of this program.
    """

    def __init__(self, calls: ExternalCalls, memory: FaissMemory, version: str) -> None:
        self._calls = calls
        self._memory = memory
        self._version = version
        self._running: asyncio.Task[None] | None = None
        self._ready: asyncio.Future[ASGIApp] | None = None
        self._end = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request."""
        if self._ready is None:
            self._ready = asyncio.get_running_loop().create_future()
            self._running = asyncio.create_task(self._run(self._ready), name="MCP server")
        app = await asyncio.shield(self._ready)
        await app(scope, receive, send)

    async def aclose(self) -> None:
        """End all sessions."""
        self._end.set()
        if self._running is not None:
            await asyncio.wait([self._running], timeout=2)
            self._running.cancel()
            with suppress(asyncio.CancelledError):
                await self._running

    async def _run(self, ready: asyncio.Future[ASGIApp]) -> None:
        try:
            lowlevel = await asyncio.to_thread(importlib.import_module, "mcp.server.lowlevel")
            from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS

            manager = self._manager(lowlevel)
            async with manager.run():
                versions = frozenset(HANDSHAKE_PROTOCOL_VERSIONS)
                ready.set_result(McpSessions(manager.handle_request, versions))
                await self._end.wait()
        except Exception as error:
            log.exception("the MCP server failed")
            if not ready.done():
                ready.set_exception(error)

    def _manager(self, lowlevel: ModuleType) -> StreamableHTTPSessionManager:
        import mcp_types as types
        from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
        from mcp.shared.exceptions import MCPError

        async def tools(ctx: object, params: object) -> types.ListToolsResult:
            return types.ListToolsResult(tools=[_described(types, spec) for spec in self._calls.tools])

        async def call(ctx: Any, params: types.CallToolRequestParams) -> types.CallToolResult:
            running = asyncio.create_task(self._calls.call(params.name, params.arguments or {}))
            gone = asyncio.create_task(wait_until_gone(ctx.request.scope))
            try:
                waited = 0.0
                while not (await asyncio.wait([running, gone], timeout=_PROGRESS_S, return_when=_FIRST))[0]:
                    waited += _PROGRESS_S
                    with suppress(Exception):  # whoever is not there to hear it is noticed by the library
                        await ctx.session.report_progress(waited, None, "it still runs, or waits for a person's yes")
                if not running.done():
                    return types.CallToolResult(content=[types.TextContent(text="nobody waits for it")], is_error=True)
            finally:
                gone.cancel()
                running.cancel()
                await asyncio.wait([running, gone])
            result = running.result()
            text = result.text.removeprefix("error: ") if not result.ok else result.text
            return types.CallToolResult(content=[types.TextContent(text=text)], is_error=not result.ok)

        async def resources(ctx: object, params: object) -> types.ListResourcesResult:
            return types.ListResourcesResult(
                resources=[
                    types.Resource(
                        name="facts", uri=FACTS, description="What the person told, newest first.",
                        mime_type="application/json",
                    )
                ]
            )  # fmt: skip

        async def templates(ctx: object, params: object) -> types.ListResourceTemplatesResult:
            return types.ListResourceTemplatesResult(
                resource_templates=[
                    types.ResourceTemplate(
                        name="facts about", uri_template=_SEARCH, description="What is remembered about something.",
                        mime_type="application/json",
                    )
                ]
            )  # fmt: skip

        async def read(ctx: object, params: types.ReadResourceRequestParams) -> types.ReadResourceResult:
            uri = str(params.uri)
            if uri.rstrip("/") == FACTS:
                facts: Sequence[Fact | StoredFact] = await self._memory.facts(limit=_FACTS)
            elif uri.startswith(f"{FACTS}/"):
                facts = await self._memory.search(unquote(uri.removeprefix(f"{FACTS}/")))
            else:
                raise MCPError(types.INVALID_PARAMS, f"there is no resource {uri}; there is {FACTS}")
            text = json.dumps([_fact(fact) for fact in facts], ensure_ascii=False)
            content = types.TextResourceContents(uri=uri, mime_type="application/json", text=text)
            return types.ReadResourceResult(contents=[content])

        server = lowlevel.Server(
            "pipecatapp",
            version=self._version,
            instructions=_INSTRUCTIONS,
            on_list_tools=tools,
            on_call_tool=call,
            on_list_resources=resources,
            on_list_resource_templates=templates,
            on_read_resource=read,
        )
        return StreamableHTTPSessionManager(
            server, max_request_body_size=_BODY, max_sessions=LIMIT, session_idle_timeout=IDLE_S
        )


def _described(types: ModuleType, spec: ToolSpec) -> Any:
    reads = spec.risk is Risk.READ
    return types.Tool(
        name=spec.name,
        description=spec.description if reads else f"{spec.description} Waits for a person's yes.",
        input_schema={"type": "object", "additionalProperties": False, **spec.parameters},
        annotations=types.ToolAnnotations(read_only_hint=reads, destructive_hint=spec.risk is Risk.DANGER),
    )


def _fact(fact: Fact | StoredFact) -> dict[str, object]:
    return {"id": fact.id, "text": fact.text, "kind": fact.kind, "created_at": fact.created_at}
