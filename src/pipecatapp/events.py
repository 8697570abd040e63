"""What happens, as values: every step of a turn emits one of these into ``ports.EventSink``.

The browser, the log and the benchmark report all read the same stream. The JSON of an event is
``{"type", "seq", "at", "conversation", ...fields}``; ``type`` is the class's ``type``, ``seq`` counts
up in each conversation so that a page that reconnects can ask for what it missed.
docs/reference/events.md is generated from this file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Literal

State = Literal["idle", "listening", "thinking", "speaking", "paused"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Base of all events. ``conversation`` is empty for events that concern the whole node."""

    type: ClassVar[str] = "event"
    conversation: str = ""

    def to_json(self) -> dict[str, Any]:
        """The fields and the type, ready for ``json.dumps``."""
        return {"type": self.type, **asdict(self)}


@dataclass(frozen=True, slots=True, kw_only=True)
class StateChanged(Event):
    """What the agent is doing in this conversation."""

    type: ClassVar[str] = "state"
    state: State


@dataclass(frozen=True, slots=True, kw_only=True)
class PartialTranscript(Event):
    """Words recognized so far in a sentence that is still being spoken. Not replayed."""

    type: ClassVar[str] = "partial"
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UserMessage(Event):
    """The person's finished request."""

    type: ClassVar[str] = "user"
    turn: str
    text: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AssistantDelta(Event):
    """More text of the answer as the model writes it. Not replayed once the message is whole."""

    type: ClassVar[str] = "delta"
    turn: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AssistantSpoke(Event):
    """The part of the answer that has come out of the speaker so far. Not replayed."""

    type: ClassVar[str] = "spoken"
    turn: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AssistantMessage(Event):
    """The whole answer. After barge-in ``text`` holds only what was heard and ``interrupted`` is true.

    ``expert`` names who answered, empty for the agent's own model.
    """

    type: ClassVar[str] = "assistant"
    turn: str
    text: str
    interrupted: bool = False
    expert: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolStarted(Event):
    """A tool begins its work."""

    type: ClassVar[str] = "tool_started"
    turn: str
    call_id: str
    tool: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolFinished(Event):
    """A tool ended. ``detail`` is the full result, ``text`` what the model was told."""

    type: ClassVar[str] = "tool_finished"
    turn: str
    call_id: str
    tool: str
    ok: bool
    text: str
    detail: str
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolProgress(Event):
    """A line of the work of a tool that takes long. Not replayed."""

    type: ClassVar[str] = "tool_progress"
    turn: str
    call_id: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalRequested(Event):
    """A call waits for a person. ``digest`` names exactly what a yes would be bound to, and goes into the answer.

    ``scope``: what "allow for this session" would cover (empty: once only); ``by_voice``: it may be answered aloud.
    ``step``: ``look``: a yes lets the tool look, and what it finds waits for a yes of its own; ``run``: the tool looked
    (after the request ``after``), and this is what it found; ``only``: a yes runs it.
    """

    type: ClassVar[str] = "approval"
    turn: str
    id: str
    tool: str
    arguments: Mapping[str, Any]
    risk: str
    sentence: str
    detail: str
    scope: str
    by_voice: bool
    digest: str
    expires_at: float
    step: Literal["only", "look", "run"] = "only"
    after: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalDecided(Event):
    """A waiting call was answered, or will not be any more. ``arguments`` are those that run (a person may edit);
    ``step`` is what the answer was to (``ApprovalRequested``)."""

    type: ClassVar[str] = "approval_decided"
    turn: str
    id: str
    tool: str
    arguments: Mapping[str, Any]
    decision: Literal["approved", "refused", "expired"]
    by: str
    step: Literal["only", "look", "run"] = "only"


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRecorded(Event):
    """A line was added to the audit log (``GET /api/audit``)."""

    type: ClassVar[str] = "audit"
    entry: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryChanged(Event):
    """Long-term memory changed: ``change`` is what happened, ``fact`` the fact, ``total`` how many there are."""

    type: ClassVar[str] = "memory"
    change: Literal["added", "corrected", "forgotten", "imported", "loaded"]
    fact: str
    total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnChanged(Event):
    """Something of the agent's own is not as it was: ``what`` names it (``lists``, ``changes``), for who shows it."""

    type: ClassVar[str] = "own"
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation(Event):
    """The set of things that the camera sees changed; the picture is at ``GET /api/camera/picture``."""

    type: ClassVar[str] = "observation"
    text: str
    things: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpertsChanged(Event):
    """The table of experts as it is now; ``stale``: the discovery cannot be reached, this is what was last known."""

    type: ClassVar[str] = "experts"
    experts: Sequence[Mapping[str, Any]]
    stale: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleChanged(Event):
    """Timers, alarms and reminders as they are now (``GET /api/schedule``): ``items`` will come due, ``rings`` ring or
    will ring again, ``missed`` was heard by nobody. Times are seconds since 1970, by the server's clock."""

    type: ClassVar[str] = "schedule"
    items: Sequence[Mapping[str, Any]]
    rings: Sequence[Mapping[str, Any]]
    missed: Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnFinished(Event):
    """What the turn cost: seconds (None where it does not apply) and tokens."""

    type: ClassVar[str] = "turn_finished"
    turn: str
    stt_s: float | None
    first_token_s: float | None
    first_audio_s: float | None
    total_s: float | None
    prompt_tokens: int
    cached_tokens: int
    evaluated_tokens: int
    generated_tokens: int
    expert: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversationCleared(Event):
    """Short-term memory of this conversation was cleared; pages start afresh."""

    type: ClassVar[str] = "cleared"


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthChanged(Event):
    """A component became able, or unable, to do its work."""

    type: ClassVar[str] = "health"
    component: str
    ok: bool
    reason: str
    progress: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorSpoken(Event):
    """Something failed and the person was told so in a sentence."""

    type: ClassVar[str] = "error"
    kind: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LogLine(Event):
    """One line of the program's log, without what people said."""

    type: ClassVar[str] = "log"
    level: str
    logger: str
    message: str


EVENT_TYPES: dict[str, type[Event]] = {
    cls.type: cls
    for cls in (
        StateChanged, PartialTranscript, UserMessage, AssistantDelta, AssistantSpoke, AssistantMessage,
        ToolStarted, ToolProgress, ToolFinished, ApprovalRequested, ApprovalDecided, AuditRecorded, MemoryChanged,
        OwnChanged, Observation, ExpertsChanged, ScheduleChanged, TurnFinished, ConversationCleared, HealthChanged,
        ErrorSpoken, LogLine,
    )
}  # fmt: skip
