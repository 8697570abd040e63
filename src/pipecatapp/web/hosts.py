"""Names and addresses that the page is reached by: what a request may give as its Host and its Origin.

A page of another site can have its name lead to this machine; it cannot make its name one of ours.
"""

from __future__ import annotations

import ipaddress
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from pipecatapp.errors import ConfigurationError
from pipecatapp.web.addresses import host_names
from pipecatapp.web.connections import Network

_PORTS = {"http": 80, "https": 443}
_NAME = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63}){0,20}")
_LONGEST = 300
# What comes behind the name of a machine in a house and is nobody's on the internet.
_PRIVATE = ("local", "localdomain", "lan", "home", "home.arpa", "internal")
_REFRESH_S = 10.0


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a page comes from."""

    scheme: str
    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.scheme}://{self.host}:{self.port}"


def parse_origin(text: str) -> Origin | None:
    """The origin that a header or setting names; None: it is none."""
    if len(text) > _LONGEST:
        return None
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError:
        return None
    if parts.scheme not in _PORTS or not host or parts.path not in ("", "/"):
        return None
    if parts.query or parts.fragment or parts.username is not None or parse_host(parts.netloc) is None:
        return None
    return Origin(parts.scheme, _plain(host), port or _PORTS[parts.scheme])


def parse_host(text: str) -> tuple[str, int | None] | None:
    """The host and port that a Host header names; None: it is not well formed."""
    if len(text) > _LONGEST or not text.isascii():
        return None
    match = re.fullmatch(r"(\[[0-9A-Fa-f:.]+\]|[^:\[\]]+)(?::([0-9]{1,5}))?", text)
    if match is None:
        return None
    host, port = _plain(match[1].strip("[]")), match[2]
    if _address(host) is None and not _NAME.fullmatch(host):
        return None
    return host, int(port) if port else None


def parse_allowed(text: str) -> tuple[str, ...]:
    """The entries of ``WEB_ALLOWED_HOSTS``: names, and origins like ``https://assistant.example``.

    Raises:
        ConfigurationError: one is neither.
    """
    entries = tuple(entry.strip().lower().rstrip("/") for entry in text.split(",") if entry.strip())
    for entry in entries:
        fits = parse_origin(entry) is not None if "://" in entry else parse_host(entry) == (entry, None)
        if not fits:
            raise ConfigurationError(
                f"WEB_ALLOWED_HOSTS: {entry!r} is neither a name (assistant.example) nor where a proxy serves the "
                "page (https://assistant.example, with :port unless it is the usual one)"
            )
    return entries


def allowed_names(entries: Sequence[str]) -> list[str]:
    """The host names in ``parse_allowed``'s entries."""
    origins = [(entry, parse_origin(entry)) for entry in entries]
    return list(dict.fromkeys(entry if origin is None else origin.host for entry, origin in origins))


def parse_proxies(text: str) -> tuple[Network, ...]:
    """The networks of ``WEB_TRUSTED_PROXIES``.

    Raises:
        ConfigurationError: an entry is no address and no network.
    """
    networks: list[Network] = []
    for entry in filter(None, map(str.strip, text.split(","))):
        try:
            networks.append(ipaddress.ip_network(entry))
        except ValueError as error:
            raise ConfigurationError(f"WEB_TRUSTED_PROXIES: {entry!r} is no address and no network: {error}") from error
    return tuple(networks)


class HostRule:
    """Decides about Host and Origin.

    Args:
        allowed: names and origins beside those of this machine (``parse_allowed``).
        names: this machine's names.
    """

    def __init__(
        self,
        allowed: Sequence[str] = (),
        *,
        names: Callable[[], Sequence[str]] = host_names,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._allowed = frozenset(allowed_names(allowed))
        self._origins = frozenset(origin for entry in allowed if (origin := parse_origin(entry)) is not None)
        self._names = names
        self._clock = clock
        self._own: frozenset[str] = frozenset()
        self._read_at: float | None = None

    def knows(self, host: str) -> bool:
        """Whether this Host header names this machine. An address always may: no foreign name leads through it."""
        parsed = parse_host(host)
        if parsed is None:
            return False
        name = parsed[0]
        return (
            _address(name) is not None
            or name in self._allowed
            or name.endswith(".localhost")
            or name in self._own
            or name in self._read_names()
        )

    def is_ours(self, origin: str, *, secure: bool, host: str, port: int) -> bool:
        """Whether a page from ``origin`` was served by us.

        Args:
            origin: the Origin header.
            secure: whether the request came over TLS.
            host: its Host header, which ``knows``.
            port: the port that it came to.
        """
        parsed, addressed = parse_origin(origin), parse_host(host)
        if parsed is None or addressed is None:
            return False
        if parsed in self._origins:
            return True
        if (parsed.scheme == "https") != secure:
            return False
        if (parsed.host, parsed.port) == (addressed[0], addressed[1] or _PORTS[parsed.scheme]):
            return True
        return parsed.host in self._allowed and parsed.port == port

    def _read_names(self) -> frozenset[str]:
        """The machine's names now: a network that came later may have brought another one."""
        now = self._clock()
        if self._read_at is None or now - self._read_at >= _REFRESH_S:
            self._read_at = now
            names = {name for name in self._names() if parse_host(name) is not None}
            bare = {name for name in names if "." not in name and name != "localhost"}
            self._own = frozenset(names | {f"{name}.{suffix}" for name in bare for suffix in _PRIVATE})
        return self._own


def _plain(host: str) -> str:
    return host.lower().removesuffix(".")


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
