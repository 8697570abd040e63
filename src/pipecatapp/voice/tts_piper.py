"""Speech synthesis with Piper in this process (extra ``piper``, GPL-3); ``tts_http`` keeps it apart."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pipecatapp.voice.in_process import InProcessSynthesizer


class PiperSynthesizer(InProcessSynthesizer):
    """One Piper voice.

    Args:
        model: a ``*.onnx`` file with its ``*.onnx.json`` beside it.
    """

    name = "piper"

    def __init__(self, model: Path) -> None:
        super().__init__()
        self._file = model
        self.title = f"the Piper voice {model}"

    def load_model(self) -> Any:
        """The voice."""
        from piper import PiperVoice

        return PiperVoice.load(self._file)

    def synthesize(self, model: Any, text: str) -> tuple[bytes, int]:
        """As the voice has it."""
        return b"".join(chunk.audio_int16_bytes for chunk in model.synthesize(text)), model.config.sample_rate
