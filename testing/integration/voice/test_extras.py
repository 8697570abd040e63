"""The optional speech engines, loaded for real from tiny models without meaning (testing/fixtures/speech/make.py).

Skipped where the extra is not installed: `pipecatapp extras install whisper|kokoro`.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from pipecatapp.errors import SpeechError
from pipecatapp.voice.registry import Environment, create_recognizer, create_synthesizer
from pipecatapp.voice.stt_faster_whisper import FasterWhisperRecognizer
from pipecatapp.voice.synthesis import SAMPLE_RATE
from pipecatapp.voice.tts_kokoro import KokoroSynthesizer
from testing.fakes.caller import spoken

pytestmark = pytest.mark.integration

MODELS = Path(__file__).parents[2] / "fixtures" / "speech"


def pitch(pcm: bytes) -> float:
    """The strongest frequency."""
    samples = np.frombuffer(pcm, dtype=np.int16).astype(np.float32)
    spectrum = np.abs(np.fft.rfft(samples))
    return float(np.argmax(spectrum) * SAMPLE_RATE / len(samples))


async def test_faster_whisper_loads_and_listens() -> None:
    pytest.importorskip("faster_whisper", reason="the extra `whisper` is not installed")
    recognizer = create_recognizer("faster-whisper", Environment(MODELS))
    await recognizer.load()
    utterance = recognizer.open(lambda _: None)
    utterance.feed(spoken("what is the status of the cluster"))
    assert isinstance(await utterance.finish(), str)
    await recognizer.aclose()


async def test_a_broken_whisper_model_is_a_speech_error(tmp_path: Path) -> None:
    pytest.importorskip("faster_whisper", reason="the extra `whisper` is not installed")
    shutil.copytree(MODELS / "whisper", tmp_path / "broken")
    (tmp_path / "broken" / "model.bin").write_bytes(b"nothing")
    with pytest.raises(SpeechError, match="could not be loaded"):
        await FasterWhisperRecognizer(tmp_path / "broken").load()


async def test_kokoro_speaks() -> None:
    pytest.importorskip("kokoro_onnx", reason="the extra `kokoro` is not installed")
    synthesizer = create_synthesizer("kokoro", Environment(MODELS))
    await synthesizer.load()
    assert synthesizer.speaking_name == "kokoro"
    sound = await synthesizer.say("Hello there, this is a test.")
    assert pitch(sound) == pytest.approx(220, abs=5)
    await synthesizer.aclose()


async def test_an_unknown_kokoro_voice_lists_those_there_are() -> None:
    pytest.importorskip("kokoro_onnx", reason="the extra `kokoro` is not installed")
    folder = MODELS / "kokoro"
    with pytest.raises(SpeechError, match="af_heart"):
        await KokoroSynthesizer(folder / "kokoro-hum.onnx", folder / "voices-hum.bin", "nobody").load()
