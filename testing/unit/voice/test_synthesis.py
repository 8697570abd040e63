"""Sound formats, what is spoken of a text, and the second voice."""

from __future__ import annotations

import numpy as np
import pytest

from pipecatapp.errors import SpeechError
from pipecatapp.voice.synthesis import SAMPLE_RATE, pcm_to_wav, run_program, speakable, trim, wav_to_pcm
from pipecatapp.voice.tts_fallback import FallbackSynthesizer

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("text", "spoken"),
    [
        ("The light is on ", "The light is on,"),
        ("Done.\n", "Done."),
        ("**Bold** `code`", "Bold code,"),
        (" - ", ""),
        ("", ""),
        ("a\nb!", "a b!"),
    ],
)
def test_text_is_made_speakable(text: str, spoken: str) -> None:
    assert speakable(text) == spoken


def test_a_wav_file_becomes_sound_at_the_pipelines_rate() -> None:
    pcm = np.arange(2400, dtype=np.int16).tobytes()
    assert wav_to_pcm(pcm_to_wav(pcm, SAMPLE_RATE)) == pcm
    assert len(wav_to_pcm(pcm_to_wav(pcm, SAMPLE_RATE // 2))) == pytest.approx(2 * len(pcm), rel=0.01)


def test_a_wav_file_from_a_pipe_has_wrong_sizes() -> None:
    pcm = np.arange(100, dtype=np.int16).tobytes()
    wav = bytearray(pcm_to_wav(pcm, SAMPLE_RATE))
    wav[40:44] = (0x7FFFFFFF).to_bytes(4, "little")
    assert wav_to_pcm(bytes(wav)) == pcm


@pytest.mark.parametrize("data", [b"", b"no sound at all", b"RIFF\0\0\0\0WAVE"])
def test_what_is_no_wav_file_is_refused(data: bytes) -> None:
    with pytest.raises(SpeechError):
        wav_to_pcm(data)


def test_the_silence_around_a_clause_is_cut() -> None:
    sound = np.zeros(SAMPLE_RATE, dtype=np.int16)
    sound[6000:12000] = 5000
    left = np.frombuffer(trim(sound.tobytes()), dtype=np.int16)
    assert len(left) == 6000 - 1 + int(0.01 * SAMPLE_RATE) + int(0.12 * SAMPLE_RATE)
    assert trim(bytes(1000)) == bytes(1000)


async def test_a_program_that_is_missing_or_fails_is_a_speech_error() -> None:
    with pytest.raises(SpeechError, match="could not be started"):
        await run_program(["/no/such/program"])
    with pytest.raises(SpeechError, match="status 1"):
        await run_program(["false"])
    with pytest.raises(SpeechError, match="no answer"):
        await run_program(["sleep", "60"], timeout_s=0.01)
    assert await run_program(["cat"], b"words") == b"words"


class Voice:
    def __init__(self, name: str, *, broken: bool = False) -> None:
        self.name = name
        self.broken = broken
        self.tried = 0

    async def load(self) -> None:
        if self.broken:
            raise SpeechError("no model")

    async def say(self, text: str) -> bytes:
        self.tried += 1
        if self.broken:
            raise SpeechError("it broke")
        return self.name.encode()

    async def aclose(self) -> None:
        pass


async def test_the_second_voice_speaks_and_the_first_gets_another_chance_later() -> None:
    now = [0.0]
    first, second = Voice("first", broken=True), Voice("second")
    voices = FallbackSynthesizer([first, second], clock=lambda: now[0])
    assert await voices.say("a") == b"second"
    assert await voices.say("b") == b"second"
    assert first.tried == 1
    assert voices.speaking_name == "second"
    assert "it broke" in voices.trouble
    now[0] = 31.0
    first.broken = False
    assert await voices.say("c") == b"first"
    assert voices.trouble == ""


async def test_when_no_voice_works_it_is_an_error_every_time() -> None:
    voices = FallbackSynthesizer([Voice("first", broken=True), Voice("second", broken=True)])
    with pytest.raises(SpeechError, match="no model"):
        await voices.load()
    for _ in range(2):
        with pytest.raises(SpeechError, match="it broke"):
            await voices.say("a")
    assert voices.silent


async def test_one_working_voice_is_enough_to_load() -> None:
    voices = FallbackSynthesizer([Voice("first", broken=True), Voice("second")])
    await voices.load()
    assert not voices.silent
    assert await voices.say("a") == b"second"
