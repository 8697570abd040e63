"""The voice that comes later: who comes before waits, and what fails to load is told."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from pipecatapp.domain import ComponentHealth
from pipecatapp.errors import ConfigurationError
from pipecatapp.voice.late import LateVoice

pytestmark = pytest.mark.unit


class Sessions:
    """The outside of ``VoiceSessions``."""

    def __init__(self, gate: asyncio.Event) -> None:
        self.gate = gate
        self.served: list[str] = []
        self.closed = False

    @property
    def health_sources(self) -> list[Any]:
        class Fine:
            async def health(self) -> ComponentHealth:
                return ComponentHealth("stt", ok=True, reason="pocketsphinx")

        return [Fine()]

    async def warm_up(self) -> None:
        await self.gate.wait()

    async def serve(self, websocket: Any, conversation: str) -> None:
        self.served.append(conversation)

    async def aclose(self) -> None:
        self.closed = True


class Socket:
    def __init__(self) -> None:
        self.closed = 0

    async def close(self, code: int, reason: str) -> None:
        self.closed = code


async def test_a_session_waits_for_the_voice_to_be_loaded() -> None:
    gate = asyncio.Event()
    sessions = Sessions(gate)
    voice = LateVoice(lambda: sessions)  # type: ignore[arg-type,return-value]
    assert (await voice.stt.health()).reason == "it is still loading"
    loading = asyncio.create_task(voice.load())
    serving = asyncio.create_task(voice.serve(Socket(), "c"))  # type: ignore[arg-type]
    while not (await voice.stt.health()).ok:
        await asyncio.sleep(0)
    assert sessions.served == []
    gate.set()
    await asyncio.gather(loading, serving)
    assert sessions.served == ["c"]
    await voice.aclose()
    assert sessions.closed


@pytest.mark.parametrize("kind", [ConfigurationError, RuntimeError])
async def test_a_voice_that_cannot_be_loaded_is_told_and_closes_sessions(kind: type[Exception]) -> None:
    def broken() -> Any:
        raise kind("nothing can speak here")

    voice = LateVoice(broken)
    await voice.load()
    state = await voice.tts.health()
    assert (state.component, state.ok, state.reason) == ("tts", False, "nothing can speak here")
    socket = Socket()
    await voice.serve(socket, "c")  # type: ignore[arg-type]
    assert socket.closed == 1011
    await voice.aclose()
