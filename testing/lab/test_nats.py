"""NATS on three controllers: what is acknowledged is on all of them, survives the loss of one, and is for members."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from testing.lab import nats_probe
from testing.lab.lab import Lab
from testing.lab.node import wait_until
from testing.lab.sampler import Sampler
from testing.provision.entered import Result

pytestmark = [pytest.mark.lab, pytest.mark.timeout(1800)]

NODES = {"controller_nodes": ["n1", "n2", "n3"], "worker_nodes": []}
ROLES = ("--tags", "common,nats")
NAMES = ("n1", "n2", "n3")


@pytest.fixture(scope="module")
def house(lab: Lab) -> Lab:
    lab.add(*NAMES)
    lab.play("playbook.yaml", NODES, *ROLES).succeeded()
    for node in lab:
        (node.root / "opt/nats_probe.py").write_text(Path(nats_probe.__file__).read_text())
    return lab


def password(house: Lab) -> str:
    found = re.search(r'user: app, password: "([^"]+)"', house.run("n1", "cat", "/etc/nats/nats.conf").output)
    assert found
    return found[1]


def probe(house: Lab, node: str, *words: str, to: str = "127.0.0.1", secret: str = "") -> Result:
    return house.run(node, "/usr/bin/python3", "/opt/nats_probe.py", secret or password(house), to, *words)


def answer(house: Lab, node: str, *words: str) -> Any:
    said = probe(house, node, *words)
    assert said.code == 0, said.output
    return json.loads(said.output)


def test_what_is_acknowledged_is_on_all_three(house: Lab) -> None:
    made = answer(house, "n1", "create", "facts", "3")
    assert "error" not in made, made
    assert answer(house, "n2", "publish", "facts", "100")["seq"] == 100

    def copies() -> set[str]:
        info = answer(house, "n3", "info", "facts")
        assert info["state"]["messages"] == 100
        current = {replica["name"] for replica in info["cluster"]["replicas"] if replica["current"]}
        return current | {info["cluster"]["leader"]}

    wait_until("three copies", lambda: copies() == set(NAMES), 30)


def test_the_loss_of_its_leader_loses_nothing(house: Lab) -> None:
    leader = answer(house, "n1", "info", "facts")["cluster"]["leader"]
    other = next(name for name in NAMES if name != leader)

    house[leader].power_cut()
    wait_until("a write again", lambda: probe(house, other, "publish", "facts", "1").code == 0, 60)
    messages = answer(house, other, "info", "facts")["state"]["messages"]
    house.start(leader)

    assert messages >= 101

    def caught_up() -> bool:
        info = answer(house, other, "info", "facts")["cluster"]
        return all(replica["current"] for replica in info["replicas"])

    wait_until("the old leader with all of it", caught_up, 90)


def test_strangers_get_no_word_in(house: Lab) -> None:
    wrong = probe(house, "n1", "hello", secret="wrong")
    assert wrong.code != 0
    assert "Authorization Violation" in wrong.output
    assert probe(house, "n1", "hello-without-certificate").code != 0
    assert probe(house, "n1", "hello").code == 0
    # From the house: no certificate, no password, and no plain text.
    plain = house.control(
        "sh", "-c", f"printf 'CONNECT {{}}\\r\\nPING\\r\\n' | timeout 5 nc {house['n1'].address} 4222"
    )
    assert "PONG" not in plain.output
    secrets = house.run("n1", "stat", "--format=%a %U %G", "/etc/nats/nats.conf", "/etc/nats/tls/nats.key")
    assert secrets.output.splitlines() == ["640 root nats", "640 root nats"]
    assert password(house) not in house.run("n1", "sh", "-c", "journalctl -u nats; ps -ef; systemctl cat nats").output


def test_a_second_run_changes_nothing(house: Lab) -> None:
    assert house.play("playbook.yaml", NODES, *ROLES).succeeded().changed == 0


def test_a_changed_setting_restarts_one_server_after_the_other(house: Lab) -> None:
    with Sampler(house, ["nats"], NAMES) as sampler:
        play = house.play("playbook.yaml", NODES, *ROLES, "--extra-vars", "nats_disk_mb=2048").succeeded()

    print(sampler)
    assert sampler.most_down("nats") <= 1
    assert sampler.longest_pause("nats") < 30
    assert {tuple(host.changed_tasks) for host in play.hosts.values()} == {
        ("nats : Write the configuration", "nats : Restart nats")
    }
    started = [
        int(house.run(name, "systemctl", "show", "--value", "--property=ActiveEnterTimestampMonotonic", "nats").output)
        for name in NAMES
    ]
    assert started == sorted(started)
    assert len(set(started)) == 3
    assert answer(house, "n1", "info", "facts")["state"]["messages"] >= 101
