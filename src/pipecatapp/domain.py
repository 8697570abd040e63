"""The nouns of the house: messages, tools, turns, facts, experts. Frozen values without behaviour of their own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Literal

Role = Literal["system", "user", "assistant"]
# approval: a turn that goes on after a person's decision; notice: nobody asked, the agent tells something.
Source = Literal["voice", "typed", "api", "approval", "notice"]
Speaker = Literal["person", "program", "nobody"]  # whose words they are; only a person's become facts
_SPEAKERS: Mapping[Source, Speaker] = {
    "voice": "person",
    "typed": "person",
    "api": "program",
    "approval": "nobody",
    "notice": "nobody",
}

INTERRUPTED = "(interrupted)"  # what the model reads in place of an answer of which nothing was heard


@dataclass(frozen=True, slots=True)
class Message:
    """One message as the model sees it. Tool results travel as ``user`` messages (twin/speak/protocol.py)."""

    role: Role
    content: str


class Risk(StrEnum):
    """What a tool may do to the world. ``ACT`` and ``DANGER`` wait for a person's yes.

    ``OWN``: it changes something of the agent's own (a list, a timer, a fact), and what it did can be taken back. It
    runs at once where a person's words of this turn carry the call (``twin.act.own_wish``), and waits elsewhere.
    """

    READ = "read"
    OWN = "own"
    ACT = "act"
    DANGER = "danger"


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """A tool as the model is told of it.

    ``parameters`` is a JSON Schema of type object; its ``properties`` order is the order of arguments in a
    call; ``required`` lists those that must be there. ``copied`` names the string arguments whose value is always
    a span of the request (no invented host): constrained decoding uses it. ``untrusted``: what it returns was
    written by somebody else (a web page, another host, a server): the rest of the turn treats it as data. ``asks``: how
    people ask for it, for the choice among many tools; the model never sees them.
    """

    name: str
    description: str
    parameters: Mapping[str, Any] = field(default_factory=lambda: {"type": "object", "properties": {}})
    risk: Risk = Risk.READ
    timeout_s: float = 10.0
    copied: Sequence[str] = ()
    untrusted: bool = False
    asks: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class ToolCall:
    """The model's wish to use a tool with exactly these arguments."""

    id: str
    name: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Preview:
    """What a call is about to do, before a person says yes.

    ``sentence`` is spoken ("Run df -h on node3."), ``detail`` stands on the approval card (a host's fingerprint, a dry
    run). ``scope`` is what "allow for this session" covers besides the tool (a host); empty: it cannot be allowed
    beyond this once. ``whole``: who heard the sentence knows all that matters; otherwise a yes needs the page.
    ``found``: what was found by looking (the fingerprint, the dry run); no yes counts before a person saw it.
    ``look``: there is more to see, and seeing it leaves this machine or starts a program: the sentence is about that,
    a yes lets the tool look (``ports.LookingTool``), and what it finds waits for a yes of its own.
    ``basis`` names what the call means besides its arguments (the digest of a playbook's files): the tool gets it back
    with the yes, and does nothing where it is another one by then. ``loose`` names the arguments of which the spelling
    makes no difference (the name of a button): the others can be agreed to aloud only where they sound like one thing.
    """

    sentence: str
    detail: str = ""
    scope: str = ""
    whole: bool = True
    found: str = ""
    look: bool = False
    basis: str = ""
    loose: Sequence[str] = ()


class Step(StrEnum):
    """Which yes of a call a request waits for: the only one, the one to looking, the one to running after that."""

    ONLY = "only"
    LOOK = "look"
    RUN = "run"


class ApprovalState(StrEnum):
    """Where a call that needs a person's yes stands. Only ``APPROVED`` becomes ``STARTED``, and only once.

    ``LOST``: it was started before a restart; how it ended is not known, and it never runs again.
    """

    PENDING = "pending"
    APPROVED = "approved"
    REFUSED = "refused"
    EXPIRED = "expired"
    STARTED = "started"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class ApprovalRequest:
    """A call that waits for a person, or was decided and is not told yet.

    ``digest`` names exactly what a yes is bound to (``twin.act.audit.digest_of_request``): this tool with these
    arguments, and which step of it, after what was seen. ``after`` is the request that let the tool look before this.
    ``words`` led to the call, and ``speaker`` said them. Times are seconds since 1970. ``spec_digest`` names the tool
    as it described itself then (``twin.act.audit.digest_of_spec``): another one of the same name is never run instead.
    """

    id: str
    digest: str
    conversation: str
    turn: str
    tool: str
    arguments: Mapping[str, Any]
    risk: Risk
    preview: Preview
    words: str
    requested_at: float
    expires_at: float
    state: ApprovalState = ApprovalState.PENDING
    by: str = ""
    spec_digest: str = ""
    after: str = ""
    speaker: Speaker = "nobody"

    @property
    def step(self) -> Step:
        """What a yes would do."""
        if self.preview.look:
            return Step.LOOK
        return Step.RUN if self.after else Step.ONLY


