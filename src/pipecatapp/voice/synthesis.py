"""What the pipeline wants from speech synthesis: text in, sound out, models loaded once and shared."""

from __future__ import annotations

import asyncio
import io
import re
import wave
from typing import Protocol

import numpy as np

from pipecatapp.errors import SpeechError

SAMPLE_RATE = 24000


class Synthesizer(Protocol):
    """A speech synthesis engine that all sessions share."""

    @property
    def name(self) -> str:
        """The name in the registry."""

    async def load(self) -> None:
        """Load the voice, off the event loop. Raises SpeechError."""

    async def say(self, text: str) -> bytes:
        """The text as PCM16 mono at ``SAMPLE_RATE``. Raises SpeechError."""

    async def aclose(self) -> None:
        """Release processes and connections."""


_MARKUP = re.compile(r"[*_`#<>|~\\^{}\[\]]+")
_ENDS = ".!?,;:…"


def speakable(text: str) -> str:
    """The text as a voice should get it: one line, no markup, a level tone where a clause was broken off."""
    line = " ".join(_MARKUP.sub(" ", text).split())
    if not any(char.isalnum() for char in line):
        return ""
    return line if line[-1] in _ENDS else line + ","


def to_pipeline_rate(pcm: bytes, rate: int) -> bytes:
    """Resample PCM16 mono to ``SAMPLE_RATE``."""
    if rate == SAMPLE_RATE:
        return pcm
    import soxr

    samples = soxr.resample(np.frombuffer(pcm, dtype=np.int16), rate, SAMPLE_RATE, quality="MQ")
    return bytes(samples.astype(np.int16).tobytes())


def trim(pcm: bytes, *, threshold: int = 200, lead_s: float = 0.01, tail_s: float = 0.12) -> bytes:
    """Cut the silence that engines put before and behind a clause; the pauses would add up."""
    samples = np.frombuffer(pcm, dtype=np.int16)
    loud = np.flatnonzero(np.abs(samples.astype(np.int32)) > threshold)
    if not len(loud):
        return pcm
    start = max(0, int(loud[0]) - int(lead_s * SAMPLE_RATE))
    end = min(len(samples), int(loud[-1]) + int(tail_s * SAMPLE_RATE))
    return samples[start:end].tobytes()


def wav_to_pcm(data: bytes) -> bytes:
    """A WAV file's sound at ``SAMPLE_RATE``. Sizes in the header are not trusted: a pipe cannot know them."""
    if data[:4] != b"RIFF" or data[8:12] != b"WAVE":
        raise SpeechError("the synthesizer's answer is not a WAV file")
    channels, rate, width, position = 1, 0, 2, 12
    while position + 8 <= len(data):
        kind, size = data[position : position + 4], int.from_bytes(data[position + 4 : position + 8], "little")
        body = position + 8
        if kind == b"fmt ":
            channels = int.from_bytes(data[body + 2 : body + 4], "little")
            rate = int.from_bytes(data[body + 4 : body + 8], "little")
            width = int.from_bytes(data[body + 14 : body + 16], "little") // 8
        elif kind == b"data":
            if rate == 0 or channels != 1 or width != 2:
                raise SpeechError(f"expected 16 bit mono sound, got {width * 8} bit, {channels} channels, {rate} Hz")
            pcm = data[body : body + size] if size and size < len(data) - body else data[body:]
            return to_pipeline_rate(pcm[: len(pcm) // 2 * 2], rate)
        position = body + size + size % 2
    raise SpeechError("the synthesizer's WAV file has no sound in it")


def pcm_to_wav(pcm: bytes, rate: int) -> bytes:
    """PCM16 mono as a WAV file."""
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(rate)
        out.writeframes(pcm)
    return file.getvalue()


async def run_program(command: list[str], stdin: bytes = b"", timeout_s: float = 20.0) -> bytes:
    """Run a synthesizer program and return what it wrote; ends it when the caller is cancelled or it hangs."""
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
    except OSError as error:
        raise SpeechError(f"{command[0]} could not be started: {error}") from error
    try:
        out, _ = await asyncio.wait_for(process.communicate(stdin), timeout_s)
    except TimeoutError as error:
        raise SpeechError(f"{command[0]} gave no answer in {timeout_s:.0f} seconds") from error
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode != 0:
        raise SpeechError(f"{command[0]} ended with status {process.returncode}")
    return out
