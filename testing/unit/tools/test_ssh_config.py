"""``SSH_DIR/config``: what counts of it, and that the rest is said instead of dropped."""

from __future__ import annotations

import getpass
from pathlib import Path

import pytest

from pipecatapp.errors import ToolError
from pipecatapp.tools.ssh_config import HostConfig, read_config
from pipecatapp.tools.ssh_folder import SshFolder
from pipecatapp.tools.ssh_target import Target
from testing.fakes.outgoing import outgoing

pytestmark = pytest.mark.unit


@pytest.fixture
def folder(tmp_path: Path) -> SshFolder:
    folder = SshFolder(tmp_path / "ssh")
    folder.folder.mkdir()
    return folder


def write(folder: SshFolder, text: str, name: str = "config") -> None:
    file = folder.folder / name
    file.parent.mkdir(exist_ok=True)
    file.write_text(text)


def read(folder: SshFolder, name: str) -> HostConfig:
    return read_config(folder.folder / "config", name)


def test_the_first_value_counts_and_all_keys_do(folder: SshFolder) -> None:
    write(folder, """
        User first # a comment
        Host kitchen pan*
          HostName=10.0.0.3
          User second
          Port 2222
          IdentityFile ~/.ssh/one
          IdentityFile "~/.ssh/the other"
        Host *
          IdentityFile ~/.ssh/three
          Port 22
    """)  # fmt: skip
    identities = ["~/.ssh/one", "~/.ssh/the other", "~/.ssh/three"]
    assert read(folder, "kitchen") == HostConfig("10.0.0.3", "first", "2222", "", identities)
    assert read(folder, "PANTRY").hostname == "10.0.0.3"
    assert read(folder, "attic") == HostConfig("", "first", "22", "", ["~/.ssh/three"])
    target = folder.target("kitchen")
    assert target.identities == tuple(Path(identity).expanduser() for identity in identities)
    assert read_config(folder.folder / "nothing", "kitchen") == HostConfig()


@pytest.mark.parametrize(
    ("patterns", "name", "for_it"),
    [
        ("node?", "node3", True), ("node?", "node33", False), ("node[3]", "node3", False), ("* !node3", "node3", False),
        ("!node3", "node4", False), ("a.c", "abc", False), ('"node3"', "node3", True), ("NODE3", "node3", True),
    ],
)  # fmt: skip
def test_patterns(folder: SshFolder, patterns: str, name: str, for_it: bool) -> None:
    write(folder, f"Host {patterns}\n  User pi\n")
    assert read(folder, name).user == ("pi" if for_it else "")


@pytest.mark.parametrize(
    ("criteria", "for_it"),
    [
        ("all", True), ("host 10.0.0.3", True), ("originalhost kitchen", True), ("host kitchen", False),
        ("user pi", True), ("user root,pi", True), ("!user pi", False), ("host 10.* user root", False),
        ("originalhost attic exec x", False),
        (f"localuser {getpass.getuser()}", True),
    ],
)  # fmt: skip
def test_match_blocks(folder: SshFolder, criteria: str, for_it: bool) -> None:
    write(folder, f"Host kitchen\n  HostName 10.0.0.3\n  User pi\nMatch {criteria}\n  Port 2222\n")
    assert read(folder, "kitchen").port == ("2222" if for_it else "")


