"""What the pipeline wants from speech recognition: models loaded once, a stream per utterance."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Protocol

SAMPLE_RATE = 16000
BYTES_PER_SECOND = SAMPLE_RATE * 2

OnPartial = Callable[[str], None]


class Utterance(Protocol):
    """The recognition of one stretch of speech. All methods are called on the event loop and never block it."""

    def feed(self, pcm: bytes) -> None:
        """More sound: PCM16 mono, 16 kHz."""

    async def finish(self) -> str:
        """The sound has ended; returns the words (empty: none). Raises SpeechError."""

    def abandon(self) -> None:
        """The words are not wanted any more."""


class Recognizer(Protocol):
    """A speech recognition engine that all sessions share."""

    @property
    def name(self) -> str:
        """The name in the registry."""

    @property
    def final_p99_s(self) -> float:
        """How long after the last sample the final words may take; longer is treated as failed."""

    async def load(self) -> None:
        """Load the models, off the event loop. Raises SpeechError."""

    def open(self, on_partial: OnPartial) -> Utterance:
        """Begin an utterance. ``on_partial`` is called on the event loop with the words so far."""

    async def aclose(self) -> None:
        """Release processes and threads."""


class BufferedUtterance(ABC):
    """An utterance for engines that hear everything at once: collects the sound, transcribes it at the end."""

    def __init__(self) -> None:
        self._sound = bytearray()

    def feed(self, pcm: bytes) -> None:
        """Collect."""
        self._sound += pcm

    async def finish(self) -> str:
        """Transcribe all of it."""
        sound, self._sound = bytes(self._sound), bytearray()
        return (await self.transcribe(sound)).strip()

    def abandon(self) -> None:
        """Forget the sound."""
        self._sound.clear()

    @abstractmethod
    async def transcribe(self, pcm: bytes) -> str:
        """The words of the whole utterance. Raises SpeechError."""


class ThreadedUtterance(BufferedUtterance):
    """A buffered utterance whose engine is a blocking function."""

    def __init__(self, transcribe: Callable[[bytes], str]) -> None:
        super().__init__()
        self._blocking = transcribe

    async def transcribe(self, pcm: bytes) -> str:
        """Run the engine in a thread."""
        return await asyncio.to_thread(self._blocking, pcm)
