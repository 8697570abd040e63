"""Speech synthesis with programs that Debian ships: flite and espeak-ng. One process per clause, tens of milliseconds.

espeak-ng is GPL-3; as a program of its own it stays apart from this one.
"""

from __future__ import annotations

import shutil

from pipecatapp.errors import SpeechError
from pipecatapp.voice.synthesis import run_program, trim, wav_to_pcm


class _Program:
    """A synthesizer on the PATH."""

    name = ""
    program = ""

    def __init__(self, voice: str = "") -> None:
        self._voice = voice

    async def load(self) -> None:
        """Check that the program is there."""
        if shutil.which(self.program) is None:
            raise SpeechError(f"{self.program} is not installed; run: apt install {self.program}")

    async def aclose(self) -> None:
        """Nothing stays open."""


class FliteSynthesizer(_Program):
    """flite, English. Voices: ``slt`` (default), ``awb``, ``rms``, ``kal16``, ``kal``."""

    name = "flite"
    program = "flite"

    async def say(self, text: str) -> bytes:
        """One flite process."""
        voice = self._voice or "slt"
        wav = await run_program([self.program, "-voice", voice, "-t", text, "-o", "/dev/stdout"])
        return trim(wav_to_pcm(wav))


class EspeakSynthesizer(_Program):
    """espeak-ng, a hundred languages. Voices: ``espeak-ng --voices``; default ``en-us``."""

    name = "espeak-ng"
    program = "espeak-ng"

    async def say(self, text: str) -> bytes:
        """One espeak-ng process."""
        voice = self._voice or "en-us"
        wav = await run_program([self.program, "-v", voice, "-s", "165", "--stdin", "--stdout"], text.encode())
        return trim(wav_to_pcm(wav))
