"""What preflight sees of a real machine: its listeners, its ways to others, its disk."""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path

import pytest

from testing.ansible_plugins import load
from testing.ports import free_port

pytestmark = pytest.mark.integration

machine_look = load("modules/machine_look")
OWN = Path("/proc/self/comm").read_text().strip()


def test_a_taken_port_is_named_with_who_has_it() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        listening = list(machine_look.listeners(Path("/proc")))

        assert (port, OWN) in [(at, program) for at, program, _ in listening]
        assert dict(machine_look.taken([port, free_port()], listening)) == {str(port): f"{OWN} listens there"}


def test_a_service_of_ours_may_have_a_cluster_port(tmp_path: Path) -> None:
    (tmp_path / "consul").mkdir()
    listening = [(8301, "consul", "consul"), (4646, "nomad", "somebodys-nomad"), (4222, "", "")]

    assert dict(machine_look.foreign([8301, 4646, 4222, 8300], listening, tmp_path)) == {
        "4646": "nomad listens there",
        "4222": "another program listens there",
    }


def test_a_peer_that_refuses_is_reached_and_a_silent_one_is_not() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(0)
        full = [socket.socket() for _ in range(4)]
        for client in full:
            client.setblocking(False)
            client.connect_ex(silent.getsockname())
        peers = {
            "listens": {"address": "127.0.0.1", "port": server.getsockname()[1]},
            "refuses": {"address": "127.0.0.1", "port": str(free_port())},
            "silent": {"address": "127.0.0.1", "port": silent.getsockname()[1]},
            "unplugged": {"address": "", "port": 22},
        }
        began = time.monotonic()
        try:
            assert machine_look.reach(peers, limit_s=0.5) == {"silent": "no answer"}
        finally:
            for client in full:
                client.close()
        assert time.monotonic() - began < 5


def test_a_disks_writes_are_timed_within_bounds_and_leave_nothing(tmp_path: Path) -> None:
    times = machine_look.write_times(tmp_path)

    assert 1 <= len(times) <= 40
    assert all(time_ms > 0 for time_ms in times)
    assert list(tmp_path.iterdir()) == []


def test_a_host_without_an_address_says_why() -> None:
    problems = machine_look.unresolved(["localhost", "no-such-host.invalid"])

    assert list(problems) == ["no-such-host.invalid"]
    assert problems["no-such-host.invalid"]


def test_a_dry_look_writes_nothing_and_an_installed_machine_is_not_measured_again(tmp_path: Path) -> None:
    parameters = {
        "asked_at": time.time() - 5,
        "programs": str(tmp_path / "opt/pipecatapp"),
        "own_ports": [],
        "cluster_ports": [],
        "data": str(tmp_path / "opt/consul"),
        "names": False,
        "peers": {},
    }
    dry = machine_look.look(parameters, dry=True)
    fresh = machine_look.look(parameters)
    (tmp_path / "opt/consul").mkdir(parents=True)
    again = machine_look.look(parameters)

    assert (dry["write_ms"], again["write_ms"]) == ([], [])
    assert fresh["write_ms"]
    assert fresh["first"]
    assert 4 < fresh["ahead"] < 20
    assert fresh["machine_id"] or not Path("/etc/machine-id").exists()
    assert fresh["hostname"] == os.uname().nodename
