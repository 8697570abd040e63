"""Files are changed in one step, and what was there before can come back. A key is looked at closely."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from testing.unit.initial_setup.scripts import function

pytestmark = pytest.mark.unit


def test_a_file_is_replaced_in_one_step_and_comes_back(tmp_path: Path) -> None:
    target = tmp_path / "etc/name"
    target.parent.mkdir()
    target.write_text("old\n")
    target.chmod(0o640)
    new = tmp_path / "etc/new"

    done = function(
        f"""
        STATE={tmp_path}/state ACTION=set_up
        begin_run
        stage other {target} 0644 <<<new
        stage network {new} 0600 <<<fresh
        put_all "$RUN" other new
        put_all "$RUN" network new
        cat {target} {new}
        stat -c %a {target} {new}
        put_all "$RUN" other old
        put_all "$RUN" network old
        """
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["new", "fresh", "640", "600"]
    assert target.read_text() == "old\n"
    assert not new.exists()
    assert list(target.parent.iterdir()) == [target]


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    real = tmp_path / "real"
    real.write_text("old\n")
    link = tmp_path / "link"
    link.symlink_to(real)

    function(f"STATE={tmp_path}/state ACTION=set_up\nbegin_run\nstage other {link} 0644 <<<new\nput_all $RUN other new")

    assert link.is_symlink()
    assert real.read_text() == "new\n"


def test_the_last_run_is_the_one_begun_last_whatever_the_clock_says(tmp_path: Path) -> None:
    # A PC whose clock's battery is empty begins each boot in the past; several runs fit into one second.
    done = function(
        f"""
        STATE={tmp_path}/state ACTION=set_up
        now=20261129T120000
        date() {{ if [[ $* == *%Y%m%dT* ]]; then printf '%s\n' "$now"; else command date "$@"; fi; }}
        for run in {{1..12}}; do
          [[ $run -lt 8 ]] || now=20090101T000000
          begin_run
          finish_run "$RUN"
          [[ $(last_run) == "$RUN" ]] || printf 'not the last: %s\n' "$RUN"
        done
        """
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout == ""


KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ0yqdVRUOqJZyTP3qgcwWxZKqQoR9T0qCqQ6yKZC1Vn control"


def got(text: str) -> tuple[str, list[str]]:
    done = function(
        'KEY_SOURCE=- CONFIG_NAME=setup.conf\nget_key\nreport_errors\nprintf "%s|%s" "$KEY" "$KEY_FINGERPRINT"', text
    )
    return done.stdout, done.stderr.splitlines()[1:]


def test_a_fingerprint_is_the_one_that_ssh_prints(tmp_path: Path) -> None:
    if not shutil.which("ssh-keygen"):
        pytest.skip("no ssh-keygen here")
    for kind in ("ed25519", "rsa", "ecdsa"):
        path = tmp_path / kind
        subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-C", "a b@c", "-f", str(path)], check=True)
        public = path.with_suffix(".pub").read_text()
        printed = subprocess.run(["ssh-keygen", "-lf", str(path)], capture_output=True, text=True, check=True).stdout

        said, errors = got(public)

        assert errors == []
        assert said.partition("|")[2] == printed.split()[1]
        assert said.startswith(" ".join(public.split()[:2]))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "not one public key"),
        ("-----BEGIN OPENSSH PRIVATE KEY-----\nx\n", "that is a private key"),
        (f'command="rm -rf /" {KEY}\n', "not one public key"),
        (f"{KEY}\n{KEY}\n", "not one public key"),
        (KEY.replace("ssh-ed25519 ", "ssh-dss "), "not one public key"),
        (KEY.replace("ssh-ed25519 ", "ssh-rsa "), "the key is damaged"),
        ("ssh-ed25519 AAAA control", "the key is damaged"),
        ("ssh-ed25519 $(id) control", "not one public key"),
    ],
)
def test_what_is_no_key_is_refused(text: str, reason: str) -> None:
    said, errors = got(text)

    assert said == ""
    assert reason in errors[0]


def test_a_comment_cannot_bring_more_than_words() -> None:
    said, errors = got(KEY + " $(id) `x` \x1b[2J\n")

    assert errors == []
    assert set(said.partition("|")[0].split(" ", 2)[2]) <= set("abcdefghijklmnopqrstuvwxyzJ2_")


def test_key_from_needs_the_control_node(tmp_path: Path) -> None:
    done = function("KEY_SOURCE=ssh:deploy CONFIG_NAME=setup.conf\nget_key\nreport_errors")

    assert "--key-from needs CONTROL_NODE_IP" in done.stderr
