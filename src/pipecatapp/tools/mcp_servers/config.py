"""The servers of the Model Context Protocol that a person named in ``mcp.json``: the good ones, and why others are off.

The file has the shape that other programs use, and a few keys of ours::

    {"mcpServers": {
      "files": {"command": "mcp-files", "args": ["/srv/files"], "risk": {"read_file": "read"}},
      "house": {"url": "http://house:8123/mcp", "headers": {"Authorization": "Bearer ${HOUSE_TOKEN}"}}}}
"""

from __future__ import annotations

import difflib
import logging
import re
import unicodedata
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from pipecatapp.domain import Risk
from pipecatapp.errors import ConfigurationError
from pipecatapp.json_schema_reduction import one_line
from pipecatapp.tools.mcp_servers import jsonc
from pipecatapp.tools.mcp_servers.entries import START_S, Entry, Way, is_disabled, known_keys
from pipecatapp.tools.mcp_servers.variables import VariableError, expand

logger = logging.getLogger(__name__)

EVERY_TOOL = "*"
_LISTS = ("mcpServers", "servers")  # the second is VS Code's
_LARGEST = 1024 * 1024
_NAME = 32
_SHOWN = 60
_SECRET = 6  # characters; what is shorter stands in too many words
# Others have a program act without asking by these. Here a person is asked all the same.
_PERMISSIONS = frozenset({"autoApprove", "alwaysAllow", "trust", "autoAllow"})


