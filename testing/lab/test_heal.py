"""``heal_cluster.yaml`` on real nodes, told in order: much goes wrong, one run mends it, the next one does nothing."""

from __future__ import annotations

import json
import re

import pytest

from testing.ansible_plugins import load
from testing.lab.house import JOB, SERVERS, House, needs_nomad
from testing.lab.lab import Lab
from testing.lab.node import wait_until

pytestmark = [pytest.mark.lab, pytest.mark.timeout(2400)]

CACHE = "/var/cache/apt/archives"
PHOTOS = "/srv/photos"
# Nodes share this machine's clock; with this limit any is off.
GIVEN = ("--extra-vars", json.dumps({"heal_folders": ["/opt/consul", CACHE, PHOTOS], "heal_clock_off": -1}))


@pytest.fixture(scope="module")
def house(lab: Lab) -> House:
    lab.add(*SERVERS)
    house = House(lab)
    house.play(quiet=True).succeeded()
    house.settle()
    return house


def expired(house: House, node: str) -> None:
    """Give a node a certificate that has ended, as after years in the cellar; the vault's too."""
    load("modules/cluster_vault")
    shared = __import__("ansible.module_utils.cluster_authority", fromlist=["Authority"])
    folder = __import__("ansible.module_utils.private_folder", fromlist=["PrivateFolder"])
    names = shared.certificate_names("server", "consul", "dc1", node, house.lab[node].address)
    # A day back begins what lasts for half a day less: it has ended.
    authority = shared.Authority(folder.PrivateFolder(house.lab.path / "vault"), leaf_days=0)
    pem, key = authority.keep_pair(f"nodes/{node}/consul", names, anew=True)
    for name, text in (("consul.pem", pem), ("consul.key", key)):
        house.lab.run(node, "sh", "-c", f"cat >/etc/consul.d/tls/{name}", text=text)


def fill(house: House, node: str, folder: str, file: str) -> None:
    """Put a small disk at a folder and fill it with one file."""
    make = f"mkdir -p {folder} && mount -t tmpfs -o size=40M tmpfs {folder} && head -c 39M /dev/zero >{folder}/{file}"
    assert house.lab.run(node, "sh", "-c", make).code == 0


def test_what_went_wrong_is_mended_on_each_machine_and_what_could_not_be_is_said(house: House) -> None:
    lab = house.lab
    # n1: somebody stopped things; n2: its certificate ended; n3: a token is gone, disks are full.
    lab.run("n1", "systemctl", "stop", "consul", "pipecatapp-firewall")
    lab.run("n1", "systemctl", "disable", "consul")
    expired(house, "n2")
    lab.run("n2", "systemctl", "restart", "consul")
    lab.run("n3", "rm", "/etc/consul.d/management.token")
    fill(house, "n3", CACHE, "old.deb")
    fill(house, "n2", PHOTOS, "party.mov")
    before = house.starts()["n3"]

    done = house.heal(*GIVEN)

    said = done.output
    assert "n1: consul did not start at boot: it does again." in said
    # It ends with 1 when it is told to end.
    assert re.search(r"n1: consul had (stopped|failed \(exit-code\)): started\.", said)
    assert "n1: pipecatapp-firewall had stopped: started." in said
    assert "n2: certificates of Consul: written again." in said
    assert "n3: tokens of Consul: written again." in said
    assert "n3: a full disk: removed packages that apt had downloaded (39 MiB)." in said
    # Somebody's film is nobody's to remove.
    assert f"n2: NOT MENDED: the disk at {PHOTOS} is full" in said
    assert f"the biggest are {PHOTOS}/party.mov (39 MiB)" in said
    # A clock is named, and not set unasked.
    assert re.search(r"n1: NOT MENDED: its clock is \d+ s (ahead|behind)", said)
    assert "heal_set_clock=yes" in said
    assert done.code == 2
    assert lab.run("n2", "ls", PHOTOS).output == "party.mov\n"
    house.settle()
    assert "inet pipecatapp" in lab.run("n1", "nft", "list", "tables").output
    assert lab.run("n1", "systemctl", "is-enabled", "consul").output == "enabled\n"
    assert lab.run("n3", "consul", "members").output.count("alive") == 3
    assert house.starts()["n3"] == before, "what ran well was not restarted"
    for secret in (house.vault["consul"]["management_token"], house.vault["consul"]["gossip_key"]):
        assert secret not in said


