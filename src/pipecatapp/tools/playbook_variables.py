"""Variables for a playbook, as data: checked against what it declares, written so that Ansible never evaluates them.

To Ansible the value of an extra variable is a template, also without braces (a ``#jinja2:`` line chooses other ones).
``!unsafe`` over the whole file takes that away from every string in it, however deep (ansible-core 2.19: such a string
carries no ``TrustedAsTemplate``, and what is not trusted is not rendered, here or wherever a role uses it).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from pipecatapp.errors import ToolError

VARIABLE = re.compile(r"[a-z][a-z0-9_]{0,99}")
# What Ansible itself gives a meaning, besides all that begins with ``ansible_``.
RESERVED = frozenset(
    {
        "action", "always", "any_errors_fatal", "args", "async", "async_val", "become", "become_exe", "become_flags",
        "become_method", "become_user", "block", "changed_when", "check_mode", "collections", "connection", "cycler",
        "debugger", "delay", "delegate_facts", "delegate_to", "dict", "diff", "environment", "fact_path", "failed_when",
        "force_handlers", "gather_facts", "gather_timeout", "group_names", "groups", "handlers", "hosts", "hostvars",
        "ignore_errors", "ignore_unreachable", "inventory_dir", "inventory_file", "inventory_hostname",
        "inventory_hostname_short", "item", "joiner", "lipsum", "local_action", "lookup", "loop", "loop_control",
        "loop_with", "max_fail_percentage", "module_defaults", "name", "namespace", "no_log", "notify", "now", "omit",
        "order", "play_hosts", "playbook_dir", "poll", "port", "post_tasks", "pre_tasks", "q", "query", "range",
        "register", "remote_user", "rescue", "retries", "role_name", "role_names", "role_path", "role_uuid", "roles",
        "run_once", "serial", "ssh_common_args", "ssh_extra_args", "strategy", "tags", "tasks", "throttle", "timeout",
        "undef", "until", "vars", "vars_files", "vars_prompt", "when", "with_",
    }
)  # fmt: skip
_KEY = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,99}")
# Nobody means one of these to be taken as it is: what was meant would not happen, so it is said.
_TEMPLATES = ("{{", "{%", "{#", "#jinja2")
_MOST_CHARACTERS = 16_000  # of all variables, as JSON
_LONGEST = 2_000  # characters of one text
_MOST_VALUES = 200  # in one list or dictionary
_DEEPEST = 5
_NAMED = 40  # variables that an error lists


@dataclass(frozen=True, slots=True)
class Option:
    """What a variable may be: ``type`` and ``elements`` in the words of Ansible's argument specifications; ``raw`` is
    any plain value. ``options`` are those inside of a dictionary; empty: nothing is said of them."""

    type: str = "str"
    elements: str = "raw"
    choices: tuple[object, ...] = ()
    options: Mapping[str, Option] = field(default_factory=dict)


def check_variables(playbook: str, given: Mapping[str, Any], declared: Mapping[str, Option]) -> None:
    """Whether these can be given to the playbook.

    Raises:
        ToolError: a name is not declared, a value is of another type, or it is more than a value.
    """
    if len(json.dumps(dict(given))) > _MOST_CHARACTERS:
        raise ToolError(f"the variables are longer than {_MOST_CHARACTERS} characters together")
    for name, value in given.items():
        option = declared.get(name)
        if option is None:
            raise ToolError(f"{playbook} has no variable {name!r}; {_listed(declared)}")
        _check(name, value, option, _DEEPEST)


def as_untrusted_yaml(given: Mapping[str, Any]) -> str:
    """A file of variables of which Ansible takes every string as it is."""
    # A tag on each string alone would not do: Ansible reads `!unsafe "8080"` as a number.
    body = yaml.safe_dump(_plain(given), default_flow_style=True, allow_unicode=True, width=float("inf"))
    return f"--- !unsafe {body}"


def _check(name: str, value: object, option: Option, depth: int) -> None:
    if isinstance(value, list | Mapping):
        if depth == 0:
            raise ToolError(f"{name} has lists in lists too deep")
        if len(value) > _MOST_VALUES:
            raise ToolError(f"{name} has more than {_MOST_VALUES} values")
    if not _is(value, option.type):
        raise ToolError(f"{name} must be {_TYPES.get(option.type, _TYPES['str'])}")
    if option.choices and value not in option.choices:
        raise ToolError(f"{name} must be one of: {', '.join(map(str, option.choices))}")
    if isinstance(value, str):
        _check_text(name, value)
    if isinstance(value, list):
        for inner in value:
            _check(f"each of {name}", inner, Option(option.elements, options=option.options), depth - 1)
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if _KEY.fullmatch(key) is None:
                raise ToolError(f"{name} has {key!r} in it, which cannot be a name")
            if option.options and key not in option.options:
                raise ToolError(f"{name} has no {key!r}; {_listed(option.options)}")
            _check(f"{name}.{key}", inner, option.options.get(key, Option("raw")), depth - 1)


def _check_text(name: str, value: str) -> None:
    if len(value) > _LONGEST:
        raise ToolError(f"{name} is longer than {_LONGEST} characters")
    if not value.isprintable():
        raise ToolError(f"{name} has characters in it that cannot be seen, or several lines")
    if any(mark in value for mark in _TEMPLATES):
        raise ToolError(f"{name} has a template in it; give the value itself")


def _is(value: object, kind: str) -> bool:
    if isinstance(value, bool):
        return kind in ("bool", "raw")
    match kind:
        case "int":
            return isinstance(value, int)
        case "float":
            return isinstance(value, int | float)
        case "bool":
            return False
        case "list":
            return isinstance(value, list)
        case "dict":
            return isinstance(value, Mapping)
        case "raw":
            return isinstance(value, str | int | float | list | Mapping)
        case _:
            return isinstance(value, str)


_TYPES = {
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "list": "a list",
    "dict": "an object",
    "raw": "a plain value",
    "str": "a text",
}


def _listed(declared: Mapping[str, Option]) -> str:
    names = [f"{name} ({_TYPES.get(option.type, 'a text')})" for name, option in sorted(declared.items())]
    if not names:
        return "it declares none"
    more = len(names) - _NAMED
    return f"it has: {', '.join(names[:_NAMED])}" + (f" and {more} more" if more > 0 else "")


def _plain(value: object) -> object:
    """Only what PyYAML's safe dumper knows."""
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    return value
