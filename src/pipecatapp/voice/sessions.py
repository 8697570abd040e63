"""Voice sessions: a pipecat pipeline per microphone over models that are loaded once.

transport.input -> VAD -> SttProcessor (STT) -> user turns -> TwinService -> TtsProcessor (TTS) -> transport.output
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Literal

from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.audio.vad_processor import VADProcessor
from pipecat.transports.base_transport import BaseTransport
from pipecat.transports.websocket.fastapi import FastAPIWebsocketParams, FastAPIWebsocketTransport
from pipecat.turns.user_start import TranscriptionUserTurnStartStrategy, VADUserTurnStartStrategy
from pipecat.turns.user_stop import (
    BaseUserTurnStopStrategy,
    SpeechTimeoutUserTurnStopStrategy,
    TurnAnalyzerUserTurnStopStrategy,
)
from pipecat.turns.user_turn_processor import UserTurnProcessor
from pipecat.turns.user_turn_strategies import UserTurnStrategies
from pipecat.workers.runner import WorkerRunner
from starlette.websockets import WebSocket, WebSocketState

from pipecatapp.domain import ComponentHealth
from pipecatapp.errors import SpeechError
from pipecatapp.events import HealthChanged
from pipecatapp.ports import EventSink, HealthSource
from pipecatapp.tools.volume import Loudness
from pipecatapp.twin.turn_queue import TurnRunner
from pipecatapp.voice.brain import Brain
from pipecatapp.voice.recognition import SAMPLE_RATE as RATE_IN
from pipecatapp.voice.recognition import Recognizer
from pipecatapp.voice.stt_processor import SttProcessor
from pipecatapp.voice.synthesis import SAMPLE_RATE as RATE_OUT
from pipecatapp.voice.synthesis import Synthesizer
from pipecatapp.voice.tts_fallback import FallbackSynthesizer
from pipecatapp.voice.twin_service import TwinService
from pipecatapp.voice.vad import SharedSilero, SharedSmartTurn, load_vad, smart_turn_is_quick
from pipecatapp.voice.wire import WireSerializer

logger = logging.getLogger(__name__)

TurnDetection = Literal["auto", "smart", "timeout"]

# The pause that ends a turn, after the VAD's own 0.2 s. Who goes on speaking later than that is understood as going
# on with the same request (twin_service), so it can be short.
PAUSE_S = 0.3
# Sound that stops coming for this long in the middle of a word ends it. A busy old PC may stall for a second.
SOUND_GONE_S = 2.5


class SpeechHealth:
    """Whether recognition or synthesis can work; a ``HealthSource``."""

    def __init__(self, component: str, look: Callable[[], tuple[bool, str]]) -> None:
        self._component = component
        self._look = look

    async def health(self) -> ComponentHealth:
        """The state now."""
        ok, reason = self._look()
        return ComponentHealth(self._component, ok, reason)


class VoiceSessions:
    """Runs any number of voice sessions.

    Args:
        agent: the brain.
        runner: typed requests of a conversation go through its voice session while there is one.
        sink: where events go.
        stt: the recognizer all sessions share.
        tts: the synthesizer all sessions share; one with a fallback is made of a list (``FallbackSynthesizer``).
        turn_detection: ``smart`` (Smart Turn), ``timeout`` (a pause), or ``auto``: smart where the CPU is quick.
        loudness: how loud it speaks, in each conversation.
        benchmark: print the latency block after each spoken turn.
    """

    def __init__(
        self,
        agent: Brain,
        runner: TurnRunner,
        sink: EventSink,
        stt: Recognizer,
        tts: Synthesizer,
        *,
        turn_detection: TurnDetection = "auto",
        loudness: Loudness | None = None,
        benchmark: bool = False,
    ) -> None:
        self._agent = agent
        self._runner = runner
        self._sink = sink
        self._stt = stt
        self._tts = tts if isinstance(tts, FallbackSynthesizer) else FallbackSynthesizer([tts])
        self._turn_detection = turn_detection
        self._loudness = loudness or Loudness()
        self._benchmark = benchmark
        self._smart = turn_detection == "smart"
        self._loading = asyncio.Lock()
        self._loaded = False
        self._stt_trouble = "speech recognition is still loading"
        self._tts_trouble = "the voice is still loading"
        self._open: set[PipelineWorker] = set()
        self._speaking: set[PipelineWorker] = set()

    @property
    def health_sources(self) -> list[HealthSource]:
        """The components ``stt`` and ``tts``."""
        return [SpeechHealth("stt", self._stt_health), SpeechHealth("tts", self._tts_health)]

    @property
    def open_sessions(self) -> int:
        """How many pipelines run, ready to hear and to speak."""
        return len(self._speaking)

    async def warm_up(self) -> None:
        """Load the shared models once, in a thread. What fails to load is told, and tried again by the next session."""
        async with self._loading:
            if self._loaded:
                return
            await asyncio.to_thread(load_vad)
            if self._turn_detection == "auto":
                self._smart = await asyncio.to_thread(smart_turn_is_quick)
            self._stt_trouble = await self._load("stt", self._stt.name, self._stt.load)
            self._tts_trouble = await self._load("tts", self._tts.name, self._tts.load)
            self._loaded = not self._stt_trouble and not self._tts_trouble
            logger.info(
                "voice: %s hears, %s speaks, a turn ends by %s",
                self._stt.name,
                self._tts.speaking_name,
                "Smart Turn" if self._smart else "a pause",
            )

    async def serve(self, websocket: WebSocket, conversation: str) -> None:
        """Run a pipeline over the socket until it closes. Format: voice/wire.py."""
        if websocket.application_state == WebSocketState.CONNECTING:
            await websocket.accept()
        serializer = WireSerializer(listening=lambda: not self._runner.paused(conversation))
        transport = FastAPIWebsocketTransport(
            websocket,
            FastAPIWebsocketParams(
                audio_in_enabled=True,
                audio_out_enabled=True,
                audio_in_sample_rate=RATE_IN,
                audio_out_sample_rate=RATE_OUT,
                serializer=serializer,
                allowed_origins=[],
            ),
        )
        await self.run(transport, conversation)

    async def run(self, transport: BaseTransport, conversation: str) -> None:
        """Run a pipeline over any pipecat transport until it disconnects."""
        await self.warm_up()
        service = TwinService(self._agent, conversation, self._sink, self._tts, benchmark=self._benchmark)
        service.tts.speak_at(lambda: self._loudness.of(conversation))
        vad = SharedSilero()
        pipeline = Pipeline(
            [
                transport.input(),
                VADProcessor(vad_analyzer=vad, audio_idle_timeout=SOUND_GONE_S),
                SttProcessor(self._stt, lambda: vad.pause_s),
                UserTurnProcessor(user_turn_strategies=self._strategies()),
                service,
                service.tts,
                transport.output(),
            ]
        )
        worker = PipelineWorker(
            pipeline,
            params=PipelineParams(audio_in_sample_rate=RATE_IN, audio_out_sample_rate=RATE_OUT),
            idle_timeout_secs=None,
            enable_rtvi=False,
            enable_turn_tracking=False,
        )

        async def disconnected(*_: object) -> None:
            await worker.cancel()

        async def started(*_: object) -> None:
            # Not before: a processor that has not started can begin no answer.
            if worker in self._open:
                self._speaking.add(worker)
                self._runner.attach(conversation, service)

        transport.add_event_handler("on_client_disconnected", disconnected)
        worker.add_event_handler("on_pipeline_started", started)
        runner = WorkerRunner(handle_sigint=False)
        await runner.add_workers(worker)
        self._open.add(worker)
        try:
            await runner.run()
        finally:
            self._runner.detach(conversation, service)
            self._speaking.discard(worker)
            self._open.discard(worker)

    async def aclose(self) -> None:
        """End all sessions and release the models; for the end of the program."""
        for worker in list(self._open):
            await worker.cancel()
        await self._stt.aclose()
        await self._tts.aclose()

    def _strategies(self) -> UserTurnStrategies:
        stop: BaseUserTurnStopStrategy
        if self._smart:
            stop = TurnAnalyzerUserTurnStopStrategy(turn_analyzer=SharedSmartTurn())
        else:
            stop = SpeechTimeoutUserTurnStopStrategy(user_speech_timeout=PAUSE_S)
        # Interruptions are decided in TwinService, which silences the speaker sooner and tells false alarms apart.
        return UserTurnStrategies(
            start=[
                VADUserTurnStartStrategy(enable_interruptions=False),
                TranscriptionUserTurnStartStrategy(enable_interruptions=False),
            ],
            stop=[stop],
        )

    async def _load(self, component: str, name: str, load: Callable[[], Awaitable[None]]) -> str:
        """Load, tell how it went; returns the trouble or an empty string."""
        try:
            await load()
        except SpeechError as error:
            trouble = f"{name}: {error}"
            logger.error("cannot load %s", trouble)
        else:
            trouble = ""
        self._sink.emit(HealthChanged(component=component, ok=not trouble, reason=trouble or name))
        return trouble

    def _stt_health(self) -> tuple[bool, str]:
        return not self._stt_trouble, self._stt_trouble or self._stt.name

    def _tts_health(self) -> tuple[bool, str]:
        trouble = self._tts_trouble or self._tts.trouble
        return not self._tts_trouble and not self._tts.silent, trouble or self._tts.name
