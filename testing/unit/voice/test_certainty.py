"""Noise makes no words: a voice must sound, a recognizer must be sure."""

from __future__ import annotations

import numpy as np
import pytest

from pipecatapp.voice.certainty import LEAST_VOICED_S, Segment, VoicedSound, is_believable, sure_words

pytestmark = pytest.mark.unit

RATE = 16000
_RNG = np.random.default_rng(3)


def _fading(samples: int, tau_s: float) -> np.ndarray:
    return np.exp(-np.arange(samples) / (tau_s * RATE))


def _fan(seconds: float) -> np.ndarray:
    air = np.convolve(_RNG.standard_normal(int(RATE * seconds)), np.ones(8) / 8, "same")
    return air * 3000 + np.sin(2 * np.pi * 100 * np.arange(len(air)) / RATE) * 800


def _keyboard(seconds: float) -> np.ndarray:
    sound = np.zeros(int(RATE * seconds))
    for start in _RNG.integers(0, len(sound) - 800, int(seconds * 7)):
        sound[start : start + 800] += _RNG.standard_normal(800) * _fading(800, 0.006) * 12000
    return sound


def _cough() -> np.ndarray:
    burst = np.convolve(_RNG.standard_normal(5600), np.ones(3) / 3, "same")
    return burst * _fading(5600, 0.1) * 16000


def _door() -> np.ndarray:
    time = np.arange(8000) / RATE
    boom = np.sin(2 * np.pi * 55 * time) * _fading(8000, 0.08)
    return (boom + _RNG.standard_normal(8000) * _fading(8000, 0.03)) * 15000


def _vowel(seconds: float, pitch: float) -> np.ndarray:
    time = np.arange(int(RATE * seconds)) / RATE
    return sum(np.sin(2 * np.pi * pitch * harmonic * time) / harmonic for harmonic in range(1, 12)) * 3000


def voiced(sound: np.ndarray) -> float:
    meter = VoicedSound()
    pcm = sound.clip(-32768, 32767).astype(np.int16).tobytes()
    for at in range(0, len(pcm), 640):
        meter.feed(pcm[at : at + 640])
    return meter.seconds


@pytest.mark.parametrize("sound", [_fan(10), _keyboard(10), _cough(), _door(), np.zeros(RATE)],
                         ids=["fan", "keyboard", "cough", "door", "silence"])  # fmt: skip
def test_noise_has_no_voice(sound: np.ndarray) -> None:
    assert voiced(sound) < LEAST_VOICED_S


@pytest.mark.parametrize("pitch", [85.0, 120.0, 210.0, 330.0])
def test_a_vowel_is_a_voice_at_any_pitch(pitch: float) -> None:
    assert voiced(_vowel(0.3, pitch)) >= 0.2


def test_words_need_a_voice_and_time() -> None:
    assert is_believable("turn on the light", 0.5, 1.2)
    assert not is_believable("turn on the light", 0.04, 1.2)
    assert not is_believable("Thank you for watching!", 1.0, 2.0)
    assert not is_believable("one two three four five six seven eight nine ten", 0.3, 0.6)
    assert not is_believable(" . ", 1.0, 1.0)


@pytest.mark.parametrize(
    ("segment", "words"),
    [
        (Segment(" What is the time?", 0.1, -0.3), "What is the time?"),
        (Segment(" What is the time?", 0.7, -0.3), ""),
        (Segment(" What is the time?", 0.1, -1.2), ""),
        (Segment(" you", 0.2, -0.8), ""),
        (Segment(" Thank you.", 0.5, -0.3), ""),
        (Segment(" Thank you.", 0.1, -0.3), "Thank you."),
        (Segment(" Thanks for watching.", 0.1, -0.1), ""),
        (Segment(" and then and then and then" * 12, 0.1, -0.3), ""),
    ],
)
def test_a_recognizer_must_be_sure(segment: Segment, words: str) -> None:
    assert sure_words([segment]) == words


def test_an_unsure_segment_takes_no_other_with_it() -> None:
    segments = [Segment(" Turn on the light.", 0.1, -0.3), Segment(" Thank you.", 0.9, -0.9)]
    assert sure_words(segments) == "Turn on the light."
