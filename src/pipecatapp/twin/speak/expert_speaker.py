"""Lets an expert speak in a turn: the call ``route_to_expert``, whose result is heard while it comes."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass, field

from pipecatapp.domain import Message, ToolCall, ToolResult
from pipecatapp.errors import ExpertBusyError, ModelError
from pipecatapp.ports import ChatChunk
from pipecatapp.twin.act.toolbox import Toolbox, failure
from pipecatapp.twin.speak.protocol import defuse, strip_tools, tool_response_text
from pipecatapp.twin.speak.sentences import MEANWHILE, waking
from pipecatapp.twin.speak.turn_request import TurnRequest
from pipecatapp.twin.streams import closing
from pipecatapp.twin.understand.routing import Routing, read_expert

# A wake that takes no longer is waited for in silence.
_UNNOTICED_S = 3.0


@dataclass(slots=True)
class ExpertAnswer:
    """A call that goes to an expert: the message it came in, what stands before it in the answer to that message, and
    how it ended."""

    raw: str
    call: ToolCall
    before: str = ""
    result: ToolResult = field(default_factory=lambda: failure("it was stopped"))


class ExpertSpeaker:
    """Hands a request to an expert.

    Args:
        toolbox: writes the call down like that of a tool.
        routing: reaches the experts.
    """

    def __init__(self, toolbox: Toolbox, routing: Routing) -> None:
        self._toolbox = toolbox
        self._routing = routing

    async def speak(self, request: TurnRequest, answer: ExpertAnswer) -> AsyncGenerator[str, None]:
        """The expert's words. A failure before the first is a result for the model, a later one is raised.

        An expert that sleeps for longer is announced; where nobody asked for this very one, another answers meanwhile.
        """
        said = ""
        name = str(answer.call.arguments.get("expert", ""))
        before = self._announce(name)
        if before:
            yield before
        with self._toolbox.track(answer.call, request.context) as outcome:
            try:
                meanwhile = bool(before) and not self._is_wanted(request, name)
                chunks = self._ask(request, answer.call, meanwhile=meanwhile)
                async with closing(read_expert(chunks, request.progress)) as pieces:
                    async for words in pieces:
                        if meanwhile and not said and request.progress.expert != name:
                            before += MEANWHILE
                            yield MEANWHILE
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
        answer.result = outcome.result
        if outcome.result.ok:
            request.messages += [
                Message("assistant", answer.raw),
                Message("user", "\n".join(filter(None, [answer.before, tool_response_text(outcome.result.text)]))),
                Message("assistant", before + said),
            ]

    def _announce(self, name: str) -> str:
        """What is said of an expert that takes a while to wake; it wakes from now on."""
        seconds = self._routing.wake_seconds(name)
        if seconds is None or seconds <= _UNNOTICED_S:
            return ""
        self._routing.wake(name)
        return f"{waking(name, seconds)}\n"

    def _is_wanted(self, request: TurnRequest, name: str) -> bool:
        """Whether the person wants this expert and no other: chose it by hand, or named it."""
        chosen = self._routing.chosen(request.context.conversation)
        return chosen == name or f"{name} expert" in request.words.lower()

    def _ask(self, request: TurnRequest, call: ToolCall, *, meanwhile: bool = False) -> AsyncIterator[ChatChunk]:
        """Ask with the talk so far, and the request with what is known for it."""
        talk = [
            message
            for record in request.history.turns
            for message in (
                Message("user", record.turn.user_text),
                Message("assistant", record.turn.assistant_text),
            )
        ]
        content = strip_tools(request.messages[0].content)
        words, query = defuse(request.words), defuse(str(call.arguments.get("query", "")).strip())
        if query and query != words.strip():
            content = content.replace(words, query, 1)
        talk.append(Message("user", content))
        return self._routing.ask(call.arguments, talk, request.context.conversation, meanwhile=meanwhile)
