"""The voice from the first second on, while pipecat and the speech models behind it are still being loaded."""

from __future__ import annotations

import asyncio
import importlib
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from starlette.websockets import WebSocket

from pipecatapp.domain import ComponentHealth
from pipecatapp.errors import PipecatAppError
from pipecatapp.events import HealthChanged
from pipecatapp.ports import EventSink, HealthSource

if TYPE_CHECKING:
    from pipecatapp.voice.sessions import VoiceSessions

logger = logging.getLogger(__name__)


class LateVoice:
    """The voice sessions; who comes before they are loaded waits.

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

    async def loaded(self) -> None:
        """Return when there is a voice, or when it is known that there is none."""
        await self._loaded.wait()

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
