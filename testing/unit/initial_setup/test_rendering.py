"""A fixed IPv4 address is written into the settings that are there, of which everything else stays."""

from __future__ import annotations

import pytest

from testing.unit.initial_setup.scripts import function

pytestmark = pytest.mark.unit

WANTED = "lab0 192.168.1.20 24 192.168.1.1 192.168.1.1 fd00::1"


def rendered(function_name: str, text: str) -> str:
    done = function(f"{function_name} {WANTED}", text)
    assert done.returncode == 0, done.stderr
    return done.stdout


INTERFACES = """\
# The loopback network interface
source /etc/network/interfaces.d/*
auto lo
iface lo inet loopback

# The primary network interface
allow-hotplug lab0
iface lab0 inet dhcp
    hostname old
    wpa-ssid house
    wpa-psk secret
iface lab0 inet6 static
    address fd00::20/64
    gateway fd00::1

iface lab1 inet static
    address 10.0.0.1/24
"""


def test_ifupdown_keeps_ipv6_wireless_and_other_cards() -> None:
    text = rendered("ifupdown_with_address", INTERFACES)

    assert text == INTERFACES.replace(
        "iface lab0 inet dhcp\n    hostname old\n",
        "iface lab0 inet static\n    address 192.168.1.20/24\n    gateway 192.168.1.1\n"
        "    dns-nameservers 192.168.1.1 fd00::1\n",
    )


def test_ifupdown_changes_a_fixed_address_into_another() -> None:
    before = (
        "auto lab0\niface lab0 inet static\n\taddress 10.9.9.9\n\tnetmask 255.0.0.0\n\tgateway 10.0.0.1\n\tmtu 1400\n"
    )

    text = rendered("ifupdown_with_address", before)

    assert "10." not in text.replace("192.168", "")
    assert "\tmtu 1400\n" in text


def test_ifupdown_twice_is_once() -> None:
    once = rendered("ifupdown_with_address", INTERFACES)

    assert rendered("ifupdown_with_address", once) == once


NETWORK = """\
[Match]
Name=lab* en*

[Network]
DHCP=yes
IPv6AcceptRA=yes
DNS=9.9.9.9
Address=10.0.0.5/24
Address=fd00::20/64
Gateway=10.0.0.1
Gateway=fd00::1

[Address]
Address=10.0.0.6/24
Label=second

[Route]
Gateway=10.0.0.2
Destination=10.8.0.0/16

[Route]
Gateway=fd00::2
Destination=fd01::/64

[DHCPv4]
UseDNS=no

[Link]
MTUBytes=1400
"""


def test_networkd_keeps_ipv6_and_leaves_other_cards_alone() -> None:
    assert rendered("networkd_with_address", NETWORK) == (
        "[Match]\nName=lab0\n\n[Network]\nAddress=192.168.1.20/24\nGateway=192.168.1.1\nDNS=192.168.1.1\nDNS=fd00::1\n"
        "DHCP=ipv6\nIPv6AcceptRA=yes\nAddress=fd00::20/64\nGateway=fd00::1\n\n[Route]\nGateway=fd00::2\n"
        "Destination=fd01::/64\n[Link]\nMTUBytes=1400\n"
    )


@pytest.mark.parametrize(
    ("before", "after"), [("ipv4", ""), ("no", ""), ("true", "DHCP=ipv6\n"), ("ipv6", "DHCP=ipv6\n")]
)
def test_networkd_asks_for_ipv6_addresses_as_before(before: str, after: str) -> None:
    text = rendered("networkd_with_address", f"[Match]\nName=lab0\n[Network]\nDHCP={before}\n")

    assert ("DHCP=ipv6\n" if "DHCP" in text else "") == after


def test_networkd_twice_is_once() -> None:
    once = rendered("networkd_with_address", NETWORK)

    assert rendered("networkd_with_address", once) == once


HOSTS = "127.0.0.1\tlocalhost\n127.0.1.1\told.house old\n::1\tlocalhost ip6-localhost\n"


def test_the_name_stands_in_hosts() -> None:
    text = function("hosts_with_name node2", HOSTS).stdout

    assert text == HOSTS.replace("old.house old", "node2")
    assert function("hosts_with_name node2", text).stdout == text


def test_a_name_with_its_domain_stays() -> None:
    assert function("hosts_with_name old", HOSTS).stdout == HOSTS


def test_hosts_without_the_line_gets_it() -> None:
    assert (
        function("hosts_with_name node2", "127.0.0.1 localhost\n").stdout == "127.0.0.1 localhost\n127.0.1.1\tnode2\n"
    )


@pytest.mark.parametrize(
    "line",
    [
        "+    wpa-psk secret",
        "-psk=secret",
        " wifi.password=secret",
        "+wep-key0=secret",
        "+    wpa-private-key-passwd secret",
    ],
)
def test_passwords_are_not_shown(line: str) -> None:
    assert "secret" not in function("hide_secrets", f"{line}\n").stdout
