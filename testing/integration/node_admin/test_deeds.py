"""What the unit does once a person has said yes."""

from __future__ import annotations

import asyncio
import ipaddress
import json
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from node_admin import wake
from pipecatapp.errors import ToolError
from pipecatapp.ports import ToolContext
from pipecatapp.tools.nodes import HEAL, WAKE, NodeTool
from testing.fakes.node_admin import KEY, YES, AgentJournal, Unit
from testing.ports import free_port

pytestmark = pytest.mark.integration


@pytest.fixture
def ssh_server(tmp_path: Path) -> str:
    """A program ``ssh-keyscan`` for one machine of the house; the fingerprint of that machine's key."""
    if not shutil.which("ssh-keygen"):
        pytest.skip("no ssh-keygen here")
    key = tmp_path / "host"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    printed = subprocess.run(["ssh-keygen", "-lf", str(key)], capture_output=True, text=True, check=True).stdout
    public = " ".join(key.with_suffix(".pub").read_text().split()[:2])
    scan = tmp_path / "prefix"
    # The unit gives up what it may through a prefix of each command; here that knows the house's machines.
    scan.write_text(f'#!/bin/sh\n[ "$1" = ssh-keyscan ] || exec "$@"\necho "# comment"\necho "$6 {public}"\n')
    scan.chmod(0o755)
    return printed.split()[1]


@pytest.fixture
def unit(tmp_path: Path, journal: AgentJournal) -> Iterator[Unit]:
    made = Unit(tmp_path, journal.journal.path)
    if (tmp_path / "prefix").exists():
        made.settings["prefix"] = [str(tmp_path / "prefix")]
    with made:
        yield made


async def test_join_makes_a_worker_whose_key_is_known(ssh_server: str, unit: Unit, journal: AgentJournal) -> None:
    agreed = {"node": "n3", "address": "127.0.0.9", "host_key": ssh_server, "mac": "00:11:22:33:44:AA"}
    await journal.agree("nodes.join", agreed)
    unit.script('echo "TASK [common : Install packages] ****"; echo "n3 : ok=3 changed=1 unreachable=0 failed=0"')

    lines = await unit.ask("join", "n3")

    assert lines[-1] == {"ok": True, "text": "n3 is a worker now."}
    assert {"progress": "common : Install packages"} in lines
    assert unit.workers["n3"] == {
        "ansible_host": "127.0.0.9", "ansible_user": "deploy", "host_key": ssh_server, "mac": "00:11:22:33:44:aa",
    }  # fmt: skip
    assert unit.called[-1] == str(unit.playbooks / "playbook.yaml")
    assert (unit.state / ".ssh/known_hosts").read_text().startswith("127.0.0.9 ssh-ed25519 ")
    assert list(json.loads((unit.state / "machines.json").read_text())["worker_nodes"]) == ["n2"], "a person's stays"
    assert unit.run["state"] == "done"


async def test_a_machine_with_another_key_does_not_join(ssh_server: str, unit: Unit, journal: AgentJournal) -> None:
    await journal.agree("nodes.join", {"node": "n3", "address": "127.0.0.9", "host_key": KEY})

    lines = await unit.ask("join", "n3")

    assert lines[-1]["ok"] is False
    assert "not the machine that was agreed to" in lines[-1]["text"]
    assert list(unit.workers) == ["n2"]
    assert unit.called == []


async def test_a_join_that_failed_goes_on_with_another_yes(ssh_server: str, unit: Unit, journal: AgentJournal) -> None:
    agreed = {"node": "n3", "address": "127.0.0.9", "host_key": ssh_server}
    await journal.agree("nodes.join", agreed)
    unit.script('echo "TASK [consul : Start it] ***"; echo "secret=hunter2"; exit 2')

    failed = await unit.ask("join", "n3")
    await journal.agree("nodes.join", agreed, "f" * 16)
    unit.script("true")
    done = await unit.ask("join", "n3", "f" * 16)

    assert failed[-1]["text"].startswith("playbook.yaml failed at 'consul : Start it'; n3 is in the inventory")
    assert "hunter2" not in json.dumps(failed)
    assert done[-1]["ok"] is True


async def test_remove_takes_a_worker_out(unit: Unit, journal: AgentJournal) -> None:
    await journal.agree("nodes.remove", {"node": "n2"})

    lines = await unit.ask("remove", "n2")

    assert lines[-1]["ok"] is True
    assert unit.called[1:] == ['--extra-vars={"removed_node": "n2"}', str(unit.playbooks / "remove_node.yaml")]
    await journal.agree("nodes.heal", {}, "f" * 16)
    assert (await unit.ask("heal", "", "f" * 16))[-1]["ok"] is True
    assert unit.workers == {}


async def test_a_controller_is_not_removed(unit: Unit, journal: AgentJournal) -> None:
    await journal.agree("nodes.remove", {"node": "n1"})

    assert "is a controller" in (await unit.ask("remove", "n1"))[-1]["text"]
    assert unit.called == []


async def test_a_removal_that_fails_leaves_the_node_where_it_was(unit: Unit, journal: AgentJournal) -> None:
    await journal.agree("nodes.remove", {"node": "n2"})
    unit.script("exit 4")

    assert (await unit.ask("remove", "n2"))[-1]["ok"] is False
    assert "n2" in unit.workers


