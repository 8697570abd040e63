"""Ringing in a voice session: a sound of our own and the sentence, again and again, until somebody says enough.

The sound is made here, of sine waves. It is as loud however low the voice was turned (``LEVEL``).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from functools import cache
from typing import Any

import numpy as np

from pipecatapp.languages import language
from pipecatapp.voice.echo import is_echo
from pipecatapp.voice.synthesis import SAMPLE_RATE

LEVEL = 0.5  # of full scale
_NOTES = ((880.0, 0.0), (1108.7, 0.18), (1318.5, 0.36), (880.0, 0.9), (1108.7, 1.08), (1318.5, 1.26))  # Hz, seconds
_SOUND_S = 2.0
_FADES_S = 0.35
_PAUSE_S = 1.0
_BUSY_S = 0.2  # somebody speaks, or is answered: the ring waits


@cache
def ring_sound() -> bytes:
    """Two rising chords, as 16-bit samples of ``SAMPLE_RATE``."""
    time = np.arange(int(_SOUND_S * SAMPLE_RATE)) / SAMPLE_RATE
    sound = np.zeros_like(time)
    for pitch, begins in _NOTES:
        since = np.maximum(time - begins, 0.0)
        shape = np.where(time >= begins, np.exp(-since / _FADES_S) * np.minimum(since / 0.005, 1.0), 0.0)
        sound += shape * (np.sin(2 * np.pi * pitch * since) + 0.3 * np.sin(4 * np.pi * pitch * since))
    return bytes((sound / np.abs(sound).max() * LEVEL * 32767).astype("<i2").tobytes())


def means_ring(words: str, spoken: str) -> bool:
    """Whether words that come over a ring are about it; ``spoken``: what may come back as an echo."""
    return language().times.answer_ring(words) is not None and not is_echo(words, spoken)


class Ringer:
    """Rings in one session.

    Args:
        play: sounds once, with the sentences, to its end; cancelled when it shall be quiet.
        is_free: nobody speaks, and nobody is being answered.
    """

    def __init__(
        self,
        play: Callable[[Sequence[str]], Coroutine[Any, Any, None]],
        is_free: Callable[[], bool],
    ) -> None:
        self._play = play
        self._is_free = is_free
        self._sentences: Sequence[str] = ()
        self._task: asyncio.Task[None] | None = None

    @property
    def rings(self) -> bool:
        """Whether something rings here."""
        return bool(self._sentences)

    def ring(self, sentences: Sequence[str]) -> None:
        """Ring with these from now on; with none: ring no more."""
        self._sentences = tuple(sentences)
        if self._sentences and self._task is None:
            self._task = asyncio.create_task(self._ring(), name="ring")

    async def aclose(self) -> None:
        """End it."""
        self._sentences = ()
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _ring(self) -> None:
        try:
            while self._sentences:
                if not self._is_free():
                    await asyncio.sleep(_BUSY_S)
                    continue
                playing = asyncio.create_task(self._play(self._sentences))
                try:
                    while self._sentences and not playing.done():
                        await asyncio.wait([playing], timeout=_BUSY_S)
                finally:
                    playing.cancel()
                    await asyncio.wait([playing])
                await asyncio.sleep(_PAUSE_S)
        finally:
            self._task = None
