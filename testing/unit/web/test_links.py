"""The links that are printed."""

from __future__ import annotations

import ipaddress

import pytest

from pipecatapp.web.addresses import host_names, local_addresses
from pipecatapp.web.links import open_links

pytestmark = pytest.mark.unit

NAMES = ["pc", "pc.local", "localhost"]
ADDRESSES = ["192.168.1.20", "fd00::5", "127.0.0.1"]


def links(host: str = "0.0.0.0", tls_port: int = 8443) -> list[str]:
    return open_links("T", host=host, port=8000, tls_port=tls_port, names=NAMES, addresses=ADDRESSES)


def test_the_secure_link_comes_first() -> None:
    assert links() == [
        "https://pc:8443/?token=T",
        "https://192.168.1.20:8443/?token=T",
        "http://localhost:8000/?token=T",
    ]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1"])
def test_a_server_that_listens_here_alone_is_not_offered_to_others(host: str) -> None:
    assert links(host) == ["http://localhost:8000/?token=T"]


def test_a_network_with_ipv6_alone_gets_its_addresses() -> None:
    made = open_links(
        "T", host="::", port=8000, tls_port=8443, names=NAMES, addresses=["fd00::5", "2001:db8::5", "127.0.0.1", "::1"]
    )

    assert made == [
        "https://pc:8443/?token=T",
        "https://[fd00::5]:8443/?token=T",
        "https://[2001:db8::5]:8443/?token=T",
        "http://localhost:8000/?token=T",
    ]


def test_without_tls_the_plain_links_remain() -> None:
    assert links(tls_port=0)[0] == "http://pc:8000/?token=T"


def test_the_machine_knows_its_own_names_and_those_it_was_told() -> None:
    names = host_names(["Assistant.Example"])

    assert "assistant.example" in names
    assert names[-1] == "localhost"
    assert len(names) == len(set(names))


def test_the_machine_knows_its_own_addresses_with_the_loopback_last() -> None:
    addresses = [ipaddress.ip_address(text) for text in local_addresses()]

    assert ipaddress.ip_address("127.0.0.1") in addresses
    assert [address.is_loopback for address in addresses] == sorted(address.is_loopback for address in addresses)
    assert not any(address.is_link_local for address in addresses if address.version == 6)
