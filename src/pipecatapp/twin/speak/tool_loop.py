"""One request to its answer: ask the model, run the tools it asks for, ask again, until it speaks.

Never silence and never JSON: a broken call is repaired once under a grammar, then the model must answer in words; after
``MAX_CALLS`` tools too. What cannot be saved raises ``SpeechlessError`` with the sentence to say instead.
"""

from __future__ import annotations

import json
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from enum import Enum, auto
from functools import partial

from pipecatapp.domain import ApprovalRequest, Expert, Message, ToolCall, ToolResult, ToolSpec
from pipecatapp.errors import ContextOverflowError, ExpertBusyError, ModelError, PipecatAppError
from pipecatapp.ports import ChatChunk, ChatModel, ChatRequest, ModelProfile, ToolContext
from pipecatapp.twin.act.toolbox import Toolbox, failure
from pipecatapp.twin.remember.history import History, TokenEstimate
from pipecatapp.twin.speak.grammar import rest_of_words, turn_grammar
from pipecatapp.twin.speak.protocol import (
    TOOL_CALL_CLOSE,
    TOOL_CALL_OPEN,
    WAITING,
    defused,
    tool_call_text,
    tool_response_text,
    without_tools,
)
from pipecatapp.twin.speak.sentences import EMPTY, NO_CALL, TOO_MANY_CALLS, Apology
from pipecatapp.twin.speak.speakable import SpeakableFilter
from pipecatapp.twin.speak.tool_calls import MalformedCallError, ToolCallParser, parse_call, resumable
from pipecatapp.twin.streams import closing
from pipecatapp.twin.turn_progress import TurnProgress
from pipecatapp.twin.understand.routing import ROUTE, Routing, expert_words

MAX_CALLS = 4
_IGNORED_AFTER_CALL = 200  # characters; a model that babbles on behind its call is cut off
_LAST_CALL_NOTE = "That was the last tool for this request. Answer in words now."


class SpeechlessError(PipecatAppError):
    """The model gave nothing to say; ``apology`` is said instead."""

    def __init__(self, apology: Apology) -> None:
        super().__init__(apology.kind)
        self.apology = apology


