"""What people report of such clusters, each a test on real nodes, told in order.

Elsewhere: a service of a dead node gets no traffic (``test_cluster.py``), no Consul without its vault and never two
Consul servers down at once (``test_consul_role.py``), somebody else's table and Docker's ports (``test_firewall.py``).
"""

from __future__ import annotations

import ipaddress
import os
import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from testing.lab.house import SERVERS, House, needs_nomad
from testing.lab.lab import Lab
from testing.lab.node import wait_until

pytestmark = [pytest.mark.lab, pytest.mark.timeout(3600)]

# Up to so many seconds lie between two machines that are switched on; LAB_APART=90 for old PCs.
APART_S = float(os.environ.get("LAB_APART", "8"))


@pytest.fixture(scope="module")
def house(lab: Lab) -> House:
    """Its second machine has what a PC has after some years: a second card, a Docker bridge, IPv6."""
    lab.add(*SERVERS)
    for line in (
        "link add docker0 type bridge", "address add 172.17.0.1/16 dev docker0", "link set docker0 up",
        "link add eth1 type veth peer name eth2", "address add 192.168.50.2/24 dev eth1", "link set eth1 up",
        "link set eth2 up",
        "-6 address add fd00:77::2/64 dev eth0",
    ):  # fmt: skip
        assert lab.run("n2", "ip", *line.split()).code == 0
    house = House(lab)
    house.play(quiet=True).succeeded()
    house.settle()
    return house


def test_of_several_networks_each_machine_takes_the_houses(house: House) -> None:
    subnet = ipaddress.ip_network(str(house.lab.network.subnet))
    for program in house.programs:
        known = house.addresses(program, "n1")
        assert {name: known[name] for name in SERVERS} == {node.name: node.address for node in house.lab}
        assert all(ipaddress.ip_address(address) in subnet for address in known.values())
    listening = house.lab.run("n2", "ss", "-Hltn").output
    for foreign in ("172.17.0.1", "192.168.50.2", "fd00:77::2"):
        assert foreign not in listening


def test_all_off_all_on_in_any_order_needs_no_hand(house: House) -> None:
    seed = random.randrange(1000)
    print(f"seed {seed}, up to {APART_S:g} s apart")
    chance = random.Random(seed)
    for node in house.lab:
        node.power_cut()

    for place, name in enumerate(chance.sample(SERVERS, 3)):
        if place:
            time.sleep(chance.uniform(0, APART_S))
        house.lab.start(name)

    began = time.monotonic()
    house.settle()
    print(f"whole {time.monotonic() - began:.1f} s after the last was on")


def test_one_machine_with_a_new_address_comes_back_by_itself(house: House) -> None:
    node = house.lab["n3"]
    node.stop()

    address = house.lab.readdress("n3")
    house.lab.start("n3")

    for program in house.programs:
        wait_until(f"{program} whole", lambda program=program: house.whole(program), 180)
        wait_until("the new address", lambda program=program: house.addresses(program, "n1").get("n3") == address, 60)
    house.settle()


def test_all_machines_with_new_addresses_need_the_play_and_nothing_else(house: House) -> None:
    keys = {program: house.vault[program]["gossip_key"] for program in ("consul", "nomad")}
    for node in house.lab:
        node.power_cut()
    for name in SERVERS:
        # None is one that another machine had before.
        house.lab.readdress(name, str(house.lab.network.subnet.network_address + 100 + SERVERS.index(name)))
    house.lab.start()

    house.play().succeeded()

    house.settle()
    for program in house.programs:
        assert house.addresses(program, "n1") == {node.name: node.address for node in house.lab}
    assert {program: house.vault[program]["gossip_key"] for program in keys} == keys


@needs_nomad
def nomad_since(house: House, node: str) -> list[tuple[str, int]]:
    """What is the same only as long as nobody founds the cluster again: when each token was made."""
    if "nomad" not in house.programs:
        return []
    tokens = house.ask("nomad", node, "/v1/acl/tokens")
    return sorted((token["AccessorID"], token["CreateIndex"]) for token in tokens)


def test_the_first_machine_installed_anew_joins_and_founds_nothing(house: House, tmp_path: Path) -> None:
    before = house.vault
    cluster = nomad_since(house, "n2")
    house.ask("consul", "n2", "/v1/kv/experts/kept", "model")
    house.lab.reinstall("n1")

    # From a control node whose temporary folders are empty.
    empty = {"ANSIBLE_HOME": str(tmp_path), "TMPDIR": str(tmp_path)}
    house.play(env=empty).succeeded()

    house.settle()
    assert house.ask("consul", "n1", "/v1/kv/experts/kept?raw") == "model"
    assert nomad_since(house, "n1") == cluster
    for program in house.programs:
        assert house.vault[program]["gossip_key"] == before[program]["gossip_key"]
    assert house.runs_once()


@contextmanager
def sampled(house: House) -> Iterator[list[int]]:
    """Each second, how many of Nomad's servers answer; the list grows while the block runs."""
    counts: list[int] = []
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(max(0.0, 1 - time.monotonic() % 1)):
            counts.append(sum(house.ask("nomad", name, "/v1/status/leader") is not None for name in SERVERS))

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield counts
    finally:
        ended.set()
        thread.join()


@needs_nomad
def test_a_change_never_takes_two_servers_of_nomad_away(house: House) -> None:
    with sampled(house) as counts:
        done = house.play("--extra-vars", "nomad_raft_multiplier=2").succeeded()

    for name in SERVERS:
        assert [task.rpartition(": ")[2] for task in done.hosts[name].changed_tasks] == [
            "Write the server's part", "Restart nomad",
        ]  # fmt: skip
    print(f"of {len(counts)} samples {sum(count < 3 for count in counts)} with a server away")
    assert min(counts) >= 2
    house.settle()


@pytest.mark.skip(reason="nodes of a lab share this machine's clock; not told yet with a virtual machine's own")
def test_a_clock_that_was_years_off_is_right_again_and_its_node_registers_by_itself(house: House) -> None:
    house.lab.run("n3", "date", "--set=2019-01-01")
    house.lab["n3"].reboot()
    house.lab.run("n3", "hwclock", "--hctosys")
    house.settle()
