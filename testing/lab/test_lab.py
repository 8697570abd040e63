"""The lab itself, told in order on three nodes: what the tests of a cluster take for granted."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from testing.lab import machine
from testing.lab.lab import Lab, take_down
from testing.lab.network import namespaces
from testing.lab.node import wait_until
from testing.provision.container import hierarchy

pytestmark = pytest.mark.lab

THREE = {"controller_nodes": ["n1", "n2", "n3"], "worker_nodes": []}
PING = "testing/lab/ping.yaml"


def traces(name: str) -> list[str]:
    """What this machine has that is named after a lab."""
    place = hierarchy()
    assert place is not None
    links = subprocess.run(["ip", "-o", "link"], check=True, capture_output=True, text=True).stdout
    routes = subprocess.run(["ip", "-o", "route"], check=True, capture_output=True, text=True).stdout
    tables = subprocess.run(["nft", "list", "tables"], check=True, capture_output=True, text=True).stdout
    mounts = Path("/proc/self/mountinfo").read_text()
    lines = [*links.splitlines(), *routes.splitlines(), *tables.splitlines(), *mounts.splitlines(), *namespaces()]
    known = (f"lab-{name}", f"lab_{name}", f"labs/{name}/")
    found = [line for line in lines if any(word in line for word in known)]
    found += [str(path) for path in place.glob(f"lab-{name}*")]
    found += [str(path) for path in Path("/run/systemd/nspawn").glob(f"*/lab-{name}*")]
    return found + [str(path) for path in machine.LABS.glob(name)]


def reaches(lab: Lab, node: str) -> bool:
    return lab.ssh(node, "true").code == 0


def test_three_nodes_come_up_and_take_ssh(lab: Lab) -> None:
    nodes = lab.add("n1", "n2", "n3")

    for node in nodes:
        assert node.run("systemctl", "is-system-running").output.strip() == "running"
        seen = lab.ssh(node.name, "hostname; sudo id --user; hostname --all-ip-addresses")
        assert seen.output.split() == [node.name, "0", node.address]
    ids = {node.run("cat", "/etc/machine-id").output for node in nodes}
    assert len(ids) == 3


def test_a_node_reaches_another_and_the_package_mirrors(lab: Lab) -> None:
    assert lab.run("n1", "ping", "-c1", "-W5", lab["n2"].address).code == 0
    update = lab.run("n1", "apt-get", "update")
    assert update.code == 0
    assert "Err:" not in update.output, update.output


def test_ansible_becomes_root_on_every_node(lab: Lab) -> None:
    play = lab.play(PING, THREE).succeeded()

    assert sorted(play.hosts) == ["n1", "n2", "n3"]
    assert [host.ok for host in play.hosts.values()] == [2, 2, 2]
    assert play.changed == 0


def test_a_play_that_changes_or_fails_says_where(lab: Lab, tmp_path: Path) -> None:
    playbook = tmp_path / "change.yaml"
    playbook.write_text(
        """
- hosts: all
  gather_facts: false
  tasks:
    - name: Write a file
      ansible.builtin.copy: {content: "{{ inventory_hostname }}", dest: /tmp/written}
      when: inventory_hostname != "n3"
    - name: Fail on one
      ansible.builtin.fail: {msg: on purpose}
      when: inventory_hostname == "n3"
