"""The names and addresses that this machine is reached by, without asking the network."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable

import ifaddr

_LOOPBACK = "127.0.0.1"


def host_names(extra: Iterable[str] = ()) -> list[str]:
    """The machine's names, the one to print first in front; ``localhost`` last."""
    own = socket.gethostname().strip(".").lower()
    names = [
        own,
        own.partition(".")[0],
        f"{own.partition('.')[0]}.local",
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