@dataclass(slots=True)
class TurnRequest:
    """One request on its way: what the model is shown, and what came of it so far.

    ``messages`` begins with the request and grows by calls, results and the answer; ``calls`` are those that ran,
    ``asked`` is the one that waits for a person now.
    ``system_for`` is the front for another model, should one have to go on; ``given`` is a call that is
    clear before the model is asked.
    """

    words: str
    context: ToolContext
    profile: ModelProfile
    system: Message
    history: History
    tools: list[ToolSpec]
    experts: list[Expert]
    progress: TurnProgress
    messages: list[Message]
    system_for: Callable[[ModelProfile], Message] | None = None
    given: ToolCall | None = None
    calls: list[ToolCall] = field(default_factory=list)
    asked: ApprovalRequest | None = None
    told: int = 0  # characters of progress.text that belong to the messages before the last

    @property
    def max_tokens(self) -> int:
        """Room for one message of the model."""
        wanted = 200 if self.profile.prompt_style == "compact" else 512
        return min(wanted, self.profile.context_tokens // 3)


class _Form(Enum):
    """What the model's next message may be."""

    FREE = auto()
    CONSTRAINED = auto()
    WORDS = auto()


@dataclass(slots=True)
class _Reply:
    """One message of the model. ``raw`` as it was written, ``said`` what of it was spoken, ``body`` its call."""

    raw: str = ""
    said: str = ""
    body: str | None = None

    def as_words(self) -> str:
        """The message for the history: as written, unless it holds more than words."""
        return self.said if any(marker in self.raw for marker in ("<tool_", "<think>", "<|")) else self.raw

    def as_call(self, call: ToolCall) -> str:
        """The message for the history: as written where it has the form, so that the cache holds; else set right."""
        if TOOL_CALL_OPEN in self.raw and self.raw.rstrip().endswith(TOOL_CALL_CLOSE):
            return self.raw
        return "\n".join(part for part in (self.said.strip(), tool_call_text(call)) if part)


class ToolLoop:
    """Streams the answer to an exchange.

    Args:
        model: writes the messages.
        toolbox: runs the calls.
        routing: reaches the experts.
        estimate: learns how long this model's tokens are.
    """

    def __init__(self, model: ChatModel, toolbox: Toolbox, routing: Routing, estimate: TokenEstimate) -> None:
        self._model = model
        self._toolbox = toolbox
        self._routing = routing
        self._estimate = estimate

    async def run(
        self, exchange: TurnRequest, last: ToolResult | None = None, *, words_only: bool = False
    ) -> AsyncGenerator[str, None]:
        """The words of the answer as they come; none when it ends with a call that waits (``exchange.asked``).

        ``last``: the result that the exchange begins with. ``words_only``: no tool may follow it.

        Raises:
            ModelError: the model could not answer.
            SpeechlessError: it did, and there is nothing in it to say.
        """
        form = _Form.WORDS if words_only else _Form.FREE
        correction: list[Message] = []
        exchange.history.fit(
            [exchange.system, *exchange.messages],
            self._estimate,
            exchange.profile.context_tokens - exchange.max_tokens,
        )
        while True:
            reply = _Reply()
            if exchange.given is not None:
                given, exchange.given = exchange.given, None
                reply.body = json.dumps({"name": given.name, "arguments": dict(given.arguments)})
            else:
                async with closing(self._ask(exchange, form, correction, reply)) as words:
                    async for piece in words:
                        yield piece
            if reply.body is None:
                if not reply.said.strip():
                    reply.raw = reply.said = _spoken_result(last)
                    yield reply.said
                exchange.messages.append(Message("assistant", reply.as_words()))
                return
            if reply.said and not reply.said.endswith("\n"):
                yield "\n"  # speak these words now, not together with what comes after the tool
            if form is _Form.WORDS:
                if words_only and not reply.said.strip():
                    yield self.plainly(exchange, last)
                    return
                raise SpeechlessError(TOO_MANY_CALLS if exchange.calls else NO_CALL)
            try:
                call = parse_call(reply.body, f"call-{len(exchange.calls) + 1}")
            except MalformedCallError as error:
                correction = _correction(exchange, reply, error, again=form is _Form.FREE)
                form = _Form.CONSTRAINED if form is _Form.FREE else _Form.WORDS
                continue
            form, correction = _Form.FREE, []
            exchange.calls.append(call)
            if call.name == ROUTE:
                route = _Route(reply.as_call(call), call)
                async with closing(self._route(exchange, route)) as words:
                    async for piece in words:
                        yield piece
                if route.result.ok:
                    return
                last = route.result
            else:
                outcome = await self._toolbox.run(call, exchange.context)
                if isinstance(outcome, ApprovalRequest):
                    exchange.calls.remove(call)
                    exchange.asked = outcome
                    exchange.messages += [
                        Message("assistant", reply.as_call(call)),
                        Message("user", tool_response_text(WAITING)),
                    ]
                    exchange.told = len(exchange.progress.text)
                    return
                last = outcome
            told = clipped(last.text, exchange.profile)
            if len(exchange.calls) >= MAX_CALLS:
                form = _Form.WORDS
                told = f"{told}\n{_LAST_CALL_NOTE}" if _needs_notes(exchange.profile) else told
            exchange.messages += [
                Message("assistant", reply.as_call(call)),
                Message("user", self.response(exchange, call.name, told)),
            ]
            exchange.told = len(exchange.progress.text)
            if exchange.profile.prompt_style == "compact":
                # So small a model drops or invents words of a long result; as it is it can be spoken too.
                yield self.plainly(exchange, last)
                return

    def response(self, exchange: TurnRequest, tool: str, told: str) -> str:
        """A result as the model is shown it; from here on the exchange knows when somebody else wrote it."""
        untrusted = tool != ROUTE and self._toolbox.untrusted(tool)
        if untrusted:
            exchange.context = replace(exchange.context, tainted=True)
        # The starter model knows results only as they are, and can do nothing with them but say them.
        marked = untrusted and exchange.profile.prompt_style != "compact"
        return tool_response_text(told, untrusted=marked)

    @staticmethod
    def plainly(exchange: TurnRequest, result: ToolResult | None) -> str:
        """The result itself as the answer, for a model that has nothing to say about it."""
        said = _spoken_result(result)
        exchange.messages.append(Message("assistant", said))
        return said

    async def _ask(
        self, exchange: TurnRequest, form: _Form, correction: list[Message], reply: _Reply
    ) -> AsyncGenerator[str, None]:
        """One message of the model; forgets old turns when the prompt does not fit."""
        while True:
            request = ChatRequest(
                messages=[exchange.system, *exchange.history.messages(), *exchange.messages, *correction],
                max_tokens=exchange.max_tokens,
                temperature=_temperature(exchange.profile, form),
                grammar=_grammar(exchange, form, exchange.profile),
                slot_key=exchange.context.conversation,
                resume=partial(self._resumed, exchange, form, correction),
            )
            try:
                async with closing(self._stream(request, exchange.progress, reply)) as words:
                    async for piece in words:
                        yield piece
            except ContextOverflowError:
                if reply.raw or not exchange.history.drop_block():
                    raise
            else:
                return

    def _resumed(
        self, exchange: TurnRequest, form: _Form, correction: list[Message], raw: str, profile: ModelProfile
    ) -> ChatRequest:
        """The request with which another model goes on behind ``raw``. A call that is not whole is written again."""
        begun = resumable(raw)
        system = exchange.system_for(profile) if exchange.system_for else exchange.system
        grammar = _grammar(exchange, form, profile)
        return ChatRequest(
            messages=[system, *exchange.history.messages(), *exchange.messages, *correction],
            max_tokens=exchange.max_tokens,
            temperature=_temperature(profile, form),
            grammar=rest_of_words() if begun and grammar else grammar,
            slot_key=exchange.context.conversation,
            begun=begun,
        )

    async def _stream(self, request: ChatRequest, progress: TurnProgress, reply: _Reply) -> AsyncGenerator[str, None]:
        parser, clean = ToolCallParser(), SpeakableFilter()
        asked = time.monotonic()
        moved = False

        def spoken(words: str) -> str:
            words = words if reply.said else words.lstrip()
            reply.said += words
            return words

        async with closing(self._model.stream(request)) as chunks:
            async for chunk in chunks:
                progress.expert = chunk.by
                if chunk.kept is not None:
                    moved = True
                    if chunk.kept < len(reply.raw):
                        reply.raw, parser = reply.raw[: chunk.kept], ToolCallParser()
                if chunk.usage is not None:
                    progress.usage += chunk.usage
                    if not moved:
                        self._estimate.learn(request.messages, chunk.usage)
                if not chunk.text:
                    continue
                if progress.first_token_s is None:
                    progress.first_token_s = time.monotonic() - asked
                reply.raw += chunk.text
                if words := spoken(clean.feed(parser.feed(chunk.text))):
                    yield words
                if parser.ignored > _IGNORED_AFTER_CALL:
                    break
        if words := spoken(clean.feed(parser.finish()) + clean.finish()):
            yield words
        reply.body = parser.body
        reply.raw = reply.raw[: len(reply.raw) - parser.ignored]

    async def _route(self, exchange: TurnRequest, route: _Route) -> AsyncGenerator[str, None]:
        """Let an expert speak. A failure before its first word is a result for the model, a later one is raised."""
        said = ""
        with self._toolbox.told(route.call, exchange.context) as outcome:
            try:
                async with closing(expert_words(self._expert(exchange, route.call), exchange.progress)) as pieces:
                    async for words in pieces:
                        said += words
                        yield words
                outcome.result = ToolResult("the expert answered") if said.strip() else failure("it said nothing")
            except LookupError as error:
                outcome.result = failure(str(error.args[0]))
            except ExpertBusyError as error:
                outcome.result = failure(str(error))
            except ModelError:
                outcome.result = failure("the expert does not answer")
                if said:
                    raise
        route.result = outcome.result
        if outcome.result.ok:
            exchange.messages += [
                Message("assistant", route.raw),
                Message("user", tool_response_text(outcome.result.text)),
                Message("assistant", said),
            ]

    def _expert(self, exchange: TurnRequest, call: ToolCall) -> AsyncIterator[ChatChunk]:
        """Ask with the talk so far, and the request with what is known for it."""
        talk = [
            message
            for record in exchange.history.turns
            for message in (
                Message("user", record.turn.user_text),
                Message("assistant", record.turn.assistant_text),
            )
        ]
        content = without_tools(exchange.messages[0].content)
        words, query = defused(exchange.words), defused(str(call.arguments.get("query", "")).strip())
        if query and query != words.strip():
            content = content.replace(words, query, 1)
        talk.append(Message("user", content))
        return self._routing.ask(call.arguments, talk, exchange.context.conversation)


@dataclass(slots=True)
class _Route:
    """A call that goes to an expert: the message it came in, and how it ended."""

    raw: str
    call: ToolCall
    result: ToolResult = field(default_factory=lambda: failure("it was stopped"))


def _needs_notes(profile: ModelProfile) -> bool:
    """A model that no grammar holds must be told in words what it may write."""
    return not profile.grammars


def _temperature(profile: ModelProfile, form: _Form) -> float:
    return 0.0 if profile.prompt_style == "compact" or form is not _Form.FREE else 0.3


def _grammar(exchange: TurnRequest, form: _Form, profile: ModelProfile) -> str | None:
    """The starter model always writes under a grammar; a large one only when it got a call wrong: a grammar over a
    large vocabulary costs time at every token, and large models rarely need it."""
    if not profile.grammars:
        return None
    if form is _Form.WORDS:
        return turn_grammar([], [], exchange.words)
    if form is _Form.CONSTRAINED or profile.prompt_style == "compact":
        return turn_grammar(exchange.tools, [expert.name for expert in exchange.experts], exchange.words)
    return None


def _correction(exchange: TurnRequest, reply: _Reply, error: Exception, *, again: bool) -> list[Message]:
    """What the model is shown of its broken call. Under a grammar nothing: the prompt stays as the cache has it."""
    if not _needs_notes(exchange.profile):
        return []
    advice = "Send it again as one JSON object, or answer in words." if again else "Answer in words, without a tool."
    return [Message("assistant", reply.raw), Message("user", tool_response_text(f"error: {error}. {advice}"))]


def clipped(text: str, profile: ModelProfile) -> str:
    """A result that leaves room for everything else in the prompt (a token has about two characters or more)."""
    room = profile.context_tokens // 2
    if len(text) <= room:
        return text
    return f"{text[:room]}\n({len(text) - room} more characters are left out)"


def _spoken_result(result: ToolResult | None) -> str:
    """A model that has nothing to say about a result: the result itself is short enough to speak."""
    if result is None or not result.text.strip():
        raise SpeechlessError(EMPTY)
    return result.text if result.ok else f"That did not work: {result.text.removeprefix('error: ')}"
