"""The tools by name: where each one lives, the extra it needs, what it may do to the world.

A tool's module is imported when the tool is made. See docs/howto/add-a-tool.md.
"""

from __future__ import annotations

import importlib
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from pipecatapp.domain import ComponentHealth, Risk, ToolSpec
from pipecatapp.errors import ConfigurationError, MissingExtraError, ToolOffError, UnknownChoiceError
from pipecatapp.ports import ConversationStore, FactStore, Tool, Vision

if TYPE_CHECKING:
    from pipecatapp.tools.web_browser.browser import WebBrowser


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolServices:
    """What the program offers its tools; each takes what it needs.

    ``clear`` begins a conversation afresh; ``health`` asks every component; ``model`` is the name of the language
    model, empty while there is none; ``started`` is ``time.monotonic()`` of the program's start. ``code_sandbox`` and
    its image are the settings; a file or folder that is None turns off the tools that work with it.
    """

    health: Callable[[], Awaitable[Sequence[ComponentHealth]]]
    model: Callable[[], Awaitable[str]]
    vision: Vision
    conversations: ConversationStore
    clear: Callable[[str], Awaitable[None]]
    started: float
    memory: FactStore | None = None
    code_sandbox: str = "none"
    code_sandbox_image: str = ""
    power_policy_file: Path | None = None
    browser: WebBrowser | None = None
    ssh_dir: Path | None = None
    playbooks: Path | None = None
    ansible: Sequence[Path] = ()
    ansible_home: Path | None = None


@dataclass(frozen=True, slots=True)
class ToolSet:
    """The tools that work here; ``off`` says of the others, by name, why they do not, ``off_specs`` what they would do
    (of those that say it)."""

    tools: list[Tool]
    off: dict[str, str]
    off_specs: list[ToolSpec] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class ToolEntry:
    """``target`` is ``module:function``; the function takes the ToolServices and returns the tool.

    It raises ToolOffError where the tool cannot work: ``create_tools`` then leaves it out and keeps the reason.
    """

    target: str
    risk: Risk = Risk.READ
    extra: str | None = None


TOOLS: dict[str, ToolEntry] = {
    "ansible.run_playbook": ToolEntry("pipecatapp.tools.ansible:create", Risk.DANGER),
    "code_runner.run_python_code": ToolEntry("pipecatapp.tools.code_runner:create", Risk.ACT),
    "clock.now": ToolEntry("pipecatapp.tools.clock:create"),
    "mcp.clear_short_term_memory": ToolEntry("pipecatapp.tools.agent_status:create_clear"),
    "mcp.get_memory_summary": ToolEntry("pipecatapp.tools.agent_status:create_memory_summary"),
    "mcp.get_status": ToolEntry("pipecatapp.tools.agent_status:create_status"),
    "memory.forget": ToolEntry("pipecatapp.tools.memory:create_forget"),
    "memory.recall": ToolEntry("pipecatapp.tools.memory:create_recall"),
    "memory.remember": ToolEntry("pipecatapp.tools.memory:create_remember"),
    "power.set_idle_threshold": ToolEntry("pipecatapp.tools.power:create", Risk.ACT),
    "ssh.run_command": ToolEntry("pipecatapp.tools.ssh:create", Risk.DANGER),
    "summarizer.get_summary": ToolEntry("pipecatapp.tools.summarizer:create"),
    "vision.get_observation": ToolEntry("pipecatapp.tools.vision:create"),
    "web_browser.click": ToolEntry("pipecatapp.tools.web_browser.tools:create_click", Risk.ACT, "browser"),
    "web_browser.get_page_content": ToolEntry("pipecatapp.tools.web_browser.tools:create_content", extra="browser"),
    "web_browser.get_screenshot": ToolEntry("pipecatapp.tools.web_browser.tools:create_screenshot", extra="browser"),
    "web_browser.goto": ToolEntry("pipecatapp.tools.web_browser.tools:create_goto", Risk.ACT, "browser"),
    "web_browser.type": ToolEntry("pipecatapp.tools.web_browser.tools:create_type", Risk.ACT, "browser"),
}


def create_tool(name: str, services: ToolServices) -> Tool:
    """The tool of this name.

    Raises:
        UnknownChoiceError: no tool has it; lists those that exist.
        MissingExtraError: it needs a package that is not installed; says how to install it.
        ToolOffError: it cannot work here.
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


def create_tools(services: ToolServices, names: Iterable[str] | None = None) -> ToolSet:
    """These tools, or all."""
    tools: list[Tool] = []
    off: dict[str, str] = {}
    off_specs: list[ToolSpec] = []
    for name in TOOLS if names is None else names:
        try:
            tools.append(create_tool(name, services))
        except (ToolOffError, MissingExtraError) as error:
            off[name] = str(error)
            # A module that imports its extra says nothing of itself.
            with suppress(ModuleNotFoundError, ConfigurationError):
                off_specs.append(spec_of(name))
    return ToolSet(tools, off, off_specs)


def spec_of(name: str) -> ToolSpec:
    """What the tool of this name says of itself, also where it is off: the ``spec`` of a class in its module, or a
    ToolSpec that stands there.

    Raises:
        ConfigurationError: nothing there has this name.
    """
    module = importlib.import_module(TOOLS[name].target.partition(":")[0])
    for value in vars(module).values():
        spec = getattr(value, "spec", None) if isinstance(value, type) else value
        if isinstance(spec, ToolSpec) and spec.name == name:
            return spec
    raise ConfigurationError(f"{module.__name__} has no ToolSpec named {name!r}")
