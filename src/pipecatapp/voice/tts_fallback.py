"""A synthesizer that always has a second voice: when the first fails, the next one speaks."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence

from pipecatapp.errors import SpeechError
from pipecatapp.voice.synthesis import Synthesizer

logger = logging.getLogger(__name__)

_RETRY_AFTER_S = 30.0


class FallbackSynthesizer:
    """Several synthesizers in the order of preference. One that failed is left alone for a while, then tried again.

    Args:
        voices: at least one, best first.
        clock: seconds that go on.
    """

    def __init__(self, voices: Sequence[Synthesizer], clock: Callable[[], float] = time.monotonic) -> None:
        if not voices:
            raise ValueError("at least one voice is needed")
        self._voices = list(voices)
        self._clock = clock
        self._failed_at: dict[str, float] = {}
        self._reasons: dict[str, str] = {}

    @property
    def name(self) -> str:
        """The name of the preferred voice."""
        return self._voices[0].name

    @property
    def speaking_name(self) -> str:
        """The name of the voice that would speak now."""
        return self._usable()[0].name

    @property
    def trouble(self) -> str:
        """Why the preferred voice does not speak; empty when it does."""
        return self._reasons.get(self.name, "")

    @property
    def silent(self) -> bool:
        """Whether no voice worked the last time it was tried."""
        return all(voice.name in self._reasons for voice in self._voices)

    async def load(self) -> None:
        """Load every voice; at least one must load. Raises SpeechError."""
        for voice in self._voices:
            try:
                await voice.load()
            except SpeechError as error:
                self._note(voice, error)
        if self.silent:
            raise SpeechError("; ".join(self._reasons.values()))

    async def say(self, text: str) -> bytes:
        """Speak with the first voice that can. Raises SpeechError when none can."""
        last: SpeechError | None = None
        for voice in self._usable():
            try:
                sound = await voice.say(text)
            except SpeechError as error:
                self._note(voice, error)
                last = error
                continue
            self._failed_at.pop(voice.name, None)
            self._reasons.pop(voice.name, None)
            return sound
        raise last or SpeechError("no voice is left")

    async def aclose(self) -> None:
        """Close every voice."""
        for voice in self._voices:
            await voice.aclose()

    def _usable(self) -> list[Synthesizer]:
        now = self._clock()
        rested = [v for v in self._voices if now - self._failed_at.get(v.name, -_RETRY_AFTER_S) >= _RETRY_AFTER_S]
        return rested or self._voices

    def _note(self, voice: Synthesizer, error: SpeechError) -> None:
        logger.warning("the voice %s failed: %s", voice.name, error)
        self._failed_at[voice.name] = self._clock()
        self._reasons[voice.name] = f"{voice.name}: {error}"
