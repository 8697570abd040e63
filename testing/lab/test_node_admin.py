"""The role node_admin on real machines, told in order: a person's yes lets a machine join a living cluster, heals it,
wakes it and takes it out again; and the agent's user gets no further than the socket.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import sqlite3
import subprocess
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import yaml

from testing.fakes.node_admin import AgentJournal
from testing.lab.house import House
from testing.lab.lab import Lab
from testing.lab.node import Node, wait_until
from testing.lab.play import REPOSITORY, Play

pytestmark = [pytest.mark.lab, pytest.mark.timeout(3600)]

STATE = "/var/lib/pipecatapp-node-admin"
PROGRAM = "opt/pipecatapp/program"
BINARIES = "opt/lab/bin"
MAC = "00:11:22:33:44:55"
CLIENT = (
    "import socket, sys; s = socket.socket(socket.AF_UNIX); s.connect('/run/pipecatapp-node-admin.sock');"
    "s.sendall(sys.argv[1].encode() + b'\\n'); print(s.makefile().read())"
)
CARD = (
    "import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(('', 9)); s.settimeout(60);"
    "print('ready', flush=True); print(s.recv(200).hex())"
)


class Unit:
    """The unit of a house's first controller, and a person who says yes."""

    def __init__(self, house: House, folder: Path) -> None:
        self.house = house
        self.lab = house.lab
        self._folder = folder
        self._approvals = iter(f"{number:016x}" for number in range(1, 100))
        self.last = ""

    def play(self, *options: str, workers: Sequence[str] = ()) -> Play:
        """A person runs the playbook."""
        return self.run("testing/lab/node_admin.yaml", *options, workers=workers)

    def run(self, playbook: str, *options: str, workers: Sequence[str] = ()) -> Play:
        """A person runs a playbook."""
        networks = json.dumps({"cluster_networks": [str(self.lab.network.subnet)]})
        inventory = {"controller_nodes": ["n1"], "worker_nodes": list(workers)}
        return self.lab.play(playbook, inventory, f"--extra-vars={networks}", *options)

    def agree(self, tool: str, arguments: dict[str, Any]) -> str:
        """Write a yes into the record of the agent; its id."""
        self.last = next(self._approvals)

        folder = self._folder / self.last

        async def write() -> None:
            journal = AgentJournal(folder)
            await journal.agree(tool, arguments, self.last, expires_at=time.time() + 600)
            await journal.journal.close()

        folder.mkdir(parents=True)
        asyncio.run(write())
        with closing(sqlite3.connect(folder / "journal.db")) as database:
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        target = self.lab["n1"].root / "var/lib/pipecatapp/journal.db"
        target.write_bytes((folder / "journal.db").read_bytes())
        self.lab.run("n1", "sh", "-c", "chown pipecatapp: /var/lib/pipecatapp/*; chmod 600 /var/lib/pipecatapp/*")
        return self.last

    def ask(self, verb: str, node: str, approval: str, limit_s: float = 1800) -> dict[str, Any]:
        """Ask as the agent's user; the last line of the answer."""
        line = json.dumps({"verb": verb, "node": node, "approval": approval})
        command = ["runuser", "-u", "pipecatapp", "--", "/usr/bin/python3", "-c", CLIENT, line]
        done = self.lab.run("n1", *command, limit_s=limit_s)
        assert done.code == 0, done.output
        last: dict[str, Any] = json.loads(done.output.strip().splitlines()[-1])
        if not last["ok"]:
            print(self.lab.run("n1", "tail", "-c", "6000", f"{STATE}/last.log").output)
        return last

    def kept(self, name: str) -> Any:
        """A file of the unit's own."""
        text = self.lab.run("n1", "cat", f"{STATE}/{name}").output
        return yaml.safe_load(text)

    def members(self) -> dict[str, str]:
        """What Consul says of each machine."""
        said = self.house.ask("consul", "n1", "/v1/agent/members") or []
        return {each["Name"]: {1: "alive", 3: "left", 4: "failed"}.get(each["Status"], "?") for each in said}

    def workers_of_nomad(self) -> dict[str, str]:
        """What Nomad says of each machine."""
        return {each["Name"]: each["Status"] for each in self.house.ask("nomad", "n1", "/v1/nodes") or []}


