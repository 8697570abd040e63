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

from pipecatapp.choices import Choice
from pipecatapp.domain import ComponentHealth, Risk, ToolSpec
from pipecatapp.errors import ConfigurationError, MissingExtraError, ToolOffError, UnknownChoiceError
from pipecatapp.ports import ConversationStore, FactStore, Tool, Vision
from pipecatapp.timekeeping import Schedule

if TYPE_CHECKING:
    from pipecatapp.tools.list_keeper import ListKeeper
    from pipecatapp.tools.undo import TakingBack
    from pipecatapp.tools.volume import Loudness
    from pipecatapp.tools.web_browser.browser import WebBrowser


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolServices:
    """What the program offers its tools; each takes what it needs.

    ``clear`` begins a conversation afresh; ``health`` asks every component; ``model`` is the name of the language
    model, empty while there is none; ``tools`` are those that are on; ``started`` is ``time.monotonic()`` of the
    program's start. ``code_sandbox`` and its image are the settings; a file or folder that is None turns off the tools
    that work with it.
    """

    health: Callable[[], Awaitable[Sequence[ComponentHealth]]]
    model: Callable[[], Awaitable[str]]
    vision: Vision
    conversations: ConversationStore
    clear: Callable[[str], Awaitable[None]]
    started: float
    memory: FactStore | None = None
    taking_back: TakingBack | None = None
    lists: ListKeeper | None = None
    loudness: Loudness | None = None
    tools: Callable[[], Sequence[ToolSpec]] = tuple
    code_sandbox: str = "none"
    code_sandbox_image: str = ""
    power_policy_file: Path | None = None
    browser: WebBrowser | None = None
    ssh_dir: Path | None = None
    playbooks: Path | None = None
    ansible: Sequence[Path] = ()
    ansible_home: Path | None = None
    node_admin: Path | None = None
    schedule: Schedule | None = None


@dataclass(frozen=True, slots=True)
class ToolSet:
    """The tools that work here; ``off`` says of the others, by name, why they do not, ``off_specs`` what they would do
    (of those that say it)."""

    tools: list[Tool]
    off: dict[str, str]
    off_specs: list[ToolSpec] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class ToolChoice(Choice):
    """The target takes the ToolServices and returns the tool.

    It raises ToolOffError where the tool cannot work: ``create_tools`` then leaves it out and keeps the reason.
    """

    risk: Risk = Risk.READ


