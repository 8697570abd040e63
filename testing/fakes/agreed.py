"""A person's yes to a call of a tool, as far as the tool sees it: what the call rested on when it was shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pipecatapp.ports import PreviewingTool, ToolContext


async def agreed(tool: PreviewingTool, arguments: Mapping[str, Any], context: ToolContext) -> ToolContext:
    """The context in which the tool looks or runs after a yes to this call."""
    return replace(context, basis=(await tool.preview(arguments, context)).basis)
