"""One request to its answer: ask the model, run the tools it asks for, ask again, until it speaks.

Never silence and never JSON: a broken call is repaired once under a grammar, then the model must answer in words; after
``MAX_CALLS`` tools too. What cannot be saved raises ``SpeechlessError`` with the sentence to say instead.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from dataclasses import replace

from pipecatapp.domain import ApprovalRequest, Message, ToolCall, ToolResult
from pipecatapp.errors import ModelError, PipecatAppError
from pipecatapp.twin.act.toolbox import Toolbox
from pipecatapp.twin.speak.dialect import Form, clip
from pipecatapp.twin.speak.expert_speaker import ExpertAnswer, ExpertSpeaker
from pipecatapp.twin.speak.message_writer import MessageWriter
from pipecatapp.twin.speak.protocol import WAITING, tool_response_text
from pipecatapp.twin.speak.sentences import EMPTY, NO_CALL, TOO_MANY_CALLS, Apology
from pipecatapp.twin.speak.tool_calls import MalformedCallError, parse_call
from pipecatapp.twin.speak.turn_request import ModelMessage, TurnRequest
from pipecatapp.twin.streams import closing
from pipecatapp.twin.understand.routing import ROUTE

MAX_CALLS = 4
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
        form = Form.WORDS if words_only else Form.FREE
        correction: list[Message] = []
        self._writer.fit(request)
        while True:
            message = ModelMessage()
            if request.given is not None:
                given, request.given = request.given, None
                message.body = json.dumps({"name": given.name, "arguments": dict(given.arguments)})
            else:
                async with closing(self._writer.write(request, form, correction, message)) as words:
                    async for piece in words:
                        yield piece
            if message.body is None:
                if not message.said.strip():
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
            try:
                call = parse_call(message.body, f"call-{len(request.calls) + 1}")
            except MalformedCallError as error:
                correction = _correct(request, message, error, again=form is Form.FREE)
                form = Form.CONSTRAINED if form is Form.FREE else Form.WORDS
                continue
            form, correction = Form.FREE, []
            request.calls.append(call)
            if call.name == ROUTE:
                answer = ExpertAnswer(message.as_call(call), call)
                async with closing(self._experts.speak(request, answer)) as words:
                    async for piece in words:
                        yield piece
                if answer.result.ok:
                    return
                last = answer.result
            else:
                outcome = await self._toolbox.run(call, request.context)
                if isinstance(outcome, ApprovalRequest):
                    self._wait_for(outcome, request, call, message)
                    return
                last = outcome
            shown = clip(last.text, request.dialect)
            if len(request.calls) >= MAX_CALLS:
                form = Form.WORDS
                shown = shown if request.dialect.profile.grammars else f"{shown}\n{_LAST_CALL_NOTE}"
            request.messages += [
                Message("assistant", message.as_call(call)),
                Message("user", self.respond(request, call.name, shown)),
            ]
            request.told = len(request.progress.text)
            if not request.dialect.rewords_results:
                yield self.answer_with(request, last)
                return

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

    @staticmethod
    def _wait_for(approval: ApprovalRequest, request: TurnRequest, call: ToolCall, message: ModelMessage) -> None:
        """The call waits for a person: the turn ends with the question."""
        request.calls.remove(call)
        request.asked = approval
        request.messages += [
            Message("assistant", message.as_call(call)),
            Message("user", tool_response_text(WAITING)),
        ]
        request.told = len(request.progress.text)


def _correct(request: TurnRequest, message: ModelMessage, error: Exception, *, again: bool) -> list[Message]:
    """What the model is shown of its broken call. Under a grammar nothing: the prompt stays as the cache has it."""
    if request.dialect.profile.grammars:
        return []
    advice = "Send it again as one JSON object, or answer in words." if again else "Answer in words, without a tool."
    return [Message("assistant", message.raw), Message("user", tool_response_text(f"error: {error}. {advice}"))]


def _say_result(result: ToolResult | None) -> str:
    """A model that has nothing to say about a result: the result itself is short enough to speak."""
    if result is None or not result.text.strip():
        raise SpeechlessError(EMPTY)
    return result.text if result.ok else f"That did not work: {result.text.removeprefix('error: ')}"
