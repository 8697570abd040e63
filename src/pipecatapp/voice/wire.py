"""The wire format of ``/ws/voice``.

Binary is PCM16 mono little endian, 16 kHz up and 24 kHz down. Text is JSON, down: ``{"type": "interrupt"}`` (flush the
playback now), ``{"type": "mark", "id": N}`` behind a piece of sound; up: ``{"type": "played", "id": N}`` once that
piece was played, ``{"type": "mute", "on": true}``.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable

from pipecat.frames.frames import (
    Frame,
    InputAudioRawFrame,
    InputTransportMessageFrame,
    InterruptionFrame,
    OutputAudioRawFrame,
    OutputTransportMessageFrame,
    OutputTransportMessageUrgentFrame,
)
from pipecat.serializers.base_serializer import FrameSerializer

from pipecatapp.json_bounds import load_json
from pipecatapp.voice.recognition import SAMPLE_RATE

logger = logging.getLogger(__name__)


class WireSerializer(FrameSerializer):
    """Frames to messages and back.

    Args:
        listening: asked for every piece of sound; while it says no (paused), sound is dropped.
    """

    def __init__(self, listening: Callable[[], bool]) -> None:
        super().__init__()
        self._listening = listening
        self._muted = False

    async def serialize(self, frame: Frame) -> str | bytes | None:
        """Frame to message; None for what the page does not need."""
        if isinstance(frame, OutputAudioRawFrame):
            return frame.audio
        if isinstance(frame, InterruptionFrame):
            return '{"type":"interrupt"}'
        if isinstance(frame, OutputTransportMessageFrame | OutputTransportMessageUrgentFrame):
            return json.dumps(frame.message, separators=(",", ":"))
        return None

    async def deserialize(self, data: str | bytes) -> Frame | None:
        """Message to frame; None for sound nobody listens to and for what makes no sense."""
        if isinstance(data, bytes):
            if self._muted or not self._listening() or len(data) < 2:
                return None
            return InputAudioRawFrame(data[: len(data) // 2 * 2], SAMPLE_RATE, 1)
        try:
            message = load_json(data)
        except ValueError:
            message = None
        if not isinstance(message, dict):
            logger.warning("dropped a text message on /ws/voice that is no JSON object")
            return None
        if message.get("type") == "mute":
            self._muted = message.get("on") is True
            return None
        return InputTransportMessageFrame(message=message)