def lay_program(lab: Lab, node: Node) -> None:
    """Put the repository's playbooks where the agent's program lies, with what this machine's inventory adds."""
    program = node.root / PROGRAM
    lab.run(node.name, "mkdir", "-p", f"/{PROGRAM}/src", f"/{PROGRAM}/testing/lab", f"/{BINARIES}")
    without_caches = shutil.ignore_patterns("__pycache__")
    for name in ("ansible", "group_vars", "src/node_admin"):
        shutil.copytree(REPOSITORY / name, program / name, ignore=without_caches)
    shutil.copytree(REPOSITORY / "testing/lab/jobs", program / "testing/lab/jobs")
    for name in ("ansible.cfg", "heal_cluster.yaml", "remove_node.yaml", "testing/lab/house.yaml",
                 "testing/lab/node_admin.yaml"):  # fmt: skip
        shutil.copy(REPOSITORY / name, program / name)
    (program / "playbook.yaml").write_text(
        "- name: Make the house\n  ansible.builtin.import_playbook: testing/lab/node_admin.yaml\n"
    )
    variables = yaml.safe_load((program / "group_vars/all.yaml").read_text())
    # What every machine of this lab has as its own variables, a person of a house writes into this file.
    mine = yaml.safe_load(lab.inventory({"controller_nodes": ["n1"]}).read_text())["controller_nodes"]["hosts"]["n1"]
    mine = {name: value for name, value in mine.items() if not name.startswith("ansible_")}
    for name in [name for name in mine if name.endswith("_binary_folder")]:
        binary = name.removesuffix("_binary_folder")
        shutil.copy(Path(mine[name]) / binary, node.root / BINARIES / binary)
        mine[name] = f"/{BINARIES}"
    variables |= {**mine, "cluster_networks": [str(lab.network.subnet)]}
    (program / "group_vars/all.yaml").write_text(yaml.safe_dump(variables))


