"""The life of a cluster's Consul, told in order: three nodes converge, lose each other, and a fourth one comes; its
secrets turn, the power fails, and a newer Consul takes over."""

from __future__ import annotations

import subprocess

import pytest

from testing.consul import program as consul_program
from testing.lab.agents import vault_of
from testing.lab.consul_api import ConsulApi
from testing.lab.lab import Lab
from testing.lab.node import wait_until
from testing.lab.sampler import Sampler

pytestmark = [pytest.mark.lab, pytest.mark.timeout(1800)]

THREE = {"controller_nodes": ["n1", "n2", "n3"], "worker_nodes": []}
FOUR = {**THREE, "worker_nodes": ["n4"]}
ROLES = "--tags=common,cluster,firewall,consul"
PORT = 20001
SERVERS = ["n1", "n2", "n3"]
# An election on a busy machine.
PAUSE_S = 30
# The same program, which says that it is newer.
NEWER = """#!/bin/sh
[ "$1" != version ] || { echo "Consul v1.8.99"; exit; }
exec REAL "$@"
"""


@pytest.fixture(scope="module")
def consul(lab: Lab) -> ConsulApi:
    """The cluster's Consul, once the first test has brought it up."""
    return ConsulApi(lab)


def serve(lab: Lab, consul: ConsulApi, node: str) -> None:
    """Run a small server on a node and let Consul watch it."""
    lab.run(node, "systemd-run", "--unit=pages", "python3", "-m", "http.server", "--directory=/srv", str(PORT))
    check = {"HTTP": f"http://127.0.0.1:{PORT}/", "Interval": "1s", "Timeout": "5s"}
    told = {"ID": f"pages-{node}", "Name": "pages", "Port": PORT, "Check": check}
    assert consul.ask(node, "/v1/agent/service/register", told) is not None


def settled(consul: ConsulApi, *nodes: str) -> bool:
    """Whether all see the same leader and the same three voters: time for the next fault."""
    leaders = {consul.leader(node) for node in nodes}
    return len(leaders) == 1 and "" not in leaders and all(len(consul.voters(node)) == 3 for node in nodes)


def test_three_nodes_converge_and_have_one_leader(lab: Lab, consul: ConsulApi) -> None:
    lab.add("n1", "n2", "n3")

    lab.play("playbook.yaml", THREE, ROLES).succeeded()

    wait_until("three voters", lambda: settled(consul, "n1", "n2", "n3"))
    assert consul.voters("n1") == {"n1", "n2", "n3"}


def test_a_second_run_changes_nothing(lab: Lab) -> None:
    again = lab.play("playbook.yaml", THREE, ROLES).succeeded()

    assert {name: host.changed_tasks for name, host in again.hosts.items()} == {"n1": [], "n2": [], "n3": []}


def test_who_has_no_token_sees_nothing(lab: Lab) -> None:
    anonymous = lab.run("n1", "curl", "--silent", "http://127.0.0.1:8500/v1/catalog/nodes")

    assert anonymous.output.strip() == "[]"
    assert lab.control("curl", "--silent", "--max-time=3", f"http://{lab['n1'].address}:8500/").code != 0


def test_a_service_appears_and_disappears(lab: Lab, consul: ConsulApi) -> None:
    serve(lab, consul, "n1")
    wait_until("the service", lambda: consul.passing("n3", "pages") == {"n1"})

    lab.run("n1", "systemctl", "stop", "pages")

    wait_until("the service gone", lambda: consul.passing("n3", "pages") == set())


def test_the_leaders_death_makes_another_leader_and_takes_its_services_away(lab: Lab, consul: ConsulApi) -> None:
    leader = consul.leader("n1")
    others = [node.name for node in lab if node.name != leader]
    serve(lab, consul, leader)
    wait_until("the service", lambda: consul.passing(others[0], "pages") == {leader})

    lab[leader].power_cut()

    took = wait_until("another leader", lambda: consul.leader(others[0]) in others)
    print(f"another leader after {took:.1f} s")
    took = wait_until("its services gone", lambda: consul.passing(others[0], "pages") == set())
    print(f"its services gone {took:.1f} s later")
    lab.start(leader)
    wait_until("the dead one back with a vote", lambda: settled(consul, "n1", "n2", "n3"))
    assert consul.voters("n1") == {"n1", "n2", "n3"}


