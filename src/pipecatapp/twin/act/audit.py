"""Writes down what was asked, decided and done, with secrets masked, and tells the page."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from pipecatapp.domain import ApprovalRequest, AuditEntry, Risk, Step, ToolCall, ToolResult, ToolSpec
from pipecatapp.events import AuditRecorded
from pipecatapp.ports import AuditLog, EventSink, ToolContext
from pipecatapp.twin.act.masking import mask

EXECUTED = "executed"
LOOKED = "looked"


def digest_of(tool: str, arguments: Mapping[str, Any]) -> str:
    """The name of exactly this call: SHA-256 of its canonical JSON."""
    text = json.dumps({"tool": tool, "arguments": arguments}, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def digest_of_request(request: ApprovalRequest) -> str:
    """The name of exactly what a yes to this request is bound to: the call, and where it has two steps also which of
    them, what was seen by looking and what that rests on. So a yes to looking is never one to running."""
    if request.step is Step.ONLY:
        return digest_of(request.tool, request.arguments)
    shown = request.preview
    called = digest_of(request.tool, request.arguments)
    seen = [request.step, called, shown.sentence, shown.detail, shown.found, shown.basis]
    return hashlib.sha256(json.dumps(seen, separators=(",", ":")).encode()).hexdigest()


def digest_of_spec(spec: ToolSpec) -> str:
    """The name of exactly this tool: SHA-256 of what it says of itself."""
    said = [spec.name, spec.description, dict(spec.parameters), str(spec.risk), spec.untrusted]
    return hashlib.sha256(json.dumps(said, separators=(",", ":")).encode()).hexdigest()


class Auditor:
    """The audit log as the brain writes it.

    Args:
        log: where the lines are kept.
        sink: told of each line.
        clock: seconds since 1970.
    """

    def __init__(self, log: AuditLog, sink: EventSink, clock: Callable[[], float] = time.time) -> None:
        self._log = log
        self._sink = sink
        self._clock = clock

    async def request(self, request: ApprovalRequest, decision: str, by: str) -> None:
        """A call was asked for, or decided; "look ..." where that is only about looking."""
        call = ToolCall(request.id, request.tool, request.arguments)
        decision = f"look {decision}" if request.step is Step.LOOK else decision
        await self._record(replace(self._entry(call, request.risk, request, decision, by), digest=request.digest))

    async def call(self, call: ToolCall, spec: ToolSpec, context: ToolContext, decision: str, by: str) -> None:
        """A call was decided without asking a person: by a rule, or by what the person allowed before."""
        await self._record(self._entry(call, spec.risk, context, decision, by))

    async def executed(
        self,
        call: ToolCall,
        spec: ToolSpec,
        context: ToolContext,
        by: str,
        result: ToolResult,
        seconds: float,
        decision: str = EXECUTED,
    ) -> None:
        """A call was carried out, or (``LOOKED``) its tool has looked, well or not."""
        whole = f"{result.text}\n{result.detail}".encode("utf-8", "replace")
        await self._record(
            replace(
                self._entry(call, spec.risk, context, decision, by),
                result_digest=hashlib.sha256(whole).hexdigest(),
                ok=result.ok,
                seconds=round(seconds, 3),
            )
        )

    def _entry(
        self, call: ToolCall, risk: Risk, asked: ToolContext | ApprovalRequest, decision: str, by: str
    ) -> AuditEntry:
        return AuditEntry(
            at=self._clock(),
            conversation=asked.conversation,
            turn=asked.turn,
            tool=call.name,
            risk=str(risk),
            arguments=mask(call.arguments),
            decision=decision,
            by=by,
            digest=digest_of(call.name, call.arguments),
            id=call.id,
        )

    async def _record(self, entry: AuditEntry) -> None:
        self._sink.emit(AuditRecorded(entry=await self._log.record(entry)))
