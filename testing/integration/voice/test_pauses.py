"""The pause that the voice activity detector tells of."""

from __future__ import annotations

from itertools import pairwise

import pytest
from pipecat.audio.vad.vad_analyzer import VADState

from pipecatapp.voice.vad import SharedSilero
from testing.fakes.caller import RATE_UP, spoken

pytestmark = pytest.mark.integration


async def test_a_pause_grows_until_somebody_speaks_again() -> None:
    vad = SharedSilero()
    vad.set_sample_rate(RATE_UP)
    sound = spoken("thanks") + bytes(RATE_UP * 2)
    step = RATE_UP // 50 * 2
    seen: list[tuple[VADState, float]] = []
    for start in range(0, len(sound) - step + 1, step):
        state = await vad.analyze_audio(sound[start : start + step])
        seen.append((state, vad.pause_s))
    spoke = [index for index, (state, _) in enumerate(seen) if state is VADState.SPEAKING]
    assert spoke
    pauses = [pause for _, pause in seen[spoke[-1] :]]
    assert pauses[0] == 0
    # Also when what was said has ended: whoever asks a moment later must not take that for speech.
    assert all(before <= after for before, after in pairwise(pauses))
    assert pauses[-1] >= 0.15
