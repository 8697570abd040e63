"""The address by which the machines of a house reach each other, on PCs with more than one."""

from __future__ import annotations

from typing import Any

import pytest

from testing.ansible_plugins import load

pytestmark = pytest.mark.unit

house_network = load("filter/house_network").house_network


def card(address: str, prefix: str, *six: tuple[str, str], **more: Any) -> dict[str, Any]:
    listed = [{"address": text, "prefix": length, "scope": "global"} for text, length in six]
    return {"ipv4": {"address": address, "prefix": prefix} if address else {}, "ipv6": listed, **more}


FACTS = {
    "interfaces": ["lo", "docker0", "enp3s0", "wlan-0"],
    "lo": card("127.0.0.1", "8", ("::1", "128")),
    "docker0": card("172.17.0.1", "16", ("fe80::42", "64")),
    "enp3s0": card(
        "192.168.1.10",
        "24",
        ("fe80::1", "64"),
        ("fd00:1::10", "64"),
        ipv4_secondaries=[{"address": "10.9.0.1", "netmask": "255.255.0.0"}],
    ),
    "wlan_0": card("192.168.7.3", "24"),
    "default_ipv4": {"address": "192.168.7.3", "interface": "wlan-0"},
    "default_ipv6": {},
}


@pytest.mark.parametrize(
    ("reached", "networks", "address", "network"),
    [
        ("", [], "192.168.7.3", "192.168.7.0/24"),
        ("192.168.1.10", [], "192.168.1.10", "192.168.1.0/24"),
        ("node1.lan", [], "192.168.7.3", "192.168.7.0/24"),
        ("fd00:1::10", [], "fd00:1::10", "fd00:1::/64"),
        ("192.168.7.3", ["192.168.1.0/24"], "192.168.1.10", "192.168.1.0/24"),
        ("", ["203.0.113.0/24", "10.9.0.0/16"], "10.9.0.1", "10.9.0.0/16"),
        ("", ["fd00:1::/64"], "fd00:1::10", "fd00:1::/64"),
        ("", ["203.0.113.0/24"], "", ""),
        ("127.0.0.1", ["127.0.0.0/8"], "", ""),
    ],
)
def test_the_house_is_found(reached: str, networks: list[str], address: str, network: str) -> None:
    assert house_network(FACTS, reached, networks) == {"address": address, "network": network}


def test_a_machine_with_ipv6_alone_is_found_by_its_route() -> None:
    route = {"default_ipv4": {}, "default_ipv6": {"address": "fd00::5"}}

    assert house_network({"interfaces": ["eth0"], "eth0": card("", "", ("fd00::5", "64")), **route}) == {
        "address": "fd00::5",
        "network": "fd00::/64",
    }


def test_a_docker_bridge_is_never_chosen_by_itself() -> None:
    assert house_network({**FACTS, "default_ipv4": {}}) == {"address": "", "network": ""}
