"""What the page is told of models that are on their way."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipecatapp.llm.fetching import Fetching, FetchReport

pytestmark = pytest.mark.unit


async def test_a_download_shows_how_far_it_is_until_it_ends(tmp_path: Path) -> None:
    source, report = Fetching(tmp_path), FetchReport(tmp_path, "mind", lambda: 0.0)
    assert (await source.health()).ok

    report("mind.gguf", 25 << 20, 100 << 20)

    state = await source.health()
    assert (state.ok, state.vital, state.progress) == (False, False, 0.25)
    assert state.reason == "mind comes: 25%, 75 MB left"
    report.close()
    assert (await source.health()).ok


async def test_it_is_written_now_and_then_only(tmp_path: Path) -> None:
    now = [0.0]
    source, report = Fetching(tmp_path), FetchReport(tmp_path, "mind", lambda: now[0])

    for here in range(1, 50):
        report("mind.gguf", here, 100)
    assert (await source.health()).progress == 0.01

    now[0] = 1.0
    report("mind.gguf", 50, 100)
    assert (await source.health()).progress == 0.5


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", json.dumps({"model": "m", "file": "f", "here": 1, "total": 2, "pid": 2**22 + 1})]
)
async def test_what_a_killed_download_left_is_no_download(tmp_path: Path, content: str) -> None:
    (tmp_path / ".fetching.json").write_text(content)

    assert (await Fetching(tmp_path).health()).ok
