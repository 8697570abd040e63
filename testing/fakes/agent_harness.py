"""Small stand-ins around the brain: a sink that remembers, a store in memory, tools that the test wrote."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeVar

from pipecatapp.domain import Fact, Preview, Risk, ToolResult, ToolSpec, Turn
from pipecatapp.errors import ToolError
from pipecatapp.events import Event
from pipecatapp.ports import ToolContext

E = TypeVar("E", bound=Event)


class RecordingSink:
    """``ports.EventSink`` that keeps everything."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def emit(self, event: Event) -> None:
        self.events.append(event)

    def of(self, kind: type[E]) -> list[E]:
        return [event for event in self.events if isinstance(event, kind)]


class ScriptedTool:
    """``ports.Tool`` that gives the result, raises the exception or runs the function it was made with."""

    def __init__(
        self,
        name: str,
        result: str | ToolResult | Exception | Callable[[Mapping[str, Any]], Awaitable[ToolResult]] = "Done.",
        *,
        parameters: Mapping[str, Any] | None = None,
        risk: Risk = Risk.READ,
        timeout_s: float = 10.0,
        untrusted: bool = False,
    ) -> None:
        self._result = result
        self.spec = ToolSpec(
            name=name,
            description=f"does {name}",
            parameters=parameters or {"type": "object", "properties": {}},
            risk=risk,
            timeout_s=timeout_s,
            untrusted=untrusted,
        )
        self.calls: list[tuple[dict[str, Any], ToolContext]] = []

    async def run(self, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        self.calls.append((dict(arguments), context))
        if isinstance(self._result, Exception):
            raise self._result
        if isinstance(self._result, str):
            return ToolResult(self._result)
        if isinstance(self._result, ToolResult):
            return self._result
        return await self._result(arguments)


class PreviewedTool(ScriptedTool):
    """A ``ScriptedTool`` that says what a call is about to do: the sentence is filled with the arguments."""

    def __init__(
        self, name: str, *, sentence: str, scope: str = "", detail: str = "", found: str = "", **options: Any
    ) -> None:
        super().__init__(name, **options)
        self._sentence, self._scope, self.detail, self.found = sentence, scope, detail, found
        self.whole = True
        self.preview_error: ToolError | None = None

    async def preview(self, arguments: Mapping[str, Any], context: ToolContext) -> Preview:
        if self.preview_error is not None:
            raise self.preview_error
        sentence, scope, found = (text.format(**arguments) for text in (self._sentence, self._scope, self.found))
        return Preview(sentence, self.detail, scope, self.whole, found)


class ScriptedMemory:
    """``ports.Memory`` that recalls what the test gave for a query, and keeps turns in a list."""

    def __init__(self, facts: Mapping[str, list[Fact]]) -> None:
        self._facts = facts
        self.kept: list[Turn] = []

    async def recall(self, query: str, limit: int = 3) -> list[Fact]:
        return [fact for words, facts in self._facts.items() if words in query for fact in facts][:limit]

    async def keep(self, turn: Turn, before: Sequence[Turn] = ()) -> None:
        self.kept.append(turn)
