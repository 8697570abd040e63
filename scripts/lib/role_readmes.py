"""The README of each Ansible role, from its argument_specs.yaml and defaults/main.yaml."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
ROLES = ROOT / "ansible/roles"
NOTICE = "<!-- Written by scripts/docs from meta/argument_specs.yaml and defaults/main.yaml; change those. -->\n"
_KEY = re.compile(r"^(\w+):")


def readmes(table: Callable[..., str]) -> dict[Path, str]:
    """The text of every role's README by its path. ``table`` writes a Markdown table."""
    return {role / "README.md": readme(role, table) for role in sorted(ROLES.iterdir()) if role.is_dir()}


def readme(role: Path, table: Callable[..., str]) -> str:
    """What a role is for, its variables, and the other tasks that it offers."""
    specs = _load(role / "meta/argument_specs.yaml")["argument_specs"]
    defaults = role / "defaults/main.yaml"
    values, reasons = (_load(defaults), comments(defaults)) if defaults.is_file() else ({}, {})
    parts = [f"# {role.name}\n", NOTICE]
    main = specs["main"]
    parts.append(_sentence(main["short_description"]) + "\n")
    parts += [paragraph.strip() + "\n" for paragraph in _list(main.get("description"))]
    rows = [
        (f"`{name}`", _type(option), _default(name, option, values), _meaning(option, reasons.get(name, "")))
        for name, option in main.get("options", {}).items()
    ]
    if rows:
        parts += ["## Variables\n", table(("Name", "Type", "Default", "Meaning"), rows)]
    others = [(f"`{name}`", _takes(spec, main), _sentence(spec["short_description"]))
              for name, spec in specs.items() if name != "main"]  # fmt: skip
    if others:
        parts += ["## Other tasks\n", "For `tasks_from`:\n", table(("Name", "Takes", "What it does"), others)]
    return "\n".join(parts).rstrip() + "\n"


def comments(defaults: Path) -> dict[str, str]:
    """The comment above each variable, on one line."""
    found: dict[str, str] = {}
    above: list[str] = []
    for line in defaults.read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            above.append(line.lstrip("# ").rstrip())
            continue
        key = _KEY.match(line)
        if key and above:
            found[key[1]] = " ".join(above)
        above = []
    return found


def _load(file: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8")) or {}
    return loaded


def _list(value: object) -> list[str]:
    return [] if value is None else [value] if isinstance(value, str) else list(value)  # type: ignore[call-overload]


def _type(option: Mapping[str, Any]) -> str:
    if "choices" in option:
        return ", ".join(f"`{choice}`" for choice in option["choices"])
    return f"list of {option['elements']}" if "elements" in option else str(option["type"])


def _default(name: str, option: Mapping[str, Any], values: Mapping[str, Any]) -> str:
    if option.get("required"):
        return "(required)"
    value = values.get(name)
    if isinstance(value, list):
        return ", ".join(f"`{item}`" for item in value) or "(none)"
    if isinstance(value, dict):
        return ", ".join(f"`{key}`" for key in value) or "(none)"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _meaning(option: Mapping[str, Any], reason: str) -> str:
    return " ".join(filter(None, (_sentence(" ".join(_list(option["description"]))), _sentence(reason))))


def _takes(spec: Mapping[str, Any], main: Mapping[str, Any]) -> str:
    options = spec.get("options", {})
    if options and options == main.get("options"):
        return "the variables above"
    return ", ".join(f"`{name}`" for name in options) or "nothing"


def _sentence(text: str) -> str:
    text = text.strip()
    return text if not text or text[-1] in ".!?" else f"{text}."
