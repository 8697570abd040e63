"""The servers of the Model Context Protocol that a person named in ``mcp.json``, read and checked.

The file has the shape that other programs use, and a few keys of ours::

    {"mcpServers": {
      "files": {"command": "mcp-files", "args": ["/srv/files"], "risk": {"read_file": "read"}},
      "house": {"url": "http://house:8123/mcp", "headers": {"Authorization": "Bearer ${HOUSE_TOKEN}"}}}}
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, HttpUrl, ValidationError, model_validator

from pipecatapp.domain import Risk
from pipecatapp.errors import ConfigurationError

EVERY_TOOL = "*"
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,31}")
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}")


@dataclass(frozen=True, slots=True)
class ServerConfig:
    """One server. ``command`` (with ``args``, ``env``, ``cwd``) starts it here, or it answers at ``url``.

    ``risks`` holds a risk by the server's own tool name, ``risk`` that of all others. ``enabled_tools`` None: all.
    """

    name: str
    command: str = ""
    args: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    cwd: str | None = None
    url: str = field(default="", repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    risk: Risk = Risk.ACT
    risks: Mapping[str, Risk] = field(default_factory=dict)
    timeout_s: float = 30.0
    enabled_tools: frozenset[str] | None = None


class _Entry(BaseModel):
    """A server as it stands in the file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    type: Literal["stdio", "http", "streamable-http", "streamableHttp"] | None = None
    disabled: bool = False
    command: Annotated[str, Field(min_length=1)] | None = None
    args: tuple[str, ...] = ()
    env: dict[str, str] = {}
    cwd: str | None = None
    url: HttpUrl | None = None
    headers: dict[str, str] = {}
    risk: Risk | dict[str, Risk] = Risk.ACT
    timeout_s: Annotated[float, Field(gt=0, le=3600)] = 30.0
    enabled_tools: frozenset[str] | None = None

    @model_validator(mode="after")
    def _one_way(self) -> _Entry:
        if (self.command is None) == (self.url is None):
            raise ValueError('give either "command" (a program to start) or "url" (a server to reach)')
        misplaced = [key for key in ("args", "env", "cwd") if self.url and getattr(self, key)]
        misplaced += ["headers"] if self.command and self.headers else []
        if misplaced:
            raise ValueError(f'"{misplaced[0]}" does not belong to a server with "{"url" if self.url else "command"}"')
        if self.type is not None and (self.type == "stdio") != (self.command is not None):
            needed = "command" if self.type == "stdio" else "url"
            raise ValueError(f'"type" is "{self.type}", and that needs "{needed}"')
        return self


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    mcpServers: dict[str, Any]  # noqa: N815 - the key in the file


def load_servers(path: Path, environ: Mapping[str, str], reserved: Collection[str]) -> list[ServerConfig]:
    """The servers of the file that are not disabled, by name.

    Args:
        path: the file.
        environ: where ``${NAME}`` is looked up.
        reserved: the groups of own tools, whose names no server may take.

    Raises:
        ConfigurationError: names the file, the key and what is wrong with it.
    """
    try:
        raw = json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=_without_doubles)
    except OSError as error:
        raise ConfigurationError(f"MCP_SERVERS_FILE {path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise ConfigurationError(f"MCP_SERVERS_FILE {path} is not JSON: {error}") from error
    try:
        entries = _File.model_validate(raw).mcpServers
    except ValidationError as error:
        raise ConfigurationError(_complaint(path, (), error)) from error
    servers = [_server(path, name, entry, environ, reserved) for name, entry in sorted(entries.items())]
    return [server for server in servers if server is not None]


def _server(
    path: Path, name: str, raw: Any, environ: Mapping[str, str], reserved: Collection[str]
) -> ServerConfig | None:
    where = ("mcpServers", name)
    if not _NAME.fullmatch(name):
        raise ConfigurationError(
            f"MCP_SERVERS_FILE {path}: mcpServers.{name}: a server's name is lower-case letters, digits, - and _, "
            "beginning with a letter, at most 32"
        )
    if name in reserved:
        raise ConfigurationError(
            f"MCP_SERVERS_FILE {path}: mcpServers.{name}: this name belongs to the agent's own tools; choose another"
        )
    try:
        entry = _Entry.model_validate(_expanded(raw, environ, path, where))
    except ValidationError as error:
        raise ConfigurationError(_complaint(path, where, error)) from error
    if entry.disabled:
        return None
    risks = entry.risk if isinstance(entry.risk, dict) else {EVERY_TOOL: entry.risk}
    return ServerConfig(
        name=name,
        command=entry.command or "",
        args=entry.args,
        env=entry.env,
        cwd=entry.cwd,
        url=str(entry.url) if entry.url else "",
        headers=entry.headers,
        risk=risks.get(EVERY_TOOL, Risk.ACT),
        risks={tool: risk for tool, risk in risks.items() if tool != EVERY_TOOL},
        timeout_s=entry.timeout_s,
        enabled_tools=entry.enabled_tools,
    )


def _expanded(value: Any, environ: Mapping[str, str], path: Path, where: tuple[str, ...]) -> Any:
    """The value with every ``${NAME}`` and ``${NAME:-default}`` in its strings replaced."""
    if isinstance(value, dict):
        return {key: _expanded(item, environ, path, (*where, key)) for key, item in value.items()}
    if isinstance(value, list):
        return [_expanded(item, environ, path, (*where, str(index))) for index, item in enumerate(value)]
    if not isinstance(value, str):
        return value

    def known(match: re.Match[str]) -> str:
        found = environ.get(match[1], match[2])
        if found is None:
            raise ConfigurationError(
                f"MCP_SERVERS_FILE {path}: {'.'.join(where)}: the environment has no {match[1]}; set it where the "
                "agent is started (/etc/pipecatapp/pipecatapp.env)"
            )
        return found

    return _VARIABLE.sub(known, value)


def _complaint(path: Path, where: tuple[str, ...], error: ValidationError) -> str:
    """Names each key and what is wrong, never the value: it may be a secret."""
    lines = []
    for problem in error.errors(include_input=False, include_url=False, include_context=False):
        key = ".".join(str(part) for part in (*where, *problem["loc"]))
        lines.append(f"  {key or 'the file'}: {problem['msg'].removeprefix('Value error, ')}")
    return f"MCP_SERVERS_FILE {path} does not hold together:\n" + "\n".join(lines)


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"{key!r} stands twice in one object")
        found[key] = value
    return found
