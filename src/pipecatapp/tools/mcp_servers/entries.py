"""One server as it stands in ``mcp.json``, however the program writes it that the file was made for.

Known are the keys of this program and those that others use to say the same. Every other key is ignored: none of them
can allow anything here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AliasChoices, BaseModel, BeforeValidator, ConfigDict, Field, HttpUrl, model_validator

from pipecatapp.domain import Risk

Way = Literal["stdio", "http", "sse"]

_WAYS: dict[str, Way] = {"stdio": "stdio", "local": "stdio", "http": "http", "streamablehttp": "http", "sse": "sse"}
START_S = 180.0
_LONGEST_S = 3600.0
_ACTIVE = ("enabled", "isActive")


def _as_word(value: Any) -> Any:
    """Numbers and yes or no as a program gets them: in words."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int | float) else value


def _as_words(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _as_word(item) for key, item in value.items() if item is not None}
    return [_as_word(item) for item in value] if isinstance(value, list) else value


def is_disabled(raw: Mapping[str, Any]) -> bool:
    """Whether the entry says that the server is not to be used."""
    return bool(raw.get("disabled")) or any(raw.get(key) is False for key in _ACTIVE)


Seconds = Annotated[float, Field(gt=0, le=_LONGEST_S)]
# ``own`` is for what is the agent's own.
ForeignRisk = Literal[Risk.READ, Risk.ACT, Risk.DANGER]
Words = Annotated[tuple[str, ...], BeforeValidator(_as_words)]
NamedWords = Annotated[dict[str, str], BeforeValidator(_as_words)]


class Entry(BaseModel):
    """A server as it stands in the file."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    type: str = Field("", validation_alias=AliasChoices("type", "transport", "transportType"))
    command: Annotated[str, Field(min_length=1)] | None = None
    args: Words = ()
    env: NamedWords = {}
    cwd: str | None = None
    url: HttpUrl | None = Field(None, validation_alias=AliasChoices("url", "serverUrl", "httpUrl"))
    headers: NamedWords = {}
    risk: ForeignRisk | dict[str, ForeignRisk] = Risk.ACT
    timeout_s: Seconds = 30.0
    start_timeout_s: Seconds = START_S
    enabled_tools: frozenset[str] | None = None

    @model_validator(mode="before")
    @classmethod
    def _accept_other_ways_to_say_it(cls, raw: Any) -> Any:
        if not isinstance(raw, dict):
            return raw
        entry = {key: value for key, value in raw.items() if value is not None}
        if isinstance(entry.get("command"), list) and entry["command"]:
            entry["command"], *rest = entry["command"]
            entry["args"] = [*rest, *entry.get("args", [])]
        return entry

    @model_validator(mode="after")
    def _check_the_way(self) -> Entry:
        if (self.command is None) == (self.url is None):
            raise ValueError('give either "command" (a program to start) or "url" (a server to reach)')
        named = _WAYS.get(self.type.lower().replace("-", "").replace("_", ""))
        if self.type and named is None:
            raise ValueError('its "type" is none of stdio, http and sse')
        if named is not None and (named == "stdio") != (self.command is not None):
            needed = "command" if named == "stdio" else "url"
            raise ValueError(f'"type" is "{named}", and that needs "{needed}"')
        return self

    @property
    def way(self) -> Way:
        """How it is spoken to; a URL that ends in ``/sse`` is one of the older kind, where nobody says otherwise."""
        if self.command is not None or self.url is None:
            return "stdio"
        named = _WAYS.get(self.type.lower().replace("-", "").replace("_", ""))
        return named or ("sse" if (self.url.path or "").rstrip("/").endswith("/sse") else "http")


def known_keys() -> frozenset[str]:
    """The keys that mean something here."""
    keys = {"disabled", *_ACTIVE}
    for name, field in Entry.model_fields.items():
        alias = field.validation_alias
        keys |= {str(choice) for choice in alias.choices} if isinstance(alias, AliasChoices) else {name}
    return frozenset(keys)
