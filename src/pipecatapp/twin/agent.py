"""The brain: a request becomes words, with the model, the tools and what is remembered. Knows only ports.

``Agent`` is the front of it. One turn (turn_execution.py): wait for the conversation's turn, recall, prompt, stream;
words go out as they come, a tool call is run and its result goes back to the model; at the end the turn joins the
history and is stored.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from types import MappingProxyType

from pipecatapp.domain import ApprovalAnswer, ApprovalRequest, Message, Source, ToolSpec
from pipecatapp.events import AssistantMessage, ConversationCleared, Event, UserMessage
from pipecatapp.ports import (
    AS_USUAL,
    AnswerOptions,
    ChangeLog,
    ChatModel,
    Classifier,
    ConversationStore,
    EventSink,
    ExpertDirectory,
    Forgotten,
    Memory,
    Reflex,
    Tool,
    ToolChooser,
    ToolSource,
)
from pipecatapp.timekeeping import Ringing
from pipecatapp.twin.act.approvals import ApprovalGate
from pipecatapp.twin.act.closed_gate import ClosedGate
from pipecatapp.twin.act.external_calls import ExternalCalls
from pipecatapp.twin.act.toolbox import Toolbox
from pipecatapp.twin.approval_turns import ApprovalTurns
from pipecatapp.twin.completions import Completions
from pipecatapp.twin.open_conversations import OpenConversations
from pipecatapp.twin.remember.consolidation import PAUSE_S, MemoryConsolidator
from pipecatapp.twin.remember.history import History, TokenEstimate
from pipecatapp.twin.speak.builder import PromptBuilder
from pipecatapp.twin.speak.current_dialect import CurrentDialect
from pipecatapp.twin.speak.expert_speaker import ExpertSpeaker
from pipecatapp.twin.speak.front import PromptFront
from pipecatapp.twin.speak.message_writer import MessageWriter
from pipecatapp.twin.speak.prefill import Prefill
from pipecatapp.twin.speak.tool_loop import ToolLoop
from pipecatapp.twin.turn_execution import TurnExecutor
from pipecatapp.twin.turn_progress import TurnProgress
from pipecatapp.twin.understand.look_ahead import LookAhead
from pipecatapp.twin.understand.reflex_turns import ReflexTurns
from pipecatapp.twin.understand.routing import Routing

logger = logging.getLogger(__name__)


class _Silence:
    """An ``EventSink`` that tells nobody."""

    def emit(self, event: Event) -> None:
        """Nobody listens."""


class Agent:
    """Answers requests in any number of conversations, one turn at a time in each.

    Args:
        model: writes the answers.
        tools: what it may use.
        sink: where every step is told.
        conversations: keeps finished turns.
        memory: long-term memory, or None.
        experts: other models to hand a request to, or None on a PC alone.
        persona: the text in front of everything, asked at every turn.
        expert_persona: the persona for an expert's name.
        approvals: where calls that act wait for a person; without it they are refused.
        off: the tools that cannot work here, with the reason.
        off_specs: what they would do, for a model that knows no others of their kind.
        sources: further tools, which come and go.
        chooser: finds the tools that fit a request, where there are too many to tell the model of all every time.
        observe: what the camera sees now, in a sentence; empty where there is nothing to say.
        restarts_engine: the engine runs on this PC, under somebody who restarts it (said when it is gone).
        pause_s: how long nobody must have spoken before the model is asked what to remember.
        ringing: what rings hears a person's words first; None: nothing ever does.
        classifier: hands clear cases to an expert before the model is asked, or None.
        reflex: decides what needs no model, or None.
        changes: what tools changed of the agent's own, so that "no, Thursday" can put it right; None: nothing is kept.
    """

    def __init__(
        self,
        model: ChatModel,
        tools: Sequence[Tool],
        sink: EventSink,
        conversations: ConversationStore,
        *,
        memory: Memory | None = None,
        experts: ExpertDirectory | None = None,
        persona: Callable[[], str],
        expert_persona: Callable[[str], str] | None = None,
        approvals: ApprovalGate | None = None,
        off: Mapping[str, str] = MappingProxyType({}),
        off_specs: Sequence[ToolSpec] = (),
        sources: Sequence[ToolSource] = (),
        chooser: ToolChooser | None = None,
        observe: Callable[[], str] = lambda: "",
        restarts_engine: bool = True,
        pause_s: float = PAUSE_S,
        classifier: Classifier | None = None,
        reflex: Reflex | None = None,
        changes: ChangeLog | None = None,
        ringing: Ringing | None = None,
    ) -> None:
        gate = approvals or ClosedGate()
        self._gate = gate
        self._sink = sink
        self._store = conversations
        self._routing = Routing(experts, expert_persona or (lambda _: persona()), classifier)
        self._look_ahead = LookAhead(self._routing)
        self._toolbox = Toolbox(tools, sink, gate, off, sources, off_specs)
        self._quiet_toolbox = Toolbox(tools, _Silence(), gate, off, sources)

        def decided() -> frozenset[str]:
            return reflex.tools if reflex is not None else frozenset()

        self._prompts = PromptBuilder(persona, self._toolbox, self._routing, chooser, observe, decided)
        # No reflex stands in front of a client's own messages.
        whole_prompts = PromptBuilder(persona, self._toolbox, self._routing, chooser, observe)
        self.external_calls = ExternalCalls(self._toolbox, gate)
        self._dialect = CurrentDialect(model)
        self.front = PromptFront(model, self._prompts, self._dialect)
        self._consolidator = MemoryConsolidator(memory, model, self._prefill_again, pause_s=pause_s)
        writer = MessageWriter(model, TokenEstimate())
        loop = ToolLoop(writer, self._toolbox, ExpertSpeaker(self._toolbox, self._routing))
        quiet = ToolLoop(writer, self._quiet_toolbox, ExpertSpeaker(self._quiet_toolbox, self._routing))

        def prefill(conversation: str, history: History) -> Prefill:
            return Prefill(model, memory, self._prompts, self._dialect, history, conversation)

        self._conversations = OpenConversations(conversations, prefill)
        self._approvals = ApprovalTurns(
            gate, self._toolbox, self._dialect, self._prompts, loop, self._conversations, conversations
        )
        reflexes = ReflexTurns(reflex, self._toolbox, self._routing, self._prompts, self._dialect, loop, changes)
        self._turns = TurnExecutor(
            self._conversations, self._dialect, self._prompts, loop, self._approvals, self._routing, reflexes, memory,
            self._consolidator, sink, conversations, ringing=ringing, restarts_engine=restarts_engine,
        )  # fmt: skip
        self._completions = Completions(self._dialect, whole_prompts, quiet, self._routing, memory, self._consolidator)

    @property
    def tools(self) -> list[ToolSpec]:
        """The tools as the model is told of them now."""
        return self._prompts.tools

    @property
    def off(self) -> dict[str, str]:
        """The tools that cannot be used now, with the reason."""
        return self._toolbox.off

    @property
    def always_offered(self) -> frozenset[str]:
        """The tools that stand in every prompt; the others come with the requests that they fit."""
        return frozenset(tool.name for tool in self._prompts.select_tools(self._dialect.last).fixed)

    def choose(self, conversation: str, expert: str) -> None:
        """Hand every request of this conversation to the expert, until another is chosen; empty: whoever fits.

        Raises:
            LookupError: there is no such expert.
        """
        self._routing.choose(conversation, expert)

    def chosen(self, conversation: str) -> str:
        """The expert that was chosen by hand, empty: none."""
        return self._routing.chosen(conversation)

    def set_zone(self, conversation: str, zone: str) -> None:
        """The person's device is in this time zone ("Europe/Berlin"): tools are told (``ToolContext.zone``)."""
        self._prompts.set_zone(conversation, zone)

    async def prepare(self, conversation: str, words: str) -> None:
        """Do while the person speaks what can be done: recall, and the prompt up to ``words`` into the engine's cache.

        ``words`` is the part of the transcript that will not change; empty readies only what stands in front of it.
        Never raises. Newer words supersede, ``respond`` ends it.
        """
        self._consolidator.disturb()
        try:
            state = await self._conversations.open(conversation)
            if not state.lock.locked():
                await self._look_ahead.hear(conversation, words)
                await state.prefill.prepare(words)
        except Exception:
            logger.exception("preparing a turn failed; it only costs time")

    def respond(
        self, conversation: str, text: str, source: Source, progress: TurnProgress | None = None
    ) -> AsyncGenerator[str, None]:
        """Answer a request: yields pieces of text that can be spoken, as the model writes them.

        Waits while another turn of the same conversation runs. Closing the iterator early (``contextlib.aclosing``) or
        cancelling ends the turn as interrupted; ``record_heard`` then says what was really heard.
        """
        self._look_ahead.settle(conversation)
        return self._turns.run(progress or TurnProgress(conversation, source), text)

    def resume(
        self, conversation: str, approval: str, progress: TurnProgress | None = None
    ) -> AsyncGenerator[str, None]:
        """Go on after a person's decision (or after nobody decided) outside of the conversation: carry the call out, or
        not, and speak about it. Like ``respond``; silent when that request was told already."""
        return self._turns.run(progress or TurnProgress(conversation, "approval"), approval=approval)

    def tell(self, conversation: str, notice: str, progress: TurnProgress | None = None) -> AsyncGenerator[str, None]:
        """Say something that nobody asked for: what was missed. Like ``respond``."""
        return self._turns.run(progress or TurnProgress(conversation, "notice"), notice=notice)

    def complete(
        self,
        messages: Sequence[Message],
        progress: TurnProgress | None = None,
        expert: str = "",
        options: AnswerOptions = AS_USUAL,
    ) -> AsyncGenerator[str, None]:
        """Answer the last of a client's own messages (``Completions.complete``). Unlike ``respond`` it raises."""
        return self._completions.complete(messages, progress, expert, options)

    async def find_unfit(self, options: AnswerOptions) -> str:
        """Which of the options the model cannot do (``Completions.find_unfit``)."""
        return await self._completions.find_unfit(options)

    async def record_heard(self, conversation: str, turn_id: str, text: str) -> None:
        """After barge-in: only ``text`` came out of the speaker, so only that was said. Unknown turns are ignored."""
        await self._turns.record_heard(conversation, turn_id, text)

    def finish(self, progress: TurnProgress) -> None:
        """Tell what the turn cost, once."""
        self._turns.finish(progress)

    def on_settled(self, tell: Callable[[ApprovalRequest], None]) -> None:
        """``tell`` has a turn go on with each call that was decided outside of the conversation (``resume``)."""

        def settle(request: ApprovalRequest) -> None:
            if not self.external_calls.settled(request):
                tell(request)

        self._gate.on_settled(settle)

    def pending(self) -> list[ApprovalRequest]:
        """The calls of all conversations that wait for a person, oldest first."""
        return self._gate.pending()

    async def decide(self, answer: ApprovalAnswer) -> ApprovalRequest:
        """A person's answer from outside of the conversation (``ApprovalTurns.decide``)."""
        return await self._approvals.decide(answer)

    async def abandon(self, conversation: str, approval: str) -> None:
        """The turn that would have gone on with this request will not come (``ApprovalTurns.abandon``)."""
        await self._approvals.abandon(conversation, approval)

    async def clear(self, conversation: str) -> None:
        """Forget what was said in this conversation; a turn that runs goes on and is the first of the new one."""
        state = await self._conversations.open(conversation)
        with state.use():
            await self._approvals.withdraw(state)
            state.history.clear()
            await self._store.clear(conversation)
        self._sink.emit(ConversationCleared(conversation=conversation))

    async def erase(self, forgotten: Forgotten) -> None:
        """Take turns that concern what is forgotten out of the open conversations."""
        self._conversations.erase(forgotten)

    async def reread_all(self) -> None:
        """Another agent went on with the conversations: what is stored of them counts."""
        await self._conversations.reread_all()

    async def reread(self, conversation: str) -> None:
        """What is stored of this conversation was replaced: go on with that, and show it."""
        state = await self._conversations.open(conversation)
        async with state.turn():
            await self._conversations.reread(state)
        self._sink.emit(ConversationCleared(conversation=conversation))
        for turn in [record.turn for record in state.history.turns]:
            self._sink.emit(
                UserMessage(conversation=conversation, turn=turn.id, text=turn.user_text, source=turn.source)
            )
            self._sink.emit(
                AssistantMessage(
                    conversation=conversation, turn=turn.id, text=turn.assistant_text, interrupted=turn.interrupted
                )
            )

    async def wait_kept(self) -> None:
        """Return when long-term memory has seen all turns."""
        await self._conversations.wait_saved()
        await self._consolidator.wait_kept()

    async def aclose(self) -> None:
        """Wait for what is still being stored, and end what tools have running; for the end of the program."""
        await self.front.stop()
        await self._conversations.aclose()
        await self._consolidator.aclose()
        await self._toolbox.aclose()
        await self._quiet_toolbox.aclose()

    def _prefill_again(self, conversation: str) -> None:
        """The engine was asked something else: bring back this conversation's prompt while nobody waits."""
        if (state := self._conversations.find(conversation)) is not None and not state.lock.locked():
            state.prefill.begin("")
