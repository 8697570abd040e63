"""Speech recognition with faster-whisper (extra ``whisper``). It needs SSE4.1: never imported before a check."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pipecatapp.voice.certainty import Segment, sure_words
from pipecatapp.voice.in_process import InProcessWhisper, Samples


class FasterWhisperRecognizer(InProcessWhisper):
    """faster-whisper.

    Args:
        model: the folder with ``model.bin``.
        threads: CPU threads; 0: what the library thinks best.
    """

    name = "faster-whisper"

    def __init__(self, model: Path, threads: int = 0) -> None:
        super().__init__()
        self._folder = model
        self._threads = threads
        self.title = f"the Whisper model in {model}"

    def load_model(self) -> Any:
        """Whisper in eight bits, from the folder alone."""
        from faster_whisper import WhisperModel

        return WhisperModel(
            str(self._folder), device="cpu", compute_type="int8", cpu_threads=self._threads, local_files_only=True
        )

    def transcribe(self, model: Any, sound: Samples) -> str:
        """Without what Whisper invents for noise; it says itself how sure it is. One pass: a second would come late."""
        segments, _ = model.transcribe(
            sound,
            language="en",
            beam_size=1,
            temperature=0.0,
            condition_on_previous_text=False,
            without_timestamps=True,
        )
        return sure_words(Segment(segment.text, segment.no_speech_prob, segment.avg_logprob) for segment in segments)
