"""The role node_admin on real machines: the unit does what was agreed to, and the agent's user gets no further."""

from __future__ import annotations

import asyncio
import json
import shutil
import sqlite3
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from testing.fakes.node_admin import SOURCE, AgentJournal
from testing.lab.lab import Lab
from testing.lab.play import Play

pytestmark = pytest.mark.lab

STATE = "/var/lib/pipecatapp-node-admin"
CLIENT = (
    "import socket, sys; s = socket.socket(socket.AF_UNIX); s.connect('/run/pipecatapp-node-admin.sock');"
    "s.sendall(sys.argv[1].encode() + b'\\n'); print(s.makefile().read())"
)


def play(lab: Lab, *options: str) -> Play:
    networks = json.dumps({"cluster_networks": [str(lab.network.subnet)]})
    inventory = {"controller_nodes": ["n1"], "worker_nodes": ["n2"]}
    return lab.play("testing/lab/node_admin.yaml", inventory, f"--extra-vars={networks}", *options)


def agree(lab: Lab, folder: Path, tool: str, arguments: dict[str, Any], approval: str) -> None:
    """Write a yes into the record of the agent on n1."""

    async def write() -> None:
        journal = AgentJournal(folder)
        await journal.agree(tool, arguments, approval, expires_at=time.time() + 600)
        await journal.journal.close()

    folder.mkdir(exist_ok=True)
    asyncio.run(write())
    with sqlite3.connect(folder / "journal.db") as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    target = lab["n1"].root / "var/lib/pipecatapp/journal.db"
    target.write_bytes((folder / "journal.db").read_bytes())
    lab.run("n1", "sh", "-c", "chown pipecatapp: /var/lib/pipecatapp/*; chmod 600 /var/lib/pipecatapp/*")


def ask(lab: Lab, user: str, verb: str, node: str, approval: str) -> dict[str, Any]:
    line = json.dumps({"verb": verb, "node": node, "approval": approval})
    done = lab.run("n1", "runuser", "-u", user, "--", "/usr/bin/python3", "-c", CLIENT, line, limit_s=300)
    assert done.code == 0, done.output
    last: dict[str, Any] = json.loads(done.output.strip().splitlines()[-1])
    return last


@pytest.fixture(scope="module")
def house(lab: Lab) -> Lab:
    lab.add("n1", "n2", "n3")
    without_caches = shutil.ignore_patterns("__pycache__")
    shutil.copytree(
        SOURCE / "node_admin", lab["n1"].root / "opt/pipecatapp/program/src/node_admin", ignore=without_caches
    )
    play(lab).succeeded()
    return lab


def test_a_second_run_changes_nothing(house: Lab) -> None:
    assert play(house).succeeded().changed == 0


def test_the_agents_user_gets_no_further_than_the_socket(house: Lab) -> None:
    for command in (
        f"ls {STATE}",
        f"cat {STATE}/.ssh/id_ed25519",
        f"echo >>{STATE}/inventory.json",
        "echo >>/etc/pipecatapp-node-admin.json",
        "cat /etc/pipecatapp-node-admin.json",
        "echo >>/opt/pipecatapp/program/playbook.yaml",
        "echo >>/opt/pipecatapp/program/src/node_admin/admin.py",
        "sudo -n true",
    ):
        tried = house.run("n1", "runuser", "-u", "pipecatapp", "--", "sh", "-c", command)
        assert tried.code != 0, command
    stranger = house.run("n1", "runuser", "-u", "nobody", "--", "/usr/bin/python3", "-c", CLIENT, "{}")
    assert "Permission" in stranger.output


def test_a_forged_yes_is_none(house: Lab, tmp_path: Path) -> None:
    agree(house, tmp_path / "agent", "nodes.wake", {"node": "n2"}, "a" * 16)

    assert ask(house, "pipecatapp", "remove", "n2", "a" * 16)["text"] == "the approval is for something else"
    assert ask(house, "pipecatapp", "wake", "n2", "b" * 16)["text"] == "there is no such approval"


def test_a_machine_joins_by_its_own_account(house: Lab, tmp_path: Path) -> None:
    key = house.run("n1", "cat", f"{STATE}/.ssh/id_ed25519.pub").output
    house.run("n3", "sh", "-c", f"echo '{key.strip()}' >>~deploy/.ssh/authorized_keys")
    public = tmp_path / "n3.pub"
    public.write_text(house["n3"].public_key)
    printed = subprocess.run(["ssh-keygen", "-lf", str(public)], capture_output=True, text=True, check=True).stdout
    agreed = {"node": "n3", "address": house["n3"].address, "host_key": printed.split()[1], "mac": "00:11:22:33:44:55"}
    agree(house, tmp_path / "agent", "nodes.join", agreed, "c" * 16)

    answer = ask(house, "pipecatapp", "join", "n3", "c" * 16)

    assert answer == {"ok": True, "text": "n3 is a worker now."}
    for node in ("n1", "n2", "n3"):
        assert house.run(node, "cat", "/root/joined").output == "joined"
    assert ask(house, "pipecatapp", "join", "n3", "c" * 16)["text"] == "this approval was used before"
    logged = house.run("n1", "journalctl", "--no-pager", "-u", "pipecatapp-node-admin").output
    assert "join n3 is done" in logged
