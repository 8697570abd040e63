"""Speech synthesis with Kokoro (extra ``kokoro``): the best voice here, for a PC with AVX2 and four cores."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import numpy as np

from pipecatapp.errors import SpeechError
from pipecatapp.voice.synthesis import to_pipeline_rate, trim

DEFAULT_VOICE = "af_heart"


class KokoroSynthesizer:
    """One Kokoro model for all sessions.

    Args:
        model: ``kokoro-v1.0.onnx``.
        voices: ``voices-v1.0.bin``.
        voice: one of its voices.
    """

    name = "kokoro"

    def __init__(self, model: Path, voices: Path, voice: str = "") -> None:
        self._model = model
        self._voices = voices
        self._voice = voice or DEFAULT_VOICE
        self._kokoro: Any = None
        self._turn = threading.Lock()

    async def load(self) -> None:
        """Load the model in a thread."""
        await asyncio.to_thread(self._load)

    async def say(self, text: str) -> bytes:
        """Speak, in a thread."""
        return await asyncio.to_thread(self._say, text)

    async def aclose(self) -> None:
        """Let the model go."""
        self._kokoro = None

    def _load(self) -> None:
        from kokoro_onnx import Kokoro

        try:
            kokoro = Kokoro(str(self._model), str(self._voices))
            known = sorted(kokoro.get_voices())
        except Exception as error:
            raise SpeechError(f"Kokoro could not be loaded from {self._model.parent}: {error}") from error
        if self._voice not in known:
            raise SpeechError(f"Kokoro has no voice {self._voice!r}; TTS_VOICE may be one of: {', '.join(known)}")
        self._kokoro = kokoro

    def _say(self, text: str) -> bytes:
        if self._kokoro is None:
            raise SpeechError("Kokoro is not loaded")
        try:
            with self._turn:
                samples, rate = self._kokoro.create(text, voice=self._voice, speed=1.0, lang="en-us")
        except Exception as error:
            raise SpeechError(f"Kokoro failed: {error}") from error
        pcm = (np.clip(samples, -1.0, 1.0) * 32767).astype(np.int16).tobytes()
        return trim(to_pipeline_rate(pcm, rate))