def test_a_second_run_and_one_on_a_healthy_house_touch_nothing(house: House) -> None:
    for node, folder in (("n2", PHOTOS), ("n3", CACHE)):
        house.lab.run(node, "umount", folder)
    before = house.starts()

    done = house.heal().succeeded()

    assert {name: host.changed_tasks for name, host in done.hosts.items()} == {name: [] for name in SERVERS}
    for name in SERVERS:
        assert f"{name}: well." in done.output
    assert house.starts() == before


@needs_nomad
def test_a_job_that_was_stopped_or_forgotten_runs_again_with_its_count(house: House) -> None:
    house.ask("nomad", "n1", f"/v1/job/{JOB}/scale", {"Count": 2, "Target": {"Group": JOB}})
    wait_until("two of it", lambda: len(house.ask("consul", "n1", f"/v1/health/service/{JOB}?passing")) == 2)
    house.lab.run("n1", "nomad", "job", "stop", "-detach", JOB)
    wait_until("none of it", lambda: house.ask("consul", "n1", f"/v1/health/service/{JOB}?passing") == [])

    done = house.heal().succeeded()

    assert f"the job {JOB} did not run: run again" in done.output
    wait_until("two of it again", lambda: len(house.ask("consul", "n1", f"/v1/health/service/{JOB}?passing")) == 2)
    house.lab.run("n1", "nomad", "job", "stop", "-purge", "-detach", JOB)
    house.heal().succeeded()
    wait_until("one of it, as its file says", house.runs_once)
    assert house.heal().succeeded().changed == 0


@needs_nomad
def test_nomad_that_died_is_started_and_a_job_that_sleeps_sleeps_on(house: House) -> None:
    house.ask("nomad", "n1", f"/v1/job/{JOB}/scale", {"Count": 0, "Target": {"Group": JOB}})
    house.lab.run("n2", "systemctl", "stop", "nomad")

    done = house.heal().succeeded()

    assert re.search(r"n2: nomad had (stopped|failed \(exit-code\)): started\.", done.output)
    assert f"the job {JOB} did not run" not in done.output
    assert house.ask("nomad", "n1", f"/v1/job/{JOB}")["TaskGroups"][0]["Count"] == 0
    house.ask("nomad", "n1", f"/v1/job/{JOB}/scale", {"Count": 1, "Target": {"Group": JOB}})
    house.settle()


@pytest.mark.skip(reason="nodes of a lab share this machine's clock; not told yet with a virtual machine's own")
def test_a_clock_that_is_off_is_set_where_that_is_asked_for(house: House) -> None:
    house.lab.run("n1", "date", "--set=2019-01-01")
    house.heal("--extra-vars", "heal_set_clock=yes").succeeded()
    assert house.lab.run("n1", "date", "+%Y").output != "2019\n"


def test_a_lost_quorum_is_explained_and_recovered_only_with_a_yes(house: House) -> None:
    for program in house.programs:
        wait_until(f"{program} whole", lambda program=program: house.whole(program))
    house.ask("consul", "n1", "/v1/kv/experts/kept", "model")
    for name in ("n2", "n3"):
        house.lab[name].power_cut()
    patience = ("--extra-vars", "heal_patience=20")

    told = house.heal(*patience)

    assert told.code != 0
    assert "Consul has no quorum: n2 and n3 cannot be asked, and n1 alone may elect nobody" in told.output
    assert "must not come back with the old disk" in told.output
    assert "n2: NOT MENDED: does not answer" in told.output
    assert told.hosts["n1"].changed_tasks == []
    assert house.leader("consul", "n1") == ""

    done = house.heal("--extra-vars", "heal_recover_quorum=yes heal_patience=45")

    assert "n1: Consul goes on without n2, n3." in done.output
    for program in house.programs:
        wait_until(f"a leader of {program}", lambda program=program: house.leader(program, "n1") == "n1", 90)
        assert house.voters(program, "n1") == {"n1"}
    assert house.ask("consul", "n1", "/v1/kv/experts/kept?raw") == "model"
    if house.nomad:
        wait_until("the job on the one that is left", house.runs_once, 120)