@pytest.fixture(scope="module")
def unit(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Unit:
    lab.add("n1", "node4")
    lay_program(lab, lab["n1"])
    made = Unit(House(lab), tmp_path_factory.mktemp("agent") / "record")
    made.play().succeeded()
    return made


def test_the_agents_user_gets_no_further_than_the_socket(unit: Unit) -> None:
    for command in (
        f"ls {STATE}",
        f"cat {STATE}/.ssh/id_ed25519",
        f"cat {STATE}/vault/secrets.yaml",
        f"echo >>{STATE}/machines.json",
        "echo >>/etc/pipecatapp-node-admin.json",
        "cat /etc/pipecatapp-node-admin.json",
        f"echo >>/{PROGRAM}/playbook.yaml",
        f"echo >>/{PROGRAM}/src/node_admin/admin.py",
        "sudo -n true",
    ):
        tried = unit.lab.run("n1", "runuser", "-u", "pipecatapp", "--", "sh", "-c", command)
        assert tried.code != 0, command
    stranger = unit.lab.run("n1", "runuser", "-u", "nobody", "--", "/usr/bin/python3", "-c", CLIENT, "{}")
    assert "Permission" in stranger.output
    found = unit.lab.run("n1", "find", f"{STATE}/vault", "-printf", "%u %m %y\\n").output.splitlines()
    assert set(found) == {"pipecatapp-admin 700 d", "pipecatapp-admin 600 f"}


def test_a_forged_yes_is_none(unit: Unit) -> None:
    wake = unit.agree("nodes.wake", {"node": "n1"})

    assert unit.ask("remove", "n1", wake)["text"] == "the approval is for something else"
    assert unit.ask("wake", "n1", "b" * 16)["text"] == "there is no such approval"


def test_a_machine_joins_by_its_own_account(unit: Unit, tmp_path: Path) -> None:
    lab = unit.lab
    key = lab.run("n1", "cat", f"{STATE}/.ssh/id_ed25519.pub").output
    lab.run("node4", "sh", "-c", f"echo '{key.strip()}' >>~deploy/.ssh/authorized_keys")
    public = tmp_path / "node4.pub"
    public.write_text(lab["node4"].public_key)
    printed = subprocess.run(["ssh-keygen", "-lf", str(public)], capture_output=True, text=True, check=True).stdout
    agreed = {"node": "node4", "address": lab["node4"].address, "host_key": printed.split()[1], "mac": MAC}
    before = unit.kept("vault/secrets.yaml")
    approval = unit.agree("nodes.join", agreed)

    answer = unit.ask("join", "node4", approval)

    assert answer == {"ok": True, "text": "node4 is a worker now."}
    wait_until("all in Consul", lambda: unit.members() == dict.fromkeys(("n1", "node4"), "alive"), 60)
    if unit.house.nomad:
        wait_until("all in Nomad", lambda: unit.workers_of_nomad() == dict.fromkeys(("n1", "node4"), "ready"), 60)
    account = f"pipecatapp-admin@{lab['node4'].address}"
    inside = ["ssh", "-o", "BatchMode=yes", account, "mkdir -p ~/.ansible/tmp && sudo -n true"]
    assert lab.run("n1", "runuser", "-u", "pipecatapp-admin", "--", *inside).code == 0, "as which it comes from now on"
    after = unit.kept("vault/secrets.yaml")
    assert set(after["consul"]["agent_tokens"]) == {"n1", "node4"}
    assert after["consul"]["gossip_key"] == before["consul"]["gossip_key"]
    assert unit.ask("join", "node4", approval)["text"] == "this approval was used before"
    logged = lab.run("n1", "journalctl", "--no-pager", "-u", "pipecatapp-node-admin").output
    assert "join node4 is done" in logged
    for secret in (after["consul"]["management_token"], after["consul"]["gossip_key"]):
        assert secret not in logged + lab.run("n1", "cat", f"{STATE}/last.log").output


def test_a_person_whose_inventory_does_not_name_it_loses_nothing_of_it(unit: Unit) -> None:
    token = unit.kept("vault/secrets.yaml")["consul"]["agent_tokens"]["node4"]

    done = unit.play().succeeded()

    assert f"node4 joined through the page at {unit.lab['node4'].address}" in done.output
    # The vault of the control node knows it now; on the machines there is nothing to do.
    assert unit.house.vault["consul"]["agent_tokens"]["node4"] == token
    assert {task for host in done.hosts.values() for task in host.changed_tasks} <= {
        "cluster : Make the secrets and certificates that are missing",
        "node_admin : Give it the vault",
    }
    assert unit.play().succeeded().changed == 0
    assert unit.kept("machines.json")["worker_nodes"] == {}
    assert list(unit.kept("joined.json")["joined"]) == ["node4"]
    assert unit.lab.run("node4", "consul", "members").output.count("alive") == 2
    assert (
        unit.lab["node4"].address in unit.lab.run("n1", "nft", "list", "set", "inet", "pipecatapp", "members4").output
    )


def test_a_yes_heals_it(unit: Unit) -> None:
    unit.lab.run("node4", "systemctl", "stop", "consul")

    answer = unit.ask("heal", "", unit.agree("nodes.heal", {}))

    assert answer["ok"] is True, answer
    assert unit.lab.run("node4", "systemctl", "is-active", "consul").output == "active\n"
    wait_until("node4 is back", lambda: unit.members().get("node4") == "alive", 60)


def test_a_yes_wakes_it(unit: Unit) -> None:
    # Its card, while it is awake.
    pid = str(unit.lab["node4"].first_process())
    card = subprocess.Popen(
        ["nsenter", "--net", "--target", pid, "python3", "-c", CARD], stdout=subprocess.PIPE, text=True
    )
    assert card.stdout is not None
    assert card.stdout.readline() == "ready\n"

    answer = unit.ask("wake", "node4", unit.agree("nodes.wake", {"node": "node4"}))

    assert answer == {"ok": True, "text": "node4 was called; it needs a minute to start."}
    heard, _ = card.communicate(timeout=90)
    assert heard.strip() == "ff" * 6 + MAC.replace(":", "") * 16


def test_a_yes_takes_it_out_and_nothing_of_it_counts_any_more(unit: Unit) -> None:
    lab, address = unit.lab, unit.lab["node4"].address
    token = unit.kept("vault/secrets.yaml")["consul"]["agent_tokens"]["node4"]

    answer = unit.ask("remove", "node4", unit.agree("nodes.remove", {"node": "node4"}))

    assert answer == {"ok": True, "text": "node4 is not one of ours any more."}
    assert unit.members() == {"n1": "alive"}
    assert "node4" not in [each["Node"] for each in unit.house.ask("consul", "n1", "/v1/catalog/nodes")]
    if unit.house.nomad:
        assert set(unit.workers_of_nomad()) == {"n1"}
    asked = "http://127.0.0.1:8500/v1/acl/token/self"
    told = f'url = "{asked}"\nheader = "X-Consul-Token: {token}"\nsilent\nfail\n'
    assert lab.run("n1", "curl", "--config", "-", text=told).code == 22, "its token is nobody's"
    assert lab.run("node4", "ls", "/etc/consul.d", "/etc/nomad.d").code != 0
    assert address not in lab.run("n1", "nft", "list", "set", "inet", "pipecatapp", "members4").output
    assert lab.run("n1", "ls", f"{STATE}/vault/nodes").output.split() == ["n1"]
    assert unit.kept("joined.json")["joined"] == {}
    wait_until("its account is gone", lambda: lab.run("node4", "id", "pipecatapp-admin").code != 0, 60)
    assert (
        unit.ask("wake", "node4", unit.agree("nodes.wake", {"node": "node4"}))["text"]
        == "there is no node4 in the inventory"
    )


def test_an_inventory_that_names_it_still_is_told(unit: Unit) -> None:
    refused = unit.play(workers=["node4"])

    assert refused.code != 0
    assert "node4 left the cluster on" in refused.output
    assert "Delete it from inventory.yaml" in refused.output
    assert unit.lab.run("node4", "ls", "/etc/consul.d").code != 0


def test_a_person_takes_it_back_and_removes_it_when_it_is_off(unit: Unit) -> None:
    unit.play("-e", '{"node_admin_welcome": ["node4"]}', workers=["node4"]).succeeded()
    assert unit.members() == dict.fromkeys(("n1", "node4"), "alive")
    assert list(unit.kept("machines.json")["worker_nodes"]) == ["node4"]
    assert unit.kept("joined.json")["removed"] == {}
    unit.lab["node4"].power_cut()

    unit.run("remove_node.yaml", "-e", "removed_node=node4", workers=["node4"]).succeeded()

    assert unit.members() == {"n1": "alive"}
    if unit.house.nomad:
        assert set(unit.workers_of_nomad()) == {"n1"}
    assert set(unit.house.vault["consul"]["agent_tokens"]) == {"n1"}
    assert set(unit.kept("vault/secrets.yaml")["consul"]["agent_tokens"]) == {"n1"}
    assert list(unit.kept("joined.json")["removed"]) == ["node4"]
