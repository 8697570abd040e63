"""Speech recognition with whisper.cpp's HTTP server: for CPUs that faster-whisper cannot use (a 65 nm Core 2).

The server runs elsewhere (a URL) or as a child of ours, restarted when it dies.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import socket
from pathlib import Path
from typing import Any

import httpx

from pipecatapp.errors import SpeechError
from pipecatapp.voice.certainty import Segment, sure_words
from pipecatapp.voice.recognition import SAMPLE_RATE, BufferedUtterance, OnPartial, Utterance
from pipecatapp.voice.synthesis import pcm_to_wav

logger = logging.getLogger(__name__)

_START_TIMEOUT_S = 60.0
_ANSWER_TIMEOUT_S = 30.0


class WhisperCppServer:
    """``whisper-server`` as a child process on a free port of this machine.

    Args:
        program: path of ``whisper-server``.
        model: a ``ggml-*.bin`` file.
        threads: CPU threads.
    """

    def __init__(self, program: Path, model: Path, threads: int = 0) -> None:
        self._program = program
        self._model = model
        self._threads = threads or os.cpu_count() or 1
        self._process: asyncio.subprocess.Process | None = None
        self._starting = asyncio.Lock()
        self.url = ""

    async def ensure(self, http: httpx.AsyncClient) -> str:
        """The URL of a server that answers; starts one when there is none. Raises SpeechError."""
        async with self._starting:
            if self._process is not None and self._process.returncode is None:
                return self.url
            if self._process is not None:
                logger.warning("whisper-server ended with status %s; starting it again", self._process.returncode)
            await self._start(http)
            return self.url

    async def stop(self) -> None:
        """End it."""
        if self._process is not None and self._process.returncode is None:
            self._process.terminate()
            try:
                await asyncio.wait_for(self._process.wait(), 5.0)
            except TimeoutError:
                self._process.kill()
                await self._process.wait()
        self._process = None

    async def _start(self, http: httpx.AsyncClient) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        command = [str(self._program), "-m", str(self._model), "--host", "127.0.0.1", "--port", str(port)]
        command += ["-t", str(self._threads), "-l", "en", "-nt"]
        quiet = asyncio.subprocess.DEVNULL
        try:
            self._process = await asyncio.create_subprocess_exec(*command, stdin=quiet, stdout=quiet, stderr=quiet)
        except OSError as error:
            raise SpeechError(f"whisper-server could not be started: {error}") from error
        try:
            async with asyncio.timeout(_START_TIMEOUT_S):
                while not await _answers(http, self.url):
                    if self._process.returncode is not None:
                        raise SpeechError(
                            f"whisper-server ended with status {self._process.returncode} while it loaded"
                        )
                    await asyncio.sleep(0.1)
        except TimeoutError as error:
            await self.stop()
            raise SpeechError("whisper-server did not load its model in a minute") from error


async def _answers(http: httpx.AsyncClient, url: str) -> bool:
    try:
        await http.get(url)
    except httpx.TransportError:
        return False
    return True


class WhisperCppRecognizer:
    """whisper.cpp over HTTP.

    Args:
        server: a URL, or a child to run.
    """

    name = "whispercpp"
    final_p99_s = 3.0
    at_pauses = True

    def __init__(self, server: str | WhisperCppServer) -> None:
        self._server = server
        self._http = httpx.AsyncClient(
            timeout=httpx.Timeout(_ANSWER_TIMEOUT_S, connect=2.0),
            # The server closes idle connections: one that is kept may be gone when the next words come.
            limits=httpx.Limits(max_keepalive_connections=0),
            trust_env=False,
        )

    async def load(self) -> None:
        """See that the server answers."""
        url = await self._url()
        if not await _answers(self._http, url):
            raise SpeechError(f"no whisper.cpp server answers at {url}")

    def open(self, on_partial: OnPartial) -> Utterance:
        """A buffered utterance: the server hears everything at once."""
        return _WhisperCppUtterance(self, on_partial)

    async def aclose(self) -> None:
        """Close connections and our own server."""
        await self._http.aclose()
        if isinstance(self._server, WhisperCppServer):
            await self._server.stop()

    async def transcribe(self, pcm: bytes) -> str:
        """Send the sound, get the words. Raises SpeechError."""
        url = await self._url()
        files = {"file": ("speech.wav", pcm_to_wav(pcm, SAMPLE_RATE), "audio/wav")}
        try:
            answer = await self._http.post(f"{url}/inference", files=files, data={"response_format": "verbose_json"})
            answer.raise_for_status()
            segments = _segments(json.loads(answer.content))
        except (httpx.HTTPError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise SpeechError(f"whisper.cpp at {url} failed: {error}") from error
        return sure_words(segments)

    async def _url(self) -> str:
        if isinstance(self._server, WhisperCppServer):
            return await self._server.ensure(self._http)
        return self._server.rstrip("/")


def _segments(answer: dict[str, Any]) -> list[Segment]:
    """The parts of an answer; a server that says only the words is believed. "[music]" is no word."""
    found = answer.get("segments") or [{"text": answer["text"]}]
    return [
        Segment(str(part["text"]), float(part.get("no_speech_prob", 0.0)), float(part.get("avg_logprob", 0.0)))
        for part in found
        if not str(part["text"]).strip().startswith(("[", "("))
    ]


class _WhisperCppUtterance(BufferedUtterance):
    def __init__(self, owner: WhisperCppRecognizer, on_partial: OnPartial) -> None:
        super().__init__(on_partial)
        self._owner = owner

    async def transcribe(self, pcm: bytes) -> str:
        """Ask the server."""
        return await self._owner.transcribe(pcm)
