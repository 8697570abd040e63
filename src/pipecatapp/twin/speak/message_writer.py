"""Has the model write one message: the words of it as they come, the call in it kept apart."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Sequence
from dataclasses import replace
from functools import partial

from pipecatapp.domain import Message
from pipecatapp.errors import ContextOverflowError, ModelError
from pipecatapp.ports import ChatModel, ChatRequest, ModelProfile
from pipecatapp.twin.remember.history import TokenEstimate
from pipecatapp.twin.speak.claim_guard import guard_for
from pipecatapp.twin.speak.dialect import Dialect, Form, dialect_of
from pipecatapp.twin.speak.grammar import rest_of_words
from pipecatapp.twin.speak.message_parser import MessageParser
from pipecatapp.twin.speak.turn_request import ModelMessage, TurnRequest
from pipecatapp.twin.streams import closing

# Characters of a token, at most: a model that goes on behind so many of them for each token is cut off.
_LONGEST_TOKEN = 32
_IGNORED_AFTER_CALL = 200  # characters; a model that babbles on behind its call is cut off


class MessageWriter:
    """Asks the model.

    Args:
        model: writes the messages.
        estimate: learns how long this model's tokens are.
    """

    def __init__(self, model: ChatModel, estimate: TokenEstimate) -> None:
        self._model = model
        self._estimate = estimate

    def fit(self, request: TurnRequest) -> None:
        """Forget old turns until the prompt leaves room for an answer, as far as can be guessed."""
        budget = request.dialect.profile.context_tokens - request.max_tokens
        request.history.fit([request.system, *request.messages], self._estimate, budget)

    async def write(
        self, request: TurnRequest, form: Form, correction: Sequence[Message], message: ModelMessage
    ) -> AsyncGenerator[str, None]:
        """The words of the next message as they come; ``message`` grows with them. Forgets old turns when the prompt
        turns out not to fit.

        Raises:
            ModelError: the model could not answer.
        """
        while True:
            asked = self._ask(request, form, correction, request.dialect, message, message.begun)
            asked = replace(asked, resume=partial(self._resume, request, form, correction, message))
            try:
                async with closing(self._read(asked, request, message)) as words:
                    async for piece in words:
                        yield piece
            except ContextOverflowError:
                if message.raw != message.begun or not request.history.drop_block():
                    raise
            else:
                return

    def _ask(
        self,
        request: TurnRequest,
        form: Form,
        correction: Sequence[Message],
        dialect: Dialect,
        message: ModelMessage,
        begun: str,
    ) -> ChatRequest:
        """What the model is asked; ``begun`` is what there is of the message already."""
        system = request.system if dialect is request.dialect else request.system_for(dialect)
        options = request.options
        grammar = None
        if options.form is None:
            experts = [expert.name for expert in request.experts]
            grammar = dialect.grammar(form, request.tools, experts, request.words)
        history = request.history.messages(understands=dialect.understands)
        return ChatRequest(
            messages=[system, *history, *request.messages, *correction],
            max_tokens=request.max_tokens,
            temperature=dialect.temperature(form),
            grammar=rest_of_words() if begun and grammar else grammar,
            slot_key=request.context.conversation,
            begun=begun,
            begun_in_words=bool(message.begun),
            sampling=options.sampling,
            form=options.form,
        )

    def _resume(
        self,
        request: TurnRequest,
        form: Form,
        correction: Sequence[Message],
        message: ModelMessage,
        raw: str,
        profile: ModelProfile,
    ) -> ChatRequest:
        """The request with which another model goes on behind ``raw``. A call or a thought that is not whole is written
        again."""
        written = raw[len(message.begun) :]
        only_thought = message.opens_thought and message.said == message.begun
        begun = message.begun + ("" if only_thought else _find_resumable(written, request))
        return self._ask(request, form, correction, dialect_of(profile), message, begun)

    async def _read(self, asked: ChatRequest, request: TurnRequest, message: ModelMessage) -> AsyncGenerator[str, None]:
        progress, parser = request.progress, MessageParser(request.schemas)
        guard = guard_for(request)
        said_before = len(progress.text)
        began = time.monotonic()
        moved = False
        room = len(message.raw) + asked.max_tokens * _LONGEST_TOKEN

        def say(words: str) -> str:
            nonlocal guard
            if parser.retracted:
                # All of it was a thought, as the model only now says: at least nobody reads or remembers it.
                parser.retracted = False
                message.said, progress.text = message.begun, progress.text[:said_before]
                guard = guard_for(request)
            if guard is not None:
                words = guard.feed(words)
            words = words if message.said else words.lstrip()
            message.said += words
            return words

        def rest() -> str:
            calls = bool(parser.calls or parser.error)
            words = guard.finish(calls=calls) if guard is not None else ""
            words = words if message.said else words.lstrip()
            message.said += words
            return words

        try:
            async with closing(self._model.stream(asked)) as chunks:
                async for chunk in chunks:
                    progress.expert = chunk.by
                    if chunk.kept is not None:
                        moved = True
                        if chunk.kept < len(message.raw):
                            message.raw, parser = message.raw[: chunk.kept], MessageParser(request.schemas)
                    message.is_cut = message.is_cut or chunk.finish_reason == "length"
                    if chunk.usage is not None:
                        progress.usage += chunk.usage
                        if not moved and not message.begun:
                            self._estimate.learn(asked.messages, chunk.usage)
                    if not chunk.text:
                        continue
                    if progress.first_token_s is None:
                        progress.first_token_s = time.monotonic() - began
                    if chunk.opens_thought:
                        message.opens_thought = True
                        parser.assume_thought()
                    text = chunk.text[: room - len(message.raw)]
                    message.raw += text
                    if words := say(parser.feed(text)):
                        yield words
                    if parser.ignored > _IGNORED_AFTER_CALL or (guard is not None and guard.is_over):
                        break
                    if len(message.raw) >= room:
                        message.is_cut = True
                        break
        except ModelError:
            if words := rest():
                yield words
            raise
        if words := say(parser.finish(cut=message.is_cut)) + rest():
            yield words
        message.calls, message.error = parser.calls, parser.error
        message.raw = message.raw[: len(message.raw) - parser.ignored]
        if guard is not None and guard.replaced and not message.calls and message.error is None:
            # What was pretended stands nowhere.
            message.raw, message.is_cut = message.said, False


def _find_resumable(raw: str, request: TurnRequest) -> str:
    """The part of a message that broke off which another model can go on behind: without a call that had begun."""
    parser = MessageParser(request.schemas)
    parser.feed(raw)
    return raw if parser.open_at is None else raw[: parser.open_at]
