"""A running voice endpoint: real pipeline, real recognizer and synthesizer, a scripted model."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from fastapi import FastAPI, WebSocket

from pipecatapp.ports import Tool
from pipecatapp.timekeeping import Ringing
from pipecatapp.twin.agent import Agent
from pipecatapp.twin.turn_queue import TurnRunner
from pipecatapp.voice.recognition import Recognizer
from pipecatapp.voice.sessions import TurnDetection, VoiceSessions
from pipecatapp.voice.stt_pocketsphinx import PocketsphinxRecognizer
from pipecatapp.voice.synthesis import Synthesizer
from pipecatapp.voice.tts_programs import FliteSynthesizer
from testing.fakes.agent_harness import AgentHarness, RecordingSink
from testing.fakes.caller import Caller
from testing.fakes.chat_model import Answer, ScriptedChatModel


@dataclass
class VoiceHouse:
    """Everything a voice test touches."""

    port: int
    model: ScriptedChatModel
    sink: RecordingSink
    runner: TurnRunner
    sessions: VoiceSessions
    agent: Agent

    async def connected(self, count: int = 1) -> None:
        """Wait until so many callers have a session."""
        async with asyncio.timeout(60):
            while self.sessions.open_sessions < count:
                await asyncio.sleep(0.01)

    def caller(self, conversation: str = "c", **options: Any) -> Caller:
        return Caller(f"ws://127.0.0.1:{self.port}/ws/voice?conversation={conversation}", **options)


@asynccontextmanager
async def voice_house(
    state: Path,
    *answers: Answer,
    stt: Recognizer | None = None,
    tts: Synthesizer | None = None,
    turn: TurnDetection = "timeout",
    tools: Sequence[Tool] = (),
    ringing: Ringing | None = None,
) -> AsyncIterator[VoiceHouse]:
    """Serve ``/ws/voice`` on a free port."""
    harness = AgentHarness(state, *answers, tools=tools, gated=True, clock=time.time, ringing=ringing)
    agent, runner, sink = harness.agent, harness.runner, harness.sink
    sessions = VoiceSessions(
        agent, runner, sink, stt or PocketsphinxRecognizer(), tts or FliteSynthesizer(), turn_detection=turn
    )
    app = FastAPI()

    @app.websocket("/ws/voice")
    async def voice(websocket: WebSocket, conversation: str) -> None:
        await sessions.serve(websocket, conversation)

    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="warning", ws="websockets-sansio"))
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    await sessions.warm_up()
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield VoiceHouse(port, harness.model, sink, runner, sessions, agent)
    finally:
        await sessions.aclose()
        server.should_exit = True
        await serving
        await runner.aclose()
        await agent.aclose()


@pytest.fixture
def house(tmp_path: Path) -> Callable[..., Any]:
    """``async with house("answer") as h``."""
    return lambda *answers, **options: voice_house(tmp_path, *answers, **options)
