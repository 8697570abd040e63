"""What Mission Control needs from the rest of the program, as small Protocols. ``app.py`` puts the real ones in."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from starlette.websockets import WebSocket

from pipecatapp.cluster.overview import Overview
from pipecatapp.domain import ApprovalAnswer, ApprovalRequest, CameraView, Message, Source, ToolSpec
from pipecatapp.hub import EventHub
from pipecatapp.memory.long_term import FaissMemory
from pipecatapp.memory.states import States
from pipecatapp.ports import AS_USUAL, AnswerOptions, AuditLog
from pipecatapp.schedule.service import ScheduleService
from pipecatapp.storage.event_log import EventLog
from pipecatapp.tools.list_keeper import ListKeeper
from pipecatapp.tools.undo import TakingBack
from pipecatapp.twin.turn_progress import TurnProgress
from pipecatapp.web.auth import Access
from pipecatapp.web.connections import Network
from pipecatapp.web.health import HealthBoard
from pipecatapp.web.mcp import ExternalCalls
from pipecatapp.web.metrics import Metrics

# Of this node among others that could answer in its place. Cut off: it answers whoever reaches it, and saves nothing.
Role = Literal["active", "standby", "cut_off", "alone"]


class Runner(Protocol):
    """Runs typed requests (``twin.turn_queue.TurnRunner``)."""

    async def submit(self, conversation: str, text: str, source: Source = "typed") -> str:
        """Queue a request; returns the id of its turn at once."""

    async def interrupt(self, conversation: str) -> None:
        """Stop what is being said or thought."""

    async def pause(self, conversation: str, on: bool) -> None:
        """Be quiet and wait, or go on."""


class Approvals(Protocol):
    """The calls that wait for a person (``twin.agent.Agent``)."""

    def pending(self) -> list[ApprovalRequest]:
        """Those that can still be answered, oldest first."""

    async def decide(self, answer: ApprovalAnswer) -> ApprovalRequest:
        """Answer one. Raises ApprovalError."""


class VoiceEndpoint(Protocol):
    """Talks over one WebSocket (``voice.sessions.VoiceSessions``)."""

    async def serve(self, websocket: WebSocket, conversation: str) -> None:
        """Run the voice pipeline until the socket closes."""


class CameraPanel(Protocol):
    """What the page shows of the camera (``vision.camera_watcher.CameraWatcher``)."""

    def view(self) -> CameraView:
        """The state now."""

    async def picture(self) -> bytes | None:
        """The latest picture with what was found in it, as JPEG; None while there is none."""


class Completions(Protocol):
    """Answers a conversation that the client keeps, for the OpenAI-compatible API."""

    def complete(
        self,
        messages: Sequence[Message],
        progress: TurnProgress,
        expert: str = "",
        options: AnswerOptions = AS_USUAL,
    ) -> AsyncIterator[str]:
        """Stream the answer to the last message. Closing it early cancels.

        ``expert``: this one answers. When it ends ``progress.usage`` and ``finish_reason`` are set.
        """

    async def find_unfit(self, options: AnswerOptions) -> str:
        """Which of the options the model cannot do, by its name in the API; empty: it can do all."""


class ExpertTable(Protocol):
    """The experts as they are now (``experts.directory.Experts``)."""

    @property
    def stale(self) -> bool:
        """Whether this is only what was last known."""

    def table(self) -> Sequence[Mapping[str, Any]]:
        """Everything about each of them."""


class HouseWatch(Protocol):
    """How the house is (``cluster.overview.Watch``)."""

    async def look(self) -> Overview:
        """That, as it is now."""


class PowerAgent(Protocol):
    """Who sleeps on this machine (``power_control.PowerControl``)."""

    async def services(self) -> Mapping[str, Any]:
        """All that may sleep. Raises NoPowerAgentError."""

    async def steer(self, verb: str, service: str) -> Mapping[str, Any]:
        """Have one sleep, wake, stay awake. Raises ConfigurationError."""


class SpeedTable(Protocol):
    """How fast models are in this house (``speed.part.Speeds``)."""

    async def table(self) -> Mapping[str, Any]:
        """What was ``measured``, the ``forecasts``, and the ``problem`` where the results cannot be read."""


def _choose_nobody(conversation: str, expert: str) -> None:
    """There is nobody to choose."""
    if expert:
        raise LookupError(f"no expert {expert} is running")


@dataclass(frozen=True, slots=True, kw_only=True)
class WebServices:
    """Everything that the routes reach. ``ca_certificate`` and ``tls_port`` are empty where TLS is off.

    ``tools_off`` says of the tools that cannot work here why, ``tools_offered`` which stand in every prompt.
    ``copy_journal`` writes a copy of the journal into a new file, for a backup.
    ``set_zone`` is told the time zone of a conversation's device. ``choose`` sends a
    conversation's requests to an expert (raises LookupError for one that is not there), ``chosen`` says which.
    ``pictures`` is the folder of those that tools took. ``allowed_hosts`` are the entries of ``hosts.parse_allowed``.
    """

    access: Access
    hub: EventHub
    event_log: EventLog
    runner: Runner
    voice: VoiceEndpoint
    completions: Completions
    memory: FaissMemory
    states: States
    lists: ListKeeper
    schedule: ScheduleService
    taking_back: TakingBack
    approvals: Approvals
    external_calls: ExternalCalls
    audit: AuditLog
    health: HealthBoard
    metrics: Metrics
    tools: Callable[[], Sequence[ToolSpec]]
    camera: CameraPanel
    house: HouseWatch
    tools_off: Callable[[], Mapping[str, str]] = dict
    tools_offered: Callable[[], Collection[str]] = frozenset
    experts: ExpertTable | None = None
    power: PowerAgent | None = None
    speeds: SpeedTable | None = None
    choose: Callable[[str, str], None] = _choose_nobody
    chosen: Callable[[str], str] = lambda _: ""
    copy_journal: Callable[[], Awaitable[Path]] | None = None
    set_zone: Callable[[str, str], None] = lambda _conversation, _zone: None
    pictures: Path | None = None
    tls_port: int = 0
    ca_certificate: Path | None = None
    allowed_hosts: Sequence[str] = ()
    cors_origins: Sequence[str] = ()
    role: Callable[[], Role] = lambda: "alone"
    proxies: Sequence[Network] = ()
    version: str = ""
