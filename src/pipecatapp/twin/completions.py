"""Answers a client's own messages (the OpenAI endpoint): nothing is stored, no event told."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence

from pipecatapp.domain import Message
from pipecatapp.ports import AS_USUAL, AnswerOptions, Memory, ToolContext, find_unfit
from pipecatapp.twin.remember.consolidation import MemoryConsolidator
from pipecatapp.twin.remember.history import history_of
from pipecatapp.twin.speak.builder import PromptBuilder
from pipecatapp.twin.speak.current_dialect import CurrentDialect
from pipecatapp.twin.speak.prefill import recall
from pipecatapp.twin.speak.protocol import defuse, request_text
from pipecatapp.twin.speak.tool_loop import SpeechlessError, ToolLoop
from pipecatapp.twin.speak.turn_request import TurnRequest
from pipecatapp.twin.streams import closing
from pipecatapp.twin.turn_progress import TurnProgress
from pipecatapp.twin.understand.routing import Routing

_TELLING_WORDS = 5  # a request of fewer says little without the one before it


class Completions:
    """The API's way through the brain.

    Args:
        dialect: how the model wants to be spoken to.
        prompts: builds the prompts.
        loop: answers them; its tools tell no events.
        routing: reaches the experts.
        memory: long-term memory, or None.
        consolidator: keeps still while the engine is needed.
    """

    def __init__(
        self,
        dialect: CurrentDialect,
        prompts: PromptBuilder,
        loop: ToolLoop,
        routing: Routing,
        memory: Memory | None,
        consolidator: MemoryConsolidator,
    ) -> None:
        self._dialect = dialect
        self._prompts = prompts
        self._loop = loop
        self._routing = routing
        self._memory = memory
        self._consolidator = consolidator

    async def complete(
        self,
        messages: Sequence[Message],
        progress: TurnProgress | None = None,
        expert: str = "",
        options: AnswerOptions = AS_USUAL,
    ) -> AsyncGenerator[str, None]:
        """Answer the last of the messages. No tool runs where it is the assistant's, which is gone on with, or where
        the options give the answer a form.

        The client's system messages are added behind the persona. ``expert``: this one answers, without tools.
        ``progress.usage`` and ``finish_reason`` are set when it ends; closing it early cancels.

        Raises:
            ValueError: the last message is neither the user's nor the beginning of an answer to it.
            ModelError: the model could not answer.
        """
        progress = progress or TurnProgress("", "api")
        added = "\n".join(defuse(message.content) for message in messages if message.role == "system")
        talk = [message for message in messages if message.role != "system"]
        begun = defuse(talk.pop().content) if talk and talk[-1].role == "assistant" else ""
        if not talk or talk[-1].role != "user":
            raise ValueError("the last message must be the user's, or the beginning of an answer to it")
        try:
            async with self._consolidator.busy():
                if expert:
                    answer = self._routing.answer(expert, added, talk, progress, options, begun)
                else:
                    request = await self._request(talk, added, progress)
                    most = request.dialect.most_tokens
                    request.max_tokens = max(1, min(options.max_tokens or most, most))
                    request.options = options
                    if begun or options.form is not None:
                        request.schemas = {}  # what looks like a call is the client's text
                        answer = self._loop.go_on(request, begun)
                    else:
                        answer = self._loop.run(request)
                async with closing(answer) as pieces:
                    async for piece in pieces:
                        progress.text += piece
                        yield piece
        except SpeechlessError as error:
            progress.text += error.apology.text
            yield error.apology.text

    async def find_unfit(self, options: AnswerOptions) -> str:
        """Which of the options this node's model cannot do, by its name in the API; empty: it can do all.

        Raises:
            ModelError: there is no model.
        """
        return find_unfit(options.sampling, options.form, (await self._dialect.now()).profile)

    async def _request(self, talk: Sequence[Message], added: str, progress: TurnProgress) -> TurnRequest:
        """The last message of the talk as a request, the others as its history.

        It is what the client's person says. Anything else in the prompt the client may have from anywhere.
        """
        words = talk[-1].content
        tainted = bool(added) or any(message.role != "user" for message in talk)
        # Tools must not find a stored conversation behind this one.
        context = ToolContext("", progress.id, words, "person", tainted=tainted)
        earlier = history_of([Message(message.role, defuse(message.content)) for message in talk[:-1]])
        selection = self._prompts.select_tools(await self._dialect.now())
        request = self._prompts.begin(selection, words, progress, context, earlier, added)
        # Their history, which is the client's, shows no tools: a request that goes on with the last one says little.
        asked = " ".join([*(message.content for message in talk[-3:-1] if message.role == "user"), words])
        tools = await selection.choose(asked if len(words.split()) < _TELLING_WORDS else words)
        request.tools += tools
        facts = await recall(self._memory, words)
        clear = request.dialect.intent(words, request.schemas.keys(), facts)
        request.given = [clear] if clear is not None else []
        request.messages.append(Message("user", request_text(words, facts, self._prompts.observe(), tools)))
        return request
