"""What a module documents is what it takes: names, types, defaults and choices, with what it shares with others."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from testing.ansible_plugins import PLUGINS, load

pytestmark = pytest.mark.unit

MODULES = sorted((PLUGINS / "modules").glob("*.py"))
every_module = pytest.mark.parametrize("module", MODULES, ids=lambda module: module.stem)
# What both say of an option. `no_log` is the program's alone.
SAID = ("type", "elements", "choices", "default", "required")


class TakenError(Exception):
    """What Ansible would have been given."""


class Taking:
    """Ansible's ``AnsibleModule`` as far as a module's first step goes."""

    def __init__(self, argument_spec: dict[str, Any], **_more: Any) -> None:
        raise TakenError(argument_spec)


@pytest.fixture(autouse=True)
def basic(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ansible is no part of this environment."""
    stand_in = ModuleType("ansible.module_utils.basic")
    stand_in.AnsibleModule = Taking  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, stand_in.__name__, stand_in)


def taken(module: Path) -> dict[str, dict[str, Any]]:
    """The options that the program takes."""
    with pytest.raises(TakenError) as raised:
        load(f"modules/{module.stem}").main()
    found: dict[str, dict[str, Any]] = raised.value.args[0]
    return found


def documented(module: Path) -> dict[str, dict[str, Any]]:
    """The options that its documentation names, those of its fragments too; its own words win."""
    written = yaml.safe_load(load(f"modules/{module.stem}").DOCUMENTATION)
    options: dict[str, dict[str, Any]] = {}
    for name in written.get("extends_documentation_fragment", []):
        fragment = load(f"doc_fragments/{name}").ModuleDocFragment
        options |= yaml.safe_load(fragment.DOCUMENTATION)["options"]
    return options | written.get("options", {})


def facts(option: dict[str, Any]) -> dict[str, Any]:
    """What is said of an option, without what is taken for granted."""
    return {name: option[name] for name in SAID if option.get(name) not in (None, False, "", [], {})}


@every_module
def test_its_documentation_is_what_it_takes(module: Path) -> None:
    said, program = documented(module), taken(module)

    assert {name: facts(option) for name, option in said.items()} == {
        name: facts(option) for name, option in program.items()
    }


@every_module
def test_it_is_documented_under_its_own_name(module: Path) -> None:
    written = yaml.safe_load(load(f"modules/{module.stem}").DOCUMENTATION)
    assert written["module"] == module.stem
    assert written["short_description"]


@every_module
def test_what_modules_share_is_documented_once(module: Path) -> None:
    own = yaml.safe_load(load(f"modules/{module.stem}").DOCUMENTATION).get("options", {})
    for fragment in (PLUGINS / "doc_fragments").glob("*.py"):
        shared = yaml.safe_load(load(f"doc_fragments/{fragment.stem}").ModuleDocFragment.DOCUMENTATION)["options"]
        again = [name for name in own if name in shared and facts(own[name]) == facts(shared[name])]
        assert again == [], f"extends_documentation_fragment: [{fragment.stem}]"
