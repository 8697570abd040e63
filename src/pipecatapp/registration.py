"""What is known of a place where an expert answers, and how a Consul entry says it."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv6Address
from typing import Any

logger = logging.getLogger(__name__)

PREFIX = "prima-api-"
# The name becomes part of a file name (its persona) and of the grammar.
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,40}")
_MOST_DESCRIPTION = 200
# A tag of the power agent's.
ASLEEP = "asleep"
_LONGEST_WAKE_S = 3600.0


@dataclass(frozen=True, slots=True)
class Registration:
    """One instance of an expert.

    Attributes:
        expert: whose instance it is.
        url: OpenAI base URL, with ``/v1``.
        model: the model that it should serve, empty where nobody said.
        engine: llama.cpp, prima.cpp, ...
        context: tokens of context, 0 where nobody said.
        quantization: as the model's file has it.
        tools: whether it was set up to call tools itself, None where nobody said.
        description: what the expert is for, for the model that chooses.
        slots: requests that it works on at once, 0 where nobody said.
        api_key: bearer token, from the environment alone.
        external: it stands in a file, not in Consul.
        asleep: the power agent answers there for it, and wakes it for a request.
        wake_s: how long that will take, by the wakes before; 0 where there was none.
    """

    expert: str
    url: str
    model: str = ""
    engine: str = ""
    context: int = 0
    quantization: str = ""
    tools: bool | None = None
    description: str = ""
    slots: int = 0
    api_key: str = ""
    external: bool = False
    asleep: bool = False
    wake_s: float = 0.0

    def __repr__(self) -> str:
        """Without the key."""
        return f"Registration({self.expert} at {self.url})"

    @property
    def address(self) -> str:
        """Where it is, for people."""
        return self.url.partition("//")[2].removesuffix("/v1")

    @property
    def id(self) -> str:
        """Names the instance: two registrations of one address are one instance."""
        return f"{self.expert}@{self.address}"


def valid_name(name: str) -> bool:
    """Whether an expert can have this name."""
    return _NAME.fullmatch(name) is not None


def one_line(text: object) -> str:
    """A description as it may stand in a prompt: one line, no longer than a sentence, none of a template's signs."""
    return " ".join(re.sub(r"[<>\[\]|{}]", " ", str(text)).split())[:_MOST_DESCRIPTION]


def from_consul(entry: Mapping[str, Any], api_key: str = "") -> Registration | None:
    """The registration in an entry of ``/v1/health/service``; None when nobody can be reached with it."""
    node, service = entry.get("Node") or {}, entry.get("Service") or {}
    name = str(service.get("Service", "")).removeprefix(PREFIX)
    host = str(service.get("Address") or node.get("Address") or "")
    port = service.get("Port")
    if not valid_name(name) or not host or not isinstance(port, int) or not 0 < port < 65536:
        logger.warning("the service %s in Consul has no usable name, address or port", service.get("ID"))
        return None
    values = _values(service)
    scheme = "https" if values.get("scheme") == "https" else "http"
    return Registration(
        expert=name,
        url=f"{scheme}://{_bracketed(host)}:{port}/{values.get('path', 'v1').strip('/')}",
        model=values.get("model", ""),
        engine=values.get("engine", ""),
        context=_number(values.get("context") or values.get("ctx") or values.get("context_length")),
        quantization=values.get("quantization") or values.get("quant", ""),
        tools=_truth(values.get("tools")),
        description=one_line(values.get("description", "")),
        slots=_number(values.get("slots")),
        api_key=api_key,
        asleep=ASLEEP in (service.get("Tags") or ()),
        wake_s=_seconds(values.get("wake_s")),
    )


def _values(service: Mapping[str, Any]) -> dict[str, str]:
    """The service's ``Meta``, and tags of the form ``key=value`` for what stands not there."""
    tags = (str(tag).partition("=") for tag in service.get("Tags") or ())
    values = {key.lower(): value for key, sign, value in tags if sign}
    plain = {str(tag).lower() for tag in service.get("Tags") or ()}
    if "tools" in plain or "no-tools" in plain:
        values.setdefault("tools", "no" if "no-tools" in plain else "yes")
    return values | {str(key).lower(): str(value) for key, value in (service.get("Meta") or {}).items()}


def _number(text: object) -> int:
    try:
        return max(0, int(str(text or 0)))
    except ValueError:
        return 0


def _seconds(text: object) -> float:
    try:
        seconds = float(str(text or 0))
    except ValueError:
        return 0.0
    return seconds if 0 <= seconds <= _LONGEST_WAKE_S else 0.0


def _truth(text: str | None) -> bool | None:
    return None if text is None else text.strip().lower() in ("1", "true", "yes", "on")


def _bracketed(host: str) -> str:
    try:
        return f"[{IPv6Address(host)}]"
    except AddressValueError:
        return host
