"""Tool calls of other programs (the MCP server in web/): the same checks and the same gate as for the model's.

A call that acts waits for a person like any other, shown as a card on the page; the program that made it waits for the
outcome. It cannot answer for the person: it has nothing here to answer with.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from pipecatapp.background import BackgroundTasks
from pipecatapp.domain import ApprovalRequest, ApprovalState, Risk, ToolCall, ToolResult, ToolSpec
from pipecatapp.ports import ToolContext
from pipecatapp.twin.act.approval_views import outcome_of
from pipecatapp.twin.act.approvals import ApprovalGate
from pipecatapp.twin.act.toolbox import Toolbox, failure
from pipecatapp.twin.turn_progress import new_turn_id

_LOOK_EVERY_S = 1.0
CALLERS = "other-programs"  # what they ask for stands under this conversation: on the cards, in the audit log
# They speak about the conversation that they are used in, and here is none.
_OF_A_CONVERSATION = frozenset(
    {"audio.volume", "mcp.clear_short_term_memory", "mcp.get_memory_summary", "say_again", "summarizer.get_summary"}
)


class ExternalCalls:
    """Takes calls of other programs.

    Args:
        toolbox: runs them.
        gate: where those that act wait.
    """

    def __init__(self, toolbox: Toolbox, gate: ApprovalGate) -> None:
        self._toolbox = toolbox
        self._gate = gate
        self._turns: set[str] = set()
        self._waiting: dict[str, list[asyncio.Future[None]]] = {}
        self._closing = BackgroundTasks("a request of another program could not be ended")

    @property
    def tools(self) -> Sequence[ToolSpec]:
        """What can be called: own tools, not those that come from other servers."""
        mine = self._toolbox.own - _OF_A_CONVERSATION
        return [spec for spec in self._toolbox.specs if spec.name in mine]

    async def call(self, name: str, arguments: Mapping[str, Any]) -> ToolResult:
        """Run a tool; one that acts after a person's yes. Never raises but for cancellation."""
        spec = next((spec for spec in self.tools if spec.name == name), None)
        if spec is None:
            off = self._toolbox.own_off.get(name)
            return failure(f"there is no tool {name}" if off is None else f"{name} is off: {off}")
        turn = new_turn_id()
        # What a person allowed for the session is not allowed to other programs.
        context = ToolContext(CALLERS, turn, speaker="program", tainted=spec.risk is not Risk.READ)
        self._turns.add(turn)
        try:
            try:
                result = await self._toolbox.run(ToolCall(f"call-{turn}", name, arguments), context)
            except asyncio.CancelledError:
                if not self._shared(turn):  # it may have begun to wait already
                    self._closing.start(self._gate.withdraw(CALLERS, turn, decided=True))
                raise
            return result if isinstance(result, ToolResult) else await self._decided(result, context)
        finally:
            self._turns.discard(turn)

    def settled(self, request: ApprovalRequest) -> bool:
        """Whether this request is one of a program's; those who wait for it hear of it."""
        if request.conversation != CALLERS:
            return False
        for waiter in self._waiting.get(request.id, ()):
            if not waiter.done():
                waiter.set_result(None)
        if request.id not in self._waiting and request.turn not in self._turns:
            # Who asked is gone, or it was before a restart: nothing is run.
            self._closing.start(self._gate.close(request.id))
        return True

    async def _decided(self, request: ApprovalRequest, context: ToolContext) -> ToolResult:
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(request.id, []).append(waiter)
        try:
            now = self._gate.get(request.id)
            while now is not None and now.state is ApprovalState.PENDING and not waiter.done():
                # Of what is taken back, by clearing its conversation, nobody is told.
                await asyncio.wait([waiter], timeout=_LOOK_EVERY_S)
                now = self._gate.get(request.id)
        except asyncio.CancelledError:
            if len(self._waiting[request.id]) == 1:
                self._closing.start(self._gate.withdraw(CALLERS, request.turn, decided=True))
            raise
        finally:
            self._waiting[request.id].remove(waiter)
            if not self._waiting[request.id]:
                del self._waiting[request.id]
        if now is None:
            return ToolResult("error: it was told already, or is not wanted any more", ok=False)
        try:
            if now.state is ApprovalState.APPROVED:
                result = await self._toolbox.carry_out(now, context)
            else:
                result = outcome_of(now)
        finally:
            await self._gate.close(request.id)
        # It was only looked at: what was found waits for a person too.
        return result if isinstance(result, ToolResult) else await self._decided(result, context)

    def _shared(self, turn: str) -> bool:
        """Whether another program waits for what this turn asked for."""
        requests = [self._gate.get(each) for each in self._waiting]
        return any(request is not None and request.turn == turn for request in requests)
