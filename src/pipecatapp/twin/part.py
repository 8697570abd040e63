"""The brain, its queue of turns, and the gate in front of what acts, made from the settings."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence

from pipecatapp.domain import ToolSpec
from pipecatapp.errors import StorageError
from pipecatapp.parts import Part
from pipecatapp.paths import prompts_folder
from pipecatapp.ports import (
    ApprovalStore,
    AuditLog,
    ChangeLog,
    ChatModel,
    Classifier,
    ConversationStore,
    EventSink,
    ExpertDirectory,
    Memory,
    Reflex,
    Tool,
    ToolChooser,
    ToolSource,
)
from pipecatapp.settings import Settings
from pipecatapp.timekeeping import Ringing
from pipecatapp.twin.act.approvals import ApprovalGate
from pipecatapp.twin.act.audit import Auditor
from pipecatapp.twin.agent import Agent
from pipecatapp.twin.speak.persona import Personas
from pipecatapp.twin.turn_queue import TurnRunner

logger = logging.getLogger(__name__)


class ApprovalsPart(Part):
    """Where calls that act wait for a person.

    Args:
        gate: asks.
        verify: says what somebody else changed in the audit log; empty: nothing.
    """

    def __init__(self, gate: ApprovalGate, verify: Callable[[], Awaitable[str]]) -> None:
        self.gate = gate
        self._verify = verify

    async def start(self) -> None:
        """Read what waited when the program ended. What cannot be read is logged: the gate then refuses."""
        try:
            await self.gate.open()
            if broken := await self._verify():
                logger.error("the audit log was changed by somebody else: %s", broken)
        except StorageError as error:
            logger.error("tools that act will be refused: %s", error)

    async def stop(self) -> None:
        """Stop watching; what waits stays on the disk."""
        await self.gate.aclose()


class TwinPart(Part):
    """The brain.

    Args:
        agent: works when it is asked.
        readies_front: the engine is our own, and has the front of the prompt evaluated before anybody asks.
    """

    def __init__(self, agent: Agent, *, readies_front: bool = False) -> None:
        self.agent = agent
        self._readies_front = readies_front

    async def start(self) -> None:
        """Begin to ready the front of the prompt."""
        if self._readies_front:
            self.agent.front.start()

    async def stop(self) -> None:
        """Wait for what is still being stored."""
        await self.agent.aclose()


class TurnsPart(Part):
    """The queue of turns. It starts with the first request."""

    def __init__(self, runner: TurnRunner) -> None:
        self.runner = runner

    async def stop(self) -> None:
        """End the turns that run."""
        await self.runner.aclose()


def create_approvals(
    settings: Settings, store: ApprovalStore, audit: AuditLog, verify: Callable[[], Awaitable[str]], sink: EventSink
) -> ApprovalsPart:
    """The gate over what is stored; the arguments are those of its parts."""
    return ApprovalsPart(ApprovalGate(store, Auditor(audit, sink), sink, mode=settings.approval_mode), verify)


def create(
    settings: Settings,
    model: ChatModel,
    sink: EventSink,
    *,
    tools: Sequence[Tool],
    off: Mapping[str, str],
    off_specs: Sequence[ToolSpec],
    sources: Sequence[ToolSource],
    chooser: ToolChooser,
    conversations: ConversationStore,
    memory: Memory,
    gate: ApprovalGate,
    observe: Callable[[], str],
    experts: ExpertDirectory | None,
    classifier: Classifier | None,
    reflex: Reflex | None,
    changes: ChangeLog,
    ringing: Ringing,
    restarts_engine: bool,
) -> TwinPart:
    """The brain with its personas; the arguments are those of ``Agent``.

    Raises:
        ConfigurationError: there are no personas.
    """
    personas = Personas(prompts_folder(settings))
    return TwinPart(
        Agent(
            model,
            tools,
            sink,
            conversations,
            memory=memory,
            persona=personas.router,
            experts=experts,
            expert_persona=personas.expert,
            approvals=gate,
            classifier=classifier,
            reflex=reflex,
            changes=changes,
            off=off,
            off_specs=off_specs,
            sources=sources,
            chooser=chooser,
            observe=observe,
            ringing=ringing,
            restarts_engine=restarts_engine,
        ),
        # To look for a model may wake the machines of experts that sleep.
        readies_front=restarts_engine and experts is None,
    )


def create_turns(settings: Settings, agent: Agent, sink: EventSink) -> TurnsPart:
    """The queue in front of the brain."""
    return TurnsPart(TurnRunner(agent, sink, benchmark=settings.benchmark_mode))
