"""Speech recognition with faster-whisper (extra ``whisper``). It needs SSE4.1: never imported before a check."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import numpy as np

from pipecatapp.errors import SpeechError
from pipecatapp.voice.recognition import OnPartial, ThreadedUtterance, Utterance


class FasterWhisperRecognizer:
    """One Whisper model for all sessions; utterances take turns.

    Args:
        model: the folder with ``model.bin``.
        threads: CPU threads; 0: what the library thinks best.
    """

    name = "faster-whisper"
    final_p99_s = 2.0

    def __init__(self, model: Path, threads: int = 0) -> None:
        self._folder = model
        self._threads = threads
        self._model: Any = None
        self._turn = threading.Lock()

    async def load(self) -> None:
        """Load the model in a thread."""
        await asyncio.to_thread(self._load)

    def open(self, on_partial: OnPartial) -> Utterance:
        """A buffered utterance: Whisper hears everything at once, so there are no partial words."""
        return ThreadedUtterance(self._transcribe)

    async def aclose(self) -> None:
        """Let the model go."""
        self._model = None

    def _load(self) -> None:
        from faster_whisper import WhisperModel

        try:
            self._model = WhisperModel(
                str(self._folder), device="cpu", compute_type="int8", cpu_threads=self._threads, local_files_only=True
            )
        except Exception as error:
            raise SpeechError(f"the Whisper model in {self._folder} could not be loaded: {error}") from error

    def _transcribe(self, pcm: bytes) -> str:
        if self._model is None:
            raise SpeechError("the Whisper model is not loaded")
        sound = np.frombuffer(pcm, dtype=np.int16).astype(np.float32) / 32768.0
        try:
            with self._turn:
                segments, _ = self._model.transcribe(
                    sound, language="en", beam_size=1, condition_on_previous_text=False, without_timestamps=True
                )
                # Whisper invents words for silence; it says itself when it does.
                return " ".join(s.text.strip() for s in segments if s.no_speech_prob < 0.6)
        except Exception as error:
            raise SpeechError(f"Whisper failed: {error}") from error
