"""Sound by a percentage: the usual one changes no byte, more never tears."""

from __future__ import annotations

import numpy as np
import pytest

from pipecatapp.tools.volume import USUAL
from pipecatapp.voice.loudness import set_loudness

pytestmark = pytest.mark.unit

TONE = (0.6 * 32767 * np.sin(np.arange(2400) / 10)).astype("<i2").tobytes()
FULL = (32767 * np.sin(np.arange(2400) / 10)).astype("<i2").tobytes()


def level(pcm: bytes) -> float:
    return float(np.sqrt(np.mean(np.frombuffer(pcm, "<i2").astype(float) ** 2)))


def test_the_usual_loudness_is_the_sound_itself() -> None:
    assert set_loudness(TONE, USUAL) is TONE
    assert set_loudness(b"", 30) == b""
    assert set_loudness(TONE, 0) == bytes(len(TONE))


def test_more_percent_is_louder() -> None:
    levels = [level(set_loudness(TONE, percent)) for percent in (10, 40, 62, USUAL, 78, 85, 100)]
    assert levels == sorted(levels)
    assert len(set(levels)) == len(levels)


def test_the_loudest_sound_keeps_its_shape() -> None:
    for percent in (78, 100):
        samples = np.frombuffer(set_loudness(FULL, percent), "<i2").astype(int)
        assert np.abs(samples).max() <= 32767
        # A sum that ran over would jump from one end to the other.
        assert np.abs(np.diff(samples)).max() < 9000
