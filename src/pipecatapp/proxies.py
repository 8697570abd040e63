"""How downloads get out of the house: through a proxy, where one is set (never what is in it), and from which index."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Mapping, MutableMapping
from urllib.parse import urlsplit

# Endings of names that no public server has; a name without a dot is such a one, too.
_HOUSE = ("localhost", "local", "localdomain", "lan", "home", "internal", "intranet", "home.arpa")
# For programs of others that look at NO_PROXY alone. Some of them know no networks: those get the loopback at least.
DIRECT = "localhost,127.0.0.1,::1,.local,10.0.0.0/8,172.16.0.0/12,192.168.0.0/16"


# Networks of NO_PROXY whose form our HTTP client takes for an address with a port, and fails at.
_NETWORKS = "PIPECATAPP_NO_PROXY_NETWORKS"
_NO_PROXY = ("no_proxy", "NO_PROXY")


def is_in_house(url: str, environment: Mapping[str, str] = os.environ) -> bool:
    """Whether a URL (or ``host:port``) is on this PC or in the local network, as far as it says, or in a network that
    the environment reaches without a proxy."""
    host = (urlsplit(url if "://" in url else f"//{url}").hostname or "").rstrip(".")
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return "." not in host or host.endswith(tuple(f".{ending}" for ending in _HOUSE))
    address = getattr(address, "ipv4_mapped", None) or address
    named = ",".join(environment.get(name, "") for name in (_NETWORKS, *_NO_PROXY)).split(",")
    return address.is_private or any(address in network for host in named if (network := _network(host)) is not None)


def _network(host: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    try:
        return ipaddress.ip_network(host.strip(), strict=False)
    except ValueError:
        return None


def _plain(host: str) -> str:
    """A host of NO_PROXY without brackets, and a network of one address as that address."""
    host = host.strip()
    if host.startswith("["):
        host = host[1:].partition("]")[0]
    network = _network(host)
    return str(network.network_address) if network is not None and network.num_addresses == 1 else host


def settle(http: str, https: str, direct: str, environment: MutableMapping[str, str] = os.environ) -> None:
    """Put the proxies of the settings into the environment, from which clients and child programs take them.

    Both spellings are set, because some programs know one only. Without a proxy only what our HTTP client would fail at
    is touched: hosts of NO_PROXY in some forms, and SOCKS for everything.

    Args:
        http: proxy for http.
        https: proxy for https.
        direct: hosts that are reached without one, comma separated.
        environment: the environment of this process.
    """
    if http or https:
        named = [*direct.split(","), *DIRECT.split(",")]
        hosts = ",".join(dict.fromkeys(host.strip() for host in named if host.strip()))
        for name, value in (("http_proxy", http), ("https_proxy", https), ("no_proxy", hosts)):
            if value:
                environment[name] = environment[name.upper()] = value
    for name in ("all_proxy", "ALL_PROXY"):
        # Neither our client nor pip speaks SOCKS: they would end at its name alone.
        if environment.get(name, "").lower().startswith("socks"):
            del environment[name]
    for name in _NO_PROXY:
        listed = [_plain(host) for host in environment.get(name, "").split(",")]
        odd = [host for host in listed if ":" in host and "/" in host]
        if odd or "[" in environment.get(name, ""):
            kept = [host for host in environment.get(_NETWORKS, "").split(",") if host]
            environment[_NETWORKS] = ",".join(dict.fromkeys([*kept, *odd]))
            environment[name] = ",".join(dict.fromkeys(host for host in listed if host and host not in odd))


def settle_index(
    url: str, trusted_host: str, certificates: str, environment: MutableMapping[str, str] = os.environ
) -> None:
    """Tell pip, wherever this program runs it, of the index of the settings. What is not set is left as it is.

    Args:
        url: the index.
        trusted_host: hosts that pip takes without a certificate that it knows.
        certificates: a file.
        environment: the environment of this process.
    """
    for name, value in (("PIP_INDEX_URL", url), ("PIP_TRUSTED_HOST", trusted_host), ("PIP_CERT", certificates)):
        if value:
            environment[name] = value
