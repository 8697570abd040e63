"""Whom to log in to: names of hosts as people say them, and the target that comes of one."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from pathlib import Path

from pipecatapp.errors import ToolError

PORT = 22
_NAME = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,251}[A-Za-z0-9])?")


@dataclass(frozen=True, slots=True)
class Target:
    """``name`` as it was asked for, the rest as it is: ``address`` in ASCII; ``jumps`` are the hosts that it is reached
    through, the first one first; ``identities`` are the private keys to try, none: our own."""

    name: str
    address: str
    port: int
    user: str
    identities: tuple[Path, ...] = ()
    jumps: tuple[Target, ...] = ()

    @property
    def known_as(self) -> str:
        """Its name in a file of known hosts."""
        return self.address if self.port == PORT else f"[{self.address}]:{self.port}"

    @property
    def account(self) -> str:
        """The user there, and there."""
        return f"{self.user}@{self.known_as}"

    @property
    def place(self) -> str:
        """What a person types to mean this host."""
        if self.port == PORT:
            return self.address
        return f"[{self.address}]:{self.port}" if ":" in self.address else f"{self.address}:{self.port}"

    @property
    def at_port(self) -> str:
        """ ", port 2222", behind its name in a sentence; nothing where it is the usual one."""
        return "" if self.port == PORT else f", port {self.port}"

    @property
    def way(self) -> str:
        """ ", through gate": how a sentence about it ends."""
        return f", through {' and '.join(jump.name for jump in self.jumps)}" if self.jumps else ""


def split_host(place: str) -> tuple[str, str]:
    """Host and port, which may be empty; ``[...]`` goes around an IPv6 address that has a port."""
    if place.startswith("[") and "]" in place:
        name, _, port = place[1:].partition("]")
        return name, port.removeprefix(":")
    if place.count(":") == 1:
        name, _, port = place.partition(":")
        return name, port
    return place, ""


def host_address(name: str) -> str:
    """The name or address of a host as the name service takes it: letters beyond ASCII as IDNA writes them (IDNA 2008,
    UTS 46), without a final dot.

    Raises:
        ToolError: that is no name of a host.
    """
    if ":" in name:
        try:
            return str(ipaddress.IPv6Address(name))
        except ValueError:
            raise ToolError(f"{name!r} is no name of a host") from None
    plain = name.removesuffix(".")
    address = plain if plain.isascii() else _punycode(plain)
    if _NAME.fullmatch(address) is None or ".." in address:
        raise ToolError(f"{name!r} is no name of a host")
    return address


def _punycode(name: str) -> str:
    import idna

    # Otherwise letters that nobody sees would be dropped.
    if not name.isprintable():
        return ""
    try:
        return idna.encode(name, uts46=True).decode("ascii")
    except idna.IDNAError:
        return ""
