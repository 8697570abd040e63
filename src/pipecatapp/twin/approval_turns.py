"""A person's answer in the brain: words that answer a request, and the turn that goes on with what was decided."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator

from pipecatapp.domain import (
    INTERRUPTED,
    ApprovalAnswer,
    ApprovalRequest,
    ApprovalState,
    Message,
    ToolCall,
    ToolResult,
    Turn,
    TurnRecord,
)
from pipecatapp.errors import ApprovalError, StorageError, ToolError, UnfitDecisionError
from pipecatapp.ports import ConversationStore, ToolContext
from pipecatapp.twin.act.approval_prompts import DECIDED, Answered, ApprovalPrompts, Repeated
from pipecatapp.twin.act.approval_views import STOPPED, outcome_of
from pipecatapp.twin.act.approvals import ApprovalGate
from pipecatapp.twin.act.audit import digest_of
from pipecatapp.twin.act.toolbox import Toolbox, failure
from pipecatapp.twin.open_conversations import OpenConversation, OpenConversations, RunningTurn
from pipecatapp.twin.speak.builder import PromptBuilder
from pipecatapp.twin.speak.current_dialect import CurrentDialect
from pipecatapp.twin.speak.dialect import clip
from pipecatapp.twin.speak.protocol import WAITING, defuse, tool_response_text
from pipecatapp.twin.speak.tool_loop import ToolLoop
from pipecatapp.twin.speak.turn_request import TurnRequest
from pipecatapp.twin.streams import none, one
from pipecatapp.twin.turn_progress import TurnProgress, new_turn_id

logger = logging.getLogger(__name__)


class ApprovalTurns:
    """Answers and settles approvals.

    Args:
        gate: where calls wait.
        toolbox: carries them out.
        dialect: how the model wants to be spoken to.
        prompts: builds the prompts.
        loop: has the model speak about what came of a call.
        conversations: those that are open.
        store: keeps what is told only there.
    """

    def __init__(
        self,
        gate: ApprovalGate,
        toolbox: Toolbox,
        dialect: CurrentDialect,
        prompts: PromptBuilder,
        loop: ToolLoop,
        conversations: OpenConversations,
        store: ConversationStore,
    ) -> None:
        self._gate = gate
        self._toolbox = toolbox
        self._dialect = dialect
        self._prompts = prompts
        self._loop = loop
        self._conversations = conversations
        self._store = store
        self._read_out = ApprovalPrompts(gate)

    # From outside of the conversation.

    async def decide(self, answer: ApprovalAnswer) -> ApprovalRequest:
        """A person's answer.

        Raises:
            ApprovalError: it cannot be taken; the kind says why.
        """
        request = self._gate.get(answer.request)
        arguments, edited = answer.arguments, None
        if (
            request is not None
            and answer.decision == "approve"
            and arguments is not None
            and digest_of(request.tool, arguments) != digest_of(request.tool, request.arguments)
        ):
            try:
                context = ToolContext(request.conversation, request.turn, request.words, request.speaker)
                edited = await self._toolbox.preview(request.tool, arguments, context)
            except ToolError as error:
                raise UnfitDecisionError(str(error)) from error
        return await self._gate.decide(answer, edited)

    async def abandon(self, conversation: str, approval: str) -> None:
        """The turn that would have gone on with this request will not come: it is over, and only the history knows.

        Never raises but for cancellation: what cannot be written down is in the log.
        """
        try:
            if self._gate.get(approval) is not None:
                await self._abandon(await self._conversations.open(conversation), approval)
        except Exception:
            logger.exception("a call that is no longer wanted could not be closed")

    async def _abandon(self, state: OpenConversation, approval: str) -> None:
        async with state.turn():
            request = self.find_decided(approval)
            if request is None:
                return
            await self._gate.close(approval)
            result = failure(STOPPED) if request.state is ApprovalState.APPROVED else outcome_of(request)
            shown = self._dialect.last.decision(request, tool_response_text(result.text), "")
            turn = Turn(new_turn_id(), "", "", "approval", time.time(), interrupted=True)
            record = TurnRecord(turn, (*shown, Message("assistant", INTERRUPTED)))
            state.history.add(record)
            self._conversations.save(state, self._store.append(state.id, record))

    def find_decided(self, approval: str) -> ApprovalRequest | None:
        """The request, where it was decided and is not told yet."""
        request = self._gate.get(approval)
        return None if request is None or request.state is ApprovalState.PENDING else request

    # In a turn.

    def match(self, state: OpenConversation, turn: RunningTurn) -> Answered | Repeated | None:
        """What the turn's words are to the requests that wait; None when they are an ordinary request."""
        progress = turn.progress
        began = progress.started if progress.began is None else progress.began
        answer = self._read_out.answer(state.id, turn.text, turn.source, began)
        self._read_out.began(state.id)
        return answer

    async def answer(
        self, state: OpenConversation, turn: RunningTurn, answer: Answered | Repeated
    ) -> AsyncIterator[str]:
        """What is said to words that answer a request, or (``Repeated``) do not answer it yet."""
        if isinstance(answer, Repeated):
            await state.prefill.stop()
            turn.plain = (Message("user", defuse(turn.text)),)
            turn.announces = answer.request
            return one(answer.text)
        request = answer.request
        try:
            yes = ApprovalAnswer(request.id, request.digest, "approve" if answer.approved else "refuse", turn.source)
            request = await self._gate.decide(yes)
        except ApprovalError as error:
            await state.prefill.stop()
            turn.plain = (Message("user", defuse(turn.text)),)
            return one(f"That comes too late: {error}.")
        except asyncio.CancelledError:
            await self._close(request.id)
            raise
        return await self.settle(state, turn, request)

    async def settle(self, state: OpenConversation, turn: RunningTurn, approval: ApprovalRequest) -> AsyncIterator[str]:
        """Carry out what was approved, or not, and let the model speak about it."""
        try:
            self._read_out.began(state.id)
            await state.prefill.stop()
            selection = self._prompts.select_tools(await self._dialect.now_or_last())
            context = self._prompts.context(
                state.id, turn.progress.id, approval.words, state.history, speaker=approval.speaker
            )
            request = turn.request = self._prompts.begin(
                selection, approval.words, turn.progress, context, state.history
            )
            result = await self._carry_out(turn, request, approval)
        finally:
            await self._close(approval.id)
        if result is None:
            return none()
        if result.lost:
            # No model may make a success of it, or do it once more.
            return one(self._loop.answer_with(request, result))
        may_go_on = approval.state is ApprovalState.APPROVED and request.dialect.rewords_results
        return self._loop.tell(request, result, words_only=not may_go_on)

    async def _carry_out(self, turn: RunningTurn, request: TurnRequest, approval: ApprovalRequest) -> ToolResult | None:
        """What came of a decision, as the model is shown it; also when it is cut short. None: it was looked at, and the
        call itself waits for a person now (``request.asked``)."""
        result = failure("it was stopped")
        call = ToolCall(approval.id, approval.tool, approval.arguments)
        try:
            if approval.state is ApprovalState.APPROVED:
                request.calls.append(call)
                outcome = await self._toolbox.carry_out(approval, request.context)
                if isinstance(outcome, ApprovalRequest):
                    request.calls.remove(call)
                    request.asked = outcome
                    return None
                result = outcome
            else:
                result = outcome_of(approval)
        finally:
            if request.asked is None:
                shown = self._loop.respond(request, approval.tool, clip(result.text, request.dialect))
            else:
                shown = tool_response_text(WAITING)
            request.messages += request.dialect.decision(approval, shown, turn.text)
        return result

    async def _close(self, approval: str) -> None:
        """The request is over. Where that cannot be written, what was done is told all the same."""
        try:
            await self._gate.close(approval)
        except StorageError:
            logger.exception("a call that was decided could not be closed")

    async def announce(self, state: OpenConversation, turn: RunningTurn) -> str:
        """What the turn says at its end of requests that wait; it belongs to the answer from then on."""
        request = turn.request
        if request is None:
            if turn.announces:
                self._read_out.announce(state.id, turn.progress.id, turn.announces, turn.progress.text)
            return ""
        last_words = await self._read_out.closing(state.id, request.asked)
        if last_words is None:
            text = DECIDED if request.asked else ""
        else:
            text, approval = last_words
            self._read_out.announce(state.id, turn.progress.id, approval, text)
        if not text:
            return ""
        last = request.messages[-1]
        if last.role == "assistant":
            request.messages[-1] = Message("assistant", f"{last.content.rstrip()}\n{text}")
        else:
            request.messages.append(Message("assistant", text))
        said = turn.progress.text
        return f"\n{text}" if said and not said.endswith("\n") else text

    async def withdraw(self, state: OpenConversation, turn: str | None = None) -> None:
        """What this turn asked for (or all turns) is no longer wanted."""
        await self._gate.withdraw(state.id, turn)

    def record_said(self, progress: TurnProgress) -> None:
        """All that the turn had to say was said."""
        self._read_out.said(progress.conversation, progress.id)

    def record_heard(self, conversation: str, turn: str, heard: str = "") -> None:
        """The turn was interrupted: only this was heard of it."""
        self._read_out.cut(conversation, turn, heard)
