"""Speech synthesis with Piper in this process (extra ``piper``, GPL-3) or over HTTP, which keeps it apart."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

from pipecatapp.errors import SpeechError
from pipecatapp.voice.synthesis import to_pipeline_rate, trim


class PiperSynthesizer:
    """One Piper voice for all sessions.

    Args:
        model: a ``*.onnx`` file with its ``*.onnx.json`` beside it.
    """

    name = "piper"

    def __init__(self, model: Path) -> None:
        self._file = model
        self._voice: Any = None
        self._turn = threading.Lock()

    async def load(self) -> None:
        """Load the voice in a thread."""
        await asyncio.to_thread(self._load)

    async def say(self, text: str) -> bytes:
        """Speak, in a thread."""
        return await asyncio.to_thread(self._say, text)

    async def aclose(self) -> None:
        """Let the voice go."""
        self._voice = None

    def _load(self) -> None:
        from piper import PiperVoice

        try:
            self._voice = PiperVoice.load(self._file)
        except Exception as error:
            raise SpeechError(f"the Piper voice {self._file} could not be loaded: {error}") from error

    def _say(self, text: str) -> bytes:
        if self._voice is None:
            raise SpeechError("the Piper voice is not loaded")
        try:
            with self._turn:
                sound = b"".join(chunk.audio_int16_bytes for chunk in self._voice.synthesize(text))
        except Exception as error:
            raise SpeechError(f"Piper failed: {error}") from error
        return trim(to_pipeline_rate(sound, self._voice.config.sample_rate))
