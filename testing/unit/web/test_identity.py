"""What browsers know a house by, handed from one agent to another."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from pipecatapp.errors import ConfigurationError
from pipecatapp.web.auth import load_token
from pipecatapp.web.identity import main, show, take
from pipecatapp.web.tls import LocalAuthority

pytestmark = pytest.mark.unit


def test_another_agent_is_known_by_the_same_token_and_authority(tmp_path: Path) -> None:
    home, other = tmp_path / "home", tmp_path / "other"
    told = show(home)
    own = show(other)
    assert own["token"] != told["token"]

    assert take(other, told) is True
    assert take(other, told) is False
    assert load_token(other) == load_token(home)
    # The next start makes a certificate of its own from it.
    assert LocalAuthority(other / "tls").ensure(["other"], ["127.0.0.1"]) is True
    assert show(other) == told
    assert (other / "tls/ca.key").stat().st_mode & 0o777 == 0o600


def test_what_is_not_whole_changes_nothing(tmp_path: Path) -> None:
    told, mine = show(tmp_path / "home"), show(tmp_path / "other")
    foreign = show(tmp_path / "third")
    for wrong in ({}, told | {"token": ""}, told | {"tls/ca.key": "x"}, told | {"tls/ca.key": foreign["tls/ca.key"]}):
        with pytest.raises(ConfigurationError):
            take(tmp_path / "other", wrong)
    assert show(tmp_path / "other") == mine


def test_it_is_a_program_for_the_playbook(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main([str(tmp_path / "home"), "show"]) == 0
    told = capsys.readouterr().out
    for said in ("changed", "the same"):
        monkeypatch.setattr("sys.stdin", io.StringIO(told))
        assert main([str(tmp_path / "other"), "take"]) == 0
        assert capsys.readouterr().out.strip() == said
    monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps([])))
    assert main([str(tmp_path / "other"), "take"]) == 1
