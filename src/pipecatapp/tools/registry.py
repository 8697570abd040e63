"""The tools by name: where each one lives, the extra it needs, what it may do to the world.

A tool's module is imported when the tool is made. See docs/howto/add-a-tool.md.
"""

from __future__ import annotations

import importlib
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass

from pipecatapp.domain import ComponentHealth, Risk
from pipecatapp.errors import ConfigurationError, MissingExtraError, UnknownChoiceError
from pipecatapp.ports import ConversationStore, Memory, Tool


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolServices:
    """What the program offers its tools; each takes what it needs.

    ``clear`` begins a conversation afresh; ``health`` asks every component; ``model`` is the name of the language
    model, empty while there is none; ``started`` is ``time.monotonic()`` of the program's start.
    """

    health: Callable[[], Awaitable[Sequence[ComponentHealth]]]
    model: Callable[[], Awaitable[str]]
    conversations: ConversationStore
    clear: Callable[[str], Awaitable[None]]
    started: float
    memory: Memory | None = None


@dataclass(frozen=True, slots=True)
class ToolEntry:
    """``target`` is ``module:function``; the function takes the ToolServices and returns the tool."""

    target: str
    risk: Risk = Risk.READ
    extra: str | None = None


TOOLS: dict[str, ToolEntry] = {
    "clock.now": ToolEntry("pipecatapp.tools.clock:create"),
    "mcp.clear_short_term_memory": ToolEntry("pipecatapp.tools.mcp:create_clear"),
    "mcp.get_memory_summary": ToolEntry("pipecatapp.tools.mcp:create_memory_summary"),
    "mcp.get_status": ToolEntry("pipecatapp.tools.mcp:create_status"),
    "summarizer.get_summary": ToolEntry("pipecatapp.tools.summarizer:create"),
}


def create_tool(name: str, services: ToolServices) -> Tool:
    """The tool of this name.

    Raises:
        UnknownChoiceError: no tool has it; lists those that exist.
        MissingExtraError: it needs a package that is not installed; says how to install it.
        ConfigurationError: the tool does not say of itself what the registry says.
    """
    entry = TOOLS.get(name)
    if entry is None:
        raise UnknownChoiceError("tool", name, list(TOOLS))
    module, _, function = entry.target.partition(":")
    try:
        create: Callable[[ToolServices], Tool] = getattr(importlib.import_module(module), function)
    except ModuleNotFoundError as error:
        if entry.extra is None:
            raise
        raise MissingExtraError(f"tool {name!r}", entry.extra) from error
    tool = create(services)
    if (tool.spec.name, tool.spec.risk) != (name, entry.risk):
        raise ConfigurationError(
            f"tool {name!r} calls itself {tool.spec.name!r} with risk {tool.spec.risk}; the registry says {entry.risk}"
        )
    return tool


def create_tools(services: ToolServices, names: Iterable[str] | None = None) -> list[Tool]:
    """These tools, or all."""
    return [create_tool(name, services) for name in (TOOLS if names is None else names)]
