"""Bases of the engines that run in this process: one model for all sessions, in threads, one call at a time.

A subclass says how its model is loaded and used; both block, and may raise what they like: it becomes a SpeechError.
"""

from __future__ import annotations

import asyncio
import threading
from abc import ABC, abstractmethod
from typing import Any

import numpy as np
import numpy.typing as npt

from pipecatapp.errors import SpeechError
from pipecatapp.voice.recognition import OnPartial, ThreadedUtterance, Utterance
from pipecatapp.voice.synthesis import to_pipeline_rate, trim

Samples = npt.NDArray[np.float32]


class InProcessEngine(ABC):
    """A model that is loaded once.

    Attributes:
        name: its name in the registry.
        title: how messages call it.
    """

    name: str
    title: str

    def __init__(self) -> None:
        self._model: Any = None
        self._turn = threading.Lock()

    async def load(self) -> None:
        """Load the model in a thread. Raises SpeechError."""
        await asyncio.to_thread(self._load)

    async def aclose(self) -> None:
        """Let the model go."""
        model, self._model = self._model, None
        if model is not None:
            await asyncio.to_thread(self.close_model, model)

    @abstractmethod
    def load_model(self) -> Any:
        """The model."""

    def close_model(self, model: Any) -> None:  # noqa: B027 - most have nothing to end
        """End what it has running, where it has something."""

    def _load(self) -> None:
        try:
            self._model = self.load_model()
        except SpeechError:
            raise
        except Exception as error:
            raise SpeechError(f"{self.title} could not be loaded: {error}") from error

    def _used(self) -> Any:
        model = self._model
        if model is None:
            raise SpeechError(f"{self.title} is not loaded")
        return model


class InProcessWhisper(InProcessEngine):
    """``recognition.Recognizer`` over Whisper, which hears everything at once: partial words come at pauses."""

    final_p99_s = 2.0
    at_pauses = True

    def open(self, on_partial: OnPartial) -> Utterance:
        """Begin an utterance: its sound is collected, and transcribed at a pause and at its end."""
        return ThreadedUtterance(self._transcribe, on_partial)

    @abstractmethod
    def transcribe(self, model: Any, sound: Samples) -> str:
        """The words in mono samples of -1 to 1 at 16 kHz; empty: none."""

    def _transcribe(self, pcm: bytes) -> str:
        model = self._used()
        sound = np.frombuffer(pcm, dtype=np.int16).astype(np.float32) / 32768.0
        try:
            with self._turn:
                return self.transcribe(model, sound)
        except Exception as error:
            raise SpeechError(f"{self.title} failed: {error}") from error


class InProcessSynthesizer(InProcessEngine):
    """``synthesis.Synthesizer`` over a model."""

    async def say(self, text: str) -> bytes:
        """The text as PCM16 mono at ``SAMPLE_RATE``, without silence at its ends. Raises SpeechError."""
        return await asyncio.to_thread(self._say, text)

    @abstractmethod
    def synthesize(self, model: Any, text: str) -> tuple[bytes, int]:
        """The text as PCM16 mono, and its rate in Hz."""

    def _say(self, text: str) -> bytes:
        model = self._used()
        try:
            with self._turn:
                pcm, rate = self.synthesize(model, text)
        except Exception as error:
            raise SpeechError(f"{self.title} failed: {error}") from error
        return trim(to_pipeline_rate(pcm, rate))
