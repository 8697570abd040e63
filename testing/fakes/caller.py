"""A person at the page: a microphone that plays sounds in real time, a speaker that plays, flushes, acknowledges."""

from __future__ import annotations

import asyncio
import json
import subprocess
import tempfile
import time
import wave
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import TracebackType

import numpy as np
from websockets.asyncio.client import ClientConnection, connect

RATE_UP = 16000
RATE_DOWN = 24000
_FRAME = RATE_UP // 50 * 2


@cache
def spoken(text: str, voice: str = "slt") -> bytes:
    """The text in flite's voice: PCM16 mono, 16 kHz, without the silence around it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "speech.wav"
        subprocess.run(["flite", "-voice", voice, "-t", text, "-o", str(path)], check=True)
        with wave.open(str(path)) as file:
            assert file.getframerate() == RATE_UP
            samples = np.frombuffer(file.readframes(file.getnframes()), dtype=np.int16)
    loud = np.flatnonzero(np.abs(samples.astype(np.int32)) > 300)
    return samples[int(loud[0]) : int(loud[-1]) + 1].tobytes()


def noise(seconds: float, seed: int = 1) -> bytes:
    """A burst of loud white noise."""
    generator = np.random.default_rng(seed)
    return (generator.standard_normal(int(RATE_UP * seconds)) * 6000).clip(-32768, 32767).astype(np.int16).tobytes()


def recognized(pcm_24k: bytes) -> str:
    """What pocketsphinx understands of what came out of the speaker."""
    import soxr
    from pocketsphinx import Decoder

    samples = soxr.resample(np.frombuffer(pcm_24k, dtype=np.int16), RATE_DOWN, RATE_UP).astype(np.int16)
    decoder = Decoder(samprate=16000, loglevel="FATAL")
    decoder.start_utt()
    decoder.process_raw(samples.tobytes(), full_utt=True)
    decoder.end_utt()
    hypothesis = decoder.hyp()
    return hypothesis.hypstr if hypothesis else ""


# How late the loudspeaker's sound comes into the microphone.
ECHO_LATE_S = 0.2
# A ceiling, no expectation: a busy machine speaks late.
WITHIN_S = 90.0


@dataclass
class Speaker:
    """Plays what arrives, in real time on the event loop's clock."""

    buffer: list[tuple[bytes, int | None]] = field(default_factory=list)
    played: bytearray = field(default_factory=bytearray)
    audible: list[float] = field(default_factory=list)
    interrupts: list[float] = field(default_factory=list)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)

    def flush(self) -> None:
        self.buffer.clear()
        self.interrupts.append(time.monotonic())


