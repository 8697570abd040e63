"""Mission Control on a free port with the real brain; only the model and the voice pipeline are scripted."""

from __future__ import annotations

import asyncio
import json
import logging
import math
import struct
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path

from starlette.websockets import WebSocket, WebSocketDisconnect

from pipecatapp.cluster.overview import Overview, Watch
from pipecatapp.cluster.part import own_pc
from pipecatapp.domain import ComponentHealth, Message, Risk, ToolSpec, Usage
from pipecatapp.events import PartialTranscript, StateChanged
from pipecatapp.experts.directory import Experts
from pipecatapp.experts.instance import Instance
from pipecatapp.hub import EventHub
from pipecatapp.llm.catalogue import Catalogue, Model
from pipecatapp.memory.long_term import FaissMemory
from pipecatapp.memory.states import States
from pipecatapp.ports import ChatChunk, ChatRequest, ConversationStore, ModelProfile, Tool
from pipecatapp.power_control import PowerControl
from pipecatapp.registration import Registration
from pipecatapp.schedule.clock import SystemClocks
from pipecatapp.schedule.keeper import Keeper
from pipecatapp.schedule.part import SchedulePart, create_bell
from pipecatapp.schedule.service import ScheduleService
from pipecatapp.speed.part import Speeds
from pipecatapp.speed.results import FileResults
from pipecatapp.storage.event_log import EventLog
from pipecatapp.storage.part import Storage
from pipecatapp.tools.list_keeper import KIND as LISTS
from pipecatapp.tools.list_keeper import ListKeeper
from pipecatapp.tools.memory import Forget, Remember
from pipecatapp.tools.undo import TakingBack
from pipecatapp.twin.act.approvals import LIFETIME_S, ApprovalGate
from pipecatapp.twin.act.audit import Auditor
from pipecatapp.twin.agent import Agent
from pipecatapp.twin.turn_queue import TurnRunner
from pipecatapp.web.auth import Access, load_token
from pipecatapp.web.connections import Limits
from pipecatapp.web.cors import parse_cors
from pipecatapp.web.health import HealthBoard
from pipecatapp.web.hosts import allowed_names, parse_allowed, parse_proxies
from pipecatapp.web.metrics import Metrics
from pipecatapp.web.part import tell_changes
from pipecatapp.web.server import create_app
from pipecatapp.web.services import WebServices
from pipecatapp.web.serving import Servers
from pipecatapp.web.tls import LocalAuthority
from testing.fakes.agent_harness import LookingScriptedTool, PreviewedTool, ScriptedTool
from testing.fakes.cameras import ScriptedCamera
from testing.fakes.chat_model import Answer
from testing.fakes.experts import ScriptedInstance
from testing.ports import free_port

Reply = str | Exception | Callable[[asyncio.Event], AsyncIterator[str]]


class AnsweringModel:
    """``ports.ChatModel`` that answers by what was asked: a phrase in the request chooses the reply."""

    def __init__(self, replies: dict[str, Reply] | None = None) -> None:
        self.replies: dict[str, Reply] = replies or {}
        self.go_on = asyncio.Event()
        self.requests: list[Sequence[Message]] = []
        self.begun = ""  # what the last answer was to go on behind
        self.room = 0  # for the last answer, in tokens
        self.sampling: Mapping[str, float] = {}
        self.finish_reason = "stop"
        self.cancelled = 0

    async def profile(self) -> ModelProfile:
        return ModelProfile("scripted", context_tokens=8192, prompt_style="full", grammars=False, continues=True)

    async def stream(self, request: ChatRequest) -> AsyncIterator[ChatChunk]:
        self.requests.append(request.messages)
        self.room, self.begun, self.sampling = request.max_tokens, request.begun, request.sampling
        reply = self._reply(request.messages[-1].content)
        try:
            if isinstance(reply, Exception):
                raise reply
            if isinstance(reply, str):
                for word in reply.split(" "):
                    yield ChatChunk(word + " ")
            else:
                async for piece in reply(self.go_on):
                    yield ChatChunk(piece)
        except (asyncio.CancelledError, GeneratorExit):
            self.cancelled += 1
            raise
        yield ChatChunk(
            finish_reason=self.finish_reason, usage=Usage(prompt_tokens=412, cached_tokens=371, generated_tokens=18)
        )

    async def prefill(self, messages: Sequence[Message], slot_key: str = "") -> Usage:
        return Usage()

    async def health(self) -> ComponentHealth:
        return ComponentHealth("engine", ok=True)

    def _reply(self, words: str) -> Reply:
        # A result is spoken about, whatever was asked for before it.
        words = words.partition("<tool_response>")[2] or words
        for phrase, reply in self.replies.items():
            if phrase in words:
                return reply
        return f"You said: {words}"


