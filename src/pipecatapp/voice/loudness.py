"""How loud sound is: PCM16 by a percentage, louder than it is made without tearing."""

from __future__ import annotations

import numpy as np

from pipecatapp.tools.volume import USUAL

_POWER = 1.5  # of the percentage: equal steps sound about equal
_LINEAR = 0.8  # of full scale: above it peaks are rounded, not cut


def set_loudness(pcm: bytes, percent: int) -> bytes:
    """The sound at that loudness; at ``USUAL`` percent it is the same bytes."""
    if percent == USUAL or not pcm:
        return pcm
    if percent <= 0:
        return bytes(len(pcm))
    samples = np.frombuffer(pcm, "<i2").astype(np.float32) * ((percent / USUAL) ** _POWER / 32768)
    if percent > USUAL:
        size = np.abs(samples)
        over = np.maximum(size - _LINEAR, 0) / (1 - _LINEAR)
        samples = np.sign(samples) * np.where(size > _LINEAR, _LINEAR + (1 - _LINEAR) * np.tanh(over), size)
    made: bytes = (samples * 32767).astype("<i2").tobytes()
    return made
