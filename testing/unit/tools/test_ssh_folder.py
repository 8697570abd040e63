"""Whom to log in to and with what: names that smuggle nothing, and files that only we can read."""

from __future__ import annotations

import getpass
import io
from pathlib import Path

import paramiko
import pytest

from pipecatapp.cli.ssh import forget_host, print_key, store_password
from pipecatapp.errors import ToolError
from pipecatapp.ports import ToolContext
from pipecatapp.tools.ssh import RunCommand
from pipecatapp.tools.ssh_folder import SshFolder, seen_as
from pipecatapp.tools.ssh_target import Target

pytestmark = pytest.mark.unit


@pytest.fixture
def folder(tmp_path: Path) -> SshFolder:
    return SshFolder(tmp_path / "ssh")


@pytest.mark.parametrize(
    ("host", "user", "account"),
    [
        ("node3", "pi", "pi@node3"),
        ("pi@node3", "", "pi@node3"),
        ("pi@node3", "root", "root@node3"),
        ("10.0.0.7:2222", "pi", "pi@[10.0.0.7]:2222"),
        ("[fe80::1]:22", "pi", "pi@fe80::1"),
        ("fe80::1", "pi", "pi@fe80::1"),
        ("my_nas.home.arpa", "www-data", "www-data@my_nas.home.arpa"),
        ("kitchen.home.arpa.", "pi", "pi@kitchen.home.arpa"),  # the same host, however it is written
        ("k\u00fcche:2222", "pi", "pi@[xn--kche-0ra]:2222"),
        ("stra\u00dfe.example.", "pi", "pi@xn--strae-oqa.example"),
        ("\uff2b\u00dcCHE", "pi", "pi@xn--kche-0ra"),
        (" node3 ", "", f"{getpass.getuser()}@node3"),
    ],
)
def test_a_host_is_found_in_what_was_said(folder: SshFolder, host: str, user: str, account: str) -> None:
    assert folder.target(host, user).account == account


NO_HOSTS = (
    *("", "-oProxyCommand=x", "a b", "a;b", "a\nb", "$(x)", "a/b", "node3:99999", "node3:0", "a..b", "[::1", "x::y"),
    *("kit\u200bchen", "kit\u00adchen", "\u202enode3", "a\u00e4" * 100, "\u2665", "k\u00fcche_", "node3..", "."),
    *("a" * 300, "node3:22:", "@", "a@@"),
)


@pytest.mark.parametrize("host", NO_HOSTS)
def test_what_is_no_host_is_refused(folder: SshFolder, host: str) -> None:
    with pytest.raises(ToolError, match="is no"):
        folder.target(host, "pi")


@pytest.mark.parametrize("user", ["-l", "a b", "a;b", "ro\not", "@"])
def test_what_is_no_user_is_refused(folder: SshFolder, user: str) -> None:
    with pytest.raises(ToolError, match="no name of a user"):
        folder.target("node3", user)


@pytest.mark.parametrize("command", [" ", "ls\x00", "ls\x1b[2J", "ls\rrm"])
async def test_a_command_with_control_characters_is_refused(folder: SshFolder, command: str) -> None:
    with pytest.raises(ToolError, match="control characters"):
        await RunCommand(folder).preview({"host": "node3", "command": command}, ToolContext("c", "t"))


def test_an_alias_says_where_and_who(folder: SshFolder) -> None:
    folder.folder.mkdir()
    (folder.folder / "config").write_text(
        "Host node3\n  HostName 10.0.0.3\n  User deploy\n  Port 2222\n  IdentityFile ~/.ssh/other\n"
    )
    assert folder.target("node3") == Target("node3", "10.0.0.3", 2222, "deploy", (Path("~/.ssh/other").expanduser(),))
    assert folder.target("node3", "root").account == "root@[10.0.0.3]:2222"
    with pytest.raises(ToolError, match="other cannot be used"):
        folder.keys(folder.target("node3"))


