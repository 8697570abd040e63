"""Picks the implementations: from the settings to a model, tools, personas and the agent made of them."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from pipecatapp.cluster.consul import ConsulClient
from pipecatapp.cluster.discovery import Discovery
from pipecatapp.domain import ComponentHealth
from pipecatapp.errors import ConfigurationError, ModelError
from pipecatapp.experts.breaker import CircuitBreaker
from pipecatapp.experts.directory import Experts
from pipecatapp.experts.external import load_external
from pipecatapp.experts.instance import Instance
from pipecatapp.experts.resilient import ResilientChatModel
from pipecatapp.experts.server import NoServer, ServerProbe
from pipecatapp.experts.watch import Limits
from pipecatapp.llm.catalogue import Catalogue
from pipecatapp.llm.client import OpenAIChatModel
from pipecatapp.llm.engine import EngineSupervisor, shared_key
from pipecatapp.llm.selection import main_models
from pipecatapp.llm.status import read_status
from pipecatapp.machine import detect
from pipecatapp.memory.embedding import MODEL_NAME, Embedder
from pipecatapp.memory.long_term import FaissMemory
from pipecatapp.memory.registry import create_embedding, is_here
from pipecatapp.memory.states import States
from pipecatapp.memory.summary import Summariser
from pipecatapp.ports import ChatModel, EventSink, HealthSource, ToolSource
from pipecatapp.registration import Registration
from pipecatapp.routing.classifier import Meanings
from pipecatapp.routing.examples import LearnedRouting
from pipecatapp.settings import Settings, environment
from pipecatapp.storage.approvals import ApprovalFile
from pipecatapp.storage.audit import AuditFile
from pipecatapp.storage.conversations import JsonlConversations
from pipecatapp.tools.choice.chooser import MeaningChooser
from pipecatapp.tools.registry import TOOLS, ToolServices, create_tools
from pipecatapp.tools.web_browser.browser import WebBrowser
from pipecatapp.tools.web_browser.pictures import Pictures
from pipecatapp.twin.act.approvals import ApprovalGate
from pipecatapp.twin.act.audit import Auditor
from pipecatapp.twin.agent import Agent
from pipecatapp.twin.speak.persona import Personas
from pipecatapp.twin.turn_queue import TurnRunner
from pipecatapp.vision.camera_watcher import CameraWatcher, NoCamera
from pipecatapp.vision.registry import create_camera_watcher
from pipecatapp.voice.recognition import Recognizer
from pipecatapp.voice.registry import Environment, create_recognizer, create_synthesizer
from pipecatapp.voice.synthesis import Synthesizer

if TYPE_CHECKING:
    from pipecatapp.tools.mcp_servers.servers import McpServers
    from pipecatapp.voice.sessions import VoiceSessions

# Of six: enough to tell kinds of requests apart in a few milliseconds.
ROUTING_LAYERS = 2
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_CHECKOUT = Path(__file__).resolve().parents[2]
_INSTALLED = Path("/etc/pipecatapp")


@dataclass(frozen=True, slots=True)
class Engine:
    """The language model: how to ask it, how it is doing, and the process behind it where it is ours."""

    model: ChatModel
    health: HealthSource
    supervisor: EngineSupervisor | None = None
    restarts: bool = False
    url: str = ""
    api_key: str = field(default="", repr=False)

    async def start(self) -> None:
        """Begin; returns at once."""
        if self.supervisor is not None:
            await self.supervisor.start()

    async def stop(self) -> None:
        """End it."""
        close = getattr(self.model, "aclose", None)
        if close is not None:
            await close()
        if self.supervisor is not None:
            await self.supervisor.stop()


def check_supported(settings: Settings) -> None:
    """Refuse what this release cannot do yet: a setting is never ignored.

    Raises:
        ConfigurationError: names the setting and what to do.
    """
    later = [
        (settings.tool_mode == "remote", "TOOL_MODE=remote", "there is no tool server yet; set TOOL_MODE=local"),
        (settings.node_role == "core", "NODE_ROLE=core", "there are no experts to serve yet; set NODE_ROLE=standalone"),
        (bool(settings.nomad_addr), "NOMAD_ADDR", "there is no cluster yet; remove it"),
    ]
    problems = [f"  {name}: {advice}" for wrong, name, advice in later if wrong]
    if problems:
        raise ConfigurationError("this release does not support:\n" + "\n".join(problems))


@dataclass(frozen=True, slots=True)
class Cluster:
    """The experts, and what finds them."""

    experts: Experts
    routing: LearnedRouting
    discovery: Discovery | None = None

    async def start(self) -> None:
        """Begin; returns at once."""
        self.experts.start()
        self.routing.start()
        if self.discovery is not None:
            self.discovery.start()

    async def stop(self) -> None:
        """End it."""
        if self.discovery is not None:
            await self.discovery.aclose()
        await self.routing.aclose()
        await self.experts.aclose()


def create_cluster(settings: Settings, sink: EventSink) -> Cluster | None:
    """The experts that the settings know how to find; None where they name none. ``LLM_URL`` set: no Consul at all.

    Raises:
        ConfigurationError: an address or the file of external experts is wrong.
    """
    file = settings.external_experts_file
    external = load_external(file, environment()) if file is not None else []
    consul = "" if settings.llm_url is not None else settings.consul_http_addr
    if not consul and not external:
        return None
    limits = Limits(settings.expert_first_token_s, settings.expert_token_s)

    def connect(registration: Registration) -> Instance:
        model = OpenAIChatModel(
            registration.url,
            model=registration.model if registration.external else "",
            api_key=registration.api_key,
            token_timeout_s=settings.expert_first_token_s,
        )
        return Instance(registration, model, ServerProbe(registration.url, registration.api_key), limits)

    experts = Experts(connect, sink, external, queue=settings.expert_queue)
    meanings = shallow_meanings(settings.models / MODEL_NAME)
    routing = LearnedRouting(prompts_folder(settings), meanings)
    if not consul:
        return Cluster(experts, routing)
    client = ConsulClient(consul, settings.consul_http_token)
    return Cluster(experts, routing, Discovery(client, experts.update, settings.expert_api_key))


def create_engine(settings: Settings, cluster: Cluster | None = None) -> Engine:
    """The model that the settings ask for; with a cluster, its experts stand in for it."""
    if cluster is None:
        return _own_engine(settings)
    if settings.node_role == "edge" and settings.llm_url is None and not settings.run_local_llm:
        model = ResilientChatModel(None, cluster.experts)
        return Engine(model, model)
    own = _own_engine(settings)
    limits = Limits(settings.expert_first_token_s, settings.expert_token_s)
    probe = ServerProbe(own.url, own.api_key) if own.url else NoServer()
    # Its supervisor starts it again within seconds: it is looked at often.
    instance = Instance(Registration("own", own.url), own.model, probe, limits, CircuitBreaker(most_s=2.0))
    model = ResilientChatModel(instance, cluster.experts)
    return replace(own, model=model, health=model)


def _own_engine(settings: Settings) -> Engine:
    if settings.run_local_llm:
        return _in_process(settings)
    if settings.llm_url is not None:
        return _by_url(settings, str(settings.llm_url))
    supervisor = create_supervisor(settings)
    model = OpenAIChatModel(
        supervisor.base_url,
        api_key=supervisor.api_key,
        prompt_style=settings.llm_prompt_style,
        status=lambda: supervisor.status,
    )
    return Engine(model, supervisor, supervisor, restarts=True, url=supervisor.base_url, api_key=supervisor.api_key)


def create_supervisor(settings: Settings) -> EngineSupervisor:
    """The llama-server of our own, with the models that this PC has for it.

    Raises:
        ConfigurationError: there is no such model.
    """
    machine = detect()
    catalogue = Catalogue.load(models_file(settings))
    return EngineSupervisor(
        engines=settings.engines,
        models=main_models(settings.llm_model, catalogue, settings.models, machine),
        host=settings.engine_host,
        port=settings.engine_port,
        build=settings.builds_engine,
        machine=machine,
    )


def create_mcp_servers(settings: Settings) -> McpServers | None:
    """The servers of the Model Context Protocol that a person named, not started; None where nobody named one.

    Raises:
        ConfigurationError: the file is wrong; names the key.
    """
    path = settings.mcp_servers_file or _INSTALLED / "mcp.json"
    if settings.mcp_servers_file is None and not path.is_file():
        return None
    from pipecatapp.tools.mcp_servers.config import load_servers

    configs = load_servers(path, os.environ, {name.partition(".")[0] for name in TOOLS})
    if not configs:
        return None
    from pipecatapp.tools.mcp_servers.servers import McpServers

    return McpServers(configs)


def create_memory(settings: Settings, engine: Engine, sink: EventSink) -> FaissMemory:
    """Long-term memory; reads nothing yet.

    Raises:
        ConfigurationError: EMBEDDING_SERVICE names what is not there.
    """
    embedding = create_embedding(settings.embedding_service, settings.models)
    return FaissMemory(
        settings.state_dir,
        embedding.embedder,
        embedding_model=embedding.model,
        summarise=Summariser(engine.model),
        sink=sink,
    )


def shallow_meanings(folder: Path) -> Meanings | None:
    """Rows that tell kinds of requests apart, from the first layers of the embedding model; None without its files."""
    if not is_here(folder):
        return None
    embedder = Embedder(folder)
    return lambda texts: embedder.embed_now(texts, ROUTING_LAYERS)


def create_conversations(settings: Settings) -> JsonlConversations:
    """Where every turn is kept."""
    return JsonlConversations(settings.state_dir / "conversations")


def create_states(settings: Settings, memory: FaissMemory, conversations: JsonlConversations, agent: Agent) -> States:
    """The named states of what this agent remembers."""
    return States(settings.state_dir / "states", memory, conversations, agent.reread)


@dataclass(frozen=True, slots=True)
class Approvals:
    """Where calls that act wait for a person, and what is written down about them."""

    gate: ApprovalGate
    audit: AuditFile


def create_approvals(settings: Settings, sink: EventSink) -> Approvals:
    """The gate with its files under ``STATE_DIR``."""
    audit = AuditFile(settings.state_dir / "audit/audit.jsonl")
    store = ApprovalFile(settings.state_dir / "approvals.json")
    return Approvals(ApprovalGate(store, Auditor(audit, sink), sink, mode=settings.approval_mode), audit)


def create_camera(settings: Settings, sink: EventSink, busy: Callable[[], bool]) -> CameraWatcher | NoCamera:
    """The eyes that the settings ask for; opens and loads nothing.

    Raises:
        ConfigurationError: a name is unknown, or something that they need is absent.
    """
    return create_camera_watcher(
        settings.vision_service,
        settings.camera,
        settings.models,
        sink,
        moondream_url=str(settings.moondream_url or ""),
        busy=busy,
    )


def create_agent(
    settings: Settings,
    engine: Engine,
    sink: EventSink,
    health: Callable[[], Awaitable[Sequence[ComponentHealth]]],
    started: float | None = None,
    sources: Sequence[ToolSource] = (),
    *,
    conversations: JsonlConversations | None = None,
    memory: FaissMemory | None = None,
    gate: ApprovalGate | None = None,
    eyes: CameraWatcher | NoCamera | None = None,
    cluster: Cluster | None = None,
) -> Agent:
    """The brain with its tools, personas, stored conversations and long-term memory. Without a gate no tool may act."""
    conversations = conversations or create_conversations(settings)
    personas = Personas(prompts_folder(settings))
    eyes = eyes or NoCamera()

    async def clear(conversation: str) -> None:
        await agent.clear(conversation)

    async def model_name() -> str:
        try:
            return (await engine.model.profile()).name
        except ModelError:
            return ""

    services = ToolServices(
        health=health,
        model=model_name,
        eyes=eyes,
        conversations=conversations,
        clear=clear,
        code_sandbox=settings.code_sandbox,
        code_sandbox_image=settings.code_sandbox_image,
        ssh_dir=settings.ssh,
        playbooks=playbooks_folder(settings),
        ansible=(_CHECKOUT / ".cache/provision/bin", Path(sys.prefix).parent / "ansible/bin"),
        ansible_home=settings.state_dir / "ansible",
        power_policy_file=settings.power_policy_file or settings.state_dir / "power_policy.json",
        started=time.monotonic() if started is None else started,
        memory=memory,
        browser=WebBrowser(
            Pictures(settings.pictures), settings.browser_executable, settings.browser_allow_hosts.split(",")
        ),
    )
    tool_set = create_tools(services)
    agent = Agent(
        engine.model,
        tool_set.tools,
        sink,
        conversations,
        memory=memory,
        persona=personas.router,
        experts=cluster.experts if cluster else None,
        expert_persona=personas.expert,
        approvals=gate,
        classifier=cluster.routing if cluster else None,
        off=tool_set.off,
        sources=sources,
        chooser=MeaningChooser(),
        observe=eyes.glance,
        restarts_engine=engine.restarts,
    )
    return agent


@dataclass(frozen=True, slots=True)
class Speech:
    """What hears and what speaks."""

    recognizer: Recognizer
    synthesizer: Synthesizer


def create_speech(settings: Settings) -> Speech:
    """The speech services that the settings name; loads no model.

    Raises:
        ConfigurationError: a name is unknown, or something that the service needs is absent.
    """
    where = Environment(
        settings.models,
        voice=settings.tts_voice,
        whispercpp_url=str(settings.whispercpp_url or ""),
        piper_url=str(settings.piper_url or ""),
        melotts_url=str(settings.melotts_url or ""),
    )
    return Speech(create_recognizer(settings.stt_service, where), create_synthesizer(settings.tts_service, where))


def create_voice(
    settings: Settings, speech: Speech, agent: Agent, runner: TurnRunner, sink: EventSink
) -> VoiceSessions:
    """The voice sessions. Imports pipecat: seconds on an old PC."""
    from pipecatapp.voice.sessions import VoiceSessions

    return VoiceSessions(
        agent,
        runner,
        sink,
        speech.recognizer,
        speech.synthesizer,
        turn_detection=settings.turn_detection,
        benchmark=settings.benchmark_mode,
    )


def prompts_folder(settings: Settings) -> Path:
    """Where the personas lie: the setting, the installation, or this checkout.

    Raises:
        ConfigurationError: nowhere.
    """
    if settings.prompts_dir is not None:
        places = [settings.prompts_dir]
    else:
        places = [_INSTALLED / "prompts", _CHECKOUT / "ansible/roles/pipecatapp/files/prompts"]
    for place in places:
        if (place / "router.txt").is_file():
            return place
    named = " or ".join(str(place) for place in places)
    raise ConfigurationError(f"there is no router.txt in {named}; set PROMPTS_DIR to the folder of the personas")


def _in_process(settings: Settings) -> Engine:
    """A model inside this process (extra ``llama-cpp``)."""
    from pipecatapp.llm.inprocess import LlamaCppChatModel

    models = main_models(settings.llm_model, Catalogue.load(models_file(settings)), settings.models, detect())
    model = LlamaCppChatModel(models, prompt_style=settings.llm_prompt_style)
    return Engine(model, model)


def playbooks_folder(settings: Settings) -> Path | None:
    """Where the playbooks lie: the setting, this checkout, or beside the installed program; None: nowhere."""
    places = [_CHECKOUT, Path(sys.prefix).parent / "program"]
    return settings.playbooks_dir or next((place for place in places if (place / "playbook.yaml").is_file()), None)


def models_file(settings: Settings) -> Path:
    """The catalogue of models: the setting, the installation, or this checkout."""
    places = [_INSTALLED / "models.yaml", _CHECKOUT / "group_vars/models.yaml"]
    return settings.models_file or next((place for place in places if place.is_file()), places[0])


def _by_url(settings: Settings, url: str) -> Engine:
    """A server that somebody else runs; on the installed node that is our own engine's unit."""
    at = urlsplit(url)
    ours = at.hostname in _LOOPBACK and at.port == settings.engine_port
    status_file = settings.engines / "status.json"
    api_key = settings.llm_api_key or (shared_key(settings.engines / "api.key") if ours else "")
    model = OpenAIChatModel(
        url,
        model="" if ours or settings.llm_model == "auto" else settings.llm_model,
        api_key=api_key,
        prompt_style=settings.llm_prompt_style,
        status=(lambda: read_status(status_file)) if ours else None,
    )
    return Engine(model, model, restarts=ours, url=url, api_key=api_key)