class ScriptedHealth:
    """A component whose health the test sets."""

    def __init__(self, component: str, *, ok: bool = True, reason: str = "", progress: float | None = None) -> None:
        self.state = ComponentHealth(component, ok, reason, progress)

    async def health(self) -> ComponentHealth:
        return self.state


def tone(seconds: float, hertz: float = 440.0, rate: int = 24000) -> bytes:
    """A tone as PCM16."""
    count = int(seconds * rate)
    return struct.pack(f"<{count}h", *(int(12000 * math.sin(2 * math.pi * hertz * n / rate)) for n in range(count)))


class ScriptedVoice:
    """The voice endpoint's wire format without a pipeline: the test says what goes down and sees what came up."""

    def __init__(self) -> None:
        self.heard = bytearray()
        self.messages: list[dict[str, object]] = []
        self.conversations: list[str] = []
        self.connected = asyncio.Event()
        self.socket: WebSocket | None = None

    async def serve(self, websocket: WebSocket, conversation: str) -> None:
        self.conversations.append(conversation)
        self.socket = websocket
        self.connected.set()
        try:
            while True:
                message = await websocket.receive()
                if message["type"] == "websocket.disconnect":
                    return
                if message.get("bytes") is not None:
                    self.heard += message["bytes"]
                elif message.get("text"):
                    self.messages.append(json.loads(message["text"]))
        except WebSocketDisconnect:
            return
        finally:
            self.connected.clear()
            self.socket = None

    async def say(self, audio: bytes, mark: int) -> None:
        """Send sound in pieces of 40 ms, then a mark."""
        assert self.socket is not None
        for start in range(0, len(audio), 1920):
            await self.socket.send_bytes(audio[start : start + 1920])
        await self.socket.send_text(json.dumps({"type": "mark", "id": mark}))

    async def interrupt(self) -> None:
        assert self.socket is not None
        await self.socket.send_text(json.dumps({"type": "interrupt"}))


def _object(**properties: Mapping[str, object]) -> dict[str, object]:
    return {"type": "object", "properties": properties, "required": list(properties)}