@dataclass(frozen=True, slots=True)
class ApprovalAnswer:
    """A person's yes or no to a request.

    ``request`` names it, ``digest`` what the person saw of it. ``by`` says how: ``page``, ``terminal``, or in the
    conversation by ``voice`` or ``typed``; then a turn waits for it. ``scope``: ``session`` allows further calls of
    this tool within the preview's scope. ``arguments``: run it with these instead.
    """

    request: str
    digest: str
    decision: Literal["approve", "refuse"]
    by: str
    scope: Literal["once", "session"] = "once"
    arguments: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One line of the audit log: a call was asked for, decided or carried out, by whom and with what result.

    ``arguments`` have their secrets masked; ``digest`` is that of the whole call; ``id`` the request's, where there
    is one. ``ok`` and ``seconds`` are None where nothing ran.
    """

    at: float
    conversation: str
    turn: str
    tool: str
    risk: str
    arguments: Mapping[str, Any]
    decision: str
    by: str
    digest: str
    id: str = ""
    result_digest: str = ""
    ok: bool | None = None
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class ToolResult:
    """``text`` is short enough to speak; ``detail`` is everything, for the event log.

    ``missing`` names the argument that ``text`` asks the person for. Whoever keeps the request calls the tool again
    with the answer in that place; where something stands there already, behind it ("next Friday" "at noon").
    ``lost``: nobody knows whether it was done.
    """

    text: str
    ok: bool = True
    detail: str = ""
    missing: str = ""
    lost: bool = False


@dataclass(frozen=True, slots=True)
class Change:
    """Something of the agent's own that was changed, and how it is taken back.

    ``kind`` names who can take it back ("lists"), ``back`` is what that one needs for it, as JSON holds it; None: it
    cannot be taken back. ``text`` says what was done, in a sentence. ``at``: seconds since 1970. ``id`` grows from
    change to change; 0: it is not kept yet.
    """

    kind: str
    text: str
    back: Mapping[str, Any] | None
    conversation: str = ""
    turn: str = ""
    at: float = 0.0
    id: int = 0


@dataclass(frozen=True, slots=True)
class ListItem:
    """One line of a list. ``place`` orders them; ``at`` is when it was put there, seconds since 1970."""

    id: str
    text: str
    place: int
    at: float = 0.0


@dataclass(frozen=True, slots=True)
class NamedList:
    """A list of things, as the person calls it ("shopping"). ``key`` is the name as it is compared."""

    key: str
    name: str
    items: Sequence[ListItem] = ()


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one or several model requests, from the server's own counts."""

    prompt_tokens: int = 0
    cached_tokens: int = 0
    generated_tokens: int = 0

    @property
    def evaluated_tokens(self) -> int:
        """Prompt tokens that were not in the server's prefix cache."""
        return max(0, self.prompt_tokens - self.cached_tokens)

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.prompt_tokens + other.prompt_tokens,
            self.cached_tokens + other.cached_tokens,
            self.generated_tokens + other.generated_tokens,
        )


@dataclass(frozen=True, slots=True)
class TurnCost:
    """What one turn cost; seconds, None where it does not apply (a typed turn has no STT).

    ``stt_s``: user's last sample to final transcript. ``first_token_s``: request to first token.
    ``first_audio_s``: first clause to its first audio. ``total_s``: user's last sample (or Enter) to first audio
    (or first text where nothing is spoken).
    """

    stt_s: float | None = None
    first_token_s: float | None = None
    first_audio_s: float | None = None
    total_s: float | None = None
    usage: Usage = Usage()


@dataclass(frozen=True, slots=True)
class Turn:
    """One finished exchange. ``assistant_text`` is what was really said: after barge-in, only what was heard.

    ``expert`` names who answered, empty for the agent's own model.
    """

    id: str
    user_text: str
    assistant_text: str
    source: Source
    started_at: float
    interrupted: bool = False
    tool_calls: Sequence[ToolCall] = ()
    cost: TurnCost = TurnCost()
    expert: str = ""

    @property
    def speaker(self) -> Speaker:
        """Who said ``user_text``."""
        return speaker_of(self.source)


@dataclass(frozen=True, slots=True)
class TurnRecord:
    """A turn and the messages of it exactly as the model saw them: sent again they hit its prefix cache."""

    turn: Turn
    messages: Sequence[Message]

    def heard(self, text: str) -> TurnRecord:
        """The same turn after barge-in: only ``text`` came out of the speaker, so only that was said."""
        messages = tuple(self.messages)
        if messages and messages[-1].role == "assistant":
            messages = (*messages[:-1], Message("assistant", text or INTERRUPTED))
        return TurnRecord(replace(self.turn, assistant_text=text, interrupted=True), messages)


@dataclass(frozen=True, slots=True)
class ConversationInfo:
    """A stored conversation: its id, the turns since it was last cleared, when it last changed (epoch seconds)."""

    id: str
    turns: int
    updated_at: float


@dataclass(frozen=True, slots=True)
class Fact:
    """One remembered sentence. ``score`` is the match with the query, 0 to 1."""

    id: str
    text: str
    score: float = 0.0
    kind: str = "note"
    created_at: float = 0.0


@dataclass(frozen=True, slots=True)
class Expert:
    """A model that answers a kind of question, reachable now."""

    name: str
    description: str = ""


@dataclass(frozen=True, slots=True)
class VisionAnswer:
    """The answer to "what do you see": ``text`` can be spoken, ``by`` names who says so (empty: nobody saw anything).

    ``note`` is what did not work, for the event log.
    """

    text: str
    by: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class CameraView:
    """What the page shows of the camera. ``at`` is when the latest picture was taken (epoch seconds)."""

    on: bool
    source: str
    detector: str
    text: str
    things: Sequence[str]
    at: float | None
    trouble: str


@dataclass(frozen=True, slots=True)
class ComponentHealth:
    """Can this component do its work now? ``progress`` (0 to 1) while it is getting ready.

    ``vital``: without it the agent cannot answer, so ``/health`` says 503. ``said`` is what somebody else's program
    says of it, in its own words: for a person to read, never for a model.
    """

    component: str
    ok: bool
    reason: str = ""
    progress: float | None = None
    vital: bool = True
    said: str = ""


def speaker_of(source: Source) -> Speaker:
    """Who speaks in a turn that began this way."""
    return _SPEAKERS[source]
