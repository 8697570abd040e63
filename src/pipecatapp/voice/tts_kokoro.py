"""Speech synthesis with Kokoro (extra ``kokoro``): the best voice here, for a PC with AVX2 and four cores."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from pipecatapp.errors import SpeechError
from pipecatapp.voice.in_process import InProcessSynthesizer

DEFAULT_VOICE = "af_heart"


class KokoroSynthesizer(InProcessSynthesizer):
    """Kokoro.

    Args:
        model: ``kokoro-v1.0.onnx``.
        voices: ``voices-v1.0.bin``.
        voice: one of its voices.
    """

    name = "kokoro"

    def __init__(self, model: Path, voices: Path, voice: str = "") -> None:
        super().__init__()
        self._file = model
        self._voices = voices
        self._voice = voice or DEFAULT_VOICE
        self.title = f"Kokoro in {model.parent}"

    def load_model(self) -> Any:
        """The model with its voices. Raises SpeechError where the wanted one is not among them."""
        from kokoro_onnx import Kokoro

        kokoro = Kokoro(str(self._file), str(self._voices))
        known = sorted(kokoro.get_voices())
        if self._voice not in known:
            raise SpeechError(f"Kokoro has no voice {self._voice!r}; TTS_VOICE may be one of: {', '.join(known)}")
        return kokoro

    def synthesize(self, model: Any, text: str) -> tuple[bytes, int]:
        """In American English, at its usual pace."""
        samples, rate = model.create(text, voice=self._voice, speed=1.0, lang="en-us")
        return (np.clip(samples, -1.0, 1.0) * 32767).astype(np.int16).tobytes(), rate