class ScriptedHouse:
    """This PC alone, until a test has it become another house."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch

    def become(self, watch: Watch) -> None:
        self._watch = watch

    async def look(self) -> Overview:
        return await self._watch.look()


# Of which the page says how fast it will be.
SPEED_MODEL = Model.model_validate(
    {
        "name": "seven",
        "title": "Seven",
        "licence": "none",
        "ram_mb": 1,
        "variants": [
            {
                "quantization": "Q4_0",
                "cpu": "core2",
                "size_mb": 4000,
                "files": [{"name": "seven.gguf", "sha256": "a" * 64, "url": "https://example.org/seven"}],
            }
        ],
    }
)


class Mission:
    """The program around the page. ``stop`` and ``start`` again to see what survives."""

    def __init__(
        self,
        state_dir: Path,
        *,
        tls: bool = False,
        host: str = "127.0.0.1",
        limits: Limits | None = None,
        allowed_hosts: str = "",
        proxies: str = "",
        cors: str = "",
    ) -> None:
        self.state_dir = state_dir
        self.host = host
        self._limits = limits
        self._allowed = parse_allowed(allowed_hosts)
        self._proxies = parse_proxies(proxies)
        self._cors = parse_cors(cors)
        self._tls = tls
        self._port = 0
        self._tls_port = free_port() if tls else 0
        self.model = AnsweringModel()
        self.voice = ScriptedVoice()
        self.health = {
            "engine": ScriptedHealth("engine"),
            "stt": ScriptedHealth("stt", reason="pocketsphinx"),
            "tts": ScriptedHealth("tts", reason="espeak-ng"),
        }
        self.expert_answers: dict[str, list[Answer]] = {}
        self.tool = ScriptedTool("mcp.get_status", "Everything is well.")
        self.power = PreviewedTool(
            "power.set_idle_threshold",
            sentence="Let {service} sleep after {seconds} seconds.",
            scope="{service}",
            result="It is set.",
            risk=Risk.ACT,
            parameters=_object(service={"type": "string"}, seconds={"type": "integer", "minimum": 1}),
        )
        self.ssh = PreviewedTool(
            "ssh.run_command",
            sentence="Run {command} on {host}.",
            scope="{host}",
            detail="The key of this host is SHA256:scripted.",
            result="All disks are half full.",
            risk=Risk.DANGER,
            untrusted=True,
            parameters=_object(host={"type": "string"}, command={"type": "string"}),
        )
        self.ansible = LookingScriptedTool(
            "ansible.run_playbook",
            asks="Look what the playbook {playbook} would change.",
            sentence="Run the playbook {playbook}.",
            finds="--- the motd\n+++ {playbook}\n-old\n+new",
            result="The playbook is through.",
            risk=Risk.DANGER,
            parameters={
                "type": "object",
                "properties": {
                    "playbook": {"type": "string", "enum": ["playbook.yaml", "heal_cluster.yaml"]},
                    "limit": {"type": "string", "description": "The hosts, or all."},
                    "check": {"type": "boolean"},
                    "extra_vars": {"type": "object"},
                },
                "required": ["playbook"],
            },
        )
        self.ansible.known = {""}  # a test that takes this away has it look first
        self.lifetime_s = LIFETIME_S
        self.remembers = False  # a test that sets this and starts anew has the tools of the memory
        self.camera = ScriptedCamera()
        self.house = ScriptedHouse(Watch(lambda: own_pc(state_dir)))
        self.clocks = SystemClocks()
        self.token = load_token(state_dir)

    async def start(self) -> None:
        event_log = EventLog(self.state_dir / "events")
        self.hub = EventHub(event_log, version="test")
        self.storage = Storage(self.state_dir)
        store, audit = self.storage.conversations, self.storage.audit
        self.lists = ListKeeper(self.storage.lists, self.storage.changes)
        self.taking_back = TakingBack(self.storage.changes)
        self.taking_back.let(LISTS, self.lists.take_back)
        tell_changes(self.storage.journal, self.hub)
        self.schedule = SchedulePart(ScheduleService(Keeper(self.storage.schedule, self.clocks)))
        auditor = Auditor(audit, self.hub)
        self.gate = ApprovalGate(self.storage.approvals, auditor, self.hub, lifetime_s=self.lifetime_s)
        self.memory = FaissMemory(self.state_dir, self.storage.journal, self.storage.facts, None, sink=self.hub)
        self.memory.start()
        self.measured = FileResults(self.state_dir / "benchmarks.json")
        self.speeds = Speeds(self.measured, Catalogue({"main": [SPEED_MODEL]}))
        self.experts = Experts(self._expert, self.hub)
        self.experts.start()
        self.agent = Agent(
            self.model,
            [self.tool, self.power, self.ssh, self.ansible, *self._memory_tools(store)],
            self.hub,
            store,
            memory=self.memory,
            persona=lambda: "You are a test.",
            approvals=self.gate,
            off={"lamp.on": "it is broken"},
            experts=self.experts,
            ringing=self.schedule.service,
        )
        self.runner = TurnRunner(self.agent, self.hub)
        self.bell = create_bell(self.schedule, self.runner, self.hub, self.hub.is_watched)
        self.hub.add_listener(self.bell.bell.observe)
        await self.schedule.start()
        await self.gate.open()
        authority = LocalAuthority(self.state_dir / "tls") if self._tls else None
        self.board = HealthBoard(self.health, self.hub, busy_s=0.05, quiet_s=0.05)
        self.access = Access(self.token, sessions_file=self.state_dir / "sessions.json")
        states = States(self.state_dir / "states", self.memory, store, self.agent.reread)
        for eraser in (self.storage.erase, states.erase, self.hub.erase, self.agent.erase):
            self.memory.erase_also(eraser)
        self.services = WebServices(
            access=self.access,
            hub=self.hub,
            event_log=event_log,
            runner=self.runner,
            voice=self.voice,
            completions=self.agent,
            memory=self.memory,
            states=states,
            lists=self.lists,
            schedule=self.schedule.service,
            taking_back=self.taking_back,
            approvals=self.agent,
            external_calls=self.agent.external_calls,
            audit=audit,
            health=self.board,
            metrics=Metrics(version="test", pages=self.hub.pages),
            tools=self._tools,
            experts=self.experts,
            power=PowerControl(self.state_dir / "power.sock"),
            speeds=self.speeds,
            choose=self.agent.choose,
            chosen=self.agent.chosen,
            copy_journal=self.storage.copy_journal,
            set_zone=self.agent.set_zone,
            camera=self.camera,
            house=self.house,
            tools_off=lambda: self.agent.off,
            tools_offered=lambda: self.agent.always_offered,
            pictures=self.state_dir / "pictures",
            tls_port=self._tls_port,
            ca_certificate=authority.files.ca_certificate if authority else None,
            allowed_hosts=self._allowed,
            cors_origins=self._cors,
            version="test",
        )
        self.servers = Servers(
            create_app(self.services),
            self.host,
            self._port,
            self._tls_port,
            token=self.token,
            authority=authority,
            extra_names=allowed_names(self._allowed),
            proxies=self._proxies,
            limits=self._limits,
        )
        await self.servers.start()
        self._port, self._tls_port = self.servers.port, self.servers.tls_port

    async def stop(self) -> None:
        await self.servers.stop()
        await self.schedule.stop()
        await self.runner.aclose()
        await self.bell.stop()
        await self.gate.aclose()
        await self.agent.aclose()
        await self.memory.close()
        await self.storage.stop()
        await self.experts.aclose()
        self.hub.close()

    def _memory_tools(self, store: ConversationStore) -> Sequence[Tool]:
        return [Remember(self.memory, store), Forget(self.memory, store)] if self.remembers else []

    def _expert(self, registration: Registration) -> Instance:
        host, answers = registration.address.partition(":")[0], self.expert_answers.get(registration.expert, [])
        instance = ScriptedInstance(registration.expert, *answers, host=host, model=registration.model)
        instance.registration = registration
        return instance

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.servers.port}"

    @property
    def link(self) -> str:
        return f"{self.url}/?token={self.token}"

    def state(self, conversation: str, state: str) -> None:
        self.hub.emit(StateChanged(conversation=conversation, state=state))  # type: ignore[arg-type]

    def partial(self, conversation: str, text: str) -> None:
        self.hub.emit(PartialTranscript(conversation=conversation, text=text))

    def log(self, level: int, message: str) -> None:
        logging.getLogger("pipecatapp.test").log(level, message)

    def _tools(self) -> Sequence[ToolSpec]:
        return self.agent.tools
