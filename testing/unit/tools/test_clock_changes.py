"""``clock.now`` in both nights of the clock change, here and elsewhere."""

from __future__ import annotations

from datetime import datetime, tzinfo
from zoneinfo import ZoneInfo

import pytest

from pipecatapp.ports import ToolContext
from pipecatapp.tools.clock import Clock

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("instant", "here", "new_york"),
    [
        ("2026-03-29T00:59:00", "01:59 on Sunday, 29 March 2026", "20:59 on Saturday, 28 March 2026"),
        ("2026-03-29T01:00:00", "03:00 on Sunday, 29 March 2026", "21:00 on Saturday, 28 March 2026"),
        ("2026-10-25T00:59:00", "02:59 on Sunday, 25 October 2026", "20:59 on Saturday, 24 October 2026"),
        ("2026-10-25T01:00:00", "02:00 on Sunday, 25 October 2026", "21:00 on Saturday, 24 October 2026"),
        ("2026-11-01T05:59:00", "06:59 on Sunday, 1 November 2026", "01:59 on Sunday, 1 November 2026"),
        ("2026-11-01T06:00:00", "07:00 on Sunday, 1 November 2026", "01:00 on Sunday, 1 November 2026"),
    ],
)
async def test_the_hour_that_is_skipped_and_the_hour_that_comes_twice(instant: str, here: str, new_york: str) -> None:
    def now(zone: tzinfo | None) -> datetime:
        return datetime.fromisoformat(f"{instant}+00:00").astimezone(zone or ZoneInfo("Europe/Berlin"))

    clock = Clock(now)
    assert (await clock.run({}, ToolContext("c", "t"))).text == f"It is {here}."
    assert (await clock.run({"timezone": "New York"}, ToolContext("c", "t"))).text == f"It is {new_york} in New York."
