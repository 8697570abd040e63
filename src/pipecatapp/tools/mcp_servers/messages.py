"""What comes from a server, cut to size before anybody looks at it.

A message was read already, so it is at most ``LARGEST`` bytes, holds at most ``VALUES`` and is as deep as the reader
goes. What stands in it may still be thousands of content blocks, or the schema of a result, which the
library would hold every result against: it would try the server's own patterns for as long as they take.
"""

from __future__ import annotations

import asyncio
import re
import time
from typing import TYPE_CHECKING, Any

import mcp_types as types

from pipecatapp.json_bounds import find_excess

if TYPE_CHECKING:
    from mcp.shared.message import SessionMessage

LARGEST = 8 * 1024 * 1024  # bytes of a message
VALUES = 100_000  # in a message: reading millions of small ones would hold everybody up for seconds
TOOLS = 200  # more of one server are left out
_LISTED = 2000  # in one message
BLOCKS = 100  # of a result
_KINDS = frozenset({"text", "image", "audio", "resource_link", "resource"})
_SCHEMA = "schema"
_DESCRIPTION = 4000  # characters, of which fewer are told
_OFTEN = 500  # messages in a second
_ID = re.compile(rb'"id"\s{0,9}:\s{0,9}(\d{1,15})\s{0,9}[,}]')
_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_ENDS = 300  # bytes at both ends of a message in which its id stands


def tame(item: SessionMessage | Exception) -> SessionMessage | Exception:
    """The message, with lists that end and tools that say only what is wanted of them."""
    message = None if isinstance(item, Exception) else item.message
    if isinstance(message, types.JSONRPCResponse) and isinstance(message.result, dict):
        result = message.result
        if isinstance(result.get("tools"), list):
            result["tools"] = [_tame_tool(tool) for tool in result["tools"][:_LISTED]]
        if isinstance(result.get("content"), list):
            result["content"] = _tame_content(result["content"])
    return item


def has_too_many_values(line: bytes) -> bool:
    """Whether a message holds more than ``VALUES``, without reading it: commas are counted, but for those in texts."""
    if line.count(b'"') - line.count(b'\\"') > 4 * VALUES:  # a name and a text for each
        return True
    return line.count(b",") >= VALUES and _STRING.sub(b"", line).count(b",") >= VALUES


def describe_unreadable(line: bytes, why: str) -> SessionMessage | None:
    """The answer to the request that this message was for, where its id can be found: what is wrong with it."""
    ends = line[:_ENDS] + b" " + line[-_ENDS:]
    found = _ID.search(ends) if line[:1] == b"{" and b'"method"' not in ends else None
    if found is None:
        return None
    from mcp.shared.message import SessionMessage

    error = types.ErrorData(code=types.PARSE_ERROR, message=why)
    return SessionMessage(types.JSONRPCError(jsonrpc="2.0", id=int(found[1]), error=error))


def _tame_tool(tool: Any) -> dict[str, Any]:
    """A tool as the library reads it: without the schema of its results, icons and whatever else it brings.

    One schema that is not as the library wants it would cost a server all of its tools: it sees the properties alone,
    which it needs to send some of them as headers, and the whole is put aside for ``schema_of``.
    """
    if not isinstance(tool, dict):
        tool = {}
    name, schema = tool.get("name"), tool.get("inputSchema")
    properties = schema.get("properties") if isinstance(schema, dict) else None
    if not isinstance(properties, dict) or find_excess(properties):
        properties = {}
    shown = {key: value for key, value in properties.items() if isinstance(value, dict)}
    words = {key: tool[key][:_DESCRIPTION] for key in ("title", "description") if isinstance(tool.get(key), str)}
    return {
        "name": name if isinstance(name, str) else "",
        "inputSchema": {"type": "object", "properties": shown},
        "_meta": {_SCHEMA: schema},
        **words,
    }


def schema_of(tool: types.Tool) -> Any:
    """The schema of a tool's arguments, exactly as the server sent it: a dictionary if all is well."""
    return tool.meta.get(_SCHEMA) if tool.meta else tool.input_schema


def _tame_content(content: list[Any]) -> list[Any]:
    blocks = [block for block in content[:BLOCKS] if isinstance(block, dict) and block.get("type") in _KINDS]
    left = len(content) - len(blocks)
    note = [{"type": "text", "text": f"({left} more parts are left out)"}] if left else []
    return [*blocks, *note]


class Brake:
    """Lets so many messages through in a second; who sends more waits."""

    def __init__(self) -> None:
        self._second = 0.0
        self._seen = 0

    async def hold(self) -> None:
        """Count one."""
        now = time.monotonic()
        if now - self._second >= 1.0:
            self._second, self._seen = now, 0
        self._seen += 1
        if self._seen > _OFTEN:
            await asyncio.sleep(max(0.0, self._second + 1.0 - now))
