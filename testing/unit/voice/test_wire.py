"""The messages on ``/ws/voice``."""

from __future__ import annotations

import pytest
from pipecat.frames.frames import (
    InputAudioRawFrame,
    InputTransportMessageFrame,
    InterruptionFrame,
    OutputTransportMessageFrame,
    TTSAudioRawFrame,
    TTSStartedFrame,
)

from pipecatapp.voice.wire import WireSerializer

pytestmark = pytest.mark.unit


async def test_sound_goes_both_ways_as_it_is() -> None:
    wire = WireSerializer(lambda: True)
    frame = await wire.deserialize(b"\1\0\2\0\3")
    assert isinstance(frame, InputAudioRawFrame)
    assert frame.audio == b"\1\0\2\0"
    assert frame.sample_rate == 16000
    assert await wire.serialize(TTSAudioRawFrame(b"\1\0", 24000, 1)) == b"\1\0"


async def test_marks_and_interruptions_are_json() -> None:
    wire = WireSerializer(lambda: True)
    assert await wire.serialize(InterruptionFrame()) == '{"type":"interrupt"}'
    assert (
        await wire.serialize(OutputTransportMessageFrame(message={"type": "mark", "id": 3})) == '{"type":"mark","id":3}'
    )
    assert await wire.serialize(TTSStartedFrame()) is None
    frame = await wire.deserialize('{"type": "played", "id": 3}')
    assert isinstance(frame, InputTransportMessageFrame)
    assert frame.message == {"type": "played", "id": 3}


async def test_muted_or_paused_nothing_is_heard() -> None:
    listening = [True]
    wire = WireSerializer(lambda: listening[0])
    assert await wire.deserialize('{"type": "mute", "on": true}') is None
    assert await wire.deserialize(b"\1\0") is None
    await wire.deserialize('{"type": "mute", "on": false}')
    assert await wire.deserialize(b"\1\0") is not None
    listening[0] = False
    assert await wire.deserialize(b"\1\0") is None


@pytest.mark.parametrize("message", ["", "[]", "no json", "3"])
async def test_nonsense_is_dropped(message: str) -> None:
    assert await WireSerializer(lambda: True).deserialize(message) is None
