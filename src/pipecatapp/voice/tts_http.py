"""Speech synthesis over HTTP: Piper's own server and MeloTTS, each in an environment (and licence) of its own."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping

import httpx

from pipecatapp.errors import SpeechError
from pipecatapp.voice.synthesis import trim, wav_to_pcm

_TIMEOUT = httpx.Timeout(20.0, connect=2.0)


class _HttpSynthesizer(ABC):
    """A server that answers a JSON request with a WAV file."""

    name = ""
    path = ""

    def __init__(self, url: str, voice: str = "") -> None:
        self._url = url.rstrip("/")
        self._voice = voice
        self._http = httpx.AsyncClient(
            timeout=_TIMEOUT,
            # The server may close idle connections: one that is kept may be gone when the next clause comes.
            limits=httpx.Limits(max_keepalive_connections=0),
            trust_env=False,
        )

    async def load(self) -> None:
        """See that the server answers."""
        try:
            await self._http.get(self._url)
        except httpx.TransportError as error:
            raise SpeechError(f"no {self.name} server answers at {self._url}: {error}") from error

    async def say(self, text: str) -> bytes:
        """Ask the server to speak."""
        try:
            answer = await self._http.post(self._url + self.path, json=self._body(text))
            answer.raise_for_status()
        except httpx.HTTPError as error:
            raise SpeechError(f"{self.name} at {self._url} failed: {error}") from error
        return trim(wav_to_pcm(answer.content))

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    @abstractmethod
    def _body(self, text: str) -> Mapping[str, object]:
        """What this kind of server wants as JSON."""


class PiperHttpSynthesizer(_HttpSynthesizer):
    """``python -m piper.http_server``."""

    name = "piper-http"

    def _body(self, text: str) -> Mapping[str, object]:
        return {"text": text, "voice": self._voice} if self._voice else {"text": text}


class MeloSynthesizer(_HttpSynthesizer):
    """MeloTTS behind the usual HTTP wrapper (``POST /convert/tts``). Voices: ``EN-US``, ``EN-BR``, ``EN-AU``, ..."""

    name = "melotts"
    path = "/convert/tts"

    def _body(self, text: str) -> Mapping[str, object]:
        return {"text": text, "language": "EN", "speaker_id": self._voice or "EN-US", "speed": 1.0}
