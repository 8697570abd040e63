"""What the brain wants from the world, as small Protocols. Adapters implement them; nothing here does work."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from pipecatapp.chat import AS_USUAL as AS_USUAL
from pipecatapp.chat import LLAMA_SAMPLING as LLAMA_SAMPLING
from pipecatapp.chat import SAMPLING as SAMPLING
from pipecatapp.chat import AnswerOptions as AnswerOptions
from pipecatapp.chat import ChatChunk as ChatChunk
from pipecatapp.chat import ChatModel as ChatModel
from pipecatapp.chat import ChatRequest as ChatRequest
from pipecatapp.chat import ModelProfile as ModelProfile
from pipecatapp.chat import PromptStyle as PromptStyle
from pipecatapp.chat import find_unfit as find_unfit
from pipecatapp.domain import (
    ApprovalRequest,
    AuditEntry,
    Change,
    ComponentHealth,
    ConversationInfo,
    Expert,
    Fact,
    Message,
    Preview,
    Speaker,
    ToolResult,
    ToolSpec,
    Turn,
    TurnRecord,
    VisionAnswer,
)
from pipecatapp.events import Event
from pipecatapp.intents import Dialogue, Intent


@dataclass(frozen=True, slots=True)
class JournalEvent:
    """One thing that happened and must survive. ``topic`` names the read model that it is for; ``body`` is JSON."""

    topic: str
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """An event in its place: ``sequence`` counts from 1 over all topics, ``term`` is that of who wrote it."""

    sequence: int
    term: int
    event: JournalEvent


@dataclass(frozen=True, slots=True)
class JournalSnapshot:
    """The shortest list of events that says what all events up to ``sequence`` have led to."""

    sequence: int
    events: Sequence[JournalEvent]


class Journal(Protocol):
    """The one order of everything that must survive; facts, conversations, approvals are read from it.

    Only one agent writes at a time: whoever takes over has a higher term, and what an earlier one still appends is
    refused. Raises StorageError when it cannot be written or read.
    """

    @property
    def term(self) -> int:
        """Ours, since we took over."""

    async def append(self, event: JournalEvent, expected: int | None = None) -> int:
        """Add the event; returns its sequence once it survives a power cut.

        ``expected``: the sequence of the last event of this topic that the writer knows (0: none). Raises
        StaleAppendError, and nothing happened, when that is no longer the last, or when a later term has begun.
        """

    def replay(self, start: int = 1) -> AsyncIterator[JournalEntry]:
        """The events from sequence ``start`` on, in order. Raises CompactedError when they are no longer there."""

    async def snapshot(self) -> JournalSnapshot:
        """What everything up to now has led to."""

    async def erase(self, topic: str, ids: Sequence[str]) -> int:
        """Take out what these ids of a topic stand for; returns the sequence of the event that says so.

        Once it returns nothing finds it again; soon after its bytes have left the disk, those of earlier events too.
        """


class Forgotten(Protocol):
    """What a person wants forgotten (``storage.erasure.Erasure``)."""

    def concerns(self, value: Any) -> bool:
        """Whether this, text or what JSON holds, says it or tells it."""


class Memory(Protocol):
    """What the twin needs from long-term memory: find related facts, keep a finished turn."""

    async def recall(self, query: str, limit: int = 3) -> list[Fact]:
        """The facts nearest to ``query``, best first; empty when nothing fits."""

    async def keep(self, turn: Turn, before: Sequence[Turn] = ()) -> None:
        """Keep what is worth keeping of a finished turn; ``before``: those before it, the latest last.

        Called off the person's time. Cancelled when somebody speaks, and called again later.
        """

    async def finish_forgetting(self) -> None:
        """A turn is stored now: where it had facts forgotten, what it repeats of them goes too."""


class FactStore(Memory, Protocol):
    """Long-term memory as somebody works with it who keeps, looks up and forgets single facts.

    Raises StorageError when it cannot be written.
    """

    async def add(self, text: str, *, kind: str = "note", turn: str = "") -> Fact:
        """Keep a fact. When it returns, a kill at any instant finds it again."""

    async def search(self, query: str, limit: int = 50) -> list[Fact]:
        """Like ``recall``, with facts that fit badly at the end."""

    async def latest(self, turns: Sequence[str]) -> Fact | None:
        """The newest fact that was kept from one of these turns."""

    async def newest(self, limit: int) -> list[str]:
        """What the facts say that were kept last, the newest first."""

    async def forget(self, fact_ids: Iterable[str]) -> list[Fact]:
        """Forget facts with their history; returns what was forgotten."""

    def __len__(self) -> int:
        """How many facts there are."""


class ConversationStore(Protocol):
    """Every finished turn of every conversation, kept over restarts.

    Raises ConfigurationError for an id that is not a conversation's (``storage.conversations.valid_id``).
    """

    async def load(self, conversation: str) -> list[TurnRecord]:
        """All turns since the conversation was last cleared, oldest first; empty for a new one."""

    async def append(self, conversation: str, record: TurnRecord) -> None:
        """Keep a finished turn. When it returns, a kill at any instant finds it again."""

    async def amend(self, conversation: str, turn_id: str, assistant_text: str) -> None:
        """After barge-in: what was really heard replaces the answer of this turn."""

    async def clear(self, conversation: str) -> None:
        """The conversation begins afresh: earlier turns are no longer loaded."""

    async def all(self) -> list[ConversationInfo]:
        """All stored conversations, the latest first."""


def _nobody(text: str) -> None:
    """Nobody watches the progress."""


@dataclass(frozen=True, slots=True)
class ToolContext:
    """Who asks: the conversation (and through it the person) a tool call belongs to.

    ``words`` led to the call, and ``speaker`` said them; after a decision: in the turn that asked.
    ``approved``: a person has seen this very call and said yes to it; ``approval`` is the id of that request.
    ``tainted``: text that somebody else wrote (``ToolSpec.untrusted``) stands in this turn or in the history before it,
    so a call may be its author's wish; a call that was decided by the person's words alone, before any model read the
    prompt, is not tainted. ``recalled``: so do memories or observations, whose origin nobody knows any
    more. ``seen`` is what stood on the card that the person said yes to (``Preview.found``), ``basis`` what it rested
    on. ``progress`` shows a line of long work on the page. ``zone``: the time zone of the person's device
    ("Europe/Berlin"); empty: not known.
    """

    conversation: str
    turn: str
    words: str = ""
    speaker: Speaker = "nobody"
    approved: bool = False
    approval: str = ""
    tainted: bool = False
    recalled: bool = False
    seen: str = ""
    basis: str = ""
    progress: Callable[[str], None] = _nobody
    zone: str = ""


class Tool(Protocol):
    """One thing the agent can do. ``run`` gets arguments that fit ``spec.parameters``.

    Raises ToolError with a sentence for the model. Cancelled when the person interrupts or the timeout passes.
    """

    @property
    def spec(self) -> ToolSpec:
        """The name, description, argument schema and risk."""

    async def run(self, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        """Do it."""


@runtime_checkable
class PreviewingTool(Protocol):
    """A tool that can say what a call is about to do; without it the call itself is shown."""

    async def preview(self, arguments: Mapping[str, Any], context: ToolContext) -> Preview:
        """Say it from what is known already: nobody has agreed to anything yet, so no connection is opened and no
        program started. Raises ToolError when the call cannot work: nobody is asked then."""


@runtime_checkable
class LookingTool(Protocol):
    """A tool that finds out more before it acts, by connecting somewhere or starting a program: its previews say
    ``look``, and it looks only after a yes to that."""

    async def look(self, arguments: Mapping[str, Any], context: ToolContext) -> Preview:
        """Look, and change nothing: what the call would do, with what was found. Raises ToolError when the call cannot
        work: nobody is asked about it then."""


@runtime_checkable
class OwnWordsTool(Protocol):
    """A tool of risk ``OWN`` that knows better than word by word whether it was told to do what a call says."""

    async def is_carried(self, arguments: Mapping[str, Any], context: ToolContext) -> bool:
        """Whether what the person said in this conversation carries the call."""


class ChangeLog(Protocol):
    """What tools changed of the agent's own, so that it can be taken back. Raises StorageError."""

    async def make(self, change: Change, *events: JournalEvent) -> Change:
        """Let the events happen and keep how they are taken back: all of it or nothing. Gives the change its id."""

    async def take_back(self, change: Change, *events: JournalEvent) -> None:
        """Let the events happen, and keep the change no longer: all of it or nothing.

        Raises LookupError where it is kept no longer already.
        """

    async def latest(self, conversation: str | None = None, limit: int = 20) -> list[Change]:
        """The latest changes that were not taken back, the last one first; of all conversations for None."""

    async def get(self, change: int) -> Change | None:
        """The change of this id, as long as it is kept."""