class Caller:
    """One browser. Use as an async context manager; ``say`` returns the time of the last sample.

    Args:
        url: of the voice connection.
        acknowledge: say what was played.
        echo_db: the microphone hears the loudspeaker so much louder (below 0: softer); None: not at all.
    """

    def __init__(self, url: str, *, acknowledge: bool = True, echo_db: float | None = None) -> None:
        self._url = url
        self._echo = None if echo_db is None else 10 ** (echo_db / 20)
        self._echoes: list[tuple[float, np.ndarray]] = []
        self._acknowledge = acknowledge
        self._socket: ClientConnection | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._microphone: asyncio.Queue[tuple[bytes, asyncio.Future[float], list[float]]] = asyncio.Queue()
        self.speaker = Speaker()
        self.first_sample = 0.0
        # While set, sound is played in no time: for who has heard enough.
        self.fast_forward = False

    async def __aenter__(self) -> Caller:
        self._socket = await connect(self._url, max_size=None, proxy=None)
        work = (self._send(self._socket), self._receive(self._socket), self._play(self._socket))
        self._tasks = [asyncio.create_task(task) for task in work]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        assert self._socket is not None
        await self._socket.close()

    async def say(self, sound: bytes) -> float:
        """Speak into the microphone; returns when the last sample was sent, with its time."""
        done: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        started: list[float] = []
        await self._microphone.put((sound, done, started))
        end = await done
        self.first_sample = started[0]
        return end

    async def mute(self, on: bool) -> None:
        assert self._socket is not None
        await self._socket.send(json.dumps({"type": "mute", "on": on}))

    async def first_sound(self, after: float, timeout: float = WITHIN_S) -> float:
        """The time of the first audible 10 ms that played after a moment."""
        async with asyncio.timeout(timeout):
            while True:
                for moment in self.speaker.audible:
                    if moment > after:
                        return moment
                await asyncio.sleep(0.005)

    async def plays(self, seconds: float, timeout: float = WITHIN_S) -> None:
        """Wait until so much more sound has come out of the speaker."""
        enough = len(self.speaker.played) + int(seconds * RATE_DOWN) * 2
        async with asyncio.timeout(timeout):
            while len(self.speaker.played) < enough:
                await asyncio.sleep(0.005)

    async def quiet(self, seconds: float = 1.0, timeout: float = WITHIN_S) -> None:
        """Wait until the speaker has been quiet for a while."""
        start = time.monotonic()
        async with asyncio.timeout(timeout):
            while time.monotonic() - max([start, *self.speaker.audible[-1:]]) < seconds:
                await asyncio.sleep(0.02)

    async def _send(self, socket: ClientConnection) -> None:
        silence = bytes(_FRAME)
        sound, done, due = b"", None, time.monotonic()
        while True:
            if not sound and not self._microphone.empty():
                sound, done, started = self._microphone.get_nowait()
                started.append(time.monotonic())
            frame, sound = (sound[:_FRAME].ljust(_FRAME, b"\0"), sound[_FRAME:]) if sound else (silence, b"")
            await socket.send(self._with_echo(frame))
            due += 0.02
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            if done is not None and not sound:
                done.set_result(time.monotonic())
                done = None

    def _with_echo(self, frame: bytes) -> bytes:
        """What the microphone takes in of a loudspeaker in the same room, too."""
        samples, at = np.frombuffer(frame, dtype=np.int16).astype(np.int32), 0
        while at < len(samples) and self._echoes and self._echoes[0][0] <= time.monotonic():
            _, sound = self._echoes.pop(0)
            fits = min(len(sound), len(samples) - at)
            samples[at : at + fits] += sound[:fits]
            at += fits
        return samples.clip(-32768, 32767).astype(np.int16).tobytes() if at else frame

    def _sound_back(self, piece: bytes) -> None:
        if self._echo is not None:
            played = np.frombuffer(piece, dtype=np.int16).astype(np.float64)
            places = np.arange(0, len(played), RATE_DOWN / RATE_UP)
            heard = np.interp(places, np.arange(len(played)), played) * self._echo
            self._echoes.append((time.monotonic() + ECHO_LATE_S, heard.astype(np.int32)))

    async def _receive(self, socket: ClientConnection) -> None:
        async for message in socket:
            if isinstance(message, bytes):
                self.speaker.buffer.append((message, None))
            else:
                news = json.loads(message)
                if news["type"] == "interrupt":
                    self.speaker.flush()
                elif news["type"] == "mark":
                    self.speaker.buffer.append((b"", news["id"]))
            self.speaker.arrived.set()

    async def _play(self, socket: ClientConnection) -> None:
        """A sound card: 10 ms at a time while there is something to play."""
        step = RATE_DOWN // 100 * 2
        speaker = self.speaker
        due = time.monotonic()
        while True:
            if not speaker.buffer:
                speaker.arrived.clear()
                await speaker.arrived.wait()
                due = max(due, time.monotonic())
                continue
            sound, mark = speaker.buffer.pop(0)
            if mark is not None:
                if self._acknowledge:
                    await socket.send(json.dumps({"type": "played", "id": mark}))
                continue
            if len(sound) > step:
                speaker.buffer.insert(0, (sound[step:], None))
            piece = sound[:step]
            speaker.played += piece
            self._sound_back(piece)
            if int(np.abs(np.frombuffer(piece, dtype=np.int16).astype(np.int32)).max()) > 300:
                speaker.audible.append(time.monotonic())
            if self.fast_forward:
                due = time.monotonic()
                continue
            due += len(piece) / 2 / RATE_DOWN
            await asyncio.sleep(max(0.0, due - time.monotonic()))