TOOLS: dict[str, ToolChoice] = {
    "alarm.cancel": ToolChoice("pipecatapp.tools.schedule:create_alarm_cancel", risk=Risk.OWN),
    "alarm.list": ToolChoice("pipecatapp.tools.schedule:create_alarm_list"),
    "alarm.set": ToolChoice("pipecatapp.tools.schedule:create_alarm_set", risk=Risk.OWN),
    "ansible.run_playbook": ToolChoice("pipecatapp.tools.ansible:create", risk=Risk.DANGER),
    "audio.volume": ToolChoice("pipecatapp.tools.volume:create", risk=Risk.OWN),
    "calculator.evaluate": ToolChoice("pipecatapp.tools.calculator:create"),
    "code_runner.run_python_code": ToolChoice("pipecatapp.tools.code_runner:create", risk=Risk.ACT),
    "calendar.ask": ToolChoice("pipecatapp.tools.calendar:create"),
    "clock.now": ToolChoice("pipecatapp.tools.clock:create"),
    "list.add": ToolChoice("pipecatapp.tools.lists:create_add", risk=Risk.OWN),
    "list.read": ToolChoice("pipecatapp.tools.lists:create_read"),
    "list.remove": ToolChoice("pipecatapp.tools.lists:create_remove", risk=Risk.OWN),
    "mcp.clear_short_term_memory": ToolChoice("pipecatapp.tools.agent_status:create_clear"),
    "mcp.get_memory_summary": ToolChoice("pipecatapp.tools.agent_status:create_memory_summary"),
    "mcp.get_status": ToolChoice("pipecatapp.tools.agent_status:create_status"),
    "memory.forget": ToolChoice("pipecatapp.tools.memory:create_forget", risk=Risk.OWN),
    "memory.recall": ToolChoice("pipecatapp.tools.memory:create_recall"),
    "memory.remember": ToolChoice("pipecatapp.tools.memory:create_remember", risk=Risk.OWN),
    "nodes.heal": ToolChoice("pipecatapp.tools.nodes:create_heal", risk=Risk.DANGER),
    "nodes.join": ToolChoice("pipecatapp.tools.nodes:create_join", risk=Risk.DANGER),
    "nodes.remove": ToolChoice("pipecatapp.tools.nodes:create_remove", risk=Risk.DANGER),
    "nodes.wake": ToolChoice("pipecatapp.tools.nodes:create_wake", risk=Risk.ACT),
    "power.set_idle_threshold": ToolChoice("pipecatapp.tools.power:create", risk=Risk.ACT),
    "reminder.cancel": ToolChoice("pipecatapp.tools.schedule:create_reminder_cancel", risk=Risk.OWN),
    "reminder.list": ToolChoice("pipecatapp.tools.schedule:create_reminder_list"),
    "reminder.set": ToolChoice("pipecatapp.tools.schedule:create_reminder_set", risk=Risk.OWN),
    "say_again": ToolChoice("pipecatapp.tools.talking:create_say_again"),
    "ssh.run_command": ToolChoice("pipecatapp.tools.ssh:create", risk=Risk.DANGER),
    "summarizer.get_summary": ToolChoice("pipecatapp.tools.summarizer:create"),
    "timer.cancel": ToolChoice("pipecatapp.tools.schedule:create_timer_cancel", risk=Risk.OWN),
    "timer.change": ToolChoice("pipecatapp.tools.schedule:create_timer_change", risk=Risk.OWN),
    "timer.list": ToolChoice("pipecatapp.tools.schedule:create_timer_list"),
    "timer.pause": ToolChoice("pipecatapp.tools.schedule:create_timer_pause", risk=Risk.OWN),
    "timer.resume": ToolChoice("pipecatapp.tools.schedule:create_timer_resume", risk=Risk.OWN),
    "timer.set": ToolChoice("pipecatapp.tools.schedule:create_timer_set", risk=Risk.OWN),
    "undo": ToolChoice("pipecatapp.tools.undo:create", risk=Risk.OWN),
    "units.convert": ToolChoice("pipecatapp.tools.units:create"),
    "vision.get_observation": ToolChoice("pipecatapp.tools.vision:create"),
    "web_browser.click": ToolChoice("pipecatapp.tools.web_browser.tools:create_click", "browser", Risk.ACT),
    "web_browser.get_page_content": ToolChoice("pipecatapp.tools.web_browser.tools:create_content", "browser"),
    "web_browser.get_screenshot": ToolChoice("pipecatapp.tools.web_browser.tools:create_screenshot", "browser"),
    "web_browser.goto": ToolChoice("pipecatapp.tools.web_browser.tools:create_goto", "browser", Risk.ACT),
    "web_browser.type": ToolChoice("pipecatapp.tools.web_browser.tools:create_type", "browser", Risk.ACT),
    "what_can_you_do": ToolChoice("pipecatapp.tools.talking:create_what_can_you_do"),
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
    entry.need_extra(f"tool {name!r}")
    create: Callable[[ToolServices], Tool] = entry.load()
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
    module = importlib.import_module(TOOLS[name].module)
    for value in vars(module).values():
        spec = getattr(value, "spec", None) if isinstance(value, type) else value
        if isinstance(spec, ToolSpec) and spec.name == name:
            return spec
    raise ConfigurationError(f"{module.__name__} has no ToolSpec named {name!r}")
