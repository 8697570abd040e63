"""Runs a tool call: checks its arguments, has it wait for a person where it acts, keeps the time, tells the events."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from types import MappingProxyType
from typing import Any

from pipecatapp import json_schema
from pipecatapp.background import BackgroundTasks
from pipecatapp.domain import ApprovalRequest, Preview, Risk, Step, ToolCall, ToolResult, ToolSpec
from pipecatapp.errors import ApprovalError, StorageError, ToolError
from pipecatapp.events import ToolFinished, ToolProgress, ToolStarted
from pipecatapp.json_bounds import find_excess
from pipecatapp.ports import (
    ClosingTool,
    EventSink,
    LookingTool,
    OwnWordsTool,
    PreviewingTool,
    Tool,
    ToolContext,
    ToolSource,
)
from pipecatapp.twin.act.approval_prompts import default_sentence
from pipecatapp.twin.act.approvals import ApprovalGate
from pipecatapp.twin.act.audit import EXECUTED, LOOKED, digest_of_spec
from pipecatapp.twin.act.masking import mask
from pipecatapp.twin.act.own_wish import is_carried, is_own_wish, may_carry

logger = logging.getLogger(__name__)

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
        gate: where calls that act wait for a person.
        off: the tools that cannot work here, with the reason.
        sources: tools that come and go; none of them takes the name of one of ``tools``.
        off_specs: what those that cannot work here would do.
    """

    def __init__(
        self,
        tools: Sequence[Tool],
        sink: EventSink,
        gate: ApprovalGate,
        off: Mapping[str, str] = MappingProxyType({}),
        sources: Sequence[ToolSource] = (),
        off_specs: Sequence[ToolSpec] = (),
    ) -> None:
        self._own = {tool.spec.name: tool for tool in tools}
        self.own_off = off
        self.off_specs = off_specs
        self._sources = sources
        self._sink = sink
        self._gate = gate
        self._noting = BackgroundTasks("the audit log could not be written")

    @property
    def specs(self) -> list[ToolSpec]:
        """What the model is told of them, in a stable order."""
        tools = self._tools()
        return [tools[name].spec for name in sorted(tools)]

    @property
    def schemas(self) -> dict[str, Mapping[str, Any]]:
        """The parameters of all that can be called now, by name; also of what is off, for it can say why."""
        return {name: {} for name in self.off} | {name: tool.spec.parameters for name, tool in self._tools().items()}

    @property
    def own(self) -> frozenset[str]:
        """The names of the tools that are always here."""
        return frozenset(self._own)

    @property
    def off(self) -> dict[str, str]:
        """The tools that exist and cannot be used now, with the reason."""
        return {name: reason for source in self._sources for name, reason in source.off().items()} | dict(self.own_off)

    def _tools(self) -> dict[str, Tool]:
        return {tool.spec.name: tool for source in self._sources for tool in source.tools()} | self._own

    def untrusted(self, name: str) -> bool:
        """Whether what this tool returns was written by somebody else."""
        tool = self._tools().get(name)
        return tool is not None and tool.spec.untrusted

    def taints(self, name: str) -> bool:
        """The same for a call in the history; of a tool that is gone nobody knows."""
        return name not in self._tools() or self.untrusted(name)

    async def run(self, call: ToolCall, context: ToolContext) -> ToolResult | ApprovalRequest:
        """Run the call, or have it wait for a person. Never raises but for cancellation: what went wrong is a result
        that the model can read."""
        try:
            tool = self._fit(call)
            by = "agent" if tool.spec.risk is Risk.READ else "person" if await _is_carried(tool, call, context) else ""
            if not by:
                asked = await self._ask(tool, call, context)
                if asked is not None:
                    return asked
        except ToolError as error:
            with self.track(call, context) as outcome:
                outcome.result = failure(str(error))
            return outcome.result
        return await self._carry_out(tool, call, context, by or "session")

    async def carry_out(self, request: ApprovalRequest, context: ToolContext) -> ToolResult | ApprovalRequest:
        """Run what a person said yes to, once; where the yes was to looking, look: then the call itself waits for them.
        Never raises but for cancellation."""
        call = ToolCall(request.id, request.tool, request.arguments)
        try:
            tool = self._fit(call)
            if digest_of_spec(tool.spec) != request.spec_digest:
                raise ToolError(f"{call.name} is not the tool any more that the yes was for, so it was not used")
            begun = await self._gate.begin(request.id)
        except (ToolError, ApprovalError, StorageError) as error:
            with self.track(call, context) as outcome:
                outcome.result = failure(str(error))
            return outcome.result
        call = replace(call, arguments=begun.arguments)
        context = replace(context, seen=begun.preview.found, basis=begun.preview.basis)
        if begun.step is Step.LOOK:
            return await self._look(tool, call, context, begun)
        agreed = replace(context, approved=True, approval=begun.id)
        return await self._carry_out(tool, call, agreed, begun.by)

    async def preview(self, name: str, arguments: Mapping[str, Any], context: ToolContext) -> Preview:
        """What a call with these arguments would do.

        Raises:
            ToolError: it cannot be made.
        """
        return await self._preview(self._fit(ToolCall("", name, arguments)), arguments, context)

    async def aclose(self) -> None:
        """Wait for what is still being written down, and end what its own tools have running."""
        await self._noting.wait()
        closing = [tool for tool in self._own.values() if isinstance(tool, ClosingTool)]
        for ended in await asyncio.gather(*(tool.aclose() for tool in closing), return_exceptions=True):
            if isinstance(ended, BaseException):
                logger.error("a tool could not be ended", exc_info=ended)

    @contextmanager
    def track(self, call: ToolCall, context: ToolContext, outcome: Outcome | None = None) -> Iterator[Outcome]:
        """Emits the events around a call; whoever runs it puts the result into the outcome."""
        self._sink.emit(
            ToolStarted(
                conversation=context.conversation,
                turn=context.turn,
                call_id=call.id,
                tool=call.name,
                arguments=mask(call.arguments),
            )
        )
        started = time.monotonic()
        outcome = outcome or Outcome()
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

    def _fit(self, call: ToolCall) -> Tool:
        """The tool of a call that can be made.

        Raises:
            ToolError: there is no such tool, or the arguments are wrong.
        """
        tools = self._tools()
        tool = tools.get(call.name)
        if tool is None:
            off = self.off  # a tool, or all of a server's by its name
            if (reason := off.get(call.name, off.get(call.name.partition(".")[0]))) is not None:
                raise ToolError(f"{call.name} is off: {reason}")
            raise ToolError(f"there is no tool {call.name}; there are: {_list_names(sorted(tools))}")
        if (problem := _find_problem(tool.spec, call.arguments)) is not None:
            raise ToolError(f"{call.name}: {problem}")
        return tool

    async def _ask(self, tool: Tool, call: ToolCall, context: ToolContext) -> ApprovalRequest | None:
        """The request that waits for a person now, or None: such calls are allowed for this session."""
        spec = tool.spec
        if not context.conversation:
            await self._gate.auditor.call(call, spec, context, "refused", "api")
            raise ToolError(f"{call.name} needs a person's yes, and nobody can be asked here; ask for it on the page")
        preview = await self._preview(tool, call.arguments, context)
        with _kept(call):
            if is_own_wish(call, context) and await self._gate.allowed(call, spec, preview, context):
                return None
            return await self._gate.ask(call, spec, preview, context)

    async def _preview(self, tool: Tool, arguments: Mapping[str, Any], context: ToolContext) -> Preview:
        if not isinstance(tool, PreviewingTool):
            return Preview(default_sentence(tool.spec.name, arguments))
        try:
            async with asyncio.timeout(tool.spec.timeout_s):
                return await tool.preview(arguments, context)
        except ToolError:
            raise
        except TimeoutError as error:
            raise ToolError(f"{tool.spec.name} took longer than {tool.spec.timeout_s:g} seconds to look") from error
        except Exception as error:
            logger.exception("the preview of tool %s failed", tool.spec.name)
            raise ToolError(f"{tool.spec.name} failed; the reason is in the log") from error

    async def _look(
        self, tool: Tool, call: ToolCall, context: ToolContext, allowed: ApprovalRequest
    ) -> ToolResult | ApprovalRequest:
        """Have the tool look, and the call wait with what it found; a failure says why nobody is asked."""
        found: list[Preview] = []

        async def look(context: ToolContext) -> ToolResult:
            if not isinstance(tool, LookingTool):
                raise ToolError(f"{call.name} has nothing to look at")
            # There is no third step.
            found.append(replace(await tool.look(call.arguments, context), look=False))
            return ToolResult(found[0].sentence, detail=found[0].detail)

        result = await self._work(tool, call, context, allowed.by, look, LOOKED)
        if not found:
            return replace(result, lost=False)  # a look changes nothing
        try:
            with _kept(call):
                return await self._gate.ask(call, tool.spec, found[0], context, after=allowed)
        except ToolError as error:
            return failure(str(error))

    async def _carry_out(self, tool: Tool, call: ToolCall, context: ToolContext, by: str) -> ToolResult:
        return await self._work(tool, call, context, by, partial(tool.run, call.arguments), EXECUTED)

    async def _work(
        self,
        tool: Tool,
        call: ToolCall,
        context: ToolContext,
        by: str,
        work: Callable[[ToolContext], Coroutine[Any, Any, ToolResult]],
        what: str,
    ) -> ToolResult:
        """Let the tool work: with events and a line in the audit log around it."""

        def progress(text: str) -> None:
            self._sink.emit(
                ToolProgress(conversation=context.conversation, turn=context.turn, call_id=call.id, text=text)
            )

        began = time.monotonic()
        outcome = Outcome()
        try:
            with self.track(call, context, outcome):
                outcome.result = await self._in_time(tool, call, work(replace(context, progress=progress)))
        finally:
            seconds = time.monotonic() - began
            # Without waiting, for it is written down also when the turn was cancelled.
            self._noting.start(self._gate.auditor.executed(call, tool.spec, context, by, outcome.result, seconds, what))
        return outcome.result

    async def _in_time(self, tool: Tool, call: ToolCall, work: Coroutine[Any, Any, ToolResult]) -> ToolResult:
        try:
            async with asyncio.timeout(tool.spec.timeout_s):
                return await work
        except ToolError as error:
            return failure(str(error))
        except TimeoutError:
            late = failure(f"{call.name} took longer than {tool.spec.timeout_s:g} seconds")
            return replace(late, lost=tool.spec.risk is not Risk.READ)
        except Exception:
            logger.exception("tool %s failed", call.name)
            broken = failure(f"{call.name} failed; the reason is in the log")
            return replace(broken, lost=tool.spec.risk is not Risk.READ)


