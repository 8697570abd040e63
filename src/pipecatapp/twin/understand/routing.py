"""The one tool that is not a tool: ``route_to_expert`` hands the request to another model, whose answer is spoken."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from pipecatapp.domain import Expert, Message, ToolSpec, Usage
from pipecatapp.errors import ModelUnreachableError
from pipecatapp.ports import AS_USUAL, AnswerOptions, ChatChunk, ChatRequest, Classifier, ExpertDirectory
from pipecatapp.twin.speak.message_parser import MessageParser
from pipecatapp.twin.speak.protocol import defuse
from pipecatapp.twin.streams import closing
from pipecatapp.twin.turn_progress import TurnProgress

ROUTE = "route_to_expert"
# Conversations whose chosen expert is remembered.
_REMEMBERED = 1000
_LONGEST_ANSWER = 100_000  # characters; an expert that does not come to an end is cut off


def route_spec(experts: Sequence[Expert]) -> ToolSpec:
    """How the model is told of the experts that answer now."""
    return ToolSpec(
        name=ROUTE,
        description="Let an expert answer. Pass the person's whole request as query.",
        parameters={
            "type": "object",
            "properties": {
                "expert": {"type": "string", "enum": [expert.name for expert in experts]},
                "query": {"type": "string"},
            },
            "required": ["expert", "query"],
        },
        copied=("query",),
    )


class Routing:
    """Finds the expert for a request and streams its answer.

    Args:
        directory: the experts that answer now; None on a PC alone.
        persona: how an expert of this name speaks.
        classifier: knows clear cases before the model is asked; None: the model decides alone.
    """

    def __init__(
        self,
        directory: ExpertDirectory | None,
        persona: Callable[[str], str],
        classifier: Classifier | None = None,
    ) -> None:
        self._directory = directory
        self._persona = persona
        self._classifier = classifier
        self._chosen: OrderedDict[str, str] = OrderedDict()

    def experts(self) -> list[Expert]:
        """The experts now, by name."""
        return sorted(self._directory.experts(), key=lambda expert: expert.name) if self._directory else []

    def choose(self, conversation: str, expert: str) -> None:
        """Every request of this conversation goes to the expert from now on; empty: whoever fits.

        Raises:
            LookupError: there is no such expert.
        """
        if expert:
            self._known(expert)
        self._chosen.pop(conversation, None)
        if expert:
            self._chosen[conversation] = expert
        if len(self._chosen) > _REMEMBERED:
            self._chosen.popitem(last=False)

    def chosen(self, conversation: str) -> str:
        """The expert that was chosen by hand, empty: none."""
        return self._chosen.get(conversation, "")

    async def choose_directly(self, conversation: str, words: str) -> str:
        """The expert that answers without the model being asked: chosen by hand, or a clear case; else empty."""
        names = {expert.name for expert in self.experts()}
        if (chosen := self.chosen(conversation)) in names:
            return chosen
        if self._classifier is None or not names:
            return ""
        name, _ = await self._classifier.classify(words)
        return name if name in names else ""

    def ask(
        self, arguments: Mapping[str, Any], talk: Sequence[Message], conversation: str, *, meanwhile: bool = False
    ) -> AsyncIterator[ChatChunk]:
        """The expert's answer to the last message of ``talk``, in its persona.

        Args:
            arguments: of the call.
            talk: what was said.
            conversation: in which.
            meanwhile: while it sleeps, somebody who is awake may answer for it.

        Raises:
            LookupError: nobody has the name that the call gives.
        """
        name = self._known(str(arguments.get("expert", "")))
        assert self._directory is not None  # noqa: S101 - or nobody would be known
        request = ChatRequest([self._front(name), *talk], slot_key=conversation)
        return self._directory.ask(name, request, meanwhile=meanwhile)

    def sleepers(self) -> set[str]:
        """The experts that a request would have to wake."""
        return {expert.name for expert in self.experts() if self.wake_seconds(expert.name) is not None}

    def wake_seconds(self, name: str) -> float | None:
        """About how many seconds a request waits because the expert sleeps; None: it does not."""
        return self._directory.wake_seconds(name.removeprefix("prima-api-")) if self._directory else None

    def wake(self, name: str) -> None:
        """Have the expert wake, its persona ready; returns at once."""
        name = name.removeprefix("prima-api-")
        if self._directory is not None:
            self._directory.wake(name, self._front(name))

    def _front(self, name: str) -> Message:
        return Message("system", self._persona(name))

    async def answer(
        self,
        expert: str,
        added: str,
        talk: Sequence[Message],
        progress: TurnProgress,
        options: AnswerOptions = AS_USUAL,
        begun: str = "",
    ) -> AsyncGenerator[str, None]:
        """The expert's words to a client's own messages; ``added`` stands behind its persona. ``begun``: it goes on
        behind this beginning.

        Raises:
            ModelError: it could not answer, and nobody could for it.
        """
        try:
            name = self._known(expert)
        except LookupError as error:
            raise ModelUnreachableError(str(error.args[0])) from error
        assert self._directory is not None  # noqa: S101 - or nobody would be known
        front = "\n\n".join(part for part in (self._persona(name).strip(), added.strip()) if part)
        messages = [Message("system", front), *(Message(m.role, defuse(m.content)) for m in talk)]
        request = ChatRequest(
            messages, begun=begun, begun_in_words=bool(begun), sampling=options.sampling, form=options.form
        )
        if options.max_tokens is not None:
            request = replace(request, max_tokens=max(1, min(options.max_tokens, request.max_tokens)))
        async with closing(read_expert(self._directory.ask(name, request), progress)) as pieces:
            async for words in pieces:
                yield words

    def _known(self, name: str) -> str:
        name = name.removeprefix("prima-api-")
        if name not in {expert.name for expert in self.experts()}:
            raise LookupError(f"no expert {name or 'without a name'} is running")
        return name


async def read_expert(chunks: AsyncIterator[ChatChunk], progress: TurnProgress) -> AsyncGenerator[str, None]:
    """The words of an expert's answer. A tool call in it is nobody's to run, a thought nobody's to hear."""
    parser = MessageParser({})
    asked = time.monotonic()
    room = _LONGEST_ANSWER
    async with closing(chunks):
        async for chunk in chunks:
            progress.usage += chunk.usage or Usage()
            progress.expert = chunk.by
            if chunk.text and progress.first_token_s is None:
                progress.first_token_s = time.monotonic() - asked
            if chunk.opens_thought:
                parser.assume_thought()
            if chunk.finish_reason == "length":
                progress.finish_reason = "length"
            if words := parser.feed(chunk.text[:room]):
                yield words
            room -= len(chunk.text)
            if room < 0:
                progress.finish_reason = "length"
                break
    if words := parser.finish(cut=progress.finish_reason == "length"):
        yield words
