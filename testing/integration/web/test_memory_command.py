"""``pipecatapp memory``: what an agent remembers, from the command line."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from pipecatapp.cli.main import main
from testing.fakes.mission import Mission

pytestmark = pytest.mark.integration

Command = Callable[..., Awaitable[int]]


@pytest.fixture
async def command(mission: Mission, monkeypatch: pytest.MonkeyPatch) -> Command:
    """Runs the command in a thread, as another process would beside the agent."""
    monkeypatch.setenv("PIPECATAPP_CONFIG", str(mission.state_dir / "none.env"))
    monkeypatch.setenv("STATE_DIR", str(mission.state_dir))
    await mission.memory.add("the spare key is under the blue pot", kind="told")
    await mission.memory.add("the dog is called Rex")
    return lambda *words: asyncio.to_thread(main, ["memory", *words, "--url", mission.url])


async def test_facts_are_listed_and_found(command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    assert await command("list") == 0
    newest, oldest = capsys.readouterr().out.splitlines()
    assert newest.endswith("note     the dog is called Rex")
    assert oldest.split()[0] == "1"
    assert await command("search", "spare key") == 0
    assert "blue pot" in capsys.readouterr().out
    assert await command("list", "--kind", "told", "--limit", "1") == 0
    assert "Rex" not in capsys.readouterr().out
    assert await command("search", "boat") == 1


async def test_more_than_asked_for_is_said(command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    await command("list", "--limit", "1")
    assert "1 more; --limit 2" in capsys.readouterr().err


async def test_a_fact_is_forgotten_by_its_number(
    command: Command, mission: Mission, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await command("forget", "2") == 0
    assert capsys.readouterr().out == "forgotten: the dog is called Rex\n"
    assert len(mission.memory) == 1
    assert await command("forget", "2") == 2
    assert "there is no fact '2'" in capsys.readouterr().err


async def test_an_export_is_private_and_can_be_imported(
    command: Command, mission: Mission, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "facts.jsonl"
    assert await command("export", str(file)) == 0
    assert "2 facts" in capsys.readouterr().out
    assert file.stat().st_mode & 0o077 == 0
    await command("forget", "1")
    with file.open("a") as more:
        more.write("no fact\n")
    assert await command("import", str(file)) == 1
    said = capsys.readouterr()
    assert "1 added, 1 known already, 1 refused" in said.out
    assert "line 3: no JSON" in said.err
    assert len(mission.memory) == 2


async def test_a_missing_file_is_said(command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    assert await command("import", "/nowhere/facts.jsonl") == 2
    assert "cannot be read" in capsys.readouterr().err


async def test_an_agent_that_does_not_run_is_said(
    command: Command, mission: Mission, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await asyncio.to_thread(main, ["memory", "list", "--url", "http://127.0.0.1:9"]) == 2
    assert "cannot be reached" in capsys.readouterr().err
