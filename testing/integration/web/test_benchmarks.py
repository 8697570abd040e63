"""How fast models are, over HTTP."""

from __future__ import annotations

import httpx
import pytest

from testing.fakes.mission import Mission
from testing.fakes.speeds import measurement

pytestmark = pytest.mark.integration


async def test_forecasts_and_what_was_measured_for_those_who_may(mission: Mission, http: httpx.AsyncClient) -> None:
    told = (await http.get("/api/benchmarks")).json()
    assert (told["measured"], told["problem"]) == ([], "")
    assert [(each["model"], each["basis"]) for each in told["forecasts"]] == [("seven", "by_class")]

    await mission.measured.keep(measurement("seven", "pc1", 2.0))
    told = (await http.get("/api/benchmarks")).json()
    assert [(each["node"], each["tokens_per_s"]) for each in told["measured"]] == [("pc1", 2.0)]
    assert (told["forecasts"][0]["basis"], told["forecasts"][0]["tokens_per_s"]) == ("measured", 2.0)

    (mission.state_dir / "benchmarks.json").write_text("{")
    told = (await http.get("/api/benchmarks")).json()
    assert "it is damaged" in told["problem"]
    assert [each["basis"] for each in told["forecasts"]] == ["by_class"]

    async with httpx.AsyncClient(base_url=mission.url) as stranger:
        assert (await stranger.get("/api/benchmarks")).status_code == 401
