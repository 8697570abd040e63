"""The idle threshold: what the power agent reads stays whole, and what others wrote into it stays."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from pipecatapp.errors import ToolError
from pipecatapp.ports import ToolContext
from pipecatapp.tools.power import IdleThreshold
from testing.fakes.storage import storage_in

pytestmark = pytest.mark.unit

CONTEXT = ToolContext("c", "t")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "state/power_policy.json"


def call(service: str, seconds: int) -> dict[str, Any]:
    return {"service": service, "seconds": seconds}


async def test_the_first_threshold_makes_the_file(file: Path) -> None:
    result = await IdleThreshold(file).run(call("coding", 600), CONTEXT)
    assert result.text == "coding may now sleep after 10 minutes without use."
    assert json.loads(file.read_text()) == {"version": 1, "services": {"coding": {"idle_seconds": 600}}}
    assert file.stat().st_mode & 0o777 == 0o644
    assert [path.name for path in file.parent.iterdir()] == [file.name]


async def test_what_others_wrote_stays(file: Path) -> None:
    file.parent.mkdir()
    before = {
        "version": 1,
        "owner": "me",
        "services": {"prima-api-coding": {"idle_seconds": 60, "wake": True}, "grafana": {"never": True}},
    }
    file.write_text(json.dumps(before))
    await IdleThreshold(file).run(call("Coding", 3600), CONTEXT)
    before["services"]["prima-api-coding"]["idle_seconds"] = 3600  # type: ignore[index]
    assert json.loads(file.read_text()) == before


async def test_the_preview_names_the_service_as_it_is_known(file: Path) -> None:
    file.parent.mkdir()
    file.write_text('{"version": 1, "services": {"prima-api-math": {"idle_seconds": 60}}}')
    preview = await IdleThreshold(file).preview(call("math", 90), CONTEXT)
    assert preview.sentence == "Let prima-api-math sleep after 90 seconds without use."
    assert "60 -> 90" in preview.detail
    assert preview.scope == "prima-api-math"
    assert "60" in file.read_text()


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"services": 3}', '{"services": {"a": {"idle_seconds": "x"}}}'])
async def test_a_damaged_file_is_set_aside(file: Path, damage: str) -> None:
    file.parent.mkdir()
    file.write_text(damage)
    result = await IdleThreshold(file, now=lambda: 1000.0).run(call("media server", 60), CONTEXT)
    assert "power_policy.json.damaged-1000" in result.text
    assert file.with_name("power_policy.json.damaged-1000").read_text() == damage
    assert json.loads(file.read_text())["services"] == {"media-server": {"idle_seconds": 60}}


async def test_a_newer_file_is_left_alone(file: Path) -> None:
    file.parent.mkdir()
    file.write_text('{"version": 2}')
    with pytest.raises(ToolError, match="has version 2"):
        await IdleThreshold(file).run(call("coding", 60), CONTEXT)
    assert file.read_text() == '{"version": 2}'


@pytest.mark.parametrize("name", ["../x", "a/b", "-", "a\nb;", "{{ x }}", "x" * 3 + "\x00"])
async def test_what_is_no_name_is_refused(file: Path, name: str) -> None:
    with pytest.raises(ToolError, match="no name of a service"):
        await IdleThreshold(file).run(call(name, 60), CONTEXT)
    assert not file.exists()


async def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ToolError, match="cannot be"):
        await IdleThreshold(tmp_path / "file/policy.json").run(call("coding", 60), CONTEXT)


async def test_thresholds_set_at_once_are_all_kept(file: Path) -> None:
    tool = IdleThreshold(file)
    await asyncio.gather(*(tool.run(call(f"service{n}", 60 + n), CONTEXT) for n in range(20)))
    assert len(json.loads(file.read_text())["services"]) == 20


async def test_never_and_back(file: Path) -> None:
    tool = IdleThreshold(file)
    await tool.run(call("coding", 600), CONTEXT)

    assert (await tool.preview(call("coding", 0), CONTEXT)).sentence == "Let coding stay awake for good."
    assert (await tool.run(call("coding", 0), CONTEXT)).text == "coding stays awake for good."
    assert json.loads(file.read_text())["services"] == {"coding": {"idle_seconds": 600, "never": True}}

    preview = await tool.preview(call("coding", 60), CONTEXT)
    await tool.run(call("coding", 60), CONTEXT)
    assert "never -> 60" in preview.detail
    assert json.loads(file.read_text())["services"] == {"coding": {"idle_seconds": 60, "never": False}}


async def test_never_is_taken_back(file: Path, tmp_path: Path) -> None:
    changes = storage_in(tmp_path).changes
    tool = IdleThreshold(file, changes=changes)
    await tool.run(call("coding", 600), CONTEXT)
    await tool.run(call("coding", 0), CONTEXT)

    said = await tool.take_back((await changes.latest())[0])

    assert said.text == "I took that back. coding may sleep after 10 minutes without use again."
    assert json.loads(file.read_text())["services"] == {"coding": {"idle_seconds": 600, "never": False}}


async def test_a_few_seconds_are_refused(file: Path) -> None:
    with pytest.raises(ToolError, match="10 are the least"):
        await IdleThreshold(file).run(call("coding", 5), CONTEXT)
    assert not file.exists()
