"""A kill at any instant loses at most the write in flight."""

from __future__ import annotations

import pytest

from testing.fakes.crash_points import run_crash_points

pytestmark = pytest.mark.unit


def test_no_acknowledged_fact_is_lost_at_any_of_a_thousand_crash_points() -> None:
    verdict = run_crash_points(stories=42)

    assert verdict.crash_points >= 1000
    assert verdict.disk_errors >= 250
    assert (verdict.lost, verdict.unreadable) == (0, 0), verdict.details[:2]
