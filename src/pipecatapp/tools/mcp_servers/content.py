"""What a server's tool gave back, as a result of ours: bounded, and everything that is no text said in words.

Nothing that it names is fetched: a link is said, and that is all.
"""

from __future__ import annotations

import json
from typing import Any

import mcp_types as types

from pipecatapp.domain import ToolResult
from pipecatapp.errors import ToolError
from pipecatapp.json_bounds import find_excess
from pipecatapp.json_schema_reduction import one_line

SPOKEN = 2000  # characters for the model; the rest is in the event log
KEPT = 20_000  # characters in the event log
_NAMED = 200  # of a link, a kind of file


def as_result(result: types.CallToolResult) -> ToolResult:
    """The result.

    Raises:
        ToolError: the tool says that it failed.
    """
    parts = [_words(block) for block in result.content]
    text = "\n".join(part for part in parts if part).strip()
    if not text and result.structured_content is not None:
        text = _json(result.structured_content)
    if result.is_error:
        raise ToolError(clipped(text, SPOKEN) or "it failed and does not say why")
    detail = text
    if result.structured_content is not None and text:
        structured = _json(result.structured_content)
        detail = text if structured == text else f"{text}\n{structured}"
    return ToolResult(clipped(text, SPOKEN) or "Done; it returned nothing.", detail=clipped(detail, KEPT))


def clipped(text: str, limit: int) -> str:
    """The text, or its beginning and how much is left out; signs that are none to read are blanks."""
    kept = "".join(char if char.isprintable() or char in "\n\t" else " " for char in text[:limit])
    return kept if len(text) <= limit else f"{kept}\n({len(text) - limit} more characters are left out)"


def _words(block: types.ContentBlock) -> str:
    match block:
        case types.TextContent():
            return block.text
        case types.ImageContent():
            return f"(a picture, {_short(block.mime_type)}, {_size(block.data)})"
        case types.AudioContent():
            return f"(a recording, {_short(block.mime_type)}, {_size(block.data)})"
        case types.ResourceLink():
            return f"({_short(block.title or block.name)}: {_short(block.uri)})"
        case types.EmbeddedResource():
            resource = block.resource
            if isinstance(resource, types.TextResourceContents):
                return resource.text
            kind = _short(resource.mime_type or "of unknown kind")
            return f"(a file, {kind}, {_size(resource.blob)}: {_short(resource.uri)})"
    return "(something that cannot be said in words)"


def _short(text: object) -> str:
    return one_line(str(text), _NAMED)


def _size(base64: str) -> str:
    size = len(base64) * 3 // 4
    return f"{size} bytes" if size < 1024 else f"{size // 1024} kB"


def _json(value: Any) -> str:
    if too_much := find_excess(value):
        return f"(data that is {too_much})"
    return json.dumps(value, ensure_ascii=False)
