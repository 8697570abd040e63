"""Preflight's judgement: every failure of every machine is one readable line with the next step."""

from __future__ import annotations

from typing import Any

import pytest

from testing.ansible_plugins import load

pytestmark = pytest.mark.unit

machines = load("filter/machines")
LIMITS = {
    "debian": 12,
    "memory_mb": 1800,
    "disk_mb": 2000,
    "released": 1_795_000_000,
    "programs": "/opt",
    "own_ports": [8000],
    "cluster": True,
}


def machine(number: int, **different: Any) -> dict[str, Any]:
    """A machine with which nothing is wrong."""
    return {
        "clock": 1_800_000_000.0,
        "ahead": 0.3,
        "flags": ["sse4_1", "ssse3"],
        "machine_id": f"id{number}",
        "hostname": f"node{number}",
        "first": True,
        "free_mb": 50_000,
        "taken": {},
        "unresolved": {},
        "write_ms": [4.0] * 40,
        "distribution": "Debian",
        "version": "13.1",
        "release": "13",
        "debian": True,
        "architecture": "x86_64",
        "memory_mb": 8000,
        "cores": 2,
        "address": f"192.168.1.{9 + number}",
        "unreached": {},
        **different,
    }


def house(count: int = 3, **different: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Machines node1 to nodeN; a keyword gives what is different about one of them."""
    return {f"node{n}": machine(n, **different.get(f"node{n}", {})) for n in range(1, count + 1)}


def errors(found: dict[str, dict[str, Any]], **limits: Any) -> list[str]:
    """The lines that stop a run."""
    lines: list[str] = machines.machines_judged(found, {**LIMITS, **limits})["errors"]
    return lines


def test_machines_that_are_well_have_no_line() -> None:
    assert errors(house()) == []
    assert errors({"localhost": machine(1)}) == []


def test_all_failures_of_all_machines_are_one_list() -> None:
    lines = errors(
        house(
            4,
            node1={"memory_mb": 900, "free_mb": 500},
            node2={"distribution": "Debian", "release": "11", "version": "11.9"},
            node3={"taken": {"8000": "nginx listens there", "8301": "consul listens there"}},
        )
        | {"node4": {}}
    )

    assert [line.split(" ")[0] for line in lines] == ["node1", "node1", "node2", "node3", "node3", "node4"]
    for line, words in zip(
        lines,
        (
            "has 900 MiB of memory",
            "has 500 MiB free in /opt",
            "runs Debian 11.9",
            "port 8000: nginx listens there. Stop what listens there, or choose others: WEB_PORT",
            "port 8301: consul listens there. The cluster needs it",
            "does not answer. Turn it on",
        ),
        strict=True,
    ):
        assert words in line
        assert line.count("\n") == 0


def test_testing_and_unstable_are_newer_than_any_release() -> None:
    assert errors({"pc": machine(1, release="testing/unstable")}) == []


def test_one_pc_is_called_this_machine() -> None:
    assert errors({"localhost": machine(1, memory_mb=900)})[0].startswith("This machine has 900 MiB")


SET = "ansible-playbook -i inventory.yaml heal_cluster.yaml -e heal_set_clock=yes"


def test_a_wrong_clock_is_named_with_how_wrong_it_is() -> None:
    lines = errors(house(node2={"ahead": -3 * 365.25 * 86400}, node3={"ahead": 61.0}))

    assert lines == [
        f"node2 has a clock that is 3 years behind the control node's. Set it by that: {SET} --limit node2",
        f"node3 has a clock that is 1 minute ahead of the control node's. Set it by that: {SET} --limit node3",
    ]


def test_when_all_machines_agree_the_control_nodes_clock_is_wrong() -> None:
    lines = errors(house(node1={"ahead": 7200.0}, node2={"ahead": 7201.0}, node3={"ahead": 7199.0}))

    assert len(lines) == 1
    assert lines[0].startswith("The clock of this control node is 2 hours behind")


def test_two_machines_may_be_apart_though_each_is_near_enough() -> None:
    lines = errors(house(node1={"ahead": -40.0}, node3={"ahead": 40.0}))

    assert lines[0].startswith("node1 and node3 have clocks that are 1 minute apart")


@pytest.mark.parametrize("by", [-59.0, 60.0, 0.0])
def test_a_minute_is_not_too_much(by: float) -> None:
    assert errors(house(node2={"ahead": by})) == []


def test_twins_are_named_once_for_what_they_share() -> None:
    lines = errors(
        house(
            6,
            node2={"machine_id": "id1"},
            node4={"hostname": "Node3"},
            node6={"address": "192.168.1.14", "machine_id": "id5", "hostname": "node5"},
        )
    )

    assert len(lines) == 3
    assert lines[0].startswith("node5 and node6 have one address (192.168.1.14)")
    assert lines[1].startswith("node1 and node2 have the same machine id")
    assert lines[2].startswith("node3 and node4 call themselves node3")


def test_machines_without_an_identity_are_no_twins() -> None:
    assert errors(house(node1={"machine_id": "", "address": ""}, node2={"machine_id": "", "address": ""})) == []


@pytest.mark.parametrize("name", ["node_1", "node.1", "-node", "node-", "n" * 64, "localhost", "nöde", "two words"])
def test_a_name_that_consul_or_nomad_refuses_is_refused_before(name: str) -> None:
    lines = errors({"node1": machine(1), name: machine(2)})

    assert len(lines) == 1
    assert lines[0].startswith(f"{name} cannot be a machine's name")


def test_names_that_differ_in_case_alone_are_one() -> None:
    assert errors({"node1": machine(1), "Node1": machine(2)})[0].startswith("node1 and Node1 are one name")


def test_a_broken_way_names_both_ends() -> None:
    lines = errors(house(node2={"unreached": {"node3": "no answer"}}))

    assert len(lines) == 1
    assert lines[0].startswith("node2 cannot reach node3 (192.168.1.12): no answer. Check the cable")


def test_a_machine_that_nobody_reaches_is_one_line() -> None:
    ways = {"node2": "no answer"}
    found = house(
        4,
        node1={"unreached": ways},
        node2={"unreached": {"node1": "no answer", "node3": "no answer", "node4": "no answer"}},
        node3={"unreached": ways},
        node4={"unreached": ways},
    )

    assert [line.partition(")")[0] for line in errors(found)] == ["No machine can reach node2 (192.168.1.11"]


def test_a_slow_disk_is_a_warning_with_the_number_and_the_variables() -> None:
    judged = machines.machines_judged(house(node2={"write_ms": [20.0] * 30 + [280.0] * 10}), LIMITS)

    assert judged["errors"] == []
    assert len(judged["warnings"]) == 1
    assert judged["warnings"][0].startswith("node2 takes 280 ms to make a write safe")
    assert "consul_raft_multiplier: 3 and nomad_heartbeat_grace: 15s" in judged["warnings"][0]


def test_a_slow_disk_does_not_matter_without_a_cluster() -> None:
    assert (
        machines.machines_judged({"pc": machine(1, write_ms=[900.0])}, {**LIMITS, "cluster": False})["warnings"] == []
    )


def test_the_summary_says_what_each_machine_is() -> None:
    assert machines.machines_judged({"node1": machine(1)}, LIMITS)["summary"] == [
        "node1: Penryn (x86-64-v1), 2 cores, 7.8 GiB of memory, 49 GiB free, a write is safe after 4.0 ms"
    ]


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ("ssse3 sse3", "Core 2 (x86-64-v1)"),
        ("ssse3 sse4_1 sse4_2 popcnt", "Nehalem (x86-64-v2)"),
        ("ssse3 sse4_1 sse4_2 popcnt avx", "AVX (x86-64-v2)"),
        ("ssse3 sse4_1 sse4_2 popcnt avx avx2 fma f16c bmi1 bmi2 movbe abm", "AVX2 (x86-64-v3)"),
    ],
)
def test_processors_have_the_fields_words(flags: str, words: str) -> None:
    assert machines.processor_class(flags.split()) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (30, "30 seconds"),
        (61, "1 minute"),
        (200, "3 minutes"),
        (7200, "2 hours"),
        (86400 * 3, "3 days"),
        (4e8, "13 years"),
    ],
)
def test_lengths_of_time_are_for_people(seconds: float, words: str) -> None:
    assert machines.duration(seconds) == words
