"""The rule of where the browser may go: the public internet, and hosts that the settings allow.

Nothing here asks the network. The proxy applies the rule to every connection (``refuse_address``, with the address that
it then connects to); ``refuse_name`` says no to a name that is private whatever it resolves to.
"""

from __future__ import annotations

import ipaddress
import re
import socket
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_PRIVATE_NAMES = frozenset(
    ("localhost", "local", "localdomain", "internal", "intranet", "private", "corp", "home", "lan", "home.arpa")
)
_CLOSED_4: list[ipaddress.IPv4Network] = [
    ipaddress.IPv4Network(text)
    for text in (
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
        "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24",
        "224.0.0.0/4", "240.0.0.0/4",
        "168.63.129.16/32",  # public, but inside Azure the host's own services
    )
]  # fmt: skip
_OPEN_6 = ipaddress.IPv6Network("2000::/3")
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
# Of 2000::/3: protocol assignments with Teredo, documentation, 6to4, documentation.
_CLOSED_6 = [ipaddress.IPv6Network(text) for text in ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")]
_ISATAP = (0x00005EFE, 0x02005EFE)
_ON_LINK = 16  # a shorter prefix in the routing table is a tunnel that takes everything, not a network in the house


class Rule:
    """Decides about hosts and addresses.

    Args:
        allow: hosts that may be opened although they are private, each ``host`` or ``host:port``, or a URL of one.
        own: the networks that this PC is part of; with public addresses they are the house all the same.
    """

    def __init__(self, allow: Iterable[str] = (), own: Callable[[], Sequence[Network]] | None = None) -> None:
        hosts = (entry.strip().rpartition("://")[2].partition("/")[0] for entry in allow)
        self._allow = {split_port(host) for host in hosts if host}
        self._own = own_networks if own is None else own

    def allows(self, host: str, port: int) -> bool:
        """Whether the settings allow this host, wherever it is."""
        host = plain_host(host)
        return (host, port) in self._allow or (host, None) in self._allow

    def refuse_name(self, host: str, port: int) -> str | None:
        """Why this host may not be opened, as far as its name says; None when that depends on its address."""
        name = plain_host(host)
        if self.allows(name, port):
            return None
        if (address := as_address(name)) is not None:
            return self.refuse_address(address)
        labels = name.split(".")
        if len(labels) == 1 or labels[-1] in _PRIVATE_NAMES or ".".join(labels[-2:]) in _PRIVATE_NAMES:
            return _refused(f"{name or 'it'} is a name inside the house")
        return None

    def refuse_address(self, address: Address) -> str | None:
        """Why nothing may connect to this address; None when it is on the public internet."""
        if not is_public(address):
            return _refused(f"{address} is a private address")
        if any(address in network for network in self._own()):
            return _refused(f"{address} is in the network of this PC")
        return None


def _refused(reason: str) -> str:
    return f"{reason}, and the browser opens none but those in BROWSER_ALLOW_HOSTS"


def is_public(address: Address) -> bool:
    """Whether the address is one on the public internet, also behind the translations that IPv6 knows."""
    if isinstance(address, ipaddress.IPv4Address):
        return not any(address in network for network in _CLOSED_4)
    if address.ipv4_mapped is not None:
        return is_public(address.ipv4_mapped)
    number = int(address)
    embedded = ipaddress.IPv4Address(number & 0xFFFFFFFF)
    if address in _NAT64:
        return is_public(embedded)
    if (number >> 32) & 0xFFFFFFFF in _ISATAP and not is_public(embedded):
        return False
    return address in _OPEN_6 and not any(address in network for network in _CLOSED_6)


def plain_host(host: str) -> str:
    """The host as a browser reads it: lower case, no brackets, no final dot, digits of any script as digits."""
    host = unicodedata.normalize("NFKC", host).replace("\u3002", ".").strip().strip("[]").rstrip(".").lower()
    if re.fullmatch(r"[0-9a-fx.]+", host) and ":" not in host:
        try:  # 127.1, 0x7f000001, 2130706433 and 0177.0.0.1 are all the same address
            return str(ipaddress.IPv4Address(socket.inet_aton(host)))
        except OSError:
            return host
    return host


def as_address(host: str) -> Address | None:
    """The address that a plain host is, or None for a name."""
    try:
        return ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None


def split_port(text: str) -> tuple[str, int | None]:
    """``host``, ``host:port``, ``[address]:port`` or an address of either family."""
    host, colon, port = text.rpartition(":")
    if colon and port.isdecimal() and (":" not in host or host.endswith("]")):
        return plain_host(host), int(port)
    return plain_host(text), None


def own_networks(proc: Path = Path("/proc/net")) -> list[Network]:
    """The networks on the links of this PC, and its own addresses, from the kernel's tables."""
    found: list[Network] = []
    for line in _lines(proc / "route")[1:]:
        _, destination, gateway, _, _, _, _, mask, *_ = line.split()
        prefix = int(mask, 16).bit_count()
        if int(gateway, 16) == 0 and prefix >= _ON_LINK:
            found.append(ipaddress.IPv4Network((_little_endian(destination), prefix)))
    before = ""
    for line in _lines(proc / "fib_trie"):
        if "/32 host LOCAL" in line:
            found.append(ipaddress.IPv4Network(before.split()[-1]))
        before = line
    for line in _lines(proc / "if_inet6"):
        digits, _, prefix_digits, *_ = line.split()
        found.append(ipaddress.IPv6Network((int(digits, 16), int(prefix_digits, 16)), strict=False))
    return found


def _little_endian(digits: str) -> int:
    return int.from_bytes(bytes.fromhex(digits), "little")


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text(encoding="ascii").splitlines()
    except OSError:  # a kernel without this protocol
        return []
