"""Whom the firewall lets in: what Consul says is data, and counts only where it is an address of the house."""

from __future__ import annotations

import importlib.util
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest

pytestmark = pytest.mark.unit

_FILE = Path(__file__).resolve().parents[3] / "ansible/roles/firewall/files/firewall_members.py"
_SPEC = importlib.util.spec_from_file_location("firewall_members", _FILE)
assert _SPEC is not None
assert _SPEC.loader is not None
firewall_members = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(firewall_members)

HOUSE = [ip_network("192.168.1.0/24"), ip_network("fd00:1::/64")]


def node(name: str, address: object, **tagged: object) -> dict[str, object]:
    """An entry of Consul's catalogue."""
    return {"Node": name, "Address": address, "TaggedAddresses": tagged or None}


def texts(nodes: object, known: dict[str, str] | None = None) -> set[str]:
    """The members as text."""
    return {str(address) for address in firewall_members.members(nodes, known or {}, HOUSE)}


def test_a_members_new_address_takes_the_old_ones_place() -> None:
    known = {"node1": "192.168.1.10", "node2": "192.168.1.11"}

    assert texts([node("node1", "192.168.1.10"), node("node2", "192.168.1.77")], known) == {
        "192.168.1.10",
        "192.168.1.77",
    }


def test_a_machine_that_consul_does_not_know_yet_counts_with_its_address_in_the_inventory() -> None:
    assert texts([node("node1", "192.168.1.10")], {"node1": "192.168.1.9", "node4": "192.168.1.14"}) == {
        "192.168.1.10",
        "192.168.1.14",
    }


@pytest.mark.parametrize(
    "said",
    ["8.8.8.8", "127.0.0.1", "0.0.0.0", "192.168.1.0", "192.168.1.255", "192.168.1.1, 8.8.8.8", "192.168.1.1/0",
     "192.168.1.1 }; flush ruleset; add element inet x y {", "", None, 3232235777, ["192.168.1.1"], "::", "fe80::1",
     "::ffff:192.168.1.5", "0300.0250.01.05", "x" * 100_000],
)  # fmt: skip
def test_what_is_no_address_of_the_house_is_nobody(said: object) -> None:
    assert texts([node("evil", said, lan=said, lan_ipv6=said)]) == set()


def test_an_ipv6_scope_never_reaches_nft() -> None:
    assert texts([node("node1", "fd00:1::5%eth0; flush ruleset")]) == {"fd00:1::5"}


@pytest.mark.parametrize("nodes", [None, {}, "nodes", [None, 1, "x", {}, {"Node": [], "Address": {}}]])
def test_an_answer_that_is_no_list_of_nodes_names_nobody(nodes: object) -> None:
    assert texts(nodes) == set()


def test_both_families_of_a_member_count() -> None:
    assert texts([node("node1", "192.168.1.10", lan_ipv4="192.168.1.10", lan_ipv6="fd00:1::10")]) == {
        "192.168.1.10",
        "fd00:1::10",
    }


def test_a_catalogue_that_grows_without_end_does_not() -> None:
    wide = [ip_network("10.0.0.0/8")]
    nodes = [node(f"n{i}", f"10.0.{i // 250}.{1 + i % 250}") for i in range(5000)]

    assert len(firewall_members.members(nodes, {}, wide)) == firewall_members.MOST_MEMBERS


def test_nft_replaces_both_sets_in_one_step() -> None:
    assert firewall_members.commands({ip_address("192.168.1.11"), ip_address("192.168.1.10")}).splitlines() == [
        "flush set inet pipecatapp members4",
        "add element inet pipecatapp members4 { 127.0.0.1, 192.168.1.10, 192.168.1.11 }",
        "flush set inet pipecatapp members6",
        "add element inet pipecatapp members6 { ::1 }",
    ]


def test_the_tables_file_takes_the_same_members() -> None:
    assert firewall_members.definitions({ip_address("fd00:1::10")}).splitlines() == [
        "redefine members4 = { 127.0.0.1 }",
        "redefine members6 = { ::1, fd00:1::10 }",
    ]