def test_a_node_is_cut_off_and_comes_back(lab: Lab, consul: ConsulApi) -> None:
    follower = next(name for name in ("n1", "n2", "n3") if name != consul.leader("n1"))
    other = next(name for name in ("n1", "n2", "n3") if name != follower)
    lab.run(follower, "systemctl", "reset-failed", "pages")
    lab.run(follower, "systemctl", "stop", "pages")
    serve(lab, consul, follower)
    wait_until("the service", lambda: follower in (consul.passing(other, "pages") or set()))

    lab[follower].cut_off()
    try:
        wait_until("the others going on without it", lambda: consul.passing(other, "pages") == set())
        # The leader may know it before the other does.
        wait_until("the other knows it", lambda: follower not in consul.alive(other))
        # Alone it has no leader: it cannot say, which is another thing than "none".
        wait_until("it knows that it is alone", lambda: consul.passing(follower, "pages") is None)
    finally:
        lab[follower].reconnect()

    took = wait_until("it and its service again", lambda: consul.passing(other, "pages") == {follower})
    print(f"back after {took:.1f} s")
    wait_until("three voters", lambda: settled(consul, "n1", "n2", "n3"))


def test_a_fourth_node_joins(lab: Lab, consul: ConsulApi) -> None:
    lab.add("n4")
    leader = consul.leader("n1")

    lab.play("playbook.yaml", FOUR, ROLES).succeeded()

    everybody = {"n1", "n2", "n3", "n4"}
    wait_until("the fourth", lambda: all(consul.alive(name) == everybody for name in everybody))
    assert consul.voters("n4") == {"n1", "n2", "n3"}
    assert consul.leader("n4") == leader


def everybody_settled(consul: ConsulApi) -> bool:
    return settled(consul, *SERVERS) and consul.alive("n4") == {"n1", "n2", "n3", "n4"}


def test_secrets_and_certificates_turn_without_a_pause(lab: Lab, consul: ConsulApi) -> None:
    before = vault_of(lab)["consul"]
    certificate = lab.run("n4", "cat", "/etc/consul.d/tls/consul.pem").output
    starts = [lab.run(name, "systemctl", "show", "--property=MainPID", "consul").output for name in SERVERS]

    with Sampler(lab, ["consul"], SERVERS) as sampler:
        lab.play("testing/lab/consul.yaml", FOUR, "--tags", "rotate").succeeded()

    print(sampler)
    assert sampler.longest_pause("consul") < PAUSE_S
    assert [lab.run(name, "systemctl", "show", "--property=MainPID", "consul").output for name in SERVERS] == starts
    after = vault_of(lab)["consul"]
    for name in ("management_token", "app_token", "gossip_key"):
        assert after[name] != before[name]
    assert lab.run("n4", "cat", "/etc/consul.d/tls/consul.pem").output != certificate
    assert everybody_settled(consul)


def test_after_a_power_cut_of_the_whole_house_heal_mends_what_is_left(lab: Lab, consul: ConsulApi) -> None:
    lab.run("n2", "systemctl", "disable", "consul")
    for node in lab:
        node.power_cut()
    lab.start()
    wait_until("the others are one again", lambda: consul.leader("n1") in ("n1", "n3"))

    done = lab.play("heal_cluster.yaml", FOUR).succeeded()

    assert "n2: consul did not start at boot: it does again." in done.output
    assert "n1: consul" not in done.output
    wait_until("all of them", lambda: everybody_settled(consul))


def test_a_newer_consul_takes_over_one_server_at_a_time(
    lab: Lab, consul: ConsulApi, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("newer")
    version = subprocess.run([consul_program(), "version"], capture_output=True, text=True, check=True).stdout
    used = version.split()[1].removeprefix("v").partition("+")[0]
    program = folder / "consul"
    program.write_text(NEWER.replace("REAL", f"/opt/hashicorp/consul/{used}/consul"))
    for path, mode in ((program, 0o755), (folder, 0o755), (folder.parent, 0o755)):
        path.chmod(mode)

    with Sampler(lab, ["consul"], SERVERS) as sampler:
        lab.play("playbook.yaml", FOUR, "--tags=consul", "-e", f"consul_binary_folder={folder}").succeeded()

    print(sampler)
    assert sampler.most_down("consul") <= 1, "never two at once"
    assert sampler.longest_pause("consul") < PAUSE_S
    for name in ("n1", "n2", "n3", "n4"):
        assert lab.run(name, "readlink", "/opt/hashicorp/consul/current").output.strip() == "1.8.99"
    wait_until("all of them", lambda: everybody_settled(consul))
