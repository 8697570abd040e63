"""``pipecatapp commands``: what the household wrote down, and what is wrong with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipecatapp.cli.main import main

pytestmark = pytest.mark.unit


@pytest.fixture(autouse=True)
def commands_yaml(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("PIPECATAPP_CONFIG", str(tmp_path / "none.env"))
    monkeypatch.setenv("STATE_DIR", str(tmp_path))
    monkeypatch.setenv("COMMANDS_FILE", str(tmp_path / "commands.yaml"))
    return tmp_path / "commands.yaml"


def test_without_a_file_there_are_none(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["commands"]) == 0
    assert "does not exist" in capsys.readouterr().out


def test_commands_are_shown_as_they_are_understood(commands_yaml: Path, capsys: pytest.CaptureFixture[str]) -> None:
    commands_yaml.write_text(
        "- say: [good night, sleep well]\n  do:\n    timer.cancel: {label: all}\n    house.lock:\n"
    )
    assert main(["commands"]) == 0
    assert capsys.readouterr().out == "good night -> timer.cancel(label: all), house.lock()\n"


@pytest.mark.parametrize(
    ("do", "reason"),
    [
        ("{timer.stop: {}}", "there is no tool timer.stop; there are timer.cancel, timer.change"),
        ("{timer.set: {duration: ten minutes, colour: red}}", "timer.set takes no colour; it takes duration, label"),
        ("{summarizer.get_summary: {}}", "summarizer.get_summary needs query"),
    ],
)
def test_what_a_tool_of_ours_would_not_take_is_wrong(
    commands_yaml: Path, capsys: pytest.CaptureFixture[str], do: str, reason: str
) -> None:
    commands_yaml.write_text(f"- say: hello\n  do: {do}\n")
    assert main(["commands"]) == 1
    assert f"wrong: 'hello': {reason}" in capsys.readouterr().out