@dataclass(frozen=True, slots=True)
class ServerConfig:
    """One server. ``command`` (with ``args``, ``env``, ``cwd``) starts it here, or it answers at ``url``, the ``sse``
    way or over streamable HTTP.

    ``risks`` holds a risk by the server's own tool name, ``risk`` that of all others. ``enabled_tools`` None: all.
    """

    name: str
    command: str = ""
    args: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    cwd: str | None = None
    url: str = field(default="", repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    way: Way = "http"
    risk: Risk = Risk.ACT
    risks: Mapping[str, Risk] = field(default_factory=dict)
    timeout_s: float = 30.0
    start_timeout_s: float = START_S
    enabled_tools: frozenset[str] | None = None

    def hide_secrets(self, text: str) -> str:
        """The text without what the file, or the environment, gave it for the server alone."""
        values = {*self.env.values(), *self.headers.values(), *(v.rpartition(" ")[2] for v in self.headers.values())}
        for value in sorted(values, key=len, reverse=True):
            if len(value) >= _SECRET:
                text = text.replace(value, "***")
        return text


@dataclass(frozen=True, slots=True)
class Named:
    """What the file names: ``servers`` to use, by name, and by name the reason why another cannot be used."""

    servers: tuple[ServerConfig, ...] = ()
    off: Mapping[str, str] = field(default_factory=dict)


class _OffError(Exception):
    """A server cannot be used. The text says why, and repeats no value: it may be a secret."""


def load_servers(path: Path, environ: Mapping[str, str], reserved: Collection[str]) -> Named:
    """The servers of the file that are not disabled.

    Args:
        path: the file.
        environ: where ``${NAME}`` is looked up.
        reserved: the groups of own tools, whose names no server may take.

    Raises:
        ConfigurationError: the file cannot be read.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"MCP_SERVERS_FILE {path} cannot be read: {error.strerror}") from error
    try:
        if len(content) > _LARGEST:
            raise _OffError("it is larger than a megabyte")
        entries = list(_entries(content))
    except _OffError as error:
        return Named(off={path.name: f"{path} names no servers: {error}"})
    servers: dict[str, ServerConfig] = {}
    off: dict[str, str] = {}
    for written, raw in entries:
        name = make_name(written)
        try:
            if name in servers or name in off:
                raise _OffError(f"another server is called {name} already; give it another name")
            server = _make_server(written, name, raw, environ, reserved)
        except _OffError as error:
            shown = name or one_line(written, _SHOWN) or "(no name)"
            off[shown if shown not in off and shown not in servers else f"{shown} (2)"] = f"in {path.name}: {error}"
        else:
            if server is not None:
                servers[name] = server
    return Named(tuple(servers[name] for name in sorted(servers)), off)


def make_name(written: str) -> str:
    """A server's name as its tools carry it: lower case, ``_`` for what is no letter or digit; empty: none is left."""
    plain = unicodedata.normalize("NFKD", written[:200]).encode("ascii", "ignore").decode().lower()
    name = re.sub(r"[^a-z0-9_-]+", "_", plain).strip("_-")
    return (name if not name[:1].isdigit() else f"mcp_{name}")[:_NAME].rstrip("_-")


def _entries(content: bytes) -> Iterator[tuple[str, Any]]:
    """The servers as they stand there."""
    try:
        raw = jsonc.parse(content)
    except ValueError as error:
        raise _OffError(f"it is not JSON ({error})") from error
    lists = [raw[key] for key in _LISTS if key in raw] if isinstance(raw, dict) else []
    if not lists or not all(isinstance(entries, dict) for entries in lists):
        raise _OffError(f'it has no object "{_LISTS[0]}" with the servers by name')
    for entries in lists:
        for name, entry in entries.items():
            yield name, entry
            if isinstance(entries, jsonc.Doubled) and name in entries.keys_twice:
                yield name, None


def _make_server(
    written: str, name: str, raw: Any, environ: Mapping[str, str], reserved: Collection[str]
) -> ServerConfig | None:
    if not isinstance(raw, dict):
        raise _OffError("it is no object")
    if is_disabled(raw):
        return None
    if not name:
        raise _OffError("its name has no letter or digit that could be used; give it another")
    if name in reserved:
        raise _OffError(f"{name} is a group of the agent's own tools; give it another name")
    if isinstance(raw, jsonc.Doubled) and raw.keys_twice:
        raise _OffError(f"{', '.join(one_line(key, _SHOWN) for key in raw.keys_twice)} stands there twice")
    try:
        entry = Entry.model_validate(_expand(raw, environ))
    except ValidationError as error:
        raise _OffError(_describe(error, raw)) from error
    _tell_ignored(name, raw)
    risks = entry.risk if isinstance(entry.risk, dict) else {EVERY_TOOL: entry.risk}
    return ServerConfig(
        name=name,
        command=entry.command or "",
        args=entry.args,
        env=entry.env,
        cwd=entry.cwd,
        url=str(entry.url) if entry.url else "",
        headers=entry.headers,
        way=entry.way,
        risk=risks.get(EVERY_TOOL, Risk.ACT),
        risks={tool: risk for tool, risk in risks.items() if tool != EVERY_TOOL},
        timeout_s=entry.timeout_s,
        start_timeout_s=entry.start_timeout_s,
        enabled_tools=entry.enabled_tools,
    )


def _expand(raw: Mapping[str, Any], environ: Mapping[str, str]) -> dict[str, Any]:
    """The entry with its variables replaced, in the keys that mean something here."""
    found = dict(raw)
    for key in known_keys() & raw.keys():
        try:
            found[key] = expand(raw[key], environ)
        except VariableError as error:
            raise _OffError(f"{key}: {error}") from error
    return found


def _describe(error: ValidationError, raw: Mapping[str, Any]) -> str:
    """Names each key and what is wrong, never the value: it may be a secret."""
    found = []
    for problem in error.errors(include_input=False, include_url=False, include_context=False)[:3]:
        key = ".".join(str(part) for part in problem["loc"])
        words = problem["msg"].removeprefix("Value error, ")
        found.append(f"{one_line(key, _SHOWN)}: {words}" if key else words)
    slips = [f"{key} means nothing here, perhaps {known} was meant" for key, known in _find_slips(raw)]
    return "; ".join(found + slips)


def _find_slips(raw: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Keys that look like a slip of the pen, with the one that they look like."""
    known = known_keys()
    near = [(key, difflib.get_close_matches(key[:_NAME], known, 1, 0.8)) for key in raw if key not in known]
    return [(one_line(key, _SHOWN), found[0]) for key, found in near[:20] if found]


def _tell_ignored(name: str, raw: Mapping[str, Any]) -> None:
    ignored = [one_line(key, _SHOWN) for key in raw if key not in known_keys()]
    if ignored:
        logger.info("MCP server %s: ignored in its entry: %s", name, ", ".join(ignored[:20]))
    for key, known in _find_slips(raw):
        logger.warning("MCP server %s: %s means nothing here, perhaps %s was meant", name, key, known)
    if not _PERMISSIONS.isdisjoint(raw):
        logger.info("MCP server %s: its tools act with a person's yes alone, whatever its entry allows", name)
