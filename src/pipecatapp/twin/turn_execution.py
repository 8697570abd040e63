"""Runs one turn, from waiting for its place to its place in the store. Whatever fails is said in a sentence."""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from dataclasses import replace

from pipecatapp.defusing import defuse
from pipecatapp.domain import ApprovalRequest, Fact, Message, ToolCall, Turn, TurnRecord, speaker_of
from pipecatapp.errors import ModelError
from pipecatapp.events import AssistantDelta, AssistantMessage, ErrorSpoken, TurnFinished, UserMessage
from pipecatapp.languages import language
from pipecatapp.ports import ConversationStore, EventSink, Memory
from pipecatapp.timekeeping import Ringing
from pipecatapp.twin.act.tool_selection import LATE
from pipecatapp.twin.approval_turns import ApprovalTurns
from pipecatapp.twin.open_conversations import OpenConversation, OpenConversations, RunningTurn
from pipecatapp.twin.remember.consolidation import MemoryConsolidator
from pipecatapp.twin.speak.builder import PromptBuilder
from pipecatapp.twin.speak.current_dialect import CurrentDialect
from pipecatapp.twin.speak.prefill import recall
from pipecatapp.twin.speak.protocol import GO_ON, last_observation, late_text, recalls, request_text
from pipecatapp.twin.speak.sentences import BUG, MORE, Apology, apology
from pipecatapp.twin.speak.tool_loop import SpeechlessError, ToolLoop
from pipecatapp.twin.speak.turn_request import TurnRequest
from pipecatapp.twin.streams import closing, one
from pipecatapp.twin.turn_progress import TurnProgress
from pipecatapp.twin.understand.reflex_turns import ReflexTurns
from pipecatapp.twin.understand.routing import ROUTE, Routing

logger = logging.getLogger(__name__)

NOTICE = "[notice]"  # in the place of a request, where the agent told something by itself


