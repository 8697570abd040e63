"""Consul on real nodes: founded once, closed to strangers, changed one server at a time, and never without its vault.

The tests are one story on one lab, told in order.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from testing.lab.lab import Lab
from testing.lab.node import wait_until
from testing.lab.play import Play
from testing.lab.sampler import Sampler

pytestmark = [pytest.mark.lab, pytest.mark.timeout(1200)]

SERVERS = ["n1", "n2", "n3"]
THREE = {"controller_nodes": SERVERS, "worker_nodes": []}
# An election on a busy machine.
PAUSE_S = 30
PLAYBOOK = "testing/lab/consul.yaml"


@pytest.fixture(scope="module")
def nodes(lab: Lab) -> Lab:
    lab.add(*SERVERS)
    return lab


def four(lab: Lab) -> Path:
    """The inventory with a worker that takes Consul from one of the others."""
    path = lab.path / "four.yaml"
    hosts = {name: {} for name in SERVERS}
    worker = {"n4": {"consul_binary_source": "peer"}}
    path.write_text(yaml.safe_dump({"controller_nodes": {"hosts": hosts}, "worker_nodes": {"hosts": worker}}))
    return path


def play(lab: Lab, inventory: Path | dict[str, list[str]], *options: str, **more: Any) -> Play:
    return lab.play(PLAYBOOK, inventory, *options, quiet=True, **more)


def vault(lab: Lab) -> dict[str, Any]:
    secrets: dict[str, Any] = yaml.safe_load((lab.path / "vault/secrets.yaml").read_text())
    return secrets


def ask(lab: Lab, node: str, path: str, token: str | None = None, *options: str) -> tuple[int, Any]:
    """A node's agent, asked from the node itself: status and answer."""
    header = [f"X-Consul-Token: {token if token is not None else vault(lab)['consul']['management_token']}"]
    command = [
        "curl",
        "-s",
        "-m",
        "5",
        "-H",
        *header,
        "-w",
        "\n%{http_code}",
        *options,
        f"http://127.0.0.1:8500/v1/{path}",
    ]
    said, _, code = lab.run(node, *command).output.rpartition("\n")
    try:
        return int(code), json.loads(said)
    except ValueError:
        return int(code or 0), said


def voters(lab: Lab, node: str) -> set[str]:
    code, answer = ask(lab, node, "operator/raft/configuration")
    return {server["Node"] for server in answer["Servers"] if server["Voter"]} if code == 200 else set()


def leader(lab: Lab, node: str) -> str:
    code, answer = ask(lab, node, "status/leader", "")
    names = {f"{each.address}:8300": each.name for each in lab}
    return names.get(answer, "") if code == 200 else ""


def consul(lab: Lab, node: str, *words: str) -> str:
    return lab.run(node, "/usr/local/bin/consul", *words).output


def test_a_dry_run_on_clean_machines_changes_nothing(nodes: Lab) -> None:
    play(nodes, THREE, "--check").succeeded()

    assert not (nodes.path / "vault").exists()
    assert nodes.run("n1", "ls", "-d", "/etc/consul.d", "/opt/hashicorp").code != 0


def test_three_controllers_found_one_cluster(nodes: Lab) -> None:
    done = play(nodes, THREE).succeeded()

    assert voters(nodes, "n1") == set(SERVERS)
    assert len({leader(nodes, name) for name in SERVERS}) == 1
    assert ask(nodes, "n1", "status/leader", "")[0] == 200
    for secret in (vault(nodes)["consul"]["gossip_key"], vault(nodes)["consul"]["management_token"]):
        assert secret not in done.output
    for name in SERVERS:
        modes = nodes.run(name, "stat", "-c", "%a %U", "/etc/consul.d/tls/consul.key", "/etc/consul.d/management.token")
        assert modes.output.splitlines() == ["640 root", "600 root"]
        # Nothing listens beyond the machine but gossip and the servers' own port.
        listening = nodes.run(name, "ss", "-Hltn").output
        open_ports = {line.split()[3] for line in listening.splitlines() if ":8" in line.split()[3]}
        assert open_ports == {"127.0.0.1:8500", f"{nodes[name].address}:8300", f"{nodes[name].address}:8301"}


def test_a_second_run_changes_nothing(nodes: Lab) -> None:
    assert play(nodes, THREE).succeeded().changed == 0


def test_who_has_no_token_may_do_nothing_and_the_agent_little(nodes: Lab) -> None:
    app = vault(nodes)["consul"]["app_token"]
    write = ("-X", "PUT", "-d", "model")

    assert ask(nodes, "n1", "catalog/nodes", "")[1] == []
    assert ask(nodes, "n1", "kv/experts/coding/active_model", "", *write)[0] == 403
    assert ask(nodes, "n1", "kv/experts/coding/active_model", app, *write) == (200, True)
    assert ask(nodes, "n1", "kv/other", app, *write)[0] == 403
    assert "consul" in ask(nodes, "n1", "catalog/services", app)[1]
    assert ask(nodes, "n1", "acl/tokens", app)[0] == 403
    registered = ("-X", "PUT", "-d", '{"Name": "prima-api-fake"}')
    assert ask(nodes, "n1", "agent/service/register", app, *registered)[0] == 403
    of_node = vault(nodes)["consul"]["agent_tokens"]["n2"]
    assert ask(nodes, "n1", "agent/service/register", of_node, *registered)[0] == 403
    assert ask(nodes, "n1", "kv/experts/coding/active_model", of_node)[0] == 403


def test_the_command_for_people_needs_no_setting(nodes: Lab) -> None:
    assert consul(nodes, "n2", "members").count("alive") == 3
    assert "Permission denied" in nodes.ssh("n2", "/usr/local/bin/consul operator raft list-peers").output


