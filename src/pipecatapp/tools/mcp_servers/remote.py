"""A tool of another server as one of ours: its name made safe, its description bounded, its schema checked.

All of it was written by somebody else: nothing here is trusted, and the prompt defuses it (twin/speak/protocol.py).
"""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import fastjsonschema
import mcp_types as types

from pipecatapp.domain import Preview, ToolResult, ToolSpec
from pipecatapp.errors import ToolOffError
from pipecatapp.ports import ToolContext
from pipecatapp.tools.mcp_servers.config import ServerConfig
from pipecatapp.tools.mcp_servers.content import as_result

Call = Callable[[str, Mapping[str, Any], Callable[[str], None]], Awaitable[types.CallToolResult]]

_DESCRIPTION = 400  # characters
_SAID = 80  # of an argument, in the sentence
_SCHEMA = 16_000
_NAME = 64
_UNSAFE = re.compile(r"[^A-Za-z0-9_-]+")
# Read as the draft that our checker knows; a pattern would run on our own loop, and the server checks it anyway.
_DROPPED = frozenset({"$schema", "$id", "$comment", "pattern", "patternProperties", "examples", "title"})
_UNKNOWN = frozenset({"$dynamicRef", "$recursiveRef"})
_COMBINED = ("allOf", "anyOf", "oneOf", "$ref", "if", "patternProperties")


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
        given = ", ".join(f"{key} {_short(value)}" for key, value in arguments.items())
        words = self._name.replace("_", " ").replace("-", " ")
        sentence = f"Use {words} of {self._server}{f' with {given}' if given else ''}."
        return Preview(
            sentence,
            detail=json.dumps(dict(arguments), ensure_ascii=False, indent=2),
            scope=self._server,
            whole=all(_short(value) == _spoken(value) for value in arguments.values()),
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
    return ToolSpec(
        name=name,
        description=_one_line(tool.description or tool.title or "", _DESCRIPTION),
        parameters=_checked(tool.input_schema),
        risk=server.risks.get(tool.name, server.risk),
        # The server's own time first: its sentence says more than ours.
        timeout_s=server.timeout_s + 1.0,
        untrusted=True,
    )


def _checked(schema: Mapping[str, Any]) -> dict[str, Any]:
    try:
        size = len(json.dumps(schema, allow_nan=False))
        cleaned = _cleaned(schema)
    except (ValueError, RecursionError) as error:
        raise ToolOffError("its schema cannot be written as JSON") from error
    if size > _SCHEMA:
        raise ToolOffError(f"its schema is larger than {_SCHEMA} characters")
    if cleaned.get("type", "object") != "object":
        raise ToolOffError("its arguments are not an object")
    cleaned["type"] = "object"
    properties = cleaned.setdefault("properties", {})
    if not isinstance(properties, dict):
        raise ToolOffError("its schema is broken: properties is not an object")
    if any(key in schema for key in _COMBINED):
        cleaned.setdefault("additionalProperties", True)
    try:
        fastjsonschema.compile(cleaned)
    except Exception as error:  # a broken schema makes it raise much more than its own exceptions
        reason = _one_line(str(error), 200) or type(error).__name__
        raise ToolOffError(f"its schema is broken: {reason}") from error
    return cleaned


def _cleaned(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The schema without what our checker must not see; keywords are told from the names of properties."""
    found: dict[str, Any] = {}
    for key, value in schema.items():
        if key in _UNKNOWN:
            raise ToolOffError(f"its schema uses {key}, which cannot be checked here")
        if key == "$ref" and isinstance(value, str) and not value.startswith("#"):
            raise ToolOffError("its schema refers to another document")  # the checker would fetch it
        if key in _DROPPED:
            continue
        if key in ("properties", "$defs", "definitions", "dependentSchemas") and isinstance(value, dict):
            found[key] = {name: _cleaned(item) if isinstance(item, dict) else item for name, item in value.items()}
        elif key in ("enum", "const", "default", "required"):
            found[key] = value
        elif key == "description" and isinstance(value, str):
            found[key] = _one_line(value, _DESCRIPTION)
        elif isinstance(value, dict):
            found[key] = _cleaned(value)
        elif isinstance(value, list):
            found[key] = [_cleaned(item) if isinstance(item, dict) else item for item in value]
        else:
            found[key] = value
    if "patternProperties" in schema:
        found["additionalProperties"] = True
    return found


def _one_line(text: str, limit: int) -> str:
    """Printable, on one line, not longer than it may be."""
    line = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "\u2026"


def _short(value: Any) -> str:
    return _one_line(_spoken(value), _SAID)


def _spoken(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
