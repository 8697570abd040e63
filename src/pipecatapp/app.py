"""The program: puts the parts together, starts them so that the page is there at once, ends them when told."""

from __future__ import annotations

import asyncio
import importlib
import json
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from starlette.websockets import WebSocket

from pipecatapp import __version__
from pipecatapp.agent_factory import (
    Speech,
    check_supported,
    create_agent,
    create_approvals,
    create_camera,
    create_cluster,
    create_conversations,
    create_engine,
    create_mcp_servers,
    create_memory,
    create_speech,
    create_states,
    create_voice,
)
from pipecatapp.domain import ComponentHealth
from pipecatapp.errors import ConfigurationError, PipecatAppError, StorageError
from pipecatapp.events import HealthChanged
from pipecatapp.hub import EventHub
from pipecatapp.ports import EventSink, HealthSource
from pipecatapp.settings import Settings
from pipecatapp.storage.atomic import replace_file
from pipecatapp.storage.event_log import EventLog
from pipecatapp.twin.turn_queue import TurnRunner
from pipecatapp.vision.attention import Attention
from pipecatapp.vision.camera_watcher import CameraWatcher
from pipecatapp.web.auth import Access, load_token
from pipecatapp.web.health import HealthBoard
from pipecatapp.web.logs import EventLogHandler
from pipecatapp.web.metrics import Metrics
from pipecatapp.web.server import create_app
from pipecatapp.web.services import WebServices
from pipecatapp.web.serving import Servers
from pipecatapp.web.tls import LocalAuthority

if TYPE_CHECKING:
    from pipecatapp.voice.sessions import VoiceSessions

logger = logging.getLogger(__name__)

# Ending takes no longer than this; who has not ended by then is left to the operating system.
SHUTDOWN_S = 5.0
# The conversation of AUDIO_TRANSPORT=local.
LOCAL_CONVERSATION = "local-microphone"


