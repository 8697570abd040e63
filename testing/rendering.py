"""The roles' and jobs' templates as text, for tests in an environment without Ansible."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import jinja2
import yaml

ROOT = Path(__file__).resolve().parents[1]


def rendered(template: str, **values: Any) -> str:
    """A template of the repository, filled in; a name that has no value fails."""
    text = (ROOT / template).read_text(encoding="utf-8")
    signs: dict[str, Any] = {"trim_blocks": True}
    if text.startswith("#jinja2:"):
        line, _, text = text.removeprefix("#jinja2:").partition("\n")
        pairs = (pair.split(":", 1) for pair in line.split(","))
        signs = {key.strip(): ast.literal_eval(value.strip()) for key, value in pairs}
    environment = jinja2.Environment(keep_trailing_newline=True, undefined=jinja2.StrictUndefined, **signs)
    # Ansible's own.
    environment.filters["comment"] = lambda said: f"# {said}"
    environment.filters["extract"] = lambda key, among: among[key]
    return environment.from_string(text).render({"ansible_managed": "of a test", **values})


def settings_of(text: str) -> dict[str, str]:
    """The lines ``NAME=value`` of a settings file."""
    lines = (line.partition("=") for line in text.splitlines() if line and not line.startswith("#"))
    return {name: value for name, _, value in lines}


def defaults(role: str) -> dict[str, Any]:
    """A role's defaults, as written."""
    found: dict[str, Any] = yaml.safe_load((ROOT / f"ansible/roles/{role}/defaults/main.yaml").read_text("utf-8"))
    return found
