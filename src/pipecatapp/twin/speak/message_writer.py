"""Has the model write one message: the words of it as they come, the call in it kept apart."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Sequence
from functools import partial

from pipecatapp.domain import Message
from pipecatapp.errors import ContextOverflowError
from pipecatapp.ports import ChatModel, ChatRequest, ModelProfile
from pipecatapp.twin.remember.history import TokenEstimate
from pipecatapp.twin.speak.dialect import Dialect, Form, dialect_of
from pipecatapp.twin.speak.grammar import rest_of_words
from pipecatapp.twin.speak.speakable import SpeakableFilter
from pipecatapp.twin.speak.tool_calls import ToolCallParser, resumable
from pipecatapp.twin.speak.turn_request import ModelMessage, TurnRequest
from pipecatapp.twin.streams import closing

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
        dialect = request.dialect
        budget = dialect.profile.context_tokens - dialect.answer_tokens
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
            asked = self._ask(request, form, correction, request.dialect)
            try:
                async with closing(self._read(asked, request, message)) as words:
                    async for piece in words:
                        yield piece
            except ContextOverflowError:
                if message.raw or not request.history.drop_block():
                    raise
            else:
                return

    def _ask(
        self, request: TurnRequest, form: Form, correction: Sequence[Message], dialect: Dialect, begun: str = ""
    ) -> ChatRequest:
        """What the model is asked; ``begun`` is what another one wrote of the message already."""
        own = dialect is request.dialect
        system = request.system if own else request.system_for(dialect)
        grammar = dialect.grammar(form, request.tools, [expert.name for expert in request.experts], request.words)
        return ChatRequest(
            messages=[system, *request.history.messages(), *request.messages, *correction],
            max_tokens=request.dialect.answer_tokens,
            temperature=dialect.temperature(form),
            grammar=rest_of_words() if begun and grammar else grammar,
            slot_key=request.context.conversation,
            begun=begun,
            resume=partial(self._resume, request, form, correction) if own else None,
        )

    def _resume(
        self, request: TurnRequest, form: Form, correction: Sequence[Message], raw: str, profile: ModelProfile
    ) -> ChatRequest:
        """The request with which another model goes on behind ``raw``. A call that is not whole is written again."""
        return self._ask(request, form, correction, dialect_of(profile), resumable(raw))

    async def _read(self, asked: ChatRequest, request: TurnRequest, message: ModelMessage) -> AsyncGenerator[str, None]:
        progress, parser, clean = request.progress, ToolCallParser(), SpeakableFilter()
        began = time.monotonic()
        moved = False

        def say(words: str) -> str:
            words = words if message.said else words.lstrip()
            message.said += words
            return words

        async with closing(self._model.stream(asked)) as chunks:
            async for chunk in chunks:
                progress.expert = chunk.by
                if chunk.kept is not None:
                    moved = True
                    if chunk.kept < len(message.raw):
                        message.raw, parser = message.raw[: chunk.kept], ToolCallParser()
                if chunk.usage is not None:
                    progress.usage += chunk.usage
                    if not moved:
                        self._estimate.learn(asked.messages, chunk.usage)
                if not chunk.text:
                    continue
                if progress.first_token_s is None:
                    progress.first_token_s = time.monotonic() - began
                message.raw += chunk.text
                if words := say(clean.feed(parser.feed(chunk.text))):
                    yield words
                if parser.ignored > _IGNORED_AFTER_CALL:
                    break
        if words := say(clean.feed(parser.finish()) + clean.finish()):
            yield words
        message.body = parser.body
        message.raw = message.raw[: len(message.raw) - parser.ignored]
