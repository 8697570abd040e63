"""Random lives: what was set rings or is told, and what was acknowledged never rings again."""

from __future__ import annotations

import pytest

from testing.fakes.schedule_lives import run_lives

pytestmark = pytest.mark.unit


async def test_a_hundred_lives_lose_nothing_and_nothing_rings_again() -> None:
    verdict = await run_lives(100, seed=1, steps=10)

    assert (verdict.lost, verdict.again) == (0, 0), verdict.details[:5]
    assert verdict.items > 100
    assert min(verdict.rings, verdict.missed, verdict.acknowledged) > 30
    assert min(verdict.kills, verdict.power_cuts, verdict.jumps) > 30
