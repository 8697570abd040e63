"""The world of the random lives of the gate: one run of the program, its disk, and tools that a storyteller watches."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

from pipecatapp.domain import ApprovalRequest, Message, Preview, Risk, ToolResult, ToolSpec
from pipecatapp.errors import ToolError
from pipecatapp.events import AssistantMessage, Event
from pipecatapp.ports import ToolContext
from pipecatapp.twin.act.approvals import ApprovalGate
from pipecatapp.twin.act.audit import Auditor
from pipecatapp.twin.agent import Agent
from pipecatapp.twin.turn_queue import TurnRunner
from testing.fakes.approvals import JumpingClock, MemoryAudit, MemoryConversations
from testing.fakes.chat_model import ObedientModel

LOOKED_AT = ("scan.thing", "probe.thing")  # an act and a danger that have to be looked at first
KNOWN = "here"  # but for this place


class StoryTeller(Protocol):
    """Who watches."""

    random: random.Random
    clock: JumpingClock
    conversations: MemoryConversations
    disk: list[ApprovalRequest]

    def obey(self, messages: Sequence[Message]) -> str:
        """What the model writes."""

    def said(self, conversation: str, turn: str, text: str) -> None:
        """The agent said this."""

    def ran(self, conversation: str, tool: str, arguments: Mapping[str, Any]) -> None:
        """A tool ran."""

    def looked(self, tool: str, arguments: Mapping[str, Any]) -> None:
        """A tool looked."""


class KilledError(Exception):
    """The program does not exist any more."""


class Run:
    """One run of the program; ``dead`` after a kill: then it reaches neither disk nor world."""

    def __init__(self, story: StoryTeller, gate: type[ApprovalGate]) -> None:
        self.story, self.dead = story, False
        auditor = Auditor(MemoryAudit(), self, story.clock)
        self.gate = gate(self, auditor, self, clock=story.clock)
        tools = [
            Thing(self, "do.thing", Risk.ACT),
            Thing(self, "risk.thing", Risk.DANGER),
            LookedAtThing(self, LOOKED_AT[0], Risk.ACT),
            LookedAtThing(self, LOOKED_AT[1], Risk.DANGER),
        ]
        self.agent = Agent(
            ObedientModel(story.obey), tools, self, story.conversations, persona=lambda: "Test.", approvals=self.gate
        )
        self.runner = TurnRunner(self.agent, self)

    def emit(self, event: Event) -> None:
        if not self.dead and isinstance(event, AssistantMessage) and not event.interrupted:
            self.story.said(event.conversation, event.turn, event.text)

    async def load(self) -> list[ApprovalRequest]:
        return list(self.story.disk)

    async def save(self, requests: Sequence[ApprovalRequest]) -> None:
        await asyncio.sleep(0)
        if self.dead:
            raise KilledError
        self.story.disk = list(requests)
        await asyncio.sleep(0)
        if self.dead:
            raise KilledError


class Thing:
    def __init__(self, run: Run, name: str, risk: Risk) -> None:
        self._run = run
        parameters = {
            "type": "object",
            "properties": {"what": {"type": "string"}, "where": {"type": "string"}},
            "required": ["what", "where"],
        }
        self.spec = ToolSpec(name, f"does {name}", parameters, risk)

    async def preview(self, arguments: Mapping[str, Any], context: ToolContext) -> Preview:
        return Preview(
            f"{self.spec.name.split('.')[0]} {arguments['what']} on {arguments['where']}.", "", arguments["where"]
        )

    async def run(self, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        if self._run.dead:
            raise KilledError
        self._run.story.ran(context.conversation, self.spec.name, arguments)
        await self._take_time()
        return ToolResult("It worked.")

    async def _take_time(self) -> None:
        for _ in range(self._run.story.random.choice((0, 0, 1, 4))):
            await asyncio.sleep(0)


class LookedAtThing(Thing):
    """It looks at everything but "here", which it knows."""

    async def preview(self, arguments: Mapping[str, Any], context: ToolContext) -> Preview:
        if arguments["where"] == KNOWN:
            return await super().preview(arguments, context)
        return Preview(f"Peek at {arguments['what']} on {arguments['where']}.", look=True)

    async def look(self, arguments: Mapping[str, Any], context: ToolContext) -> Preview:
        if self._run.dead:
            raise KilledError
        self._run.story.looked(self.spec.name, arguments)
        await self._take_time()
        if self._run.story.random.random() < 0.1:
            raise ToolError("there is nothing")
        return replace(await super().preview(arguments, context), found="what it is", detail="what it is")
