"""Commands on another machine, against a real sshd: who is let in, what a new key means, how long commands end."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipecatapp.errors import ToolError
from pipecatapp.ports import ToolContext
from pipecatapp.tools.ssh import RunCommand
from pipecatapp.tools.ssh_folder import SshFolder
from testing.fakes.processes import running, until
from testing.fakes.sshd import PASSWORD, USER, Sshd

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(os.getuid() != 0, reason="an sshd that lets several users in needs root"),
]

CONTEXT = ToolContext("c", "t")


@pytest.fixture
async def sshd() -> AsyncIterator[Sshd]:
    server = Sshd()
    try:
        await server.start()
        yield server
    finally:
        await server.remove()


@pytest.fixture
def folder(tmp_path: Path) -> SshFolder:
    return SshFolder(tmp_path / "ssh")


def call(server: Sshd, command: str, user: str = USER, **more: Any) -> dict[str, Any]:
    return {"host": f"127.0.0.1:{server.port}", "command": command, "username": user, **more}


async def looked(tool: RunCommand, arguments: dict[str, Any]) -> ToolContext:
    """The context of a run after a yes to what the look found."""
    return replace(CONTEXT, seen=(await tool.look(arguments, CONTEXT)).found)


@pytest.fixture
async def known(sshd: Sshd, folder: SshFolder) -> RunCommand:
    """A tool that may log in, on a host that it knows."""
    tool = RunCommand(folder)
    sshd.authorize(folder.public_key())
    assert (await tool.run(call(sshd, "true"), await looked(tool, call(sshd, "true")))).ok
    return tool


async def test_a_first_connection_shows_the_fingerprint_and_a_yes_stores_it(sshd: Sshd, folder: SshFolder) -> None:
    tool = RunCommand(folder)
    sshd.authorize(folder.public_key())
    first = await tool.preview(call(sshd, "echo hello"), CONTEXT)
    assert first.look
    assert first.sentence == f"Connect to 127.0.0.1, port {sshd.port}, which I do not know yet, and see its key."
    assert sshd.fingerprint not in first.detail
    preview = await tool.look(call(sshd, "echo hello"), CONTEXT)
    assert sshd.fingerprint in preview.detail
    assert "echo hello" in preview.sentence
    assert preview.scope == f"{USER}@[127.0.0.1]:{sshd.port}"
    assert not (folder.folder / "known_hosts").exists()
    result = await tool.run(call(sshd, "echo hello"), replace(CONTEXT, seen=preview.found))
    assert result.text == "echo hello on 127.0.0.1 ended with 0: hello"
    assert result.ok
    again = await tool.preview(call(sshd, "echo hello"), CONTEXT)
    assert (again.look, again.scope) == (False, preview.scope)  # it is known: one yes is enough


async def test_nobody_is_connected_to_before_a_yes(folder: SshFolder) -> None:
    connected = asyncio.Event()

    async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connected.set()
        writer.close()

    async with await asyncio.start_server(greet, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        await RunCommand(folder).preview({"host": f"127.0.0.1:{port}", "command": "true"}, CONTEXT)
        await asyncio.sleep(0.2)
        assert not connected.is_set()


async def test_the_yes_holds_over_a_restart(sshd: Sshd, folder: SshFolder) -> None:
    sshd.authorize(folder.public_key())
    context = await looked(RunCommand(folder), call(sshd, "true"))
    assert (await RunCommand(SshFolder(folder.folder)).run(call(sshd, "true"), context)).ok


async def test_a_host_whose_key_nobody_saw_is_not_trusted(sshd: Sshd, folder: SshFolder) -> None:
    sshd.authorize(folder.public_key())
    for context in (CONTEXT, replace(CONTEXT, seen="SHA256:another")):
        with pytest.raises(ToolError, match="nobody has seen the key"):
            await RunCommand(folder).run(call(sshd, "touch ran"), context)
    await RunCommand(folder).look(call(sshd, "touch ran"), CONTEXT)  # shown, and nobody said yes to that
    with pytest.raises(ToolError, match="nobody has seen the key"):
        await RunCommand(folder).run(call(sshd, "touch ran"), CONTEXT)
    assert not (sshd.home / "ran").exists()


async def test_a_changed_key_is_refused(sshd: Sshd, folder: SshFolder, known: RunCommand) -> None:
    before = sshd.fingerprint
    await sshd.stop()
    sshd.new_host_key()
    await sshd.start()
    with pytest.raises(ToolError, match="has changed, so I do not connect") as refused:
        await known.run(call(sshd, "touch ran"), CONTEXT)
    assert before in str(refused.value)
    assert sshd.fingerprint in str(refused.value)
    assert not (sshd.home / "ran").exists()
    target = folder.target(f"127.0.0.1:{sshd.port}", USER)
    assert folder.forget(target)
    assert not folder.forget(target)
    assert sshd.fingerprint in (await known.look(call(sshd, "true"), CONTEXT)).detail


async def test_a_key_that_changes_between_card_and_yes_is_refused(sshd: Sshd, folder: SshFolder) -> None:
    tool = RunCommand(folder)
    sshd.authorize(folder.public_key())
    context = await looked(tool, call(sshd, "true"))
    await sshd.stop()
    sshd.new_host_key()
    await sshd.start()
    for attempt in (tool.run, tool.look):
        with pytest.raises(ToolError, match="has changed"):
            await attempt(call(sshd, "true"), context)
    assert not (folder.folder / "known_hosts").exists()


async def test_a_key_that_is_not_installed_says_what_to_do(sshd: Sshd, folder: SshFolder) -> None:
    tool = RunCommand(folder)
    context = await looked(tool, call(sshd, "true"))
    with pytest.raises(ToolError, match=f"does not let {USER} in.*pipecatapp ssh key.*pipecatapp ssh password"):
        await tool.run(call(sshd, "true"), context)


async def test_a_stored_password_lets_in(sshd: Sshd, folder: SshFolder) -> None:
    tool = RunCommand(folder)
    target = folder.target(f"127.0.0.1:{sshd.port}", USER)
    folder.store_password(target, PASSWORD)
    context = await looked(tool, call(sshd, "id -un"))
    assert (await tool.run(call(sshd, "id -un"), context)).text.endswith(f"ended with 0: {USER}")
    folder.store_password(target, "wrong")
    with pytest.raises(ToolError, match="does not let") as refused:
        await tool.run(call(sshd, "id -un"), CONTEXT)
    assert "wrong" not in str(refused.value).replace("wrong password", "")
    assert (folder.folder / "passwords.json").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("command", "text", "ok"),
    [
        ("false", "false on 127.0.0.1 ended with 1 and printed nothing.", False),
        ("echo no >&2; exit 7", "echo no >&2; exit 7 on 127.0.0.1 ended with 7: no", False),
        ("printf 'a\\377b'", "printf 'a\\377b' on 127.0.0.1 ended with 0: a\ufffdb", True),
        ("cat", "cat on 127.0.0.1 ended with 0 and printed nothing.", True),
    ],
)
async def test_the_exit_status_and_the_output_are_said(
    sshd: Sshd, known: RunCommand, command: str, text: str, ok: bool
) -> None:
    result = await known.run(call(sshd, command), CONTEXT)
    assert (result.text, result.ok) == (text, ok)


async def test_much_output_is_cut(sshd: Sshd, known: RunCommand) -> None:
    result = await known.run(call(sshd, "seq 1 100000"), CONTEXT)
    assert result.ok
    assert len(result.text) < 700
    assert len(result.detail) < 70_000
    assert "bytes are left out here" in result.detail
    assert result.detail.rstrip().endswith("100000")


async def test_a_flood_is_stopped(sshd: Sshd, known: RunCommand) -> None:
    result = await known.run(call(sshd, "yes pipecatapp-flood"), CONTEXT)
    assert "printed more and more" in result.text
    assert len(result.detail) < 70_000
    await until(lambda: not running("yes pipecatapp-flood"))


async def test_a_background_child_does_not_hold_the_answer_back(sshd: Sshd, known: RunCommand) -> None:
    result = await known.run(call(sshd, "sleep 20 & echo started"), CONTEXT)
    assert result.text.endswith("ended with 0: started")


@pytest.mark.parametrize("user", [USER, "root"])
async def test_a_command_that_takes_too_long_is_ended_there(sshd: Sshd, known: RunCommand, user: str) -> None:
    nap = f"36{time.monotonic_ns()}"
    result = await known.run(call(sshd, f"echo begun; sleep {nap}; echo no", user, seconds=1), CONTEXT)
    assert "did not end within 1 seconds, so I stopped it. Until then it printed: begun" in result.text
    await until(lambda: not running(f"sleep {nap}"))


@pytest.mark.parametrize("user", [USER, "root"])
async def test_cancelling_ends_the_command_there(sshd: Sshd, known: RunCommand, user: str) -> None:
    nap = f"36{time.monotonic_ns()}"
    working = asyncio.create_task(known.run(call(sshd, f"sleep {nap}", user), CONTEXT))
    await until(lambda: running(f"sleep {nap}"))
    working.cancel()
    with pytest.raises(asyncio.CancelledError):
        await working
    await until(lambda: not running(f"sleep {nap}"))


async def test_progress_is_shown_while_it_runs(sshd: Sshd, known: RunCommand) -> None:
    lines: list[str] = []
    context = ToolContext("c", "t", progress=lines.append)
    await known.run(call(sshd, "for i in 1 2 3; do echo step $i; sleep 0.5; done"), context)
    assert lines[0] == "step 1"
    assert "step 3" in lines


async def test_a_connection_that_is_lost_is_said(sshd: Sshd, known: RunCommand) -> None:
    result = await known.run(call(sshd, 'echo begun; sleep 1; kill -9 "$PPID"; sleep 5'), CONTEXT)
    assert "the connection was lost before it ended. Until then it printed: begun" in result.text


async def test_nobody_listens(sshd: Sshd, folder: SshFolder) -> None:
    await sshd.stop()
    with pytest.raises(ToolError, match="refuses the connection"):
        await RunCommand(folder).look(call(sshd, "true"), CONTEXT)


async def test_a_host_that_nobody_knows(folder: SshFolder) -> None:
    with pytest.raises(ToolError, match=r"nobody knows a host nowhere\.invalid"):
        await RunCommand(folder).look({"host": "nowhere.invalid", "command": "true"}, CONTEXT)


async def test_something_else_listens(folder: SshFolder) -> None:
    async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(greet, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(ToolError, match="does not speak SSH"):
            await RunCommand(folder).look({"host": f"127.0.0.1:{port}", "command": "true"}, CONTEXT)


async def test_a_host_that_is_silent(folder: SshFolder) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        with pytest.raises(ToolError, match=r"127\.0\.0\.1 port"):
            await RunCommand(folder).look({"host": f"127.0.0.1:{silent.getsockname()[1]}", "command": "true"}, CONTEXT)


async def test_an_alias_of_the_configuration(sshd: Sshd, folder: SshFolder, known: RunCommand) -> None:
    (folder.folder / "config").write_text(f"Host node3\n  HostName 127.0.0.1\n  Port {sshd.port}\n  User {USER}\n")
    result = await known.run({"host": "node3", "command": "id -un"}, CONTEXT)
    assert result.text == f"id -un on node3 ended with 0: {USER}"


async def test_a_host_behind_another_is_reached_through_it(sshd: Sshd, folder: SshFolder, known: RunCommand) -> None:
    inner = Sshd()
    await inner.start()
    try:
        inner.authorize(folder.public_key())
        (folder.folder / "config").write_text(
            f"Host gate\n  HostName 127.0.0.1\n  Port {sshd.port}\n  User {USER}\n"
            f"Host inner\n  HostName 127.0.0.1\n  Port {inner.port}\n  User {USER}\n  ProxyJump gate\n"
        )
        arguments = {"host": "inner", "command": 'echo "$SSH_CONNECTION"'}
        preview = await known.preview(arguments, CONTEXT)
        where = f"inner, port {inner.port}"
        assert preview.sentence == f"Connect to {where}, which I do not know yet, and see its key, through gate."
        found = await known.look(arguments, CONTEXT)
        assert inner.fingerprint in found.detail
        assert f"through {USER}@[127.0.0.1]:{sshd.port}" in found.detail
        result = await known.run(arguments, replace(CONTEXT, seen=found.found))
        assert result.ok, result.text
        (folder.folder / "config").write_text(
            f"Host inner\n  HostName 127.0.0.1\n  Port 1\n  User {USER}\n  ProxyJump {USER}@127.0.0.1:{sshd.port}\n"
        )
        with pytest.raises(ToolError, match=r"127\.0\.0\.1 does not reach inner"):
            await known.look(arguments, CONTEXT)
    finally:
        await inner.remove()


async def test_a_host_on_the_way_must_be_known(sshd: Sshd, folder: SshFolder) -> None:
    tool = RunCommand(folder)
    folder.folder.mkdir(exist_ok=True)
    (folder.folder / "config").write_text(f"Host inner\n  ProxyJump {USER}@127.0.0.1:{sshd.port}\n")
    for attempt in (tool.preview, tool.look, tool.run):
        with pytest.raises(ToolError, match=r"inner is reached through 127\.0\.0\.1, which I do not know yet"):
            await attempt({"host": "inner", "command": "true"}, CONTEXT)


async def test_every_key_of_the_configuration_is_tried(sshd: Sshd, folder: SshFolder, known: RunCommand) -> None:
    other = SshFolder(folder.folder.parent / "other")
    sshd.authorize(other.public_key())  # ours opens no more
    config = f"Host node3\n  HostName 127.0.0.1\n  Port {sshd.port}\n  User {USER}\n  IdentityFile {{}}\n"
    own, right = folder.folder / "id_ed25519", other.folder / "id_ed25519"
    for keys in ((own, right), (right, own)):
        (folder.folder / "config").write_text(config.format("\n  IdentityFile ".join(map(str, keys))))
        assert (await known.run({"host": "node3", "command": "id -un"}, CONTEXT)).ok
    (folder.folder / "config").write_text(config.format(own))
    with pytest.raises(ToolError, match="does not let"):
        await known.run({"host": "node3", "command": "id -un"}, CONTEXT)
    (folder.folder / "config").write_text(config.format(f"{own}\n  IdentityFile {own}-absent"))
    with pytest.raises(ToolError, match="absent cannot be used"):
        await known.run({"host": "node3", "command": "id -un"}, CONTEXT)
    (folder.folder / "config").write_text(config.format(f"{own}\n  IdentityFile {folder.folder / 'third'}"))
    (folder.folder / "third").write_bytes(own.read_bytes())
    folder.store_password(folder.target("node3"), PASSWORD)  # when no key opens
    assert (await known.run({"host": "node3", "command": "id -un"}, CONTEXT)).ok


async def test_a_name_with_a_final_dot_is_the_same_host(sshd: Sshd, folder: SshFolder, known: RunCommand) -> None:
    sshd.authorize(folder.public_key())
    arguments = {"host": f"localhost.:{sshd.port}", "command": "true", "username": USER}
    result = await known.run(arguments, await looked(known, arguments))
    assert result.ok
    assert not (await known.preview({**arguments, "host": f"localhost:{sshd.port}"}, CONTEXT)).look
