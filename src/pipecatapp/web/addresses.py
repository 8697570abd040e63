"""The names and addresses that this machine is reached by, without asking the network."""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Iterable
from pathlib import Path

import ifaddr

_LOOPBACK = "127.0.0.1"
_SEARCHED = ("search", "domain")
_DOMAIN = re.compile(r"[a-z0-9-]{1,63}(\.[a-z0-9-]{1,63}){0,8}")


def host_names(extra: Iterable[str] = (), *, resolver: Path = Path("/etc/resolv.conf")) -> list[str]:
    """The machine's names, the one to print first in front; ``localhost`` last.

    In the network's own domain (``resolver`` names it) a router gives it one, too: ``pc.fritz.box``.
    """
    own = socket.gethostname().strip(".").lower()
    names = [
        own,
        own.partition(".")[0],
        f"{own.partition('.')[0]}.local",
        *(f"{own.partition('.')[0]}.{domain}" for domain in _domains(resolver)),
        *(name.lower() for name in extra),
        "localhost",
    ]
    return [name for name in dict.fromkeys(names) if name]


def local_addresses() -> list[str]:
    """The IP addresses of the interfaces, IPv4 before IPv6, loopback last; link-local IPv6 left out."""
    found = [_LOOPBACK]
    for adapter in ifaddr.get_adapters():
        # An IPv6 address comes as (address, flow, scope).
        found += [address.ip if isinstance(address.ip, str) else address.ip[0] for address in adapter.ips]
    kept = [text for text in dict.fromkeys(found) if ":" not in text or not ipaddress.IPv6Address(text).is_link_local]
    return sorted(kept, key=lambda text: (ipaddress.ip_address(text).is_loopback, ":" in text))


def _domains(resolver: Path) -> list[str]:
    """The domains that a bare name is looked up in."""
    try:
        lines = resolver.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return []
    found = [word.strip(".").lower() for line in lines for word in line.split()[1:] if line.startswith(_SEARCHED)]
    return [domain for domain in dict.fromkeys(found) if _DOMAIN.fullmatch(domain)][:6]
