"""``${NAME}`` and its like in the strings of ``mcp.json``, replaced from the environment."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_VARIABLE = re.compile(r"\$\{([^{}]{1,500})\}")
_NAMED = re.compile(r"(?:env:)?([A-Za-z_][A-Za-z0-9_]*)(?::-(.*))?", re.DOTALL)
_ENVIRONMENT = "/etc/pipecatapp/pipecatapp.env"


class VariableError(Exception):
    """A variable has no value. The text says which, and what to do."""


def expand(value: Any, environ: Mapping[str, str]) -> Any:
    """The value with the variables in its strings replaced: ``${NAME}``, ``${env:NAME}``, ``${NAME:-default}``.

    Raises:
        VariableError: one has no value here.
    """
    if isinstance(value, dict):
        return {key: expand(item, environ) for key, item in value.items()}
    if isinstance(value, list):
        return [expand(item, environ) for item in value]
    return _VARIABLE.sub(lambda found: _look_up(found, environ), value) if isinstance(value, str) else value


def _look_up(found: re.Match[str], environ: Mapping[str, str]) -> str:
    what = found[1]
    if what == "userHome":  # as in VS Code
        what = "HOME"
    if what.startswith("input:"):
        raise VariableError(
            f"other programs ask for ${{{what[:60]}}} at the start; here write ${{NAME}} and set NAME in {_ENVIRONMENT}"
        )
    named = _NAMED.fullmatch(what)
    if named is None:
        return found[0]
    value = environ.get(named[1], named[2])
    if value is None:
        raise VariableError(f"the environment has no {named[1]}; set it where the agent is started ({_ENVIRONMENT})")
    return value
