"""An agent for tests, and the small stand-ins around it: a sink that remembers, tools that the test wrote."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pipecatapp.domain import ApprovalAnswer, ApprovalRequest, Fact, Message, Preview, Risk, ToolResult, ToolSpec, Turn
from pipecatapp.errors import ToolError
from pipecatapp.events import AssistantMessage, Event, StateChanged
from pipecatapp.ports import ChatModel, ConversationStore, ModelProfile, Tool, ToolContext
from pipecatapp.twin.act.approvals import LIFETIME_S, ApprovalGate
from pipecatapp.twin.act.audit import Auditor
from pipecatapp.twin.agent import Agent
from pipecatapp.twin.turn_progress import TurnProgress
from pipecatapp.twin.turn_queue import TurnRunner
from testing.fakes.approvals import JumpingClock, MemoryAudit, MemoryStore
from testing.fakes.chat_model import Answer, ScriptedChatModel
from testing.fakes.storage import storage_in

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


class LookingScriptedTool(PreviewedTool):
    """A ``PreviewedTool`` that has to look first. ``finds`` is filled with the arguments; ``looks`` are the looks."""

    def __init__(self, name: str, *, asks: str, finds: str, **options: Any) -> None:
        super().__init__(name, **options)
        self._asks, self._finds = asks, finds
        self.looks: list[dict[str, Any]] = []
        self.look_error: Exception | None = None
        self.known: set[str] = set()  # scopes that need no look

    async def preview(self, arguments: Mapping[str, Any], context: ToolContext) -> Preview:
        plain = await super().preview(arguments, context)
        if plain.scope in self.known:
            return plain
        return Preview(self._asks.format(**arguments), whole=self.whole, look=True)

    async def look(self, arguments: Mapping[str, Any], context: ToolContext) -> Preview:
        self.looks.append(dict(arguments))
        context.progress("looking")
        if self.look_error is not None:
            raise self.look_error
        found = self._finds.format(**arguments)
        plain = await super().preview(arguments, context)
        return Preview(f"{plain.sentence} {found}", detail=found, scope=plain.scope, found=found)


class ScriptedMemory:
    """``ports.Memory`` that recalls what the test gave for a query, and keeps turns in a list."""

    def __init__(self, facts: Mapping[str, list[Fact]]) -> None:
        self._facts = facts
        self.kept: list[Turn] = []

    async def recall(self, query: str, limit: int = 3) -> list[Fact]:
        return [fact for words, facts in self._facts.items() if words in query for fact in facts][:limit]

    async def finish_forgetting(self) -> None:
        """Nothing was repeated."""

    async def keep(self, turn: Turn, before: Sequence[Turn] = ()) -> None:
        self.kept.append(turn)


class AgentHarness:
    """The agent, its gate and the queue of turns, all of them real; what is outside of the house is scripted.

    Args:
        folder: where conversations are kept.
        answers: what the model writes, one after the other; or give a ``model``.
        profile: what the model is.
        gated: there is a gate, on a disk in memory, where calls that act wait.
        gate: the class of it.
        mode: of the gate.
        lifetime_s: how long a request waits there.
        clock: of the gate.
        conversations: another store than one in the folder.
        options: for ``Agent``.
    """

    def __init__(
        self,
        folder: Path,
        *answers: Answer,
        model: ChatModel | None = None,
        profile: ModelProfile | Exception | None = None,
        tools: Sequence[Tool] = (),
        gated: bool = False,
        gate: type[ApprovalGate] = ApprovalGate,
        mode: Any = "ask",
        lifetime_s: float = LIFETIME_S,
        clock: Callable[[], float] | None = None,
        conversations: ConversationStore | None = None,
        **options: Any,
    ) -> None:
        self.model: Any = model or ScriptedChatModel(*answers)
        if profile is not None:
            self.model.profile_now = profile
        self.sink, self.tools = RecordingSink(), list(tools)
        self.clock: Any = clock or JumpingClock()
        self.store, self.audit = MemoryStore(), MemoryAudit()
        self.conversations = conversations or storage_in(folder).conversations
        self.persona = "You are the test."
        self._gate = (gate, mode, lifetime_s) if gated else None
        self._options = {"persona": lambda: self.persona, **options}
        self.begin()

    def begin(self) -> None:
        """A run of the program; again: after a kill."""
        options = dict(self._options)
        if self._gate is not None:
            gate, mode, lifetime_s = self._gate
            auditor = Auditor(self.audit, self.sink, self.clock)
            self.gate = gate(self.store, auditor, self.sink, clock=self.clock, mode=mode, lifetime_s=lifetime_s)
            options["approvals"] = self.gate
        self.agent = Agent(self.model, self.tools, self.sink, self.conversations, **options)
        self.runner = TurnRunner(self.agent, self.sink)

    async def ask(self, text: str, conversation: str = "c", progress: TurnProgress | None = None, **fields: Any) -> str:
        """The answer to a request; ``fields`` of its progress. A turn is never silent and never speaks JSON."""
        progress = progress or TurnProgress(conversation, fields.pop("source", "typed"), **fields)
        pieces = self.agent.respond(conversation, text, progress.source, progress)
        said = "".join([piece async for piece in pieces])
        assert said.strip(), "a turn was silent"
        assert "{" not in said
        return said.strip()

    async def told(self, count: int) -> list[str]:
        """What was said so far, once there are so many answers and all of it is stored."""
        async with asyncio.timeout(60):
            while len(self.sink.of(AssistantMessage)) < count:
                await asyncio.sleep(0)
        await self.agent.aclose()
        return [event.text for event in self.sink.of(AssistantMessage)]

    def states(self) -> list[str]:
        """What the page was told of the agent's state."""
        return [event.state for event in self.sink.of(StateChanged)]

    @property
    def waiting(self) -> ApprovalRequest:
        """The one call that waits for a person."""
        (request,) = self.gate.pending()
        return request

    async def approve(self, **options: Any) -> ApprovalRequest:
        """A click on yes for the call that waits longest."""
        request = self.gate.pending()[0]
        options.setdefault("digest", request.digest)
        return await self.agent.decide(ApprovalAnswer(request.id, decision="approve", by="page", **options))

    async def approve_and_hear(self) -> str:
        """Say yes to the one call that waits; what is said then."""
        request, said = self.waiting, len(self.sink.of(AssistantMessage))
        await self.agent.decide(ApprovalAnswer(request.id, request.digest, "approve", by="page"))
        async with asyncio.timeout(120):
            while len(self.sink.of(AssistantMessage)) <= said:
                await asyncio.sleep(0.05)
        return self.sink.of(AssistantMessage)[-1].text

    def last_prompt(self) -> list[Message]:
        """What the model was shown last."""
        return list(self.model.requests[-1].messages)

    async def aclose(self) -> None:
        """The end of the program."""
        await self.runner.aclose()
        await self.agent.aclose()