class TurnExecutor:
    """Runs the turns of all conversations.

    Args:
        conversations: those that are open.
        dialect: how the model wants to be spoken to.
        prompts: builds the prompts.
        loop: has the model answer them.
        approvals: answers and settles what waits for a person.
        routing: knows clear cases for an expert.
        reflex: answers what needs no model.
        memory: long-term memory, or None.
        consolidator: keeps finished turns in it.
        sink: where every step is told.
        store: keeps finished turns.
        ringing: what rings hears a person's words first; None: nothing ever does.
        restarts_engine: the engine runs on this PC, under somebody who restarts it (said when it is gone).
    """

    def __init__(
        self,
        conversations: OpenConversations,
        dialect: CurrentDialect,
        prompts: PromptBuilder,
        loop: ToolLoop,
        approvals: ApprovalTurns,
        routing: Routing,
        reflex: ReflexTurns,
        memory: Memory | None,
        consolidator: MemoryConsolidator,
        sink: EventSink,
        store: ConversationStore,
        *,
        ringing: Ringing | None = None,
        restarts_engine: bool,
    ) -> None:
        self._conversations = conversations
        self._dialect = dialect
        self._prompts = prompts
        self._loop = loop
        self._approvals = approvals
        self._routing = routing
        self._reflex = reflex
        self._memory = memory
        self._consolidator = consolidator
        self._sink = sink
        self._store = store
        self._ringing = ringing
        self._restarts_engine = restarts_engine

    async def run(
        self, progress: TurnProgress, text: str = "", approval: str = "", notice: str = ""
    ) -> AsyncGenerator[str, None]:
        """The turn's words as they come: the answer to ``text``, what came of the request ``approval``, or a ``notice``
        that nobody asked for.

        Waits while another turn of the same conversation runs. Silent when that request was told already.
        """
        state = await self._conversations.open(progress.conversation)
        async with self._consolidator.busy(), state.turn():
            decided = self._approvals.find_decided(approval)
            if approval and decided is None:
                return
            turn = RunningTurn(text, progress.source, progress, time.time())
            if not approval and not notice:
                if (superseded := state.history.drop_unheard(text)) is not None:
                    await self._approvals.withdraw(state, superseded.turn.id)
                self._sink.emit(UserMessage(conversation=state.id, turn=progress.id, text=text, source=turn.source))
            try:
                sorry: Apology | None = None
                try:
                    answer = self._tell_notice(turn, notice) if notice else await self._begin(state, turn, decided)
                    async with closing(answer) as pieces:
                        async for piece in pieces:
                            yield self._tell(turn, piece)
                    if announcement := await self._approvals.announce(state, turn):
                        yield self._tell(turn, announcement)
                    elif offer := self._offer_more(state, turn):
                        yield self._tell(turn, offer)
                except ModelError as error:
                    logger.warning("the model could not answer: %s", error)
                    sorry = apology(error, restarts_engine=self._restarts_engine)
                except SpeechlessError as error:
                    sorry = error.apology
                except Exception:
                    logger.exception("a turn failed")
                    sorry = BUG
                if sorry is not None:
                    yield self._tell(turn, self._apologise(turn, sorry))
                turn.whole = True
            finally:
                self._end(state, turn)

    async def record_heard(self, conversation: str, turn_id: str, text: str) -> None:
        """After barge-in: only ``text`` came out of the speaker, so only that was said. Unknown turns are ignored."""
        state = await self._conversations.open(conversation)
        self._approvals.record_heard(conversation, turn_id, text)
        if state.history.record_heard(turn_id, text) is None:
            return
        self._sink.emit(AssistantMessage(conversation=conversation, turn=turn_id, text=text, interrupted=True))
        self._conversations.save(state, self._store.amend(conversation, turn_id, text))

    def finish(self, progress: TurnProgress) -> None:
        """Tell what the turn cost, once."""
        if progress.finished:
            return
        progress.finished = True
        self._approvals.record_said(progress)
        usage = progress.usage
        self._sink.emit(
            TurnFinished(
                conversation=progress.conversation,
                turn=progress.id,
                stt_s=progress.stt_s,
                first_token_s=progress.first_token_s,
                first_audio_s=progress.first_audio_s,
                total_s=progress.total_s,
                prompt_tokens=usage.prompt_tokens,
                cached_tokens=usage.cached_tokens,
                evaluated_tokens=usage.evaluated_tokens,
                generated_tokens=usage.generated_tokens,
                expert=progress.expert,
            )
        )

    async def _begin(
        self, state: OpenConversation, turn: RunningTurn, decided: ApprovalRequest | None
    ) -> AsyncIterator[str]:
        """The answer, about to stream: to a decision, to words that answer a request, or to a request."""
        if decided is not None:
            return await self._approvals.settle(state, turn, decided)
        if (over := await self._end_ringing(state, turn)) is not None:
            return one(over)
        if (answer := self._approvals.match(state, turn)) is not None:
            return await self._approvals.answer(state, turn, answer)
        if (decided_now := await self._reflex.begin(state, turn)) is not None:
            return decided_now
        return self._loop.run(await self._prepare(state, turn))

    async def _end_ringing(self, state: OpenConversation, turn: RunningTurn) -> str | None:
        """The sentence about what rang, where the words end it."""
        if self._ringing is None or speaker_of(turn.source) != "person":
            return None
        over = await self._ringing.answer(state.id, turn.text)
        if over is not None:
            await state.prefill.stop()
            turn.plain = (Message("user", defuse(turn.text)),)
        return over

    def _tell_notice(self, turn: RunningTurn, notice: str) -> AsyncIterator[str]:
        turn.plain = (Message("user", NOTICE),)
        return one(notice)

    async def _prepare(self, state: OpenConversation, turn: RunningTurn) -> TurnRequest:
        """The person's words as a request, with what is known for them."""
        goes_on, state.offers_more = state.offers_more and language().means_go_on(turn.text), False
        prefix = await state.prefill.stop()
        selection = self._prompts.select_tools(await self._dialect.now())
        context = self._prompts.context(
            state.id, turn.progress.id, turn.text, state.history, speaker=speaker_of(turn.source)
        )
        request = turn.request = self._prompts.begin(selection, turn.text, turn.progress, context, state.history)
        facts = await recall(self._memory, turn.text)
        clear = await self._find_clear_call(request, facts)
        request.given = [clear] if clear is not None else []
        tools = await self._prompts.new_tools(selection, turn.text, state.history.messages())
        seen = last_observation(state.history.messages())
        if prefix is None:
            content = request_text(turn.text, facts, self._prompts.news(seen), tools)
        else:
            known = {fact.id for fact in prefix.facts} | {tool.name for tool in prefix.tools}
            content = request_text(turn.text, prefix.facts, prefix.observation, prefix.tools)
            facts = [fact for fact in facts if fact.id not in known]
            tools = [tool for tool in tools[:LATE] if tool.name not in known]
            content = late_text(content, facts, self._prompts.news(prefix.observation or seen), tools)
            request.tools += prefix.tools
        if goes_on:
            content = f"{content}\n{GO_ON}"
        request.tools += tools
        request.messages.append(Message("user", content))
        request.is_watched = request.dialect.rewords_results
        request.context = replace(request.context, recalled=request.context.recalled or recalls(content))
        return request

    def _offer_more(self, state: OpenConversation, turn: RunningTurn) -> str:
        """The question at the end of an answer that had no more room; it belongs to the answer from then on."""
        request = turn.request
        if turn.progress.finish_reason != "length" or request is None or not request.dialect.rewords_results:
            return ""
        last = request.messages[-1]
        request.messages[-1] = Message(last.role, f"{last.content.rstrip()}\n{MORE}")
        state.offers_more = True
        return f"\n{MORE}"

    async def _find_clear_call(self, request: TurnRequest, facts: Sequence[Fact]) -> ToolCall | None:
        """What the request asks for where that is clear before the model is asked, or chosen by hand."""
        if expert := await self._routing.choose_directly(request.context.conversation, request.words):
            return ToolCall("", ROUTE, {"expert": expert, "query": request.words})
        return request.dialect.intent(request.words, request.schemas.keys(), facts)

    def _tell(self, turn: RunningTurn, piece: str) -> str:
        """The next piece of the answer, written down and told."""
        progress = turn.progress
        if progress.total_s is None and not progress.spoken:
            progress.total_s = time.monotonic() - progress.started
        progress.text += piece
        self._sink.emit(AssistantDelta(conversation=progress.conversation, turn=progress.id, text=piece))
        return piece

    def _apologise(self, turn: RunningTurn, sorry: Apology) -> str:
        """The sentence that says what went wrong, behind what was said already."""
        said = turn.progress.text
        turn.failed_at = len(said)
        self._sink.emit(ErrorSpoken(conversation=turn.progress.conversation, kind=sorry.kind, text=sorry.text))
        return sorry.text if not said or said[-1].isspace() else f" {sorry.text}"

    def _end(self, state: OpenConversation, turn: RunningTurn) -> None:
        """The turn is over, whole or not: history, events, storage. Does not wait, for it also runs on cancellation."""
        progress = turn.progress
        said = progress.text.strip()
        record = TurnRecord(
            Turn(
                id=progress.id,
                user_text=turn.text,
                assistant_text=said,
                source=turn.source,
                started_at=turn.started_at,
                interrupted=not turn.whole,
                tool_calls=tuple(turn.request.calls) if turn.request else (),
                cost=progress.cost(),
                expert=progress.expert,
            ),
            tuple(turn.messages()),
        )
        if not turn.whole:
            self._approvals.record_heard(state.id, progress.id)
        cut = state.history.add(record)
        self._sink.emit(
            AssistantMessage(
                conversation=state.id,
                turn=progress.id,
                text=said,
                interrupted=not turn.whole,
                expert=progress.expert,
            )
        )
        if not progress.spoken:
            self.finish(progress)
        before = tuple(earlier.turn for earlier in state.history.turns[-4:] if earlier is not record)
        self._conversations.save(state, self._keep(state.id, record, before))
        if cut:
            # The prompt's front has changed: evaluate it now, while nobody waits.
            state.prefill.begin("")

    async def _keep(self, conversation: str, record: TurnRecord, before: Sequence[Turn]) -> None:
        await self._store.append(conversation, record)
        if self._memory is not None:
            await self._memory.finish_forgetting()
        # Who cuts the answer short has finished speaking; who is cut short before a word says all of it again.
        if record.turn.user_text and (record.turn.assistant_text or not record.turn.interrupted):
            self._consolidator.add(conversation, record.turn, before)
