"""Personas are files that a person edits while the agent runs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pipecatapp.twin.speak.persona import FALLBACK, Personas

pytestmark = pytest.mark.unit

SHIPPED = Path(__file__).parents[4] / "ansible/roles/pipecatapp/files/prompts"


def test_an_edited_persona_is_read_again(tmp_path: Path) -> None:
    file = tmp_path / "router.txt"
    file.write_text("You are Ann.\n")
    personas = Personas(tmp_path)
    assert personas.router() == "You are Ann."
    file.write_text("You are Bob.\n")
    os.utime(file, ns=(1, 1))
    assert personas.router() == "You are Bob."


def test_a_missing_persona_falls_back(tmp_path: Path) -> None:
    assert Personas(tmp_path).router() == FALLBACK
    (tmp_path / "general_expert.txt").write_text("You know things.")
    assert Personas(tmp_path).expert("coding") == "You know things."


def test_a_persona_that_breaks_while_running_keeps_the_last_text(tmp_path: Path) -> None:
    file = tmp_path / "router.txt"
    file.write_text("You are Ann.")
    personas = Personas(tmp_path)
    personas.router()
    file.write_bytes(b"\xff\xfe")
    assert personas.router() == "You are Ann."
    file.unlink()
    assert personas.router() == "You are Ann."


@pytest.mark.parametrize("name", ["router", "coding_expert", "math_expert", "creative_expert", "general_expert"])
def test_the_shipped_personas_are_there(name: str) -> None:
    text = (SHIPPED / f"{name}.txt").read_text()
    assert 200 < len(text) < 2000
    assert "**" not in text