async def test_wake_sends_the_packet_to_the_house(tmp_path: Path, journal: AgentJournal) -> None:
    await journal.agree("nodes.wake", {"node": "n2"}, by="voice")
    port = free_port()
    unit = Unit(tmp_path, journal.journal.path)
    unit.write_inventory({}, {"n2": {"ansible_host": "127.0.0.3", "mac": "00:11:22:33:44:55"}})
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as card, unit:
        card.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        card.bind(("127.255.255.255", port))
        card.settimeout(10)
        wake.send("00:11:22:33:44:55", [ipaddress.IPv4Network("127.0.0.0/8")], port)
        packet = card.recv(200)
        lines = await unit.ask("wake", "n2")

    assert packet == b"\xff" * 6 + bytes.fromhex("001122334455") * 16
    assert lines == [{"ok": True, "text": "n2 was called; it needs a minute to start."}]


async def test_nobody_waits_for_ever_for_a_playbook(tmp_path: Path, journal: AgentJournal) -> None:
    await journal.agree("nodes.heal", {})
    with Unit(tmp_path, journal.journal.path, limit_s=1.0) as unit:
        unit.script('echo "TASK [nomad : Wait] **"; sleep 60')
        lines = await unit.ask("heal", "")

    assert "took longer than 1 seconds at 'nomad : Wait'" in lines[-1]["text"]


async def test_cancel_ends_all_that_runs(unit: Unit, journal: AgentJournal, tmp_path: Path) -> None:
    await journal.agree("nodes.heal", {})
    unit.script(f'sleep 300 & echo $! >{tmp_path}/child; echo "TASK [a : b] **"; wait')

    lines = await unit.ask("heal", "", cancel_after="a : b")

    assert "it was cancelled" in lines[-1]["text"]
    child = (tmp_path / "child").read_text().strip()
    assert not Path(f"/proc/{child}").exists() or "Z" in Path(f"/proc/{child}/stat").read_text().split()[2]


async def test_a_client_that_goes_away_ends_nothing(unit: Unit, journal: AgentJournal) -> None:
    await journal.agree("nodes.heal", {})
    unit.script('echo "TASK [a : b] **"; sleep 1')
    _, writer = await asyncio.open_unix_connection(unit.socket)
    writer.write(json.dumps({"verb": "heal", "node": "", "approval": YES}).encode() + b"\n")
    await writer.drain()
    writer.close()
    async with asyncio.timeout(20):
        while not (unit.state / "run.json").exists() or unit.run["state"] == "running":
            await asyncio.sleep(0.1)

    assert unit.run["state"] == "done"


async def test_a_killed_unit_says_what_was_cut_off(unit: Unit, journal: AgentJournal) -> None:
    await journal.agree("nodes.heal", {})
    unit.script('echo "TASK [a : b] **"; sleep 5')
    asking = asyncio.create_task(unit.ask("heal", ""))
    async with asyncio.timeout(20):
        while not (unit.state / "run.json").exists():
            await asyncio.sleep(0.05)
    unit.stop(signal.SIGKILL)
    await asking
    unit.start()
    unit.script("true")

    again = await unit.ask("heal", "")
    await journal.agree("nodes.heal", {}, "f" * 16)
    fresh = await unit.ask("heal", "", "f" * 16)

    assert again[-1]["text"] == "this approval was used before"
    assert fresh[-1]["ok"] is True


async def test_new_settings_wait_until_the_run_is_over(unit: Unit, journal: AgentJournal) -> None:
    await journal.agree("nodes.heal", {})
    unit.script('echo "TASK [a : b] **"; sleep 1')
    asking = asyncio.create_task(unit.ask("heal", ""))
    async with asyncio.timeout(20):
        while not (unit.state / "run.json").exists():
            await asyncio.sleep(0.05)
    assert unit.process is not None
    unit.process.send_signal(signal.SIGHUP)

    assert (await asking)[-1]["ok"] is True
    assert await asyncio.to_thread(unit.process.wait, 20) == 0


async def test_the_agents_tool_shows_steps_and_the_end(unit: Unit, journal: AgentJournal) -> None:
    await journal.agree("nodes.heal", {})
    unit.script('echo "TASK [nomad : Start it] **"')
    shown: list[str] = []

    result = await NodeTool(HEAL, unit.socket).run({}, ToolContext("c", "t", approval=YES, progress=shown.append))

    assert result.ok
    assert shown == ["nomad : Start it"]


async def test_the_agents_tool_needs_a_yes(unit: Unit) -> None:
    with pytest.raises(ToolError, match="needs a person's yes"):
        await NodeTool(WAKE, unit.socket).run({"node": "n2"}, ToolContext("c", "t"))


async def test_secrets_of_the_environment_do_not_reach_ansible(unit: Unit, journal: AgentJournal) -> None:
    await journal.agree("nodes.heal", {})

    await unit.ask("heal", "")

    names = {line.partition("=")[0] for line in (unit.ansible / "environment").read_text().splitlines()}
    assert "LISTEN_FDS" not in names
    assert "PYTHONPATH" not in names
