"""A hostile client, and an agent that was taken over as far as it can lie without writing its own record."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from pipecatapp.domain import ApprovalState, Preview
from testing.fakes.node_admin import KEY, YES, AgentJournal, Unit

pytestmark = pytest.mark.integration


async def refused(unit: Unit, verb: str, node: str, approval: str = YES) -> str:
    lines = await unit.ask(verb, node, approval)
    assert lines[-1]["ok"] is False
    assert unit.called == []
    return str(lines[-1]["text"])


async def test_a_forged_approval_is_refused(unit: Unit, journal: AgentJournal) -> None:
    await journal.agree("nodes.heal", {})

    assert await refused(unit, "heal", "", "0" * 16) == "there is no such approval"


async def test_an_approval_counts_once(unit: Unit, journal: AgentJournal) -> None:
    await journal.agree("nodes.heal", {})

    assert (await unit.ask("heal", ""))[-1]["ok"] is True
    first = list(unit.called)
    assert (await unit.ask("heal", ""))[-1]["text"] == "this approval was used before"
    assert unit.called == first


@pytest.mark.parametrize(
    ("tool", "arguments", "verb", "node"),
    [
        ("nodes.heal", {}, "heal", "n2"),
        ("nodes.heal", {"node": "n1"}, "heal", ""),
        ("nodes.remove", {"node": "n3"}, "remove", "n2"),
        ("nodes.wake", {"node": "n2"}, "remove", "n2"),
        ("ssh.run_command", {"node": "n2"}, "remove", "n2"),
        ("clock.now", {}, "heal", ""),
    ],
)
async def test_a_yes_to_something_else_is_none(
    unit: Unit, journal: AgentJournal, tool: str, arguments: dict[str, str], verb: str, node: str
) -> None:
    await journal.agree(tool, arguments)

    assert await refused(unit, verb, node) == "the approval is for something else"


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"state": ApprovalState.PENDING, "by": ""}, "nobody has said yes"),
        ({"state": ApprovalState.APPROVED}, "nobody has said yes"),
        ({"state": ApprovalState.REFUSED}, "nobody has said yes"),
        ({"state": ApprovalState.LOST}, "nobody has said yes"),
        ({"by": "session"}, "nobody has said yes"),
        ({"by": "timeout"}, "nobody has said yes"),
        ({"preview": Preview("Look.", look=True)}, "nobody has said yes"),
        ({"expires_at": time.time() - 3600}, "too long ago"),
    ],
)
async def test_only_a_persons_yes_that_is_carried_out_now_counts(
    unit: Unit, journal: AgentJournal, fields: dict[str, Any], reason: str
) -> None:
    await journal.agree("nodes.heal", {}, **fields)

    assert reason in await refused(unit, "heal", "")


@pytest.mark.parametrize(
    "node",
    [
        "../n2",
        "n2/..",
        "all",
        "n2,n1",
        "!n1",
        "n2 --extra-vars=x",
        "-e",
        "localhost",
        "N2",
        "n2\n",
        "é",
        "a" * 64,
        "",
        "7",
    ],
)
async def test_what_is_no_name_reaches_no_program(unit: Unit, journal: AgentJournal, node: str) -> None:
    await journal.agree("nodes.remove", {"node": node})

    assert "a node's name has" in await refused(unit, "remove", node)


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"address": "8.8.8.8"}, "is not an address of this house"),
        ({"address": "127.0.0.0"}, "is not an address of this house"),
        ({"address": "127.0.0.255"}, "is not an address of this house"),
        ({"address": "127.0.0.9; id"}, "address is no IPv4 address"),
        ({"address": ["127.0.0.9"]}, "address is no IPv4 address"),
        ({"address": "::1"}, "address is no IPv4 address"),
        ({"host_key": "MD5:aa"}, "host_key is the fingerprint"),
        ({"user": "root"}, "user is the account"),
        ({"user": "a b"}, "user is the account"),
        ({"mac": "zz"}, "mac is the card's address"),
    ],
)
async def test_what_was_agreed_to_is_looked_at_too(
    unit: Unit, journal: AgentJournal, changed: dict[str, Any], reason: str
) -> None:
    await journal.agree("nodes.join", {"node": "n3", "address": "127.0.0.9", "host_key": KEY, **changed})

    assert reason in await refused(unit, "join", "n3")
    assert "n3" not in unit.workers


@pytest.mark.parametrize(
    "data",
    [
        b"\n", b"null\n", b"[]\n", b"{}\n", b'{"verb": "heal"}\n', b"\xff\xfe\n", b"[" * 900 + b"\n",
        b'{"verb": "heal", "node": "", "approval": "0123456789abcdef", "more": 1}\n',
        b'{"verb": "shell", "node": "", "approval": "0123456789abcdef"}\n',
        b'{"verb": ["heal"], "node": "", "approval": "0123456789abcdef"}\n',
        b'{"verb": "heal", "node": {}, "approval": "0123456789abcdef"}\n',
        b'{"verb": "heal", "node": "", "approval": "\' OR 1=1 --"}\n',
        b"x" * 5_000_000, b'{"verb": "heal", "node": "' + b"a" * 3000 + b'"}\n',
    ],
)  # fmt: skip
async def test_nonsense_is_refused_in_words(unit: Unit, journal: AgentJournal, data: bytes) -> None:
    await journal.agree("nodes.heal", {})

    lines = await unit.send(data)

    assert not lines or lines[-1]["ok"] is False
    assert unit.called == []
    assert (await unit.ask("heal", ""))[-1]["ok"] is True  # it serves on


async def test_a_second_client_is_told_to_wait(unit: Unit, journal: AgentJournal) -> None:
    await journal.agree("nodes.heal", {})
    await journal.agree("nodes.remove", {"node": "n2"}, "f" * 16)
    unit.script('echo "TASK [a : b] **"; sleep 2')

    first = asyncio.create_task(unit.ask("heal", ""))
    async with asyncio.timeout(20):
        while not unit.called:
            await asyncio.sleep(0.05)
    second = await unit.ask("remove", "n2", "f" * 16)

    assert "another node is being worked on" in second[-1]["text"]
    assert (await first)[-1]["ok"] is True
    unit.script("true")
    assert (await unit.ask("remove", "n2", "f" * 16))[-1]["ok"] is True  # that yes was not used up


async def test_silent_clients_do_not_keep_others_out_for_long(tmp_path: Path, journal: AgentJournal) -> None:
    await journal.agree("nodes.heal", {})
    with Unit(tmp_path, journal.journal.path) as unit:
        silent = [await asyncio.open_unix_connection(unit.socket) for _ in range(20)]
        async with asyncio.timeout(30):
            while not (lines := await unit.ask("heal", "")) or lines[-1]["ok"] is not True:
                await asyncio.sleep(0.5)
        for _, writer in silent:
            writer.close()


async def test_another_user_is_refused_by_the_kernels_word(unit: Unit, journal: AgentJournal, tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can be somebody else")
    await journal.agree("nodes.heal", {})
    for folder in (tmp_path, *tmp_path.parents):
        if not folder.stat().st_mode & 0o001:
            folder.chmod(folder.stat().st_mode | 0o011)
    client = (
        "import socket, sys; s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]);"
        "s.sendall(sys.argv[2].encode() + b'\\n'); print(s.makefile().read())"
    )
    line = json.dumps({"verb": "heal", "node": "", "approval": YES})
    somebody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    said = await asyncio.to_thread(
        subprocess.run,
        [*somebody, "/usr/bin/python3", "-c", client, str(unit.socket), line],
        capture_output=True,
        text=True,
    )  # fmt: skip

    assert "only the agent may ask" in said.stdout, said.stderr
    assert unit.called == []


@pytest.mark.parametrize("what", ["folder", "file"])
def test_playbooks_that_others_may_write_are_not_run(tmp_path: Path, what: str) -> None:
    unit = Unit(tmp_path, tmp_path / "journal.db")
    (unit.playbooks if what == "folder" else unit.playbooks / "playbook.yaml").chmod(0o777)

    unit.start()
    assert unit.process is not None
    _, logged = unit.process.communicate(timeout=20)

    assert unit.process.returncode == 2
    assert "can be written by others than root" in logged


async def test_its_files_are_for_it_alone(unit: Unit, journal: AgentJournal) -> None:
    await journal.agree("nodes.remove", {"node": "n2"})

    await unit.ask("remove", "n2")

    for path in (unit.state / "inventory.json", unit.state / "used", unit.state / "run.json", unit.state / "last.log"):
        assert path.stat().st_mode & 0o077 == 0, path


async def test_a_record_that_is_written_all_the_time_is_read(unit: Unit, journal: AgentJournal) -> None:
    await journal.agree("nodes.heal", {})

    async def write() -> None:
        for number in range(400):
            await journal.agree("clock.now", {}, f"{number:016x}", words="x" * 2000)

    writing = asyncio.create_task(write())
    lines = await unit.ask("heal", "")
    await writing

    assert lines[-1]["ok"] is True, lines


def test_it_starts_by_its_socket_alone() -> None:
    done = subprocess.run([sys.executable, "-m", "node_admin"], capture_output=True, text=True, timeout=60)

    assert done.returncode == 2
    assert "is started by its socket" in done.stderr
