"""One request to its answer: ask the model, run the tools it asks for, ask again, until it speaks.

Never silence and never JSON: a broken call is repaired once under a grammar, then the model must answer in words; after
``MAX_CALLS`` tools too. What cannot be saved raises ``SpeechlessError`` with the sentence to say instead.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, replace

from pipecatapp.domain import ApprovalRequest, Message, ToolCall, ToolResult
from pipecatapp.errors import ModelError, PipecatAppError
from pipecatapp.twin.act.toolbox import Toolbox
from pipecatapp.twin.speak.dialect import Form, clip
from pipecatapp.twin.speak.expert_speaker import ExpertAnswer, ExpertSpeaker
from pipecatapp.twin.speak.message_writer import MessageWriter
from pipecatapp.twin.speak.protocol import WAITING, tool_response_text
from pipecatapp.twin.speak.sentences import CUT_OFF, EMPTY, NO_CALL, TOO_MANY_CALLS, Apology
from pipecatapp.twin.speak.turn_request import ModelMessage, TurnRequest
from pipecatapp.twin.streams import closing
from pipecatapp.twin.understand.routing import ROUTE

MAX_CALLS = 4
# Characters: a longer result is retold by the model, where there is one that can.
_SHORT = 400
_LAST_CALL_NOTE = "That was the last tool for this request. Answer in words now."


class SpeechlessError(PipecatAppError):
    """The model gave nothing to say; ``apology`` is said instead."""

    def __init__(self, apology: Apology) -> None:
        super().__init__(apology.kind)
        self.apology = apology


class ToolLoop:
    """Streams the answer to a request.

    Args:
        writer: has the model write.
        toolbox: runs the calls.
        experts: lets an expert speak.
    """

    def __init__(self, writer: MessageWriter, toolbox: Toolbox, experts: ExpertSpeaker) -> None:
        self._writer = writer
        self._toolbox = toolbox
        self._experts = experts

    async def run(
        self, request: TurnRequest, last: ToolResult | None = None, *, words_only: bool = False
    ) -> AsyncGenerator[str, None]:
        """The words of the answer as they come; none when it ends with a call that waits (``request.asked``).

        ``last``: the result that the request begins with. ``words_only``: no tool may follow it.

        Raises:
            ModelError: the model could not answer.
            SpeechlessError: it did, and there is nothing in it to say.
        """
        request.has_receipt = request.has_receipt or (last is not None and last.ok)
        form = Form.WORDS if words_only else request.dialect.first_form(request.words)
        correction: list[Message] = []
        self._writer.fit(request)
        if request.given:
            given = _Given()
            async with closing(self._run_given(request, given)) as words:
                async for piece in words:
                    yield piece
            if given.retell is None:
                return
            last, form = given.retell, Form.WORDS if len(request.calls) >= MAX_CALLS else Form.FREE
        while True:
            message = ModelMessage()
            work = _Work(message)
            async with closing(self._writer.write(request, form, correction, message)) as words:
                async for piece in words:
                    yield piece
            if not message.calls and message.error is None:
                if message.is_cut:
                    request.progress.finish_reason = "length"
                if not message.said.strip():
                    if message.is_cut and last is None:
                        raise SpeechlessError(CUT_OFF)
                    message.raw = message.said = _say_result(last)
                    yield message.said
                request.messages.append(Message("assistant", message.as_words()))
                return
            if message.said and not message.said.endswith("\n"):
                yield "\n"  # speak these words now, not together with what comes after the tool
            if form is Form.WORDS:
                if words_only and not message.said.strip():
                    yield self.answer_with(request, last)
                    return
                raise SpeechlessError(TOO_MANY_CALLS if request.calls else NO_CALL)
            if not message.calls:
                correction = _correct(request, message, again=form is Form.FREE)
                form = Form.CONSTRAINED if form is Form.FREE else Form.WORDS
                continue
            form, correction = Form.FREE, []
            async with closing(self._run_calls(request, work)) as words:
                async for piece in words:
                    yield piece
            if work.last is None:
                return
            last = work.last
            if len(request.calls) >= MAX_CALLS:
                form = Form.WORDS
            if not request.dialect.rewords_results:
                yield self.answer_with(request, last)
                return

    async def go_on(self, request: TurnRequest, begun: str) -> AsyncGenerator[str, None]:
        """The words behind the beginning of an answer, maybe none. A call among them is nobody's to run.

        Raises:
            ModelError: the model could not go on.
        """
        self._writer.fit(request)
        message = ModelMessage(raw=begun, said=begun, begun=begun)
        async with closing(self._writer.write(request, Form.FREE, [], message)) as words:
            async for piece in words:
                yield piece
        if message.is_cut:
            request.progress.finish_reason = "length"

    async def _run_given(self, request: TurnRequest, given: _Given) -> AsyncGenerator[str, None]:
        """Run the calls that the person's words decided, one after the other, whatever becomes of each; the words are
        the results that are said as they are, what is asked of the person last. ``given.retell`` is the last of those
        that the model shall tell."""
        calls, request.given = request.given, ()
        said, questions = request.preface, ""
        if said:
            yield f"{said}\n"
        for at, call in enumerate(calls):
            message = ModelMessage(said=said, calls=[call])
            work = _Work(message, by_words=True)
            async with closing(self._run_calls(request, work)) as words:
                async for piece in words:
                    yield piece
            said = ""
            if work.last is None:
                continue
            if request.dialect.rewords_results and not (request.as_worded and len(work.last.text) <= _SHORT):
                given.retell = work.last
            elif work.last.missing:
                request.asks, questions = (at, work.last.missing), f"{questions}\n{_say_result(work.last)}"
            else:
                said = _say_result(work.last) if len(calls) == 1 else _say_one_of_several(work.last)
                yield said if at == len(calls) - 1 and given.retell is None else f"{said}\n"
        if questions:
            yield questions if said else questions.removeprefix("\n")
            if given.retell is not None:
                yield "\n"
        if given.retell is None and (answer := f"{said}{questions}".strip()):
            request.messages.append(Message("assistant", answer))

    async def _run_calls(self, request: TurnRequest, work: _Work) -> AsyncGenerator[str, None]:
        """Run the calls of one message one after the other; the words are those of an expert, where one is asked.

        ``work.last`` is the last result then; None: the turn ends here, with the expert's words or a person's question.
        """
        shown: list[str] = []
        for call in _distinct(work.message.calls):
            if len(request.calls) >= MAX_CALLS:
                shown.append(tool_response_text(f"error: {call.name} was not run: too many calls"))
                continue
            call = replace(call, id=f"call-{len(request.calls) + 1}")
            request.calls.append(call)
            if call.name == ROUTE:
                answer = ExpertAnswer(work.message.as_calls(), call, "\n".join(shown))
                async with closing(self._experts.speak(request, answer)) as words:
                    async for piece in words:
                        yield piece
                if answer.result.ok:
                    work.last = None
                    return
                work.last = answer.result
            else:
                plain = replace(request.context, tainted=False, recalled=False)
                outcome = await self._toolbox.run(call, plain if work.by_words else request.context)
                if isinstance(outcome, ApprovalRequest):
                    request.calls.remove(call)
                    request.asked, work.last = request.asked or outcome, None
                    shown.append(tool_response_text(WAITING))
                    break
                work.last = outcome
                request.has_receipt = request.has_receipt or outcome.ok
            text = clip(work.last.text, request.dialect)
            if len(request.calls) >= MAX_CALLS and not request.dialect.profile.grammars:
                text = f"{text}\n{_LAST_CALL_NOTE}"
            shown.append(self.respond(request, call.name, text))
        if work.message.error is not None:
            shown.append(tool_response_text(f"error: {work.message.error}. That call was not run."))
        request.messages += [
            Message("assistant", work.message.as_calls()),
            Message("user", "\n".join(shown)),
        ]
        request.told = len(request.progress.text)

    async def tell(self, request: TurnRequest, result: ToolResult, *, words_only: bool) -> AsyncGenerator[str, None]:
        """Words about a result that is there already: those of the model, or the result itself when it fails.

        Raises:
            ModelError: the model broke off in the middle of its words.
            SpeechlessError: the same.
        """
        try:
            async with closing(self.run(request, result, words_only=words_only)) as pieces:
                async for piece in pieces:
                    yield piece
        except (ModelError, SpeechlessError):
            # What was done must be told, whatever the model does.
            if request.progress.text.strip():
                raise
            yield self.answer_with(request, result)

    def respond(self, request: TurnRequest, tool: str, shown: str) -> str:
        """A result as the model is shown it; from here on the request knows when somebody else wrote it."""
        untrusted = tool != ROUTE and self._toolbox.untrusted(tool)
        if untrusted:
            request.context = replace(request.context, tainted=True)
        return request.dialect.tool_response(shown, untrusted=untrusted)

    @staticmethod
    def answer_with(request: TurnRequest, result: ToolResult | None) -> str:
        """The result itself as the answer, for a model that has nothing to say about it."""
        said = _say_result(result)
        request.messages.append(Message("assistant", said))
        return said


@dataclass(slots=True)
class _Work:
    """The calls of one message, and what came of the last one. ``by_words``: the person's words alone decided them,
    whatever else stands in the prompt."""

    message: ModelMessage
    by_words: bool = False
    last: ToolResult | None = None


@dataclass(slots=True)
class _Given:
    """What came of the calls that were clear before the model was asked: the last result that it shall tell."""

    retell: ToolResult | None = None


def _distinct(calls: Sequence[ToolCall]) -> list[ToolCall]:
    """The calls without those that a model wrote twice."""
    seen: list[ToolCall] = []
    for call in calls:
        if not any((call.name, call.arguments) == (other.name, other.arguments) for other in seen):
            seen.append(call)
    return seen


def _correct(request: TurnRequest, message: ModelMessage, *, again: bool) -> list[Message]:
    """What the model is shown of its broken call. Under a grammar nothing: the prompt stays as the cache has it."""
    if request.dialect.profile.grammars:
        return []
    advice = "Send it again as one JSON object, or answer in words." if again else "Answer in words, without a tool."
    wrong = tool_response_text(f"error: {message.error}. {advice}")
    return [Message("assistant", message.raw), Message("user", wrong)]


def _say_result(result: ToolResult | None) -> str:
    """A model that has nothing to say about a result: the result itself is short enough to speak."""
    if result is None or not result.text.strip():
        raise SpeechlessError(EMPTY)
    if result.lost:
        return f"I do not know whether that worked: {result.text.removeprefix('error: ')}"
    return result.text if result.ok else f"That did not work: {result.text.removeprefix('error: ')}"


def _say_one_of_several(result: ToolResult) -> str:
    """The same beside others, which are told whatever this one says."""
    return _say_result(result) if result.text.strip() else EMPTY.text
