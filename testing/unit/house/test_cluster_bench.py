"""The bench of a house whose programs die: what its household asks, and what is counted."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any, cast

import pytest

from testing.bench.cluster import FAULTS, Household, Result, plan, report
from testing.fakes.everyday_house import EverydayHouse

pytestmark = pytest.mark.unit


async def test_the_reflex_answers_what_the_household_asks(tmp_path: Path) -> None:
    here, household = EverydayHouse(tmp_path), Household(cast(Any, None))
    for _ in range(8):
        wish = household.next_wish()
        assert wish.answer in await here.say(wish.text), wish


async def test_what_is_not_there_is_lost_and_what_is_there_twice_is_doubled() -> None:
    class Seeing(Household):
        async def there(self) -> Counter[str]:
            return Counter({"box 1": 1, "batch 8": 2})

        async def _tidy(self) -> None:
            """There are no timers."""

    household = Seeing(cast(Any, None), promised=["box 1", "batch 8", "screw 2"])
    assert await household.account() == (1, 1)
    assert await household.account() == (0, 0), "each is counted once"


def test_the_plan_has_all_kinds_and_is_the_same_for_a_seed() -> None:
    assert set(plan(len(FAULTS), 3)) == set(FAULTS)
    assert plan(30, 3) == plan(30, 3) != plan(30, 4)


def test_the_keys(capsys: pytest.CaptureFixture[str]) -> None:
    done = [Result("kill -9 of NATS", float(gap), 10, 9 if gap == 3 else 10, 0, gap == 2) for gap in range(1, 21)]
    assert report(done) == {"faults": 20, "answered": 0.995, "facts_lost": 0, "doubled": 1, "p95_gap_s": 19.0}
    assert "kill -9 of NATS" in capsys.readouterr().out
