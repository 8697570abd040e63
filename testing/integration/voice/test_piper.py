"""A Piper voice with Debian's espeak-ng and onnxruntime; the voice here hums (testing/fixtures/speech/make.py)."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipecatapp.errors import SpeechError
from pipecatapp.voice.phonemes import sentences
from pipecatapp.voice.registry import Environment, create_synthesizer
from pipecatapp.voice.synthesis import SAMPLE_RATE
from pipecatapp.voice.tts_piper import PiperConfig, PiperSynthesizer

pytestmark = pytest.mark.integration

FIXTURES = Path(__file__).parents[2] / "fixtures" / "speech"


@pytest.fixture
def voice(tmp_path: Path) -> Path:
    """A copy of the humming voice."""
    for name in ("hum.onnx", "hum.onnx.json"):
        shutil.copy(FIXTURES / name, tmp_path)
    return tmp_path / "hum.onnx"


def described(voice: Path, **changes: Any) -> Path:
    """Its description, changed."""
    file = voice.with_name("hum.onnx.json")
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))
    return file


async def test_it_speaks_at_the_pipelines_rate_without_any_extra() -> None:
    synthesizer = create_synthesizer("piper", Environment(FIXTURES))
    await synthesizer.load()
    assert synthesizer.speaking_name == "piper"

    samples = np.frombuffer(await synthesizer.say("Hello there, this is a test."), dtype=np.int16).astype(np.float32)

    assert float(np.argmax(np.abs(np.fft.rfft(samples))) * SAMPLE_RATE / len(samples)) == pytest.approx(220, abs=5)
    await synthesizer.aclose()


def test_punctuation_that_espeak_leaves_out_is_put_back() -> None:
    (sentence,) = sentences("Turn on the light, please!", "en-us")

    words = sentence.split(" ")
    assert len(words) == 4
    assert [word[-1] for word in words if not word[-1].isalpha()] == [",", "!"]


@pytest.mark.parametrize(
    ("text", "marks"),
    [
        ("Hello there. How are you? Fine!", [".", "?", "!"]),
        ("Dr. Smith has 3.14 of them, at 9:30.", ["."]),
        ("It stops here…", ["."]),
        ("a part of a sentence", [""]),
        ("...", []),
        ("— !", []),
    ],
)
def test_a_sentence_ends_where_its_mark_is(text: str, marks: list[str]) -> None:
    assert [sentence[-1] if sentence[-1] in ".?!" else "" for sentence in sentences(text, "en-us")] == marks


def test_a_text_cannot_steer_espeak() -> None:
    assert list(sentences("[[h@'loU]] -v de --help", "en-us")) != list(sentences("hello", "en-us"))
    assert next(iter(sentences("--version", "en-us"))).startswith("v")


def test_each_phoneme_has_its_pad_and_the_unknown_is_left_out(voice: Path) -> None:
    config = PiperConfig.read(described(voice, phoneme_id_map={"_": [0], "^": [1], "$": [2], "a": [7], "b": [8, 9]}))

    assert config.encode("a*_^$b") == [1, 0, 7, 0, 8, 9, 0, 2]


@pytest.mark.parametrize(
    "change",
    [
        {"phoneme_id_map": {"a": [1]}},
        {"espeak": {"voice": "--path=/tmp"}},
        {"espeak": {"voice": "xyzzy"}},
        {"audio": {"sample_rate": 1}},
        {"phoneme_type": "pinyin"},
        {"inference": []},
    ],
)
async def test_a_voice_that_is_described_wrongly_is_a_speech_error(voice: Path, change: dict[str, Any]) -> None:
    described(voice, **change)

    with pytest.raises(SpeechError, match=r"hum\.onnx|voice does not exist"):
        await PiperSynthesizer(voice).load()


async def test_a_broken_voice_is_a_speech_error(voice: Path) -> None:
    voice.write_bytes(b"nothing")

    with pytest.raises(SpeechError, match="could not be loaded"):
        await PiperSynthesizer(voice).load()


async def test_a_voice_for_letters_needs_no_espeak(voice: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    described(voice, phoneme_type="text")
    monkeypatch.setenv("PATH", "/nowhere")

    synthesizer = PiperSynthesizer(voice)
    await synthesizer.load()

    assert await synthesizer.say("hello")