"""
    )

    play = lab.play(playbook, THREE)

    assert play.code == 2
    assert {name: (host.changed_tasks, host.failed_tasks) for name, host in play.hosts.items()} == {
        "n1": (["Write a file"], []),
        "n2": (["Write a file"], []),
        "n3": ([], ["Fail on one"]),
    }
    assert lab.run("n2", "cat", "/tmp/written").output == "n2"


def test_a_power_cut_takes_a_node_away_and_its_disk_stays(lab: Lab) -> None:
    lab.run("n2", "sh", "-c", "cat >/root/kept", text="still here")
    lab.run("n2", "nft", "add table inet somebody")

    lab["n2"].power_cut()

    assert not lab["n2"].running
    assert not reaches(lab, "n2")
    assert lab.run("n1", "ping", "-c1", "-W2", lab["n2"].address).code != 0
    lab.start("n2")
    assert lab.run("n2", "cat", "/root/kept").output == "still here"
    assert lab.run("n2", "nft", "list", "tables").output == ""
    assert reaches(lab, "n2")


def test_a_node_shuts_down_and_reboots(lab: Lab) -> None:
    lab["n2"].stop()
    assert not lab["n2"].running
    lab.start("n2")
    before = lab.run("n2", "cat", "/proc/sys/kernel/random/boot_id", "/proc/1/stat").output

    lab["n2"].reboot()

    assert lab.run("n2", "cat", "/proc/sys/kernel/random/boot_id", "/proc/1/stat").output != before
    wait_until("ssh after the reboot", lambda: reaches(lab, "n2"))


def test_a_node_is_cut_off_and_comes_back(lab: Lab) -> None:
    lab["n3"].cut_off()

    assert not reaches(lab, "n3")
    assert lab.run("n3", "true").code == 0  # it runs, alone
    lab["n3"].reconnect()
    wait_until("the node again", lambda: reaches(lab, "n3"))


def test_a_paused_node_stands_still(lab: Lab) -> None:
    def counted() -> str:
        return (lab["n3"].root / "tmp/count").read_text().strip()

    counting = "i=0; while :; do i=$((i+1)); echo $i >/tmp/count.new; mv /tmp/count.new /tmp/count; sleep 0.05; done"
    lab.run("n3", "systemd-run", "--unit=count", "sh", "-c", counting)
    wait_until("the counter", lambda: (lab["n3"].root / "tmp/count").exists())

    lab["n3"].pause()
    stood_at = counted()
    assert not reaches(lab, "n3")
    assert counted() == stood_at

    lab["n3"].resume()
    wait_until("the counter going on", lambda: counted() != stood_at)
    wait_until("the node again", lambda: reaches(lab, "n3"))
    lab.run("n3", "systemctl", "stop", "count")


def test_a_node_gets_another_address(lab: Lab) -> None:
    before = lab["n3"].address

    after = lab.readdress("n3")

    assert after != before
    assert lab.ssh("n3", "hostname --all-ip-addresses").output.split() == [after]
    assert lab.run("n1", "ping", "-c1", "-W2", before).code != 0
    assert lab.play(PING, THREE).succeeded().hosts["n3"].ok == 2


def test_a_node_is_added_and_another_reinstalled(lab: Lab) -> None:
    lab.run("n1", "touch", "/root/old")
    key = lab["n1"].public_key

    lab.add("n4")
    lab.reinstall("n1")

    assert lab.run("n1", "test", "-e", "/root/old").code == 1
    assert lab["n1"].public_key != key
    play = lab.play(PING, {"controller_nodes": ["n1", "n2", "n3"], "worker_nodes": ["n4"]})
    assert len(play.succeeded().hosts) == 4


def test_another_process_finds_the_lab(lab: Lab) -> None:
    found = Lab.of_name(lab.name)

    assert {node.name: node.address for node in found} == {node.name: node.address for node in lab}
    assert found.run("n2", "hostname").output == "n2\n"


def test_down_leaves_nothing_and_another_lab_alone(lab: Lab) -> None:
    with Lab(f"u{os.getpid()}") as other:
        other.add("n1")
        assert other.network.subnet != lab.network.subnet
        assert traces(other.name)

    assert traces(other.name) == []
    assert reaches(lab, "n2")


def test_what_a_killed_test_left_behind_goes_with_the_next_lab(lab: Lab) -> None:
    name = f"k{os.getpid()}"
    killed = f"""
import os, signal
from testing.lab.lab import Lab
with Lab({name!r}) as lab:
    lab.add("n1")
    os.kill(os.getpid(), signal.SIGKILL)
"""
    subprocess.run([sys.executable, "-c", killed], env={**os.environ, "PYTHONPATH": "src:."}, timeout=300)
    assert traces(name)

    with Lab(f"u{os.getpid()}"):
        assert traces(name) == []


def test_three_scripts_make_check_and_remove_a_lab(lab: Lab) -> None:
    def script(name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "LAB": f"s{os.getpid()}"}
        return subprocess.run(
            [f"testing/lab/{name}.sh", *arguments], env=environment, capture_output=True, text=True, timeout=600
        )

    try:
        made = script("up", "testing/lab/inventories/three_controllers.yaml")
        assert made.returncode == 0, made.stderr
        assert re.findall(r"^n\d +10\.\S+$", made.stdout, re.M) == made.stdout.splitlines()[:3]
        assert script("check").stdout.count("running, ssh works, ansible works") == 3

        Lab.of_name(f"s{os.getpid()}")["n2"].power_cut()
        checked = script("check")
        assert checked.returncode == 1
        assert "off, ssh FAILS, ansible FAILS" in checked.stdout
        script("up", "testing/lab/inventories/three_controllers.yaml")
        assert script("check").returncode == 0
    finally:
        assert script("down").returncode == 0
    assert traces(f"s{os.getpid()}") == []
    assert script("check").returncode == 1  # there is none


def test_the_kernels_settings_are_restored_with_the_last_lab(lab: Lab) -> None:
    raised = Path("/proc/sys/fs/inotify/max_user_instances")
    assert int(raised.read_text()) >= 1024
    before = machine.remembered()[str(raised)]

    take_down(lab.name)

    assert traces(lab.name) == []
    if not machine.names():  # nobody else has one
        assert raised.read_text().strip() == before
