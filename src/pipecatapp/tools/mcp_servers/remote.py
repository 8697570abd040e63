"""A tool of another server as one of ours: its name made safe, its description bounded, its schema checked.

All of it was written by somebody else: nothing here is trusted, and the prompt defuses it (twin/speak/protocol.py).
"""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import mcp_types as types

from pipecatapp.domain import Preview, ToolResult, ToolSpec
from pipecatapp.errors import SchemaError, ToolOffError
from pipecatapp.json_schema_reduction import DESCRIPTION, one_line, reduce_schema
from pipecatapp.ports import ToolContext
from pipecatapp.tools.mcp_servers.config import ServerConfig
from pipecatapp.tools.mcp_servers.content import as_result
from pipecatapp.tools.mcp_servers.messages import schema_of

Call = Callable[[str, Mapping[str, Any], Callable[[str], None]], Awaitable[types.CallToolResult]]

_SAID = 80  # characters of an argument, in the sentence
_NAME = 64
_THEIR_NAME = 256  # of the name that the server knows it by
_UNSAFE = re.compile(r"[^A-Za-z0-9_-]+")
_PLAIN = re.compile(r"[A-Za-z0-9_-]{1,40}")


class RemoteTool:
    """``ports.Tool`` that a server runs.

    Args:
        spec: how the model is told of it.
        name: the server's own name for it.
        server: whose it is.
        call: runs it.
    """

    def __init__(self, spec: ToolSpec, name: str, server: str, call: Call) -> None:
        self.spec = spec
        self._name = name
        self._server = server
        self._call = call

    async def preview(self, arguments: Mapping[str, Any], context: ToolContext) -> Preview:
        """The call in words; it can be allowed for the server as a whole."""
        given = ", ".join(f"{_separated(one_line(key, 40))} {_short(value)}" for key, value in arguments.items())
        sentence = f"Use {_words_of(self.spec.name)} of {self._server}{f' with {given}' if given else ''}."
        return Preview(
            sentence,
            detail=json.dumps(dict(arguments), ensure_ascii=False, indent=2),
            scope=self._server,
            whole=all(_PLAIN.fullmatch(key) and _short(value) == _spoken(value) for key, value in arguments.items()),
        )

    async def run(self, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        """Let the server do it."""
        return as_result(await self._call(self._name, arguments, context.progress))


def tool_name(server: str, name: str) -> str:
    """The name that the model sees: ``<server>.<tool>`` of letters, digits, - and _."""
    return f"{server}.{_UNSAFE.sub('_', name).strip('_')}"[:_NAME]


def spec_of(server: ServerConfig, tool: types.Tool) -> ToolSpec:
    """How the model is told of a server's tool.

    Raises:
        ToolOffError: it cannot be used; says why.
    """
    name = tool_name(server.name, tool.name)
    if name == f"{server.name}.":
        raise ToolOffError("its name has no letter that could be used")
    if len(tool.name) > _THEIR_NAME or not tool.name.isprintable():
        raise ToolOffError("its name is too long, or cannot be shown")
    schema = schema_of(tool)
    if not isinstance(schema, dict):
        raise ToolOffError("it has no schema")
    try:
        parameters = reduce_schema(schema)
    except SchemaError as error:
        raise ToolOffError(f"its schema cannot be used: {error}") from error
    return ToolSpec(
        name=name,
        description=one_line(tool.description or tool.title or "", DESCRIPTION),
        parameters=parameters,
        risk=server.risks.get(tool.name, server.risk),
        # The server's own time first: its sentence says more than ours.
        timeout_s=server.timeout_s + 1.0,
        untrusted=True,
    )


def _words_of(tool: str) -> str:
    """A tool's name as it is said: nothing of it but letters, digits and spaces."""
    return _separated(tool.partition(".")[2])


def _separated(name: str) -> str:
    return name.replace("_", " ").replace("-", " ")


def _short(value: Any) -> str:
    return one_line(_spoken(value), _SAID)


def _spoken(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
