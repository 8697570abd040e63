"""The names and addresses that this machine is reached by, without asking the network."""

from __future__ import annotations

import fcntl
import ipaddress
import socket
import struct
from collections.abc import Iterable
from pathlib import Path

_SIOCGIFADDR = 0x8915
_IF_INET6 = Path("/proc/net/if_inet6")
_GLOBAL_SCOPE = 0x00


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
    found = [*_ipv4(), *_ipv6()]
    return sorted(dict.fromkeys(found), key=lambda text: (ipaddress.ip_address(text).is_loopback, ":" in text))


def _ipv4() -> list[str]:
    addresses = ["127.0.0.1"]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        for _, name in socket.if_nameindex():
            request = struct.pack("256s", name.encode()[:15])
            try:
                answer = fcntl.ioctl(probe.fileno(), _SIOCGIFADDR, request)
            except OSError:  # an interface without an IPv4 address
                continue
            addresses.append(socket.inet_ntoa(answer[20:24]))
    return addresses


def _ipv6() -> list[str]:
    try:
        lines = _IF_INET6.read_text(encoding="ascii").splitlines()
    except OSError:  # a kernel without IPv6
        return []
    addresses = []
    for line in lines:
        digits, _, _, scope, _, _ = line.split()
        address = ipaddress.IPv6Address(int(digits, 16))
        if int(scope, 16) == _GLOBAL_SCOPE or address.is_loopback:
            addresses.append(str(address))
    return addresses
