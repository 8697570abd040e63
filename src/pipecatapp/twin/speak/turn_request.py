"""One request on its way through the model and the tools, and one message of the model while it is written."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pipecatapp.domain import ApprovalRequest, Expert, Message, ToolCall, ToolSpec
from pipecatapp.ports import AS_USUAL, AnswerOptions, ToolContext
from pipecatapp.twin.remember.history import History
from pipecatapp.twin.speak.call_forms import MalformedCallError
from pipecatapp.twin.speak.dialect import Dialect
from pipecatapp.twin.speak.protocol import TOOL_CALL_CLOSE, TOOL_CALL_OPEN, tool_call_text
from pipecatapp.twin.turn_progress import TurnProgress


@dataclass(slots=True)
class TurnRequest:
    """What the model is shown, and what came of it so far.

    ``messages`` begins with the request and grows by calls, results and the answer; ``calls`` are those that ran,
    ``asked`` is the one that waits for a person now.
    ``max_tokens`` is the room for one message of the model.
    ``schemas`` are the parameters of all that can be called, by name: more than ``tools``, which the model is told of.
    ``system_for`` makes the front for another model, should one have to go on; ``given`` are calls that are
    clear before the model is asked, ``preface`` what is said in front of them. ``told`` counts the characters of
    ``progress.text`` that belong to the messages before the last. ``options`` are those of a client of the API.
    ``as_worded``: a short result is the answer, whatever the model could make of it. ``asks``: which of the given calls
    (by its place) asks the person for which argument. ``has_receipt``: a tool did what it was asked, or told what it
    read; until then what the model claims to have done or read is not said where the answer ``is_watched``.
    """

    words: str
    context: ToolContext
    dialect: Dialect
    system: Message
    history: History
    tools: list[ToolSpec]
    schemas: Mapping[str, Mapping[str, Any]]
    experts: list[Expert]
    progress: TurnProgress
    messages: list[Message]
    max_tokens: int
    system_for: Callable[[Dialect], Message]
    given: Sequence[ToolCall] = ()
    preface: str = ""
    calls: list[ToolCall] = field(default_factory=list)
    asked: ApprovalRequest | None = None
    told: int = 0
    options: AnswerOptions = AS_USUAL
    as_worded: bool = False
    asks: tuple[int, str] | None = None
    has_receipt: bool = False
    is_watched: bool = False


@dataclass(slots=True)
class ModelMessage:
    """One message of the model. ``raw`` as it was written, ``said`` the words of it, ``calls`` and what is wrong
    (``error``) with one that is broken; ``is_cut``: there was no room for the end of it;
    ``opens_thought``: it began inside of a thought that nothing in it opens. ``begun`` is the beginning that a client
    wrote for it, in words: ``raw`` and ``said`` start with it."""

    raw: str = ""
    said: str = ""
    calls: list[ToolCall] = field(default_factory=list)
    error: MalformedCallError | None = None
    is_cut: bool = False
    opens_thought: bool = False
    begun: str = ""

    def as_words(self) -> str:
        """The message for the history: as written, unless it holds more than words."""
        return self.raw if self.raw.lstrip() == self.said else self.said

    def as_calls(self) -> str:
        """The message for the history: as written where it has our form, so that the cache holds; else set right."""
        plain = self.raw.lstrip().startswith(self.said.strip())  # without thoughts
        if plain and TOOL_CALL_OPEN in self.raw and self.raw.rstrip().endswith(TOOL_CALL_CLOSE):
            return self.raw
        return "\n".join(part for part in (self.said.strip(), *map(tool_call_text, self.calls)) if part)