def test_a_changed_variable_restarts_one_server_at_a_time(nodes: Lab) -> None:
    with Sampler(nodes, ["consul"], SERVERS) as sampler:
        changed = play(nodes, THREE, "--extra-vars", "consul_raft_multiplier=2").succeeded()
        back = play(nodes, THREE).succeeded()

    for done in (changed, back):
        assert {name for host in done.hosts.values() for name in host.changed_tasks} == {
            "consul : Write the configuration", "consul : Restart consul",
        }  # fmt: skip
    print(sampler)
    assert sampler.most_down("consul") <= 1, "each was restarted, never two at once"
    assert sampler.longest_pause("consul") < PAUSE_S
    assert voters(nodes, "n1") == set(SERVERS)


def test_a_killed_leader_is_replaced(nodes: Lab) -> None:
    first = leader(nodes, "n1")
    other = next(name for name in SERVERS if name != first)

    nodes.run(first, "systemctl", "kill", "--signal=KILL", "consul")

    wait_until("another leader", lambda: leader(nodes, other) not in ("", first), 30)
    wait_until("the killed one is back", lambda: leader(nodes, first) == leader(nodes, other) != "", 30)


def test_without_the_vault_nothing_is_done(nodes: Lab, tmp_path: Path) -> None:
    done = play(nodes, THREE, env={"CLUSTER_VAULT": str(tmp_path / "empty")})

    assert done.code != 0
    assert "already are a cluster. Restore the vault" in done.output
    assert done.changed == 0
    assert not (tmp_path / "empty").exists()


def main_pid(lab: Lab, name: str) -> str:
    return lab.run(name, "systemctl", "show", "--property=MainPID", "consul").output


def test_secrets_and_certificates_turn_without_a_pause(nodes: Lab) -> None:
    before = vault(nodes)["consul"]
    certificate = nodes.run("n1", "cat", "/etc/consul.d/tls/consul.pem").output

    running = [main_pid(nodes, name) for name in SERVERS]

    with Sampler(nodes, ["consul"], SERVERS) as sampler:
        play(nodes, THREE, "--tags", "rotate").succeeded()

    after = vault(nodes)["consul"]
    assert "previous" not in vault(nodes)
    print(sampler)
    assert [main_pid(nodes, name) for name in SERVERS] == running, "nobody was restarted"
    # On a busy machine an answer may be late.
    assert sampler.most_down("consul") <= 1
    assert sampler.longest_pause("consul") < PAUSE_S
    for name in ("management_token", "app_token", "nomad_token"):
        assert after[name] != before[name]
        assert ask(nodes, "n1", "acl/token/self", before[name])[0] == 403
        assert ask(nodes, "n1", "acl/token/self", after[name])[0] == 200
    keys = ask(nodes, "n1", "operator/keyring")[1]
    assert [list(ring["Keys"]) for ring in keys] == [[after["gossip_key"]]]
    assert nodes.run("n1", "cat", "/etc/consul.d/tls/consul.pem").output != certificate
    assert voters(nodes, "n1") == set(SERVERS)
    assert play(nodes, THREE).succeeded().changed == 0


def test_a_reinstalled_server_and_a_new_worker_join(nodes: Lab, tmp_path: Path) -> None:
    before = vault(nodes)
    gone = next(name for name in SERVERS if name != leader(nodes, "n1"))
    nodes.reinstall(gone)
    nodes.add("n4")

    # From a control node that has nothing of earlier runs but the vault.
    play(nodes, four(nodes), env={"ANSIBLE_HOME": str(tmp_path), "TMPDIR": str(tmp_path)}).succeeded()

    wait_until("three voters", lambda: voters(nodes, "n4" if gone == "n1" else "n1") == set(SERVERS), 60)
    assert len({leader(nodes, name) for name in [*SERVERS, "n4"]}) == 1
    after = vault(nodes)
    assert after["consul"]["gossip_key"] == before["consul"]["gossip_key"]
    assert set(after["consul"]["agent_tokens"]) == {*SERVERS, "n4"}
    assert nodes.run("n4", "ls", "/etc/consul.d/management.token").code != 0
    assert "n4" in consul(nodes, "n4", "members")


def test_all_off_and_on_again_needs_no_hand(nodes: Lab) -> None:
    for node in nodes:
        node.power_cut()

    nodes.start()

    wait_until("one leader everywhere", lambda: len({leader(nodes, name) for name in SERVERS} - {""}) == 1, 90)
    wait_until("all voters", lambda: voters(nodes, "n1") == set(SERVERS), 60)


def test_a_machine_that_leaves_takes_everything_along(nodes: Lab) -> None:
    playbook = nodes.path / "leave.yaml"
    playbook.write_text(
        yaml.safe_dump(
            [
                {
                    "hosts": "n4",
                    "become": True,
                    "vars": {"preflight_service_manager": "systemd"},
                    "vars_files": [str(Path.cwd() / "group_vars/all.yaml")],
                    "tasks": [{"ansible.builtin.import_role": {"name": "consul", "tasks_from": "uninstall"}}],
                }
            ]
        )
    )

    nodes.play(playbook, four(nodes), quiet=True).succeeded()

    left = (
        "ls -d /etc/consul.d /opt/consul /opt/hashicorp/consul /usr/local/bin/consul /etc/systemd/system/consul.service"
    )
    assert nodes.run("n4", "sh", "-c", f"{left} 2>/dev/null; getent passwd consul").output == ""
    members = {line.split()[0]: line.split()[2] for line in consul(nodes, "n1", "members").splitlines()[1:]}
    assert members["n4"] == "left"
