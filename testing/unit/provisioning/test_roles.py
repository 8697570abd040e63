"""Every role tells what it takes and which value that has, and its README says the same."""

from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from testing.ansible_plugins import PLUGINS

pytestmark = pytest.mark.unit

ROOT = PLUGINS.parents[1]
ROLES = sorted(path for path in (PLUGINS.parent / "roles").iterdir() if path.is_dir())
every_role = pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)


@pytest.fixture(scope="module")
def readmes() -> dict[Path, str]:
    """What ``scripts/docs`` would write."""
    folder = str(ROOT / "scripts/lib")
    sys.path.insert(0, folder)
    try:
        reference = importlib.import_module("reference")
    finally:
        sys.path.remove(folder)
    written: dict[Path, str] = reference.readmes(reference.table)
    return written


def loaded(file: Path) -> dict[str, Any]:
    """A file of YAML; empty where there is none."""
    return (yaml.safe_load(file.read_text(encoding="utf-8")) or {}) if file.exists() else {}


def specifications(role: Path) -> dict[str, Any]:
    """What it takes, for each of its ways in."""
    found: dict[str, Any] = loaded(role / "meta/argument_specs.yaml")["argument_specs"]
    return found


# Sets have another order in each run: what is written in it, or first in it, would change from run to run.
_SET = re.compile(r"\|\s*(?:difference|intersect|union|symmetric_difference)\b")
_ORDERED = re.compile(r"\|\s*(?:sort|length)\b")


@every_role
def test_what_it_writes_has_the_same_order_in_each_run(role: Path) -> None:
    files = [path for path in role.rglob("*") if path.suffix in (".yaml", ".j2") and path.is_file()]
    loose = [
        f"{path.relative_to(role)}: {line.strip()}"
        for path in files
        for line in path.read_text(encoding="utf-8").splitlines()
        if (found := _SET.search(line)) and not _ORDERED.search(line, found.end())
    ]
    assert loose == []


@every_role
def test_a_switch_may_come_from_the_command_line(role: Path) -> None:
    """There ``-e docker_enabled=true`` is a text, and a condition takes no text."""
    defaults = loaded(role / "defaults/main.yaml")
    options = specifications(role)["main"].get("options", {})
    switches = [name for name, option in options.items() if option["type"] == "bool" and name in defaults]
    loose = [
        f"{path.relative_to(role)}: {line.strip()}"
        for path in role.rglob("*.yaml")
        for line in path.read_text(encoding="utf-8").splitlines()
        for name in switches
        if re.search(rf"\b(?:when:|if|and|or|not|-)\s+{name}\b(?!\s*\|\s*bool)", line)
    ]
    assert not loose


@every_role
def test_it_says_what_it_takes(role: Path) -> None:
    for entry, spec in specifications(role).items():
        assert (role / f"tasks/{entry}.yaml").is_file(), f"{entry} is no file of tasks"
        assert spec["short_description"], entry
        for name, option in spec.get("options", {}).items():
            assert option["description"], name
            assert option["type"], name


@every_role
def test_each_default_is_described_and_each_variable_has_one(role: Path) -> None:
    described: dict[str, Any] = {}
    for spec in specifications(role).values():
        described |= spec.get("options", {})
    defaults = loaded(role / "defaults/main.yaml")

    assert sorted(set(defaults) - set(described)) == [], "no description in meta/argument_specs.yaml"
    wanting = {name for name, option in described.items() if not option.get("required") and "default" not in option}
    assert sorted(wanting - set(defaults)) == [], "no value in defaults/main.yaml"


@every_role
def test_a_default_is_written_once(role: Path) -> None:
    twice = [
        (entry, name)
        for entry, spec in specifications(role).items()
        for name, option in spec.get("options", {}).items()
        if "default" in option
    ]
    assert twice == [], "defaults belong to defaults/main.yaml"


@every_role
def test_its_variables_begin_with_its_name(role: Path) -> None:
    strange = [name for name in loaded(role / "defaults/main.yaml") if not name.startswith(f"{role.name}_")]
    assert strange == []


@every_role
def test_its_readme_is_what_the_role_says(role: Path, readmes: dict[Path, str]) -> None:
    assert (role / "README.md").read_text(encoding="utf-8") == readmes[role / "README.md"], "run scripts/docs"


def services(tasks: object) -> list[str]:
    """The services that these tasks define."""
    found: list[str] = []
    for task in tasks if isinstance(tasks, list) else []:
        for part in ("block", "rescue", "always"):
            found += services(task.get(part))
        role = task.get("ansible.builtin.include_role") or task.get("ansible.builtin.import_role") or {}
        if role.get("name") == "service" and "tasks_from" not in role:
            found.append(task["vars"]["service_name"])
    return found


@every_role
def test_a_service_that_it_defines_has_its_handler(role: Path) -> None:
    defined = {name for file in (role / "tasks").glob("*.yaml") for name in services(loaded(file))}
    listed: Any = loaded(role / "handlers/main.yaml") or []
    handlers = {handler["name"] for handler in listed}
    assert sorted(f"Restart {name}" for name in defined) == sorted(handlers & {f"Restart {name}" for name in defined})