def test_a_broken_configuration_is_said(folder: SshFolder) -> None:
    folder.folder.mkdir()
    (folder.folder / "config").write_text("what is this\nHost\n")
    with pytest.raises(ToolError, match="config cannot be used"):
        folder.target("node3")


def test_the_key_is_made_once_and_ours_alone(folder: SshFolder) -> None:
    public = folder.public_key()
    assert public.startswith("ssh-ed25519 AAAA")
    assert SshFolder(folder.folder).public_key() == public
    assert folder.key().get_base64() == public.split()[1]
    assert (folder.folder / "id_ed25519").stat().st_mode & 0o777 == 0o600
    assert folder.folder.stat().st_mode & 0o777 == 0o700


def test_a_password_belongs_to_a_user_on_a_host(folder: SshFolder) -> None:
    target = folder.target("node3", "pi")
    folder.store_password(target, "raspberry")
    assert folder.password(target) == "raspberry"
    assert folder.password(folder.target("node3", "root")) is None
    assert folder.password(folder.target("node4", "pi")) is None
    folder.store_password(target, "")
    assert folder.password(target) is None


def test_a_password_file_that_others_can_read_is_not_used(folder: SshFolder) -> None:
    folder.store_password(folder.target("node3", "pi"), "raspberry")
    (folder.folder / "passwords.json").chmod(0o644)
    with pytest.raises(ToolError, match="chmod 600"):
        folder.password(folder.target("node3", "pi"))


def test_a_damaged_password_file_tells_no_password(folder: SshFolder) -> None:
    folder.store_password(folder.target("node3", "pi"), "raspberry")
    path = folder.folder / "passwords.json"
    path.write_text(path.read_text()[:-3])
    with pytest.raises(ToolError, match="damaged") as damaged:
        folder.password(folder.target("node3", "pi"))
    assert "raspberry" not in str(damaged.value)
    assert damaged.value.__cause__ is None


def test_what_a_person_wrote_into_known_hosts_stays(folder: SshFolder) -> None:
    folder.folder.mkdir()
    other = SshFolder(folder.folder / "other").key()
    (folder.folder / "known_hosts").write_text(f"# mine\nnas {other.get_name()} {other.get_base64()}")
    target, key = folder.target("node3", "pi"), folder.key()
    folder.show(target, key)
    folder.accept(target, key, seen_as(target, key))
    assert (folder.folder / "known_hosts").read_text().startswith("# mine\nnas ssh-ed25519 ")
    assert folder.known().lookup("nas") is not None
    assert folder.forget(target)
    assert folder.known().lookup("nas") is not None
    assert folder.known().lookup("node3") is None


def test_another_key_than_the_shown_one_is_not_accepted(folder: SshFolder) -> None:
    target, key = folder.target("node3", "pi"), folder.key()
    other: paramiko.PKey = SshFolder(folder.folder / "other").key()
    for seen in ("", seen_as(target, other), seen_as(folder.target("node4", "pi"), key)):
        with pytest.raises(ToolError, match="nobody has seen"):
            folder.accept(target, key, seen)
    folder.show(target, key)
    with pytest.raises(ToolError, match="nobody has seen"):
        folder.accept(target, key, "")  # it was shown, and nobody said yes to that
    with pytest.raises(ToolError, match="has changed"):
        folder.show(target, other)
    with pytest.raises(ToolError, match="has changed"):
        folder.accept(target, other, seen_as(target, other))
    folder.accept(target, key, seen_as(target, key))


def test_the_commands(folder: SshFolder, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert print_key(folder) == 0
    monkeypatch.setattr("sys.stdin", io.StringIO("raspberry\n"))
    assert store_password(folder, "pi@node3") == 0
    assert folder.password(folder.target("node3", "pi")) == "raspberry"
    assert forget_host(folder, "node3") == 0
    folder.show(folder.target("node3"), folder.key())
    assert forget_host(folder, "node3") == 0
    printed = capsys.readouterr().out
    assert "ssh-ed25519" in printed
    assert "no key of node3 was known\nthe key of node3 is forgotten\n" in printed
    assert "raspberry" not in printed
