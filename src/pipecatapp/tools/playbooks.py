"""The playbooks of one folder: which there are, and which variables each of them declares.

Declared is what stands in the ``meta/argument_specs.yaml`` of the roles that the playbook uses (each at the entry point
where it is used), and in the ``vars`` of its plays.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from pipecatapp.errors import ToolError
from pipecatapp.tools.playbook_files import read_config
from pipecatapp.tools.playbook_variables import RESERVED, VARIABLE, Option

_SUFFIXES = (".yaml", ".yml")
# What a person is shown and hears is what is run: no way around through other folders, no sign that is none of a name.
_NAME = re.compile(r"(?:\w[\w.-]*/)*\w[\w.-]*", re.ASCII)
_ROLE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]*")
_MOST_PLAYBOOKS = 50  # that one imports, in all
_SPECS = ("meta/argument_specs.yaml", "meta/argument_specs.yml")
_MAIN = ("meta/main.yaml", "meta/main.yml")
_TASKS = ("pre_tasks", "tasks", "post_tasks", "handlers")
_BLOCKS = ("block", "rescue", "always")
_USES_ROLE = re.compile(r"(?:ansible\.(?:builtin|legacy)\.)?(?:import_role|include_role)")
_IMPORTS = re.compile(r"(?:ansible\.(?:builtin|legacy)\.)?import_playbook")


def find_playbook(folder: Path, name: str) -> Path:
    """The playbook of this name, with or without its ending, strictly inside the folder.

    Raises:
        ToolError: there is none; lists those that there are.
    """
    root = folder.resolve()
    for spelling in (name, *(f"{name}{suffix}" for suffix in _SUFFIXES)):
        if _NAME.fullmatch(name) and (path := _inside(root, spelling)):
            return path
    there = sorted(path.name for path in root.iterdir() if _inside(root, path.name))
    raise ToolError(f"there is no playbook {name!r}; there are: {', '.join(there) or 'none'}")


def is_playbook(path: Path) -> bool:
    """Whether the file is a list of plays."""
    plays = _read(path)
    return (
        isinstance(plays, list)
        and bool(plays)
        and all(
            isinstance(play, dict)
            and any(key.endswith(("hosts", "import_playbook")) for key in play if isinstance(key, str))
            for play in plays
        )
    )


def declared_variables(folder: Path, playbook: Path) -> dict[str, Option]:
    """The variables that may be given to a playbook, by name."""
    root = folder.resolve()
    found: dict[str, Option] = {}
    for play, path in _plays(root, playbook, set()):
        places = [path.parent / "roles", *_role_folders(root)]
        for role, entry in _roles(play):
            _add(found, _options_of(places, role, entry, frozenset()))
    for play, _ in _plays(root, playbook, set()):
        values = play.get("vars")
        if isinstance(values, dict):
            _add(found, {str(name): _like(value) for name, value in values.items()})
    return found


def _add(found: dict[str, Option], more: Mapping[str, Option]) -> None:
    for name, option in more.items():
        if VARIABLE.fullmatch(name) and name not in RESERVED and not name.startswith("ansible_"):
            found.setdefault(name, option)


def _inside(root: Path, name: str) -> Path | None:
    """The playbook of exactly this name, unless it, or what it links to, lies elsewhere."""
    try:
        path = (root / name).resolve()
        found = path.is_relative_to(root) and path.suffix in _SUFFIXES and path.is_file()
    except (OSError, ValueError):
        return None
    return path if found and is_playbook(path) else None


def _plays(root: Path, path: Path, seen: set[Path]) -> Iterator[tuple[Mapping[str, Any], Path]]:
    """The plays of a playbook and of those that it imports, each with the file that it stands in."""
    if path in seen or len(seen) >= _MOST_PLAYBOOKS:
        return
    seen.add(path)
    for play in _dicts(_read(path)):
        yield play, path
        for key, name in play.items():
            if _IMPORTS.fullmatch(str(key)) and isinstance(name, str):
                imported = (path.parent / name).resolve()
                if imported.is_relative_to(root):
                    yield from _plays(root, imported, seen)


def _roles(play: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The roles that a play uses, each with its entry point."""
    for role in play.get("roles") or ():
        name = (role.get("role") or role.get("name")) if isinstance(role, dict) else role
        if isinstance(name, str):
            yield name, "main"
    for part in _TASKS:
        yield from _roles_of_tasks(play.get(part))


def _roles_of_tasks(tasks: object) -> Iterator[tuple[str, str]]:
    for task in _dicts(tasks):
        for key, value in task.items():
            if key in _BLOCKS:
                yield from _roles_of_tasks(value)
            elif _USES_ROLE.fullmatch(str(key)) and isinstance(value, dict) and isinstance(value.get("name"), str):
                yield value["name"], Path(str(value.get("tasks_from", "main"))).stem


def _options_of(places: list[Path], role: str, entry: str, seen: frozenset[str]) -> dict[str, Option]:
    """What a role declares at an entry point, with what the roles that it depends on declare."""
    folder = next((place / role for place in places if _ROLE.fullmatch(role) and (place / role).is_dir()), None)
    if folder is None or role in seen:
        return {}
    main = _first(folder, _MAIN)
    specs = _first(folder, _SPECS).get("argument_specs") or main.get("argument_specs")
    spec = specs.get(entry) if isinstance(specs, dict) else None
    options = _options(spec.get("options")) if isinstance(spec, dict) else {}
    for other in main.get("dependencies") or ():
        name = (other.get("role") or other.get("name")) if isinstance(other, dict) else other
        options = _options_of(places, str(name), "main", seen | {role}) | options
    return options


def _options(declared: object) -> dict[str, Option]:
    if not isinstance(declared, dict):
        return {}
    return {
        str(name): Option(
            str(option.get("type", "str")),
            str(option.get("elements", "raw")),
            tuple(option.get("choices") or ()),
            _options(option.get("options")),
        )
        for name, option in declared.items()
        if isinstance(option, dict)
    }


def _like(value: object) -> Option:
    """What may be given instead of a value that stands in a play. Of a template nobody knows what it becomes."""
    if isinstance(value, bool):
        return Option("bool")
    if isinstance(value, int | float):
        return Option("int" if isinstance(value, int) else "float")
    if isinstance(value, str):
        return Option("raw" if "{" in value else "str")
    return Option("list" if isinstance(value, list) else "dict" if isinstance(value, dict) else "raw")


def _role_folders(root: Path) -> list[Path]:
    """Where ``ansible.cfg`` says that roles lie."""
    places = read_config(root).get("defaults", "roles_path", fallback="")
    return [root / "roles", *(root / place for place in places.split(":") if place)]


def _first(folder: Path, names: tuple[str, ...]) -> Mapping[str, Any]:
    for name in names:
        found = _read(folder / name)
        if isinstance(found, dict):
            return found
    return {}


def _dicts(value: object) -> list[Mapping[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _read(path: Path) -> object:
    """What stands in a YAML file; None where that cannot be read."""
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError, RecursionError):
        return None