def test_included_files_stand_where_they_are_included(folder: SshFolder) -> None:
    write(folder, "Include parts/*.conf none/*\nUser last\nHost kitchen\n  Include deep\n  Port 2222\n")
    write(folder, "Host kitchen\n  HostName 10.0.0.3\n", "parts/b.conf")
    write(folder, "Host *\n  IdentityFile %d/%h/%n/%r/%p/%%\n", "parts/a.conf")
    write(folder, "IdentityFile only-kitchen\nHost attic\n  User never\n", "deep")
    kitchen = read(folder, "kitchen")
    assert (kitchen.hostname, kitchen.user, kitchen.port) == ("10.0.0.3", "last", "2222")
    assert kitchen.identities == [f"{Path.home()}/10.0.0.3/kitchen/last/2222/%", "only-kitchen"]
    assert read(folder, "attic").user == "last"  # its block stands in a file that is for the kitchen


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("ProxyCommand nc %h %p", "line 1: ProxyCommand nc %h %p is not done here; take it out, or exclude kitchen"),
        ("Match exec true\n  User pi", "Match exec is not done here"),
        ("CanonicalizeHostname yes", "CanonicalizeHostname yes is not done here"),
        ("HostKeyAlias other", "HostKeyAlias other is not done here"),
        ("BindAddress 10.0.0.1", "is not done here"),
        ("CertificateFile x", "is not done here"),
        ("RemoteCommand rm -rf /", "is not done here"),
        ("Includes x", "Includes x is not done here"),
        ("Include nothing.conf", "there is no such file"),
        ("Include config", "too deep"),
        ("HostName a b", "HostName has more than one value"),
        ("HostName", "says nothing"),
        ("User # pi", "User has no value"),
        ("User 'pi", "line 1: No closing quotation"),
        ("IdentityFile %l/x", "%l in %l/x is not done here"),
        ("HostName x%", "% in x% is not done here"),
        ("HostName -oProxyCommand=x", "is no name of a host"),
        ("HostName a/b", "is no name of a host"),
        ("Port x", "'x' is no port"),
        ("User a;b", "is no name of a user"),
        ("ProxyJump a;b", "is no name of a host"),
        ("ProxyJump ssh://gate", "is no port"),
        ("ProxyJump kitchen", "ProxyJump goes on without end: kitchen, kitchen"),
    ],
)  # fmt: skip
def test_what_is_not_done_is_said(folder: SshFolder, text: str, why: str) -> None:
    write(folder, text + "\n")
    with pytest.raises(ToolError) as said:
        folder.target("kitchen")
    assert why in str(said.value)


def test_what_is_not_for_this_host_or_changes_nothing_is_no_reason_to_stop(folder: SshFolder) -> None:
    write(folder, """
        Host attic
          ProxyCommand nc %h %p
          HostKeyAlias x
        Host *
          ServerAliveInterval 30
          StrictHostKeyChecking no
          ProxyCommand none
          AddressFamily any
          ForwardAgent yes
    """)  # fmt: skip
    assert folder.target("kitchen", "pi") == Target("kitchen", "kitchen", 22, "pi")
    with pytest.raises(ToolError, match="line 3: ProxyCommand"):
        folder.target("attic", "pi")


def test_hosts_on_the_way(folder: SshFolder) -> None:
    write(folder, """
        Host gate
          HostName gate.example
          User door
          ProxyJump outer:2200
        Host inner
          ProxyJump gate,pi@middle
        Host direct
          ProxyJump none
    """)  # fmt: skip
    inner = folder.target("inner", "root")
    assert [jump.account for jump in inner.jumps] == [
        f"{getpass.getuser()}@[outer]:2200", "door@gate.example", "pi@middle",
    ]  # fmt: skip
    assert all(jump.jumps == () for jump in inner.jumps[1:])
    assert inner.way == ", through outer and gate and middle"
    assert folder.target("direct").jumps == ()


def test_round_and_round(folder: SshFolder) -> None:
    write(folder, "Host a\n  ProxyJump b\nHost b\n  ProxyJump a\n")
    with pytest.raises(ToolError, match="without end: a, b, a"):
        folder.target("a")


def test_umlauts_and_a_final_dot_in_the_file_too(folder: SshFolder) -> None:
    write(folder, "Host k\u00fcche\n  HostName herd.k\u00fcche.example.\n")
    target = folder.target("k\u00fcche", "pi")
    assert (target.address, target.known_as) == ("herd.xn--kche-0ra.example", "herd.xn--kche-0ra.example")
    assert target.name == "k\u00fcche (xn--kche-0ra)"  # what looks like another name shows what it is


def test_a_file_that_nobody_can_read(folder: SshFolder) -> None:
    (folder.folder / "config").write_bytes(b"Host \xff\n")
    with pytest.raises(ToolError, match="config cannot be used"):
        folder.target("kitchen")
    write(folder, "# " + "x" * 2**20)
    with pytest.raises(ToolError, match="too long"):
        folder.target("kitchen")


def test_reading_it_asks_nobody_and_starts_nothing(folder: SshFolder) -> None:
    write(folder, "Host *\n  IdentityFile ~/.ssh/%h\n  HostName %h.example\n  ProxyJump gate.example\n")
    write(folder, "Match exec 'touch ran'\n  User pi\n", "exec")
    with outgoing() as left:
        with pytest.raises(ToolError):
            folder.target("kitchen")  # the jump is reached through itself
        write(folder, "Host *\n  IdentityFile ~/.ssh/%h\n  HostName %h.example\n")
        folder.target("kitchen")
        write(folder, "Include exec\n")
        with pytest.raises(ToolError, match="Match exec is not done here"):
            folder.target("kitchen")
    assert left == []
