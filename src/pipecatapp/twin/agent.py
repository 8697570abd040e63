"""The brain: a request becomes words, with the model, the tools and what is remembered. Knows only ports.

One turn: wait for the conversation's turn -> recall -> prompt -> stream; words go out as they come, a tool call is run
and its result goes back to the model; at the end the turn joins the history and is stored. Whatever fails is said in a
sentence.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from pipecatapp.domain import (
    INTERRUPTED,
    ApprovalRequest,
    ApprovalState,
    Fact,
    Message,
    Source,
    ToolCall,
    ToolResult,
    ToolSpec,
    Turn,
    TurnRecord,
)
from pipecatapp.errors import (
    ApprovalError,
    ModelError,
    StorageError,
    ToolError,
    UnfitDecisionError,
    UnknownRequestError,
)
from pipecatapp.events import (
    AssistantDelta,
    AssistantMessage,
    ConversationCleared,
    ErrorSpoken,
    Event,
    TurnFinished,
    UserMessage,
)
from pipecatapp.ports import (
    ChatModel,
    Classifier,
    ConversationStore,
    EventSink,
    ExpertDirectory,
    Memory,
    ModelProfile,
    Tool,
    ToolChooser,
    ToolContext,
    ToolSource,
)
from pipecatapp.twin.act.approval_prompts import DECIDED, Answered, ApprovalPrompts, Repeated
from pipecatapp.twin.act.approvals import STOPPED, ApprovalGate, Decision, Scope, outcome_of
from pipecatapp.twin.act.audit import digest_of
from pipecatapp.twin.act.external_calls import ExternalCalls
from pipecatapp.twin.act.tool_selection import LATE
from pipecatapp.twin.act.toolbox import Toolbox, failure
from pipecatapp.twin.open_conversation import OpenConversation, RunningTurn
from pipecatapp.twin.remember.consolidation import PAUSE_S, MemoryConsolidator
from pipecatapp.twin.remember.history import History, TokenEstimate, history_of
from pipecatapp.twin.speak.builder import PromptBuilder
from pipecatapp.twin.speak.prefill import Prefill, recall
from pipecatapp.twin.speak.protocol import (
    defused,
    last_observation,
    late_text,
    recalls,
    request_text,
    settled_text,
    tool_call_text,
    tool_response_text,
)
from pipecatapp.twin.speak.sentences import BUG, apology
from pipecatapp.twin.speak.tool_loop import SpeechlessError, ToolLoop, TurnRequest, clipped
from pipecatapp.twin.streams import closing
from pipecatapp.twin.turn_progress import TurnProgress, new_turn_id
from pipecatapp.twin.understand.memory_intents import plain_wish
from pipecatapp.twin.understand.routing import ROUTE, Routing

logger = logging.getLogger(__name__)

# Idle conversations beyond these are forgotten in memory; they come back from the store.
OPEN_CONVERSATIONS = 64
# What stands for a person's click, where the model expects words.
_ANSWERS = {ApprovalState.APPROVED: "yes", ApprovalState.REFUSED: "no"}
_TELLING_WORDS = 5  # a request of fewer says little without the one before it


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
        sources: further tools, which come and go.
        chooser: finds the tools that fit a request, where there are too many to tell the model of all every time.
        observe: what the camera sees now, in a sentence; empty where there is nothing to say.
        restarts_engine: the engine runs on this PC, under somebody who restarts it (said when it is gone).
        pause_s: how long nobody must have spoken before the model is asked what to remember.
        classifier: hands clear cases to an expert before the model is asked, or None.
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
        sources: Sequence[ToolSource] = (),
        chooser: ToolChooser | None = None,
        observe: Callable[[], str] = lambda: "",
        restarts_engine: bool = True,
        pause_s: float = PAUSE_S,
        classifier: Classifier | None = None,
    ) -> None:
        self._model = model
        self._sink = sink
        self._store = conversations
        self._memory = memory
        self._routing = Routing(experts, expert_persona or (lambda _: persona()), classifier)
        self._toolbox = Toolbox(tools, sink, approvals, off, sources)
        self._quiet_toolbox = Toolbox(tools, _Silence(), approvals, off, sources)
        self._prompts = PromptBuilder(persona, self._toolbox, self._routing, chooser, observe)
        self.desk = ExternalCalls(self._toolbox, approvals)
        self._gate = approvals
        self._announcements = ApprovalPrompts(approvals) if approvals else None
        self._restarts_engine = restarts_engine
        self._keeper = MemoryConsolidator(memory, model, self._evaluate_again, pause_s=pause_s)
        self._last_profile = ModelProfile("", 4096)
        self._estimate = TokenEstimate()
        self._loop = ToolLoop(model, self._toolbox, self._routing, self._estimate)
        self._conversations: dict[str, OpenConversation] = {}
        self._opening = asyncio.Lock()
        self._background: set[asyncio.Task[None]] = set()

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
        return frozenset(tool.name for tool in self._prompts.offer(self._last_profile).fixed)

    def choose(self, conversation: str, expert: str) -> None:
        """Hand every request of this conversation to the expert, until another is chosen; empty: whoever fits.

        Raises:
            LookupError: there is no such expert.
        """
        self._routing.choose(conversation, expert)

    def chosen(self, conversation: str) -> str:
        """The expert that was chosen by hand, empty: none."""
        return self._routing.chosen(conversation)

    def on_settled(self, tell: Callable[[ApprovalRequest], None]) -> None:
        """``tell`` has a turn go on with each call that was decided outside of the conversation (``resume``)."""

        def settled(request: ApprovalRequest) -> None:
            if not self.desk.settled(request):
                tell(request)

        if self._gate:
            self._gate.on_settled(settled)

    async def prepare(self, conversation: str, words: str) -> None:
        """Do while the person speaks what can be done: recall, and the prompt up to ``words`` into the engine's cache.

        ``words`` is the part of the transcript that will not change; empty readies only what stands in front of it.
        Never raises. Newer words supersede, ``respond`` ends it.
        """
        self._keeper.disturb()
        try:
            state = await self._open(conversation)
            if not state.lock.locked():
                await state.preparation.prepare(words)
        except Exception:
            logger.exception("preparing a turn failed; it only costs time")

    async def respond(
        self, conversation: str, text: str, source: Source, progress: TurnProgress | None = None
    ) -> AsyncGenerator[str, None]:
        """Answer a request: yields pieces of text that can be spoken, as the model writes them.

        Waits while another turn of the same conversation runs. Closing the iterator early (``contextlib.aclosing``) or
        cancelling ends the turn as interrupted; ``heard`` then says what was really heard.
        """
        progress = progress or TurnProgress(conversation, source)
        state = await self._open(conversation)
        async with self._keeper.busy(), state.turn():
            await self._superseded(state, state.history.drop_unheard(text))
            turn = RunningTurn(text, source, progress, time.time())
            self._sink.emit(UserMessage(conversation=conversation, turn=progress.id, text=text, source=source))
            async with closing(self._told(state, turn, self._replied(state, turn))) as pieces:
                async for piece in pieces:
                    yield piece

    async def resume(
        self, conversation: str, approval: str, progress: TurnProgress | None = None
    ) -> AsyncGenerator[str, None]:
        """Go on after a person's decision (or after nobody decided) outside of the conversation: carry the call out, or
        not, and speak about it. Like ``respond``; silent when that request was told already."""
        progress = progress or TurnProgress(conversation, "approval")
        state = await self._open(conversation)
        async with self._keeper.busy(), state.turn():
            request = self._gate.get(approval) if self._gate else None
            if request is None or request.state is ApprovalState.PENDING:
                return
            turn = RunningTurn("", "approval", progress, time.time())
            async with closing(self._told(state, turn, self._settled(state, turn, request))) as pieces:
                async for piece in pieces:
                    yield piece

    async def abandon(self, conversation: str, approval: str) -> None:
        """The turn that would have gone on with this request will not come: it is over, and only the history knows.

        Never raises but for cancellation: what cannot be written down is in the log.
        """
        try:
            await self._abandon(conversation, approval)
        except Exception:
            logger.exception("a call that is no longer wanted could not be closed")

    async def _abandon(self, conversation: str, approval: str) -> None:
        if self._gate is None or self._gate.get(approval) is None:
            return
        state = await self._open(conversation)
        async with state.turn():
            request = self._gate.get(approval)
            if request is None or request.state is ApprovalState.PENDING:
                return
            await self._gate.close(approval)
            profile = self._last_profile
            result = failure(STOPPED) if request.state is ApprovalState.APPROVED else outcome_of(request)
            shown = _settled_messages(profile, request, tool_response_text(result.text), "")
            turn = Turn(new_turn_id(), "", "", "approval", time.time(), interrupted=True)
            record = TurnRecord(turn, (*shown, Message("assistant", INTERRUPTED)))
            state.history.add(record)
            self._later(state, self._store.append(conversation, record))

    def pending(self) -> list[ApprovalRequest]:
        """The calls of all conversations that wait for a person, oldest first."""
        return self._gate.pending() if self._gate else []

    async def decide(
        self,
        approval: str,
        digest: str,
        decision: Decision,
        *,
        by: str,
        scope: Scope = "once",
        arguments: Mapping[str, Any] | None = None,
    ) -> ApprovalRequest:
        """A person's answer from outside of the conversation; ``arguments``: run it with these instead.

        Raises:
            ApprovalError: it cannot be taken; the kind says why.
        """
        if self._gate is None:
            raise UnknownRequestError("nothing waits for an answer here")
        request = self._gate.get(approval)
        edited = None
        if (
            request is not None
            and decision == "approve"
            and arguments is not None
            and digest_of(request.tool, arguments) != request.digest
        ):
            try:
                context = ToolContext(request.conversation, request.turn, request.words)
                edited = (arguments, await self._toolbox.preview(request.tool, arguments, context))
            except ToolError as error:
                raise UnfitDecisionError(str(error)) from error
        return await self._gate.decide(approval, digest, decision, by=by, scope=scope, edited=edited)

    async def complete(
        self, messages: Sequence[Message], progress: TurnProgress | None = None, expert: str = ""
    ) -> AsyncGenerator[str, None]:
        """Answer the last of a client's own messages (the OpenAI endpoint): nothing is stored, no event told.

        The client's system messages are added behind the persona. Unlike ``respond`` it raises what went wrong.
        ``expert``: this one answers, without tools.
        ``progress.usage`` is set when it ends; closing it early cancels.

        Raises:
            ValueError: the last message is not the user's.
            ModelError: the model could not answer.
        """
        progress = progress or TurnProgress("", "api")
        added = "\n".join(defused(message.content) for message in messages if message.role == "system")
        talk = [message for message in messages if message.role != "system"]
        if not talk or talk[-1].role != "user":
            raise ValueError("the last message must be the user's")
        words = talk[-1].content
        if expert:
            async with closing(self._routing.answer(expert, added, talk, progress)) as pieces:
                async for piece in pieces:
                    progress.text += piece
                    yield piece
            return
        profile = await self._model.profile()
        # Tools must not find a stored conversation behind this one.
        context = ToolContext("", progress.id)
        earlier = history_of([Message(message.role, defused(message.content)) for message in talk[:-1]])
        offer = self._prompts.offer(profile)
        exchange = self._prompts.exchange(offer, words, progress, context, earlier, added)
        # Their history, which is the client's, shows no tools: a request that goes on with the last one says little.
        asked = " ".join([*(message.content for message in talk[-3:-1] if message.role == "user"), words])
        tools = await offer.fitting(asked if len(words.split()) < _TELLING_WORDS else words)
        exchange.tools += tools
        facts = await recall(self._memory, words)
        exchange.messages.append(Message("user", request_text(words, facts, self._prompts.observe(), tools)))
        loop = ToolLoop(self._model, self._quiet_toolbox, self._routing, self._estimate)
        try:
            async with self._keeper.busy(), closing(loop.run(exchange)) as pieces:
                async for piece in pieces:
                    progress.text += piece
                    yield piece
        except SpeechlessError as error:
            progress.text += error.apology.text
            yield error.apology.text

    async def heard(self, conversation: str, turn_id: str, text: str) -> None:
        """After barge-in: only ``text`` came out of the speaker, so only that was said. Unknown turns are ignored."""
        state = await self._open(conversation)
        if self._announcements:
            self._announcements.cut(conversation, turn_id, text)
        if state.history.heard(turn_id, text) is None:
            return
        self._sink.emit(AssistantMessage(conversation=conversation, turn=turn_id, text=text, interrupted=True))
        self._later(state, self._store.amend(conversation, turn_id, text))

    def finish(self, progress: TurnProgress) -> None:
        """Tell what the turn cost, once."""
        if progress.finished:
            return
        progress.finished = True
        if self._announcements:
            self._announcements.said(progress.conversation, progress.id)
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

    async def clear(self, conversation: str) -> None:
        """Forget what was said in this conversation; a turn that runs goes on and is the first of the new one."""
        state = await self._open(conversation)
        with state.used():
            if self._gate:
                await self._gate.withdraw(conversation)
            state.history.clear()
            await self._store.clear(conversation)
        self._sink.emit(ConversationCleared(conversation=conversation))

    async def reread(self, conversation: str) -> None:
        """What is stored of this conversation was replaced: go on with that, and show it."""
        state = await self._open(conversation)
        async with state.turn():
            state.history.become(await self._stored(conversation))
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

    async def kept(self) -> None:
        """Return when long-term memory has seen all turns."""
        while self._background:
            await asyncio.wait(set(self._background))
        await self._keeper.settled()

    async def aclose(self) -> None:
        """Wait for what is still being stored, and end what tools have running; for the end of the program."""
        for state in list(self._conversations.values()):
            await state.preparation.stop()
        while self._background:
            await asyncio.wait(set(self._background))
        await self._keeper.aclose()
        await self._toolbox.aclose()
        await self._quiet_toolbox.aclose()

    async def _open(self, conversation: str) -> OpenConversation:
        """The state of a conversation, read from the store the first time."""
        if (state := self._conversations.get(conversation)) is not None:
            return state
        async with self._opening:
            if conversation not in self._conversations:
                history = History.resumed(await self._stored(conversation))

                async def base(words: str) -> list[Message]:
                    offer = self._prompts.offer(await self._model.profile())
                    return [self._prompts.system(offer), *history.messages(words)]

                async def fitting(words: str) -> list[ToolSpec] | None:
                    offer = self._prompts.offer(await self._model.profile())
                    return await self._prompts.new_tools(offer, words, history.messages(words)) if offer.many else None

                def news(words: str) -> str:
                    return self._prompts.news(last_observation(history.messages(words)))

                self._forget_idle()
                self._conversations[conversation] = OpenConversation(
                    conversation, history, Prefill(self._model, self._memory, base, conversation, fitting, news)
                )
            return self._conversations[conversation]

    def _forget_idle(self) -> None:
        """Drop from memory, oldest first, what is in the store anyway: every `pipecatapp ask` is a conversation."""
        for name, state in list(self._conversations.items()):
            if len(self._conversations) < OPEN_CONVERSATIONS:
                return
            if state.idle:
                del self._conversations[name]

    async def _stored(self, conversation: str) -> list[TurnRecord]:
        try:
            return await self._store.load(conversation)
        except OSError:
            logger.exception("conversation %s cannot be read; it begins afresh", conversation)
            return []

    async def _superseded(self, state: OpenConversation, record: TurnRecord | None) -> None:
        """The person goes on with a request of which nothing was heard: what it asked for is no longer wanted."""
        if record is not None and self._gate is not None:
            await self._gate.withdraw(state.id, record.turn.id)

    async def _told(
        self, state: OpenConversation, turn: RunningTurn, answer: AsyncGenerator[str, None]
    ) -> AsyncGenerator[str, None]:
        """The answer with everything around it: events, times, history."""
        progress = turn.progress
        try:
            async with closing(self._spoken(state, turn, answer)) as pieces:
                async for piece in pieces:
                    if progress.total_s is None and not progress.spoken:
                        progress.total_s = time.monotonic() - progress.started
                    progress.text += piece
                    self._sink.emit(AssistantDelta(conversation=state.id, turn=progress.id, text=piece))
                    yield piece
            turn.whole = True
        finally:
            self._end(state, turn)

    async def _spoken(
        self, state: OpenConversation, turn: RunningTurn, answer: AsyncGenerator[str, None]
    ) -> AsyncGenerator[str, None]:
        """The answer, and where it fails the sentence that says so; at its end what waits for the person."""
        try:
            async with closing(answer) as pieces:
                async for piece in pieces:
                    yield piece
            if said := await self._announced(state, turn):
                yield said
            return
        except ModelError as error:
            logger.warning("the model could not answer: %s", error)
            sorry = apology(error, restarts_engine=self._restarts_engine)
        except SpeechlessError as error:
            sorry = error.apology
        except Exception:
            logger.exception("a turn failed")
            sorry = BUG
        self._sink.emit(ErrorSpoken(conversation=state.id, kind=sorry.kind, text=sorry.text))
        said = turn.progress.text
        turn.failed_at = len(said)
        yield sorry.text if not said or said[-1].isspace() else f" {sorry.text}"

    async def _replied(self, state: OpenConversation, turn: RunningTurn) -> AsyncGenerator[str, None]:
        """What is said to the person's words: they answer a request that waits, or are one."""
        progress = turn.progress
        answer: Answered | Repeated | None = None
        if self._announcements:
            began = progress.started if progress.began is None else progress.began
            answer = self._announcements.answer(state.id, turn.text, turn.source, began)
            self._announcements.began(state.id)
        match answer:
            case None:
                work = self._answered(state, turn)
            case Answered():
                work = self._decided(state, turn, answer)
            case Repeated():
                work = self._repeated(state, turn, answer)
        async with closing(work) as pieces:
            async for piece in pieces:
                yield piece

    async def _decided(self, state: OpenConversation, turn: RunningTurn, answer: Answered) -> AsyncGenerator[str, None]:
        """The person's words answered a request."""
        assert self._gate is not None  # noqa: S101 - or there were no announcements
        request = answer.request
        try:
            decision: Decision = "approve" if answer.approved else "refuse"
            request = await self._gate.decide(request.id, request.digest, decision, by=turn.source)
        except ApprovalError as error:
            await state.preparation.stop()
            turn.plain = (Message("user", defused(turn.text)),)
            yield f"That comes too late: {error}."
            return
        except asyncio.CancelledError:
            await self._close(request.id)
            raise
        async with closing(self._settled(state, turn, request)) as pieces:
            async for piece in pieces:
                yield piece

    async def _close(self, approval: str) -> None:
        """The request is over. Where that cannot be written, what was done is told all the same."""
        assert self._gate is not None  # noqa: S101 - there is a request
        try:
            await self._gate.close(approval)
        except StorageError:
            logger.exception("a call that was decided could not be closed")

    async def _repeated(
        self, state: OpenConversation, turn: RunningTurn, answer: Repeated
    ) -> AsyncGenerator[str, None]:
        """The person's words do not answer a request yet: it is read out (again)."""
        await state.preparation.stop()
        turn.plain = (Message("user", defused(turn.text)),)
        turn.announces = answer.request
        yield answer.text

    async def _settled(
        self, state: OpenConversation, turn: RunningTurn, request: ApprovalRequest
    ) -> AsyncGenerator[str, None]:
        """Carry out what was approved, or not, and let the model speak about it."""
        assert self._gate is not None  # noqa: S101 - there is a request
        try:
            if self._announcements:
                self._announcements.began(state.id)
            await state.preparation.stop()
            offer = self._prompts.offer(await self._known_profile())
            context = self._prompts.context(state.id, turn.progress.id, turn.text, state.history)
            exchange = turn.exchange = self._prompts.exchange(
                offer, request.words, turn.progress, context, state.history
            )
            result = await self._outcome(turn, exchange, request)
        finally:
            await self._close(request.id)
        carried_out = request.state is ApprovalState.APPROVED and exchange.profile.prompt_style != "compact"
        try:
            async with closing(self._loop.run(exchange, result, words_only=not carried_out)) as pieces:
                async for piece in pieces:
                    yield piece
        except (ModelError, SpeechlessError):
            # What was done must be told, whatever the model does.
            if turn.progress.text.strip():
                raise
            yield self._loop.plainly(exchange, result)

    async def _outcome(self, turn: RunningTurn, exchange: TurnRequest, request: ApprovalRequest) -> ToolResult:
        """What came of a decision, as the model is shown it; also when it is cut short."""
        result = failure("it was stopped")
        try:
            if request.state is ApprovalState.APPROVED:
                exchange.calls.append(ToolCall(request.id, request.tool, request.arguments))
                result = await self._toolbox.carry_out(request, exchange.context)
            else:
                result = outcome_of(request)
        finally:
            shown = self._loop.response(exchange, request.tool, clipped(result.text, exchange.profile))
            exchange.messages += _settled_messages(exchange.profile, request, shown, turn.text)
        return result

    async def _announced(self, state: OpenConversation, turn: RunningTurn) -> str:
        """What the turn says at its end of requests that wait; it belongs to the answer from then on."""
        exchange = turn.exchange
        asked = exchange.asked if exchange else None
        if self._announcements is None or exchange is None:
            if self._announcements and turn.announces:
                self._announcements.announce(state.id, turn.progress.id, turn.announces, turn.progress.text)
            return ""
        closing_words = await self._announcements.closing(state.id, asked)
        if closing_words is None:
            text = DECIDED if asked else ""
        else:
            text, request = closing_words
            self._announcements.announce(state.id, turn.progress.id, request, text)
        if not text:
            return ""
        last = exchange.messages[-1]
        if last.role == "assistant":
            exchange.messages[-1] = Message("assistant", f"{last.content.rstrip()}\n{text}")
        else:
            exchange.messages.append(Message("assistant", text))
        said = turn.progress.text
        return f"\n{text}" if said and not said.endswith("\n") else text

    async def _known_profile(self) -> ModelProfile:
        """The model's profile, or the last one that is known: what was decided is done while the engine sleeps too."""
        try:
            self._last_profile = await self._model.profile()
        except ModelError as error:
            logger.info("the model is not there (%s); going on without it", error)
        return self._last_profile

    async def _clear_call(self, exchange: TurnRequest, facts: Sequence[Fact]) -> ToolCall | None:
        """What the request asks for where that is clear before the model is asked, or chosen by hand."""
        conversation, words = exchange.context.conversation, exchange.words
        if expert := await self._routing.direct(conversation, words):
            return ToolCall("", ROUTE, {"expert": expert, "query": words})
        if exchange.profile.prompt_style == "compact":
            return plain_wish(words, {tool.name for tool in exchange.tools}, facts)
        return None

    async def _answered(self, state: OpenConversation, turn: RunningTurn) -> AsyncGenerator[str, None]:
        front = await state.preparation.stop()
        profile = self._last_profile = await self._model.profile()
        context = self._prompts.context(state.id, turn.progress.id, turn.text, state.history)
        offer = self._prompts.offer(profile)
        exchange = turn.exchange = self._prompts.exchange(offer, turn.text, turn.progress, context, state.history)
        facts = await recall(self._memory, turn.text)
        exchange.given = await self._clear_call(exchange, facts)
        tools = await self._prompts.new_tools(offer, turn.text, state.history.messages())
        told = last_observation(state.history.messages())
        if front is None:
            content = request_text(turn.text, facts, self._prompts.news(told), tools)
        else:
            known = {fact.id for fact in front.facts} | {tool.name for tool in front.tools}
            content = request_text(turn.text, front.facts, front.observation, front.tools)
            facts = [fact for fact in facts if fact.id not in known]
            tools = [tool for tool in tools[:LATE] if tool.name not in known]
            content = late_text(content, facts, self._prompts.news(front.observation or told), tools)
            exchange.tools += front.tools
        exchange.tools += tools
        exchange.messages.append(Message("user", content))
        exchange.context = replace(exchange.context, recalled=exchange.context.recalled or recalls(content))
        async with closing(self._loop.run(exchange)) as pieces:
            async for piece in pieces:
                yield piece

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
                tool_calls=tuple(turn.exchange.calls) if turn.exchange else (),
                cost=progress.cost(),
                expert=progress.expert,
            ),
            tuple(turn.messages()),
        )
        if self._announcements and not turn.whole:
            self._announcements.cut(state.id, progress.id)
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
        self._later(state, self._keep(state.id, record, before))
        if cut:
            # The prompt's front has changed: evaluate it now, while nobody waits.
            state.preparation.begin("")

    async def _keep(self, conversation: str, record: TurnRecord, before: Sequence[Turn]) -> None:
        await self._store.append(conversation, record)
        # Who cuts the answer short has finished speaking; who is cut short before a word says all of it again.
        if record.turn.user_text and (record.turn.assistant_text or not record.turn.interrupted):
            self._keeper.add(conversation, record.turn, before)

    def _evaluate_again(self, conversation: str) -> None:
        """The engine was asked something else: bring back this conversation's prompt while nobody waits."""
        if (state := self._conversations.get(conversation)) is not None and not state.lock.locked():
            state.preparation.begin("")

    def _later(self, state: OpenConversation, work: Coroutine[Any, Any, None]) -> None:
        async def logged() -> None:
            try:
                await work
            except Exception:
                logger.exception("storing a turn failed")

        def done(task: asyncio.Task[None]) -> None:
            state.users -= 1
            self._background.discard(task)

        state.users += 1
        task = asyncio.create_task(logged())
        self._background.add(task)
        task.add_done_callback(done)


def _settled_messages(profile: ModelProfile, request: ApprovalRequest, shown: str, words: str) -> list[Message]:
    """What the model sees of a decision. The starter model knows results only behind their call."""
    call = ToolCall(request.id, request.tool, request.arguments)
    if profile.prompt_style == "compact":
        said = defused(words) or _ANSWERS.get(request.state, "(no answer)")
        return [Message("user", said), Message("assistant", tool_call_text(call)), Message("user", shown)]
    return [Message("user", settled_text(call, f"{request.state} by {request.by}", shown, words))]
