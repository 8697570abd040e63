"""The failover bench, short: servers die under running turns, and every answer is whole and said once."""

from __future__ import annotations

import pytest

from testing.bench.failover import measure, repeated

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]


async def test_answers_survive_what_happens_to_their_servers(capsys: pytest.CaptureFixture[str]) -> None:
    result = await measure(turns=20, seed=20261125)
    assert result["turns"] >= 20
    assert sum(result["faults"].values()) > 0, "nothing broke: this proves nothing"
    assert (result["completed"], result["duplicated"], result["repeats"]) == (1.0, 0, 0), capsys.readouterr().out


@pytest.mark.parametrize(
    ("said", "wanted", "twice"),
    [
        ("I am a small voice assistant.", "I am a small voice assistant.", False),
        ("I am a small I am a small voice assistant.", "I am a small voice assistant.", True),
        ("I am a a small voice assistant.", "I am a small voice assistant.", True),
        ("I am something else altogether.", "I am a small voice assistant.", False),
        ("no no no", "no no no", False),
    ],
)
def test_what_is_said_twice_is_found(said: str, wanted: str, twice: bool) -> None:
    assert repeated(said, wanted) is twice