class ToolSource(Protocol):
    """Tools that come and go while the program runs: those of other servers."""

    def tools(self) -> Sequence[Tool]:
        """Those that exist now; the same objects as long as nothing changed."""

    def off(self) -> Mapping[str, str]:
        """Those that exist and cannot be used, each with the reason."""


class ToolChooser(Protocol):
    """Finds among many tools those that fit a request, in the 5 ms that every turn has for it."""

    async def choose(self, words: str, tools: Sequence[ToolSpec], limit: int) -> list[ToolSpec]:
        """The tools that fit best, best first; the same words and tools give the same answer."""


@runtime_checkable
class ClosingTool(Protocol):
    """A tool that has something running (a browser): it is ended with the program."""

    async def aclose(self) -> None:
        """End it, within a few seconds. Tools may share what they end."""


class ApprovalStore(Protocol):
    """Keeps the calls that wait for a person over restarts. Raises StorageError."""

    async def load(self) -> list[ApprovalRequest]:
        """What was saved last; empty at first."""

    async def save(self, requests: Sequence[ApprovalRequest]) -> None:
        """Replace all of it. When it returns, a kill at any instant finds these; before, these or the earlier ones."""


class AuditLog(Protocol):
    """What was asked, decided and done; lines are only ever added. Raises StorageError."""

    async def record(self, entry: AuditEntry) -> Mapping[str, Any]:
        """Add a line; when it returns, it lies on the disk. Gives it back as it is kept, with its number ``n``."""

    async def entries(self, before: int | None = None, limit: int = 50) -> tuple[list[Mapping[str, Any]], bool]:
        """The newest lines (older than number ``before``), newest first, and whether there are older ones."""


