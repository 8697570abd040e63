"""The links that open Mission Control, as printed at the end of the installation and by ``pipecatapp link``."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence


def open_links(
    token: str, *, host: str, port: int, tls_port: int, names: Sequence[str], addresses: Sequence[str]
) -> list[str]:
    """The links, the one to try first in front: over TLS from anywhere, then plain http on this machine.

    Args:
        token: the token that logs in.
        host: the address that the server listens on.
        port: the plain port.
        tls_port: the TLS port; 0 where TLS is off.
        names: the machine's names, the best first (``addresses.host_names``).
        addresses: its IP addresses (``addresses.local_addresses``).
    """
    only_here = host == "localhost" or _is_loopback(host)
    reached = [address for address in addresses if not _is_loopback(address)]
    # IPv6 addresses are long and change: they are for a network that has no others.
    short = [address for address in reached if ":" not in address] or [f"[{address}]" for address in reached[:2]]
    outside = [] if only_here else [names[0] if names else "", *short]
    links = [f"https://{name}:{tls_port}/?token={token}" for name in dict.fromkeys(outside) if name and tls_port]
    if not tls_port:
        links += [f"http://{name}:{port}/?token={token}" for name in dict.fromkeys(outside) if name]
    return [*links, f"http://localhost:{port}/?token={token}"]


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