def run(settings: Settings) -> int:
    """Serve until SIGTERM or SIGINT; returns the exit code."""
    logging.basicConfig(
        level=settings.log_level, stream=sys.stderr, format="%(asctime)s %(levelname)-7s %(name)s: %(message)s"
    )
    # They log every request, and when debugging what people said.
    for noisy in ("httpx", "httpcore", "httpx2", "httpcore2", "websockets", "mcp"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    # Every line that is no message, with what stands in it; tools.mcp_servers counts them.
    logging.getLogger("mcp.client.stdio").setLevel(logging.CRITICAL)
    asyncio.run(_serve(settings))
    return 0


async def _serve(settings: Settings) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    app = App(settings)
    try:
        await app.start()
    except ConfigurationError:
        await app.stop()
        raise
    print(welcome(app.servers.open_links(), to_person=sys.stdout.isatty()), flush=True)
    await stop.wait()
    logger.info("ending")
    # A model that is still being loaded in a thread cannot be stopped otherwise.
    last_resort = threading.Timer(SHUTDOWN_S, os._exit, args=(0,))
    last_resort.daemon = True
    last_resort.start()
    await app.stop()


def welcome(links: Sequence[str], *, to_person: bool) -> str:
    """What to open. The links that log in are for a person alone: a service's output ends up in a log."""
    if to_person:
        return "Open " + "\n  or ".join(links)
    return "Open " + "\n  or ".join(link.partition("?")[0] for link in links) + "\nto log in: pipecatapp link"


class LateVoice:
    """The voice from the first second on: pipecat and the speech models behind it are loaded meanwhile.

    Args:
        create: makes the sessions, once ``pipecatapp.voice.sessions`` is imported.
    """

    def __init__(self, create: Callable[[], VoiceSessions]) -> None:
        self._create = create
        self._sessions: VoiceSessions | None = None
        self._trouble = "it is still loading"
        self._loaded = asyncio.Event()
        self.stt: HealthSource = _LateHealth(self, "stt")
        self.tts: HealthSource = _LateHealth(self, "tts")

    async def load(self) -> None:
        """Import and load. What fails is the health of the speech components; typing goes on."""
        try:
            await asyncio.to_thread(importlib.import_module, "pipecatapp.voice.sessions")
            sessions = self._create()
            self._sessions = sessions
            await sessions.warm_up()
        except Exception as error:  # the libraries behind it raise what they like
            logger.exception("the voice cannot be loaded")
            self._sessions = None
            self._trouble = str(error) or type(error).__name__
        finally:
            self._loaded.set()

    async def serve(self, websocket: WebSocket, conversation: str) -> None:
        """Run a voice session over this socket, as soon as there is a voice."""
        await self._loaded.wait()
        if self._sessions is None:
            await websocket.close(1011, "speech does not work here; Mission Control says why")
            return
        await self._sessions.serve(websocket, conversation)

    async def talk_locally(self, sink: EventSink, conversation: str, listening: Callable[[], bool]) -> None:
        """Keep a voice session on this node's own microphone and speaker (``AUDIO_TRANSPORT=local``)."""
        from pipecatapp.voice.local_audio import talk_locally

        if self._sessions is None:
            return
        try:
            await talk_locally(self._sessions, sink, conversation, listening)
        except PipecatAppError as error:
            logger.error("AUDIO_TRANSPORT=local does not work: %s", error)
            sink.emit(HealthChanged(component="sound card", ok=False, reason=str(error)))

    async def health(self, component: str) -> ComponentHealth:
        """The health of ``stt`` or ``tts``."""
        if self._sessions is None:
            return ComponentHealth(component, ok=False, reason=self._trouble)
        for source in self._sessions.health_sources:
            state = await source.health()
            if state.component == component:
                return state
        return ComponentHealth(component, ok=False, reason="nobody knows")

    async def aclose(self) -> None:
        """End all sessions."""
        if self._sessions is not None:
            await self._sessions.aclose()


class _LateHealth:
    """``ports.HealthSource`` of one speech component."""

    def __init__(self, voice: LateVoice, component: str) -> None:
        self._voice = voice
        self._component = component

    async def health(self) -> ComponentHealth:
        """The state now."""
        return await self._voice.health(self._component)


class App:
    """One node. ``start`` returns when the page can be opened; engine and voice go on loading behind it."""

    def __init__(self, settings: Settings) -> None:
        check_supported(settings)
        self._settings = settings
        started = time.monotonic()
        _prepare_state(settings.state_dir)
        token = load_token(settings.state_dir)
        event_log = EventLog(settings.state_dir / "events")
        self.hub = EventHub(event_log, version=__version__)
        self._speech = _speech(settings)
        self._cluster = create_cluster(settings, self.hub)
        self._engine = create_engine(settings, self._cluster)
        self._voice = LateVoice(self._create_voice)
        self._mcp_servers = create_mcp_servers(settings)
        self._memory = create_memory(settings, self._engine, self.hub)
        attention = Attention()
        self.hub.add_listener(attention.observe)
        self._eyes = create_camera(settings, self.hub, attention.busy)
        components = {
            "engine": self._engine.health, "stt": self._voice.stt, "tts": self._voice.tts, "memory": self._memory,
        }  # fmt: skip
        sources = []
        if self._mcp_servers is not None:
            components["mcp"] = self._mcp_servers
            sources = [self._mcp_servers]
        experts = self._cluster.experts if self._cluster is not None else None
        if experts is not None:
            components["experts"] = experts
        if isinstance(self._eyes, CameraWatcher):
            components["vision"] = self._eyes
        board = HealthBoard(components, self.hub)
        conversations = create_conversations(settings)
        self._approvals = create_approvals(settings, self.hub)
        self.agent = create_agent(
            settings,
            self._engine,
            self.hub,
            board.fresh,
            started,
            sources,
            conversations=conversations,
            memory=self._memory,
            gate=self._approvals.gate,
            eyes=self._eyes,
            cluster=self._cluster,
        )
        self.runner = TurnRunner(self.agent, self.hub, benchmark=settings.benchmark_mode)
        authority = LocalAuthority(settings.state_dir / "tls") if settings.web_tls_port else None
        names = tuple(name.strip() for name in settings.web_allowed_hosts.split(",") if name.strip())
        services = WebServices(
            access=Access(token),
            hub=self.hub,
            event_log=event_log,
            runner=self.runner,
            voice=self._voice,
            completions=self.agent,
            memory=self._memory,
            states=create_states(settings, self._memory, conversations, self.agent),
            experts=experts,
            choose=self.agent.choose,
            chosen=self.agent.chosen,
            approvals=self.agent,
            external_calls=self.agent.external_calls,
            audit=self._approvals.audit,
            health=board,
            metrics=Metrics(version=__version__, pages=self.hub.pages),
            tools=lambda: self.agent.tools,
            camera=self._eyes,
            tools_off=lambda: self.agent.off,
            tools_offered=lambda: self.agent.always_offered,
            pictures=settings.pictures,
            tls_port=settings.web_tls_port,
            ca_certificate=authority.files.ca_certificate if authority else None,
            allowed_hosts=names,
            version=__version__,
        )
        self.servers = Servers(
            create_app(services),
            settings.web_host,
            settings.web_port,
            settings.web_tls_port,
            token=token,
            authority=authority,
            extra_names=names,
        )
        self._log = EventLogHandler(self.hub)
        self._loading: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Open the page, then begin to load the engine and the voice.

        Raises:
            ConfigurationError: a port is taken, or a certificate cannot be made.
        """
        logging.getLogger().addHandler(self._log)
        await self._open_approvals()
        await self.servers.start()
        serving = {
            "pid": os.getpid(),
            "host": self._settings.web_host,
            "port": self.servers.port,
            "tls_port": self.servers.tls_port,
        }
        await asyncio.to_thread(replace_file, self._settings.serving_file, json.dumps(serving), 0o644)
        self._memory.start()
        if self._cluster is not None:
            await self._cluster.start()
        await self._engine.start()
        if self._mcp_servers is not None:
            self._mcp_servers.start()
        self._loading = asyncio.create_task(self._load_voice(), name="load the voice")

    async def stop(self) -> None:
        """End everything: the turns first, so that they are kept; the engine last."""
        self._settings.serving_file.unlink(missing_ok=True)
        for name, end in (
            ("turns", self.runner.aclose),
            ("voice", self._voice.aclose),
            ("loading", self._stop_loading),
            ("approvals", self._approvals.gate.aclose),
            ("eyes", lambda: asyncio.to_thread(self._eyes.stop)),
            ("conversations", self.agent.aclose),
            ("MCP servers", self._stop_mcp_servers),
            ("memory", self._memory.close),
            ("engine", self._engine.stop),
            ("experts", self._stop_cluster),
            ("pages", self._close_pages),
        ):
            began = time.monotonic()
            try:
                await end()
            except Exception:
                logger.exception("ending the %s failed", name)
            logger.debug("%s ended after %.2f s", name, time.monotonic() - began)
        logging.getLogger().removeHandler(self._log)

    async def _stop_cluster(self) -> None:
        if self._cluster is not None:
            await self._cluster.stop()

    async def _open_approvals(self) -> None:
        try:
            await self._approvals.gate.open()
            if broken := await self._approvals.audit.verify():
                logger.error("the audit log was changed by somebody else: %s", broken)
        except StorageError as error:
            logger.error("tools that act will be refused: %s", error)

    async def _stop_loading(self) -> None:
        # After the sessions have ended: pipecat keeps a cancellation that reaches a running session to itself.
        if self._loading is not None:
            self._loading.cancel()
            await asyncio.gather(self._loading, return_exceptions=True)

    async def _stop_mcp_servers(self) -> None:
        if self._mcp_servers is not None:
            await self._mcp_servers.stop()

    async def _load_voice(self) -> None:
        await self._voice.load()
        # After the voice: on an old PC their libraries take seconds to load.
        self._eyes.start()
        if self._settings.audio_transport == "local":
            await self._voice.talk_locally(
                self.hub, LOCAL_CONVERSATION, lambda: not self.runner.paused(LOCAL_CONVERSATION)
            )

    def _create_voice(self) -> VoiceSessions:
        speech = create_speech(self._settings) if self._speech is None else self._speech
        return create_voice(self._settings, speech, self.agent, self.runner, self.hub)

    async def _close_pages(self) -> None:
        self.hub.close()
        await self.servers.stop()


def _speech(settings: Settings) -> Speech | None:
    """The speech services. None: the best was asked for and nothing can speak here, so that only typing works."""
    try:
        return create_speech(settings)
    except ConfigurationError as error:
        if settings.tts_service != "auto" or settings.stt_service != "auto":
            raise
        logger.error("speech does not work: %s", error)
        return None


def _prepare_state(folder: Path) -> None:
    """Make sure that the state can be kept, before anything else fails in a less clear way."""
    try:
        folder.mkdir(mode=0o750, parents=True, exist_ok=True)
        probe = folder / f".probe-{os.getpid()}"
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        raise ConfigurationError(
            f"STATE_DIR {folder} cannot be written: {error.strerror}; run as its owner, or name another folder"
        ) from error
