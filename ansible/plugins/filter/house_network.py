"""Filters about the house's network: by which of its addresses the other machines reach a machine."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from typing import Any

Interface = ipaddress.IPv4Interface | ipaddress.IPv6Interface


def interfaces(facts: dict[str, Any]) -> Iterator[Interface]:
    """Every address that other machines could use, with its network, in the order in which the kernel has them."""
    for name in facts.get("interfaces", []):
        found = facts.get(name.replace("-", "_").replace(".", "_").replace(":", "_"), {})
        listed = [found.get("ipv4") or {}, *found.get("ipv4_secondaries", []), *found.get("ipv6", [])]
        for entry in listed:
            if not entry.get("address"):
                continue
            address = ipaddress.ip_interface(f"{entry['address']}/{entry.get('prefix') or entry['netmask']}")
            if not (address.is_loopback or address.is_link_local or address.is_multicast):
                yield address


def house_network(facts: dict[str, Any], reached: str = "", networks: list[str] | None = None) -> dict[str, str]:
    """``address`` and ``network`` of a machine in its house; empty where it has none.

    Args:
        facts: what the subset ``network`` of the facts says.
        reached: how Ansible reaches the machine: where that is one of its addresses, it is the one.
        networks: the house's networks, if a person named them: the first that has an address of the machine wins.
    """
    found = list(interfaces(facts))
    if networks:
        wanted = [ipaddress.ip_network(network) for network in networks]
        chosen = [one for network in wanted for one in found if one.ip in network]
    else:
        routes = [facts.get(f"default_{family}", {}).get("address") for family in ("ipv4", "ipv6")]
        chosen = [one for text in (reached, *routes) if text for one in found if str(one.ip) == text]
    if not chosen:
        return {"address": "", "network": ""}
    return {"address": str(chosen[0].ip), "network": str(chosen[0].network)}


def address_template(networks: list[str]) -> str:
    """The same for Consul and Nomad, which ask at each of their starts: a template of go-sockaddr.

    The machine's address in the first of these networks in which it has one; no address in none, so that the agent
    refuses to start there and is started again later.
    """
    opened = [
        f'{{{{ with $found := GetAllInterfaces | include "network" "{network}" }}}}'
        '{{ $found | limit 1 | attr "address" }}{{ else }}'
        for network in networks
    ]
    return "".join([*opened, "no address in the house", *("{{ end }}" for _ in networks)])


class FilterModule:
    """What Ansible asks for the filters of this file."""

    def filters(self) -> dict[str, Any]:
        """Their names."""
        return {"house_network": house_network, "address_template": address_template}
