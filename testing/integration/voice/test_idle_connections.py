"""A speech server that closes idle connections is asked over a new one: no words and no clause are lost."""

from __future__ import annotations

import json

import pytest

from pipecatapp.voice.stt_whispercpp import WhisperCppRecognizer
from pipecatapp.voice.synthesis import pcm_to_wav
from pipecatapp.voice.tts_http import PiperHttpSynthesizer
from testing.fakes.idle_closing_server import idle_closing_server

pytestmark = pytest.mark.integration


async def test_recognition_survives_it() -> None:
    async with idle_closing_server(json.dumps({"text": "hello"}).encode()) as url:
        recognizer = WhisperCppRecognizer(url)
        await recognizer.load()
        assert [await recognizer.transcribe(b"\0" * 3200) for _ in range(3)] == ["hello"] * 3
        await recognizer.aclose()


async def test_synthesis_survives_it() -> None:
    sound = pcm_to_wav(b"\x00\x10" * 24000, 24000)
    async with idle_closing_server(sound, "audio/wav") as url:
        synthesizer = PiperHttpSynthesizer(url)
        await synthesizer.load()
        assert len({await synthesizer.say("hello") for _ in range(3)}) == 1
        await synthesizer.aclose()
