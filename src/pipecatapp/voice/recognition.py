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

    def pause(self) -> None:
        """The person is silent for a moment: an engine without partial words may look at what there is."""

    def resume(self) -> None:
        """Speech goes on after ``pause``."""

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

    @property
    def at_pauses(self) -> bool:
        """Whether partial words are all that was said up to a pause, rather than words that still grow."""

    async def load(self) -> None:
        """Load the models, off the event loop. Raises SpeechError."""

    def open(self, on_partial: OnPartial) -> Utterance:
        """Begin an utterance. ``on_partial`` is called on the event loop with the words so far."""

    async def aclose(self) -> None:
        """Release processes and threads."""


class BufferedUtterance(ABC):
    """An utterance for engines that hear everything at once: collects the sound, transcribes it at a pause.

    What is heard up to the first pause is told as partial words. It is the result too, unless speech goes on: then the
    rest is transcribed with it at the end. At most one pause is looked at a time.

    Args:
        on_partial: is told the words up to a pause.
    """

    def __init__(self, on_partial: OnPartial) -> None:
        self._on_partial = on_partial
        self._sound = bytearray()
        self._early: asyncio.Task[str] | None = None
        self._whole = False  # nothing was said after the sound that ``_early`` transcribes

    def feed(self, pcm: bytes) -> None:
        """Collect."""
        self._sound += pcm

    def pause(self) -> None:
        """Transcribe what there is, in the background."""
        if self._early is not None and not self._early.done():
            return
        self._early = asyncio.create_task(self._look(bytes(self._sound)), name="words up to a pause")
        self._early.add_done_callback(_mind_failure)
        self._whole = True

    def resume(self) -> None:
        """There will be more."""
        self._whole = False

    async def finish(self) -> str:
        """The words of all of it."""
        sound, self._sound = bytes(self._sound), bytearray()
        early, self._early = self._early, None
        if early is not None and self._whole:
            return await early
        return (await self.transcribe(sound)).strip()

    def abandon(self) -> None:
        """Forget the sound."""
        self._sound.clear()
        if self._early is not None:
            self._early.cancel()

    async def _look(self, sound: bytes) -> str:
        words = (await self.transcribe(sound)).strip()
        # Who waits for the result already needs no partial words.
        if words and self._early is not None:
            self._on_partial(words)
        return words

    @abstractmethod
    async def transcribe(self, pcm: bytes) -> str:
        """The words of the whole utterance. Raises SpeechError."""


def _mind_failure(early: asyncio.Task[str]) -> None:
    """Whoever waits for the words is told; where nobody does, the end of the utterance will fail or not."""
    if not early.cancelled():
        early.exception()


class ThreadedUtterance(BufferedUtterance):
    """A buffered utterance whose engine is a blocking function."""

    def __init__(self, transcribe: Callable[[bytes], str], on_partial: OnPartial) -> None:
        super().__init__(on_partial)
        self._blocking = transcribe

    async def transcribe(self, pcm: bytes) -> str:
        """Run the engine in a thread."""
        return await asyncio.to_thread(self._blocking, pcm)
