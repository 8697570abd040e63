"""Runs a tool call: checks its arguments, asks for approval where the tool acts, keeps the time, tells the events."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, cast

import fastjsonschema

from pipecatapp.domain import Risk, ToolCall, ToolResult, ToolSpec
from pipecatapp.errors import ToolError
from pipecatapp.events import ToolFinished, ToolStarted
from pipecatapp.ports import Approvals, EventSink, Tool, ToolContext, ToolSource

logger = logging.getLogger(__name__)

_Check = Callable[[Mapping[str, Any]], object]
_NAMED_TOOLS = 30  # of all that there are, in the answer to a name that nobody has


@dataclass(slots=True)
class Outcome:
    """How a call ended; until then, that it was stopped."""

    result: ToolResult = field(default_factory=lambda: failure("it was stopped"))


class Toolbox:
    """The tools that exist now.

    Args:
        tools: each under its own name.
        sink: where tool events go.
        approvals: asks a person before a tool acts; without it every tool that acts is refused.
        off: the tools that cannot work here, with the reason.
        sources: tools that come and go; none of them takes the name of one of ``tools``.
    """

    def __init__(
        self,
        tools: Sequence[Tool],
        sink: EventSink,
        approvals: Approvals | None = None,
        off: Mapping[str, str] = MappingProxyType({}),
        sources: Sequence[ToolSource] = (),
    ) -> None:
        self._own = {tool.spec.name: tool for tool in tools}
        self._own_off = off
        self._sources = sources
        self._checks: dict[str, tuple[ToolSpec, _Check]] = {}
        self._sink = sink
        self._approvals = approvals

    @property
    def specs(self) -> list[ToolSpec]:
        """What the model is told of them, in a stable order."""
        tools = self._tools()
        return [tools[name].spec for name in sorted(tools)]

    @property
    def own(self) -> frozenset[str]:
        """The names of the tools that are always here."""
        return frozenset(self._own)

    @property
    def off(self) -> dict[str, str]:
        """The tools that exist and cannot be used now, with the reason."""
        return {name: reason for source in self._sources for name, reason in source.off().items()} | dict(self._own_off)

    def _tools(self) -> dict[str, Tool]:
        return {tool.spec.name: tool for source in self._sources for tool in source.tools()} | self._own

    async def run(self, call: ToolCall, context: ToolContext) -> ToolResult:
        """Run the call. Never raises but for cancellation: what went wrong is a result that the model can read."""
        with self.told(call, context) as outcome:
            outcome.result = await self._run(call, context)
        return outcome.result

    @contextmanager
    def told(self, call: ToolCall, context: ToolContext) -> Iterator[Outcome]:
        """Emits the events around a call; whoever runs it puts the result into the outcome."""
        self._sink.emit(
            ToolStarted(
                conversation=context.conversation,
                turn=context.turn,
                call_id=call.id,
                tool=call.name,
                arguments=dict(call.arguments),
            )
        )
        started = time.monotonic()
        outcome = Outcome()
        try:
            yield outcome
        finally:
            self._sink.emit(
                ToolFinished(
                    conversation=context.conversation,
                    turn=context.turn,
                    call_id=call.id,
                    tool=call.name,
                    ok=outcome.result.ok,
                    text=outcome.result.text,
                    detail=outcome.result.detail,
                    seconds=time.monotonic() - started,
                )
            )

    async def _run(self, call: ToolCall, context: ToolContext) -> ToolResult:
        tools = self._tools()
        tool = tools.get(call.name)
        if tool is None:
            if (reason := self.off.get(call.name)) is not None:
                return failure(f"{call.name} is off: {reason}")
            return failure(f"there is no tool {call.name}; there are: {_listed(sorted(tools))}")
        spec = tool.spec
        if (problem := self._problem(spec, call.arguments)) is not None:
            return failure(f"{call.name}: {problem}")
        if spec.risk is not Risk.READ:
            if self._approvals is None:
                return failure(f"{call.name} acts on the world, and that is not allowed here")
            approved = await self._approvals.decide(call, spec, context)
            if approved is None:
                return failure(f"{call.name} was refused by the person")
            if (problem := self._problem(spec, approved.arguments)) is not None:
                return failure(f"{call.name}: {problem}")
            call = approved
        try:
            async with asyncio.timeout(spec.timeout_s):
                return await tool.run(call.arguments, context)
        except ToolError as error:
            return failure(str(error))
        except TimeoutError:
            return failure(f"{call.name} took longer than {spec.timeout_s:g} seconds")
        except Exception:
            logger.exception("tool %s failed", call.name)
            return failure(f"{call.name} failed; the reason is in the log")

    def _problem(self, spec: ToolSpec, arguments: Mapping[str, Any]) -> str | None:
        """What is wrong with the arguments, as a sentence, or None."""
        known, check = self._checks.get(spec.name, (None, None))
        if check is None or known is not spec:
            check = _compiled(spec)
            self._checks[spec.name] = (spec, check)
        try:
            check(arguments)
        except fastjsonschema.JsonSchemaValueException as error:
            return str(error.message).replace("data.", "").replace("data ", "the arguments ")
        return None


def _compiled(spec: ToolSpec) -> _Check:
    """A checker of the tool's arguments that also refuses arguments nobody declared."""
    return cast("_Check", fastjsonschema.compile({"additionalProperties": False, **spec.parameters}))


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _NAMED_TOOLS
    return ", ".join(names[:_NAMED_TOOLS]) + (f" and {more} more" if more > 0 else "") if names else "none"


def failure(reason: str) -> ToolResult:
    """A result that says why the tool did not do its work."""
    return ToolResult(f"error: {reason}", ok=False)