class Vision(Protocol):
    """What the twin needs of a camera."""

    @property
    def describes(self) -> bool:
        """Whether ``look`` may answer in a model's own words, which can be what somebody wrote before the camera."""

    def glance(self) -> str:
        """What is in view, in a sentence, at once; empty as long as nothing ever was."""

    async def look(self, question: str = "") -> VisionAnswer:
        """Look now. Never raises: what is wrong is said in a sentence."""


class ExpertDirectory(Protocol):
    """The experts that can answer now (empty on a PC alone)."""

    def experts(self) -> Sequence[Expert]:
        """The current set, in a stable order."""

    def ask(self, expert: str, request: ChatRequest, *, meanwhile: bool = False) -> AsyncIterator[ChatChunk]:
        """Stream the expert's answer; where it fails another one goes on with it. Raises ModelError.

        ``meanwhile``: where it sleeps and somebody is awake, that one answers and does not wait for it.
        """

    def wake_seconds(self, expert: str) -> float | None:
        """About how many seconds a request to it waits because it sleeps; None: it is awake, or nobody knows it."""

    def wake(self, expert: str, front: Message) -> None:
        """Have it wake, where it sleeps, and evaluate the front of its prompts; returns at once."""


class Classifier(Protocol):
    """Knows at once which expert a request is for, in clear cases."""

    async def classify(self, text: str) -> tuple[str | None, float]:
        """The expert's name and how clear the case is (more is clearer); None when it is not clear enough."""


class Reflex(Protocol):
    """Decides in milliseconds, before any big model, what a request wants."""

    @property
    def tools(self) -> frozenset[str]:
        """The names of the tools that it knows: a model that only speaks need not be told of them."""

    async def decide(self, words: str, dialogue: Dialogue) -> Intent:
        """The person's words, in this dialogue. Never raises; where it cannot tell, the mind is asked."""


class EventSink(Protocol):
    """Where events go. Never blocks, never raises."""

    def emit(self, event: Event) -> None:
        """Hand the event to everyone who listens."""


class HealthSource(Protocol):
    """A component that can say whether it works: the engine, STT, TTS, the disk."""

    async def health(self) -> ComponentHealth:
        """The state now."""