def _find_problem(spec: ToolSpec, arguments: Mapping[str, Any]) -> str | None:
    """What is wrong with the arguments, as a sentence, or None. What nobody declared is wrong too."""
    if too_much := find_excess(arguments):
        return f"the arguments are {too_much}"
    try:
        json.dumps(dict(arguments), ensure_ascii=False, allow_nan=False).encode()
    except ValueError as error:
        return f"the arguments cannot be written as JSON ({error})"
    return json_schema.find_problem({"additionalProperties": False, **spec.parameters}, arguments)


@contextmanager
def _kept(call: ToolCall) -> Iterator[None]:
    """What cannot be kept on the disk is not asked for. Raises ToolError."""
    try:
        yield
    except (StorageError, OSError) as error:
        logger.exception("a request for approval could not be kept")
        raise ToolError(f"{call.name} cannot be asked for: what waits for an answer cannot be kept") from error


def _list_names(names: Sequence[str]) -> str:
    more = len(names) - _NAMED_TOOLS
    return ", ".join(names[:_NAMED_TOOLS]) + (f" and {more} more" if more > 0 else "") if names else "none"


def failure(reason: str) -> ToolResult:
    """A result that says why the tool did not do its work."""
    return ToolResult(f"error: {reason}", ok=False)


async def _is_carried(tool: Tool, call: ToolCall, context: ToolContext) -> bool:
    """Whether the call changes only what is the agent's own, and a person's words carry it: nobody is asked then."""
    if tool.spec.risk is not Risk.OWN or not may_carry(context):
        return False
    if isinstance(tool, OwnWordsTool):
        return await tool.is_carried(call.arguments, context)
    return is_carried(call, context)
