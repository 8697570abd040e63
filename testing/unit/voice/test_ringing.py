"""The ring of a voice session: the sound of our own, and when it waits and ends."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import numpy as np
import pytest

from pipecatapp.voice.ringing import LEVEL, Ringer, means_ring, ring_sound
from pipecatapp.voice.synthesis import SAMPLE_RATE

pytestmark = pytest.mark.unit


class Player:
    """Plays until it is told to end, or is cancelled."""

    def __init__(self) -> None:
        self.played: list[Sequence[str]] = []
        self.stopped = 0
        self.free = True

    async def play(self, sentences: Sequence[str]) -> None:
        self.played.append(sentences)
        try:
            await asyncio.Event().wait()
        finally:
            self.stopped += 1


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def test_the_sound_is_ours_loud_and_ends_in_silence() -> None:
    samples = np.frombuffer(ring_sound(), "<i2").astype(float) / 32767
    assert 1.5 * SAMPLE_RATE <= len(samples) <= 3 * SAMPLE_RATE
    assert np.abs(samples).max() == pytest.approx(LEVEL, abs=0.01)
    assert np.abs(samples[-SAMPLE_RATE // 100 :]).max() < 0.1
    assert abs(samples.mean()) < 0.01


async def test_it_rings_until_told_not_to() -> None:
    player = Player()
    ringer = Ringer(player.play, lambda: player.free)
    ringer.ring(["The tea is done."])
    await settle()
    assert ringer.rings
    assert player.played == [("The tea is done.",)]
    ringer.ring(["The tea is done."])
    await settle()
    assert len(player.played) == 1
    ringer.ring([])
    assert not ringer.rings
    await ringer.aclose()
    assert player.stopped == 1


async def test_it_waits_while_somebody_speaks() -> None:
    player = Player()
    player.free = False
    ringer = Ringer(player.play, lambda: player.free)
    ringer.ring(["The tea is done."])
    await settle()
    assert player.played == []
    await ringer.aclose()


def test_an_echo_of_the_sentence_is_no_answer() -> None:
    assert means_ring("okay", "Your pasta timer is done.")
    assert means_ring("snooze five minutes", "Your pasta timer is done.")
    assert not means_ring("your pasta timer is done", "Your pasta timer is done.")
    assert not means_ring("what time is it", "")
