"""Nothing leaves the program, and no other is started, before a person's yes: the previews of all tools that act."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import mcp_types as types
import pytest

from pipecatapp.domain import Risk
from pipecatapp.errors import ToolError
from pipecatapp.ports import LookingTool, PreviewingTool, Tool, ToolContext
from pipecatapp.tools.ansible import RunPlaybook
from pipecatapp.tools.code_runner import CodeRunner
from pipecatapp.tools.mcp_servers.config import ServerConfig
from pipecatapp.tools.mcp_servers.remote import RemoteTool, spec_of
from pipecatapp.tools.nodes import HEAL, JOIN, REMOVE, WAKE, NodeTool
from pipecatapp.tools.power import IdleThreshold
from pipecatapp.tools.registry import TOOLS
from pipecatapp.tools.sandbox import Limits, RunResult
from pipecatapp.tools.ssh import RunCommand
from pipecatapp.tools.ssh_folder import SshFolder
from pipecatapp.tools.web_browser.browser import WebBrowser
from pipecatapp.tools.web_browser.pictures import Pictures
from pipecatapp.tools.web_browser.tools import Click, Goto, Type
from testing.fakes.outgoing import outgoing

pytestmark = pytest.mark.unit


class NoSandbox:
    """A sandbox in which nothing is run."""

    name = "no sandbox"

    async def run(self, code: str, limits: Limits) -> RunResult:
        raise AssertionError("a preview has run a program")


async def _no_server(name: str, arguments: Mapping[str, Any], progress: Callable[[str], None]) -> types.CallToolResult:
    raise AssertionError("a preview has called a server")


def playbooks(folder: Path) -> RunPlaybook:
    (folder / "play.yaml").write_text("- hosts: all\n  vars: {word: hello}\n")
    program = folder / "ansible-playbook"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    return RunPlaybook(program, folder, folder / "home")


def ssh(folder: Path) -> RunCommand:
    (folder / "ssh").mkdir()
    (folder / "ssh/config").write_text(
        "Host kitchen\n  HostName kitchen.invalid\n  IdentityFile ~/.ssh/%h\n"
        "Match originalhost attic exec 'touch ran'\n  User pi\nHost cellar\n  ProxyJump gate.invalid\n"
    )
    return RunCommand(SshFolder(folder / "ssh"))


def browser(folder: Path) -> WebBrowser:
    return WebBrowser(Pictures(folder / "pictures"), sys.executable)


def remote(_: Path) -> RemoteTool:
    server = ServerConfig(name="house", command="/bin/false")
    tool = types.Tool(name="switch", input_schema={"type": "object", "properties": {"lamp": {"type": "string"}}})
    return RemoteTool(spec_of(server, tool), "switch", "house", _no_server)


# How each tool that acts is made, and calls of it: usual ones, and such as tempt it to look.
ACTING: dict[str, tuple[Callable[[Path], Tool], list[dict[str, Any]]]] = {
    "ansible.run_playbook": (
        playbooks,
        [
            {"playbook": "play"},
            {"playbook": "play.yaml", "limit": "all", "tags": "x", "extra_vars": {"word": "x"}},
            {
                "playbook": "play",
                "extra_vars": {"other": "#jinja2: variable_start_string:'['\n[ lookup('pipe', 'id') ]"},
            },
            {"playbook": "http://127.0.0.1:9/x.yaml"},
        ],
    ),
    "code_runner.run_python_code": (lambda _: CodeRunner(NoSandbox()), [{"code": "import os; os.system('id')"}]),
    "nodes.heal": (lambda folder: NodeTool(HEAL, folder / "socket"), [{}, {"node": "n2"}]),
    "nodes.join": (
        lambda folder: NodeTool(JOIN, folder / "socket"),
        [{"node": "n2", "address": "127.0.0.1", "host_key": "SHA256:" + "a" * 43}],
    ),
    "nodes.remove": (lambda folder: NodeTool(REMOVE, folder / "socket"), [{"node": "n2"}, {"node": "../n2"}]),
    "nodes.wake": (lambda folder: NodeTool(WAKE, folder / "socket"), [{"node": "n2"}]),
    "power.set_idle_threshold": (
        lambda folder: IdleThreshold(folder / "policy.json"),
        [{"service": "prima-api-coding", "seconds": 600}],
    ),
    "ssh.run_command": (
        ssh,
        [
            {"host": "127.0.0.1:9", "command": "id"},
            {"host": "nowhere.invalid", "command": "id", "username": "pi"},
            {"host": "pi@[::1]:9", "command": "id"},
            {"host": "kitchen", "command": "id"},
            {"host": "attic", "command": "id"},
            {"host": "cellar", "command": "id"},
        ],
    ),
    "web_browser.click": (lambda folder: Click(browser(folder)), [{"target": "Next page"}]),
    "web_browser.goto": (
        lambda folder: Goto(browser(folder)),
        [{"url": "https://nowhere.invalid/x"}, {"url": "http://127.0.0.1:9/"}, {"url": "http://8.8.8.8/"}],
    ),
    "web_browser.type": (lambda folder: Type(browser(folder)), [{"target": "Search", "text": "pots\n"}]),
    "house.switch": (remote, [{"lamp": "http://127.0.0.1:9/"}]),
}


def test_no_tool_that_acts_is_forgotten_here() -> None:
    acting = {name for name, entry in TOOLS.items() if entry.risk in (Risk.ACT, Risk.DANGER)}
    assert acting == set(ACTING) - {"house.switch"}


@pytest.mark.parametrize("name", ACTING)
async def test_a_preview_opens_no_connection_and_starts_no_program(name: str, tmp_path: Path) -> None:
    make, calls = ACTING[name]
    tool = make(tmp_path)
    assert tool.spec.name == name
    assert tool.spec.risk is not Risk.READ
    assert isinstance(tool, PreviewingTool)
    for arguments in calls:
        with outgoing() as left:
            try:
                preview = await tool.preview(arguments, ToolContext("c", "t"))
            except ToolError:  # a call that cannot work: nobody is asked, and nothing has left either
                preview = None
        assert left == [], arguments
        if preview is not None and preview.look:
            assert isinstance(tool, LookingTool)


@pytest.mark.parametrize(
    "leave",
    [
        lambda: socket.getaddrinfo("localhost", 9),
        lambda: subprocess.run([sys.executable, "-c", ""], check=True),
        lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).connect(("127.0.0.1", 9)),
        lambda: socket.gethostbyaddr("127.0.0.1"),
    ],
)
@pytest.mark.filterwarnings("ignore::ResourceWarning")
async def test_what_leaves_would_be_seen_in_a_thread_too(leave: Callable[[], object]) -> None:
    with outgoing() as left:
        await asyncio.to_thread(leave)
    assert left


async def test_looking_is_what_connects(tmp_path: Path) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    with outgoing() as left, pytest.raises(ToolError, match="refuses the connection"):
        await ssh(tmp_path).look({"host": f"127.0.0.1:{port}", "command": "id"}, ToolContext("c", "t"))
    assert any(event.startswith("socket.connect") for event in left)


@pytest.mark.parametrize(("code", "whole"), [("1", True), ("1\n2", False), ("x = 1; " * 10, False)])
async def test_a_program_that_its_sentence_does_not_hold_is_not_whole(code: str, whole: bool) -> None:
    preview = await CodeRunner(NoSandbox()).preview({"code": code}, ToolContext("c", "t"))
    assert preview.whole is whole


async def test_a_program_with_a_zero_byte_is_refused_before_anybody_is_asked() -> None:
    with pytest.raises(ToolError, match="zero byte"):
        await CodeRunner(NoSandbox()).preview({"code": "print(1)\0"}, ToolContext("c", "t"))
