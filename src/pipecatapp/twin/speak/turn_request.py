"""One request on its way through the model and the tools, and one message of the model while it is written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from pipecatapp.domain import ApprovalRequest, Expert, Message, ToolCall, ToolSpec
from pipecatapp.ports import ToolContext
from pipecatapp.twin.remember.history import History
from pipecatapp.twin.speak.dialect import Dialect
from pipecatapp.twin.speak.protocol import TOOL_CALL_CLOSE, TOOL_CALL_OPEN, tool_call_text
from pipecatapp.twin.turn_progress import TurnProgress


@dataclass(slots=True)
class TurnRequest:
    """What the model is shown, and what came of it so far.

    ``messages`` begins with the request and grows by calls, results and the answer; ``calls`` are those that ran,
    ``asked`` is the one that waits for a person now.
    ``system_for`` makes the front for another model, should one have to go on; ``given`` is a call that is
    clear before the model is asked. ``told`` counts the characters of ``progress.text`` that belong to the messages
    before the last.
    """

    words: str
    context: ToolContext
    dialect: Dialect
    system: Message
    history: History
    tools: list[ToolSpec]
    experts: list[Expert]
    progress: TurnProgress
    messages: list[Message]
    system_for: Callable[[Dialect], Message]
    given: ToolCall | None = None
    calls: list[ToolCall] = field(default_factory=list)
    asked: ApprovalRequest | None = None
    told: int = 0


@dataclass(slots=True)
class ModelMessage:
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
