"""The life of one PC with systemd: the units run under their filters, and do all that they did without them."""

from __future__ import annotations

import re

import pytest

from testing.provision.new_pc import NewPc

pytestmark = [pytest.mark.provision, pytest.mark.timeout(1800)]

SANDBOX = """
import asyncio
from pipecatapp.tools.sandbox import Limits
from pipecatapp.tools.sandbox_bubblewrap import BubblewrapSandbox
print("sandbox says", asyncio.run(BubblewrapSandbox().run("print(2**20)", Limits())).stdout)
"""


def probe(pc: NewPc, service: str, program: str) -> str:
    """Run a Python program in a unit that is like a service's in all but what it runs; what it printed."""
    unit = (pc.tree.path / f"etc/systemd/system/{service}.service").read_text()
    unit = re.sub(r"(?m)^ExecStart=.*$", "ExecStart=/opt/pipecatapp/venv/bin/python /opt/probe.py", unit)
    unit = re.sub(r"(?m)^Type=.*$", "Type=oneshot", re.sub(r"(?m)^Restart=.*$", "Restart=no", unit))
    (pc.tree.path / "etc/systemd/system/probe.service").write_text(unit)
    script = pc.tree.path / "opt/probe.py"
    script.write_text(program)
    script.chmod(0o644)
    pc.tree.run("systemctl", "daemon-reload")
    pc.tree.run("systemctl", "start", "probe")
    seen = pc.tree.run("journalctl", "--no-pager", "--output=cat", "--unit=probe", "--lines=30").output
    for leftover in (script, pc.tree.path / "etc/systemd/system/probe.service"):
        leftover.unlink()
    return seen


def test_one_command_ends_with_an_agent_that_answers(booted_pc: NewPc) -> None:
    result = booted_pc.bootstrap("--starter-only")

    assert result.code == 0
    assert "Agent: " in result.output
    status = booted_pc.bootstrap("--status")
    assert re.search(r"^pipecatapp +active running", status.output, re.M)
    assert re.search(r"^pipecatapp-engine +active running", status.output, re.M)


def test_the_agents_unit_lets_its_sandbox_work(booted_pc: NewPc) -> None:
    seen = probe(booted_pc, "pipecatapp", SANDBOX)

    assert "sandbox says 1048576" in seen, seen


def test_the_agent_has_a_cgroup_to_limit_its_sandbox_in(booted_pc: NewPc) -> None:
    folder = "/sys/fs/cgroup/system.slice/pipecatapp.service"
    owner = booted_pc.tree.run("stat", "--format=%U", f"{folder}/cgroup.procs", f"{folder}/cgroup.subtree_control")

    assert owner.output.split() == ["pipecatapp", "pipecatapp"]


@pytest.mark.parametrize("service", ["pipecatapp", "pipecatapp-engine"])
def test_a_unit_writes_its_state_alone_and_sees_no_other_users(booted_pc: NewPc, service: str) -> None:
    program = """
import os, pathlib
def writes(path):
    try:
        pathlib.Path(path, "probe").write_text("")
        pathlib.Path(path, "probe").unlink()
        return True
    except OSError:
        return False
places = "/var/lib/pipecatapp /tmp /etc /opt/pipecatapp /var/log/pipecatapp".split()
print("writes", [path for path in places if writes(path)])
print("sees", {pathlib.Path("/proc", pid).stat().st_uid == os.getuid() for pid in os.listdir("/proc") if pid.isdigit()})
"""
    seen = probe(booted_pc, service, program)

    assert "writes ['/var/lib/pipecatapp', '/tmp']" in seen, seen
    assert "sees {True}" in seen, seen


def test_the_engine_reaches_nothing_outside(booted_pc: NewPc) -> None:
    program = """
import socket
for address in ("127.0.0.1", "192.0.2.1"):
    probe = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        probe.sendto(b"x", (address, 9))
        print("sent to", address)
    except OSError as error:
        print("not to", address, error.errno)
"""
    seen = probe(booted_pc, "pipecatapp-engine", program)

    assert "sent to 127.0.0.1" in seen
    assert "not to 192.0.2.1 1" in seen, seen


def test_a_second_run_changes_nothing(booted_pc: NewPc) -> None:
    result = booted_pc.bootstrap("--starter-only")

    assert result.code == 0
    assert "Nothing to change (changed=0" in result.output


def test_uninstall_leaves_no_unit(booted_pc: NewPc) -> None:
    assert booted_pc.bootstrap("--uninstall", "--yes").code == 0

    assert not list((booted_pc.tree.path / "etc/systemd/system").rglob("*pipecatapp*"))
    units = booted_pc.tree.run("systemctl", "list-units", "--all", "--no-pager", "pipecatapp*")
    assert "pipecatapp" not in units.output
