"""Hearing and speaking, made from the settings."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from starlette.websockets import WebSocket

from pipecatapp.errors import ConfigurationError
from pipecatapp.parts import Part
from pipecatapp.ports import EventSink, HealthSource
from pipecatapp.settings import Settings
from pipecatapp.tools.volume import Loudness
from pipecatapp.twin.agent import Agent
from pipecatapp.twin.turn_queue import TurnRunner
from pipecatapp.voice.late import LateVoice
from pipecatapp.voice.recognition import Recognizer
from pipecatapp.voice.registry import Environment, create_recognizer, create_synthesizer
from pipecatapp.voice.synthesis import Synthesizer

if TYPE_CHECKING:
    from pipecatapp.voice.sessions import VoiceSessions

logger = logging.getLogger(__name__)

# The conversation of AUDIO_TRANSPORT=local.
LOCAL_CONVERSATION = "local-microphone"


@dataclass(frozen=True, slots=True)
class Speech:
    """What hears and what speaks."""

    recognizer: Recognizer
    synthesizer: Synthesizer


class VoicePart(Part):
    """The voice sessions.

    Args:
        voice: the sessions, as soon as they are loaded.
        runner: the queue of turns, which knows who paused.
        sink: where troubles go.
        local: talk on this node's own microphone and speaker too.
    """

    def __init__(self, voice: LateVoice, runner: TurnRunner, sink: EventSink, *, local: bool) -> None:
        self._voice = voice
        self._runner = runner
        self._sink = sink
        self._local = local
        self._task: asyncio.Task[None] | None = None

    @property
    def health(self) -> Mapping[str, HealthSource]:
        """The components ``stt`` and ``tts``."""
        return {"stt": self._voice.stt, "tts": self._voice.tts}

    async def serve(self, websocket: WebSocket, conversation: str) -> None:
        """Run a voice session over this socket, as soon as there is a voice."""
        await self._voice.serve(websocket, conversation)

    async def loaded(self) -> None:
        """Return when the voice is loaded, or known not to work."""
        await self._voice.loaded()

    async def start(self) -> None:
        """Load in the background."""
        self._task = asyncio.create_task(self._run(), name="load the voice")

    async def stop(self) -> None:
        """End the sessions, then the loading: pipecat keeps a cancellation that reaches a session to itself."""
        await self._voice.aclose()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        await self._voice.load()
        if self._local:
            await self._voice.talk_locally(
                self._sink, LOCAL_CONVERSATION, lambda: not self._runner.paused(LOCAL_CONVERSATION)
            )


def create(
    settings: Settings, agent: Agent, runner: TurnRunner, sink: EventSink, loudness: Loudness | None = None
) -> VoicePart:
    """The voice; imports pipecat and loads models only once it is started.

    Raises:
        ConfigurationError: a service that was asked for by name cannot work here.
    """
    speech = _speech(settings)

    def sessions() -> VoiceSessions:
        from pipecatapp.voice.sessions import VoiceSessions

        found = create_speech(settings) if speech is None else speech
        return VoiceSessions(
            agent,
            runner,
            sink,
            found.recognizer,
            found.synthesizer,
            turn_detection=settings.turn_detection,
            loudness=loudness,
            benchmark=settings.benchmark_mode,
        )

    return VoicePart(LateVoice(sessions), runner, sink, local=settings.audio_transport == "local")


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


def _speech(settings: Settings) -> Speech | None:
    """The speech services. None: the best was asked for and nothing can speak here, so that only typing works."""
    try:
        return create_speech(settings)
    except ConfigurationError as error:
        if settings.tts_service != "auto" or settings.stt_service != "auto":
            raise
        logger.error("speech does not work: %s", error)
        return None
