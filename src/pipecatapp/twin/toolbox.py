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
from pipecatapp.ports import Approvals, EventSink, Tool, ToolContext

logger = logging.getLogger(__name__)

_Check = Callable[[Mapping[str, Any]], object]


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
    """

    def __init__(
        self,
        tools: Sequence[Tool],
        sink: EventSink,
        approvals: Approvals | None = None,
        off: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self._tools = {tool.spec.name: tool for tool in tools}
        self._off = off
        self._checks: dict[str, _Check] = {}
        self._sink = sink
        self._approvals = approvals

    @property
    def specs(self) -> list[ToolSpec]:
        """What the model is told of them, in a stable order."""
        return [self._tools[name].spec for name in sorted(self._tools)]

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
        tool = self._tools.get(call.name)
        if tool is None:
            if call.name in self._off:
                return failure(f"{call.name} is off: {self._off[call.name]}")
            return failure(f"there is no tool {call.name}; there are: {', '.join(sorted(self._tools)) or 'none'}")
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
        check = self._checks.get(spec.name)
        if check is None:
            check = self._checks[spec.name] = _compiled(spec)
        try:
            check(arguments)
        except fastjsonschema.JsonSchemaValueException as error:
            return str(error.message).replace("data.", "").replace("data ", "the arguments ")
        return None


def _compiled(spec: ToolSpec) -> _Check:
    """A checker of the tool's arguments that also refuses arguments nobody declared."""
    return cast("_Check", fastjsonschema.compile({"additionalProperties": False, **spec.parameters}))


def failure(reason: str) -> ToolResult:
    """A result that says why the tool did not do its work."""
    return ToolResult(f"error: {reason}", ok=False)
