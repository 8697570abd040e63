"""Which tools the model is told of with a request, when there are too many to describe them all every time.

Up to ``MANY`` all stand in the fixed part of the prompt. With more only the core stands there, the same bytes as long
as the core stays, and each request brings the few that fit it (``ports.ToolChooser``) at the changing end, in a
``[tools]`` block (twin/speak/protocol.py). A tool that the history still shows is not described again. All can be
called.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from pipecatapp.domain import Message, ToolSpec
from pipecatapp.ports import ToolChooser
from pipecatapp.twin.speak.dialect import Dialect
from pipecatapp.twin.speak.protocol import tool_line
from pipecatapp.twin.understand.routing import ROUTE

MANY = 12
FITTING = 8
LATE = 3  # those found when their place in front of the words is taken: every token of them is waited for

# What people ask of this assistant so often that describing it once is cheaper, the first of them most: a dozen, as
# many as may always stand.
CORE = (
    ROUTE,
    "clock.now",
    "memory.remember",
    "memory.recall",
    "memory.forget",
    "mcp.get_status",
    "vision.get_observation",
    "web_browser.goto",
    "ssh.run_command",
    "summarizer.get_summary",
    "code_runner.run_python_code",
    "power.set_idle_threshold",
)


class ToolSelection:
    """The tools for one state of the house.

    Args:
        tools: all that can be called.
        own: the names of our own.
        chooser: finds those that fit; None: every tool is in the fixed part.
        dialect: what the model can be told.
        off: tools of our own that cannot work here.
    """

    def __init__(
        self,
        tools: Sequence[ToolSpec],
        own: Collection[str],
        chooser: ToolChooser | None,
        dialect: Dialect,
        off: Sequence[ToolSpec] = (),
    ) -> None:
        self.dialect = dialect
        self._chooser = chooser
        self._tools = dialect.known_tools(tools, own, off)
        # Characters: about two fifths of the context.
        room = dialect.profile.context_tokens
        large = len(self._tools) > MANY or sum(len(tool_line(tool)) for tool in self._tools) > room
        self.many = chooser is not None and dialect.many_tools and large
        self.fixed = self._core(room) if self.many else self._tools

    def _core(self, room: int) -> list[ToolSpec]:
        """The core, as much of it as there is room for, in the order of the tools."""
        by_name = {tool.name: tool for tool in self._tools}
        standing: set[str] = set()
        for name in CORE:
            if name in by_name:
                room -= len(tool_line(by_name[name]))
                if room < 0:
                    break
                standing.add(name)
        return [tool for tool in self._tools if tool.name in standing]

    async def choose(self, words: str) -> list[ToolSpec]:
        """The tools beside the fixed ones that fit these words, best first, as many as there is room for."""
        if self._chooser is None or not self.many or not words.strip():
            return []
        standing = {tool.name for tool in self.fixed}
        others = [tool for tool in self._tools if tool.name not in standing]
        room = self.dialect.profile.context_tokens // 2  # characters: about a fifth of the context
        taken: list[ToolSpec] = []
        for tool in await self._chooser.choose(words, others, FITTING):
            room -= len(tool_line(tool, brief=True))
            if room < 0:
                break
            taken.append(tool)
        return taken

    def shown(self, history: Sequence[Message]) -> list[ToolSpec]:
        """The tools that earlier requests brought and the model still sees."""
        if not self.many:
            return []
        lines = {line for message in history if message.role == "user" for line in message.content.splitlines()}
        return [tool for tool in self._tools if tool_line(tool, brief=True) in lines]
