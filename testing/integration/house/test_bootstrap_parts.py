"""Parts of bootstrap.sh that need no machine of their own: the environment, the clock, what a failure means."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.integration

ROOT = Path(__file__).resolve().parents[3]
LOADED = f"source {ROOT}/bootstrap.sh; source {ROOT}/ansible/get_ansible.sh; "


def bash(script: str, path: str = "/usr/bin:/bin", **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", LOADED + script], env={"PATH": path, **environment}, capture_output=True, text=True, check=False
    )


def settled(**environment: str) -> dict[str, str]:
    done = bash("settle_environment; env", **environment)
    assert done.returncode == 0, done.stderr
    return dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)


@pytest.mark.parametrize("given", ["HTTPS_PROXY", "https_proxy"])
def test_a_proxy_is_known_in_both_spellings_and_this_pc_is_not_behind_it(given: str) -> None:
    found = settled(**{given: "http://proxy:3128"})

    assert found["https_proxy"] == found["HTTPS_PROXY"] == "http://proxy:3128"
    assert found["no_proxy"] == found["NO_PROXY"] == "localhost,127.0.0.1,::1"


@pytest.mark.parametrize("given", ["ALL_PROXY", "all_proxy"])
def test_a_proxy_for_everything_is_one_for_both(given: str) -> None:
    found = settled(**{given: "http://proxy:3128", "HTTP_PROXY": "http://other:1"})

    assert found["https_proxy"] == found["HTTPS_PROXY"] == "http://proxy:3128"
    assert found["http_proxy"] == "http://other:1"
    assert settled(**{given: "socks5://proxy:1080"}).get("https_proxy") is None
    assert settled(**{given: "socks5://proxy:1080"})["no_proxy"] == "localhost,127.0.0.1,::1"


def test_hosts_that_need_no_proxy_are_kept() -> None:
    assert settled(HTTP_PROXY="http://p:1", NO_PROXY="mirror.lan")["no_proxy"] == "mirror.lan,localhost,127.0.0.1,::1"


def test_without_a_proxy_nothing_is_set() -> None:
    assert not [name for name in settled() if name.lower().endswith("proxy")]


def test_sudo_keeps_the_proxies() -> None:
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        place.chmod(0o755)
        # The checkout of these tests may be root's alone.
        shutil.copy(ROOT / "bootstrap.sh", place)
        (place / "sudo").write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
        (place / "sudo").chmod(0o755)
        somebody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] if os.geteuid() == 0 else []
        done = subprocess.run(
            [*somebody, "bash", f"{place}/bootstrap.sh", "--dry-run"],
            env={"PATH": f"{place}:/usr/bin:/bin"},
            capture_output=True,
            text=True,
            check=False,
        )
    first, *rest = done.stdout.splitlines()
    kept = first.partition("=")[2].split(",")
    assert {"HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY", "https_proxy", "ENGINE_PACKAGES"} <= set(kept)
    assert rest == ["--", f"{place}/bootstrap.sh", "--dry-run"]


def test_programs_of_the_administrator_are_found_where_su_forgot_them() -> None:
    done = bash("settle_environment; type -P ldconfig dpkg-preconfigure start-stop-daemon")

    assert "/sbin/ldconfig" in done.stdout
    assert "start-stop-daemon" in done.stdout


def test_a_clock_that_is_years_off_is_named(tmp_path: Path) -> None:
    date = tmp_path / "date"
    date.write_text('#!/bin/sh\nexec /bin/date --date=2010-01-01 "$@"\n')
    date.chmod(0o755)

    done = bash("check_clock", path=f"{tmp_path}:/usr/bin:/bin")

    assert done.returncode == 1
    assert "it says 2010-01-01" in done.stderr
    assert "date --set" in done.stderr
    assert bash("check_clock").returncode == 0


@pytest.mark.parametrize(
    ("output", "advice"),
    [
        ("E: Release file for http://m/InRelease is not valid yet (invalid for another 5d)", "clock says"),
        ("E: Release file for http://m/InRelease is expired (invalid since 30d)", "clock says"),
        ("SSL: CERTIFICATE_VERIFY_FAILED certificate is not yet valid", "clock says"),
        ("E: The repository 'cdrom://[Debian] trixie Release' does not have a Release file.", "names a mirror"),
        ("Err:1 Could not resolve 'mirror.invalid'", "is it connected"),
        ("E: something else", "the usual advice"),
    ],
)
def test_what_to_do_fits_the_reason(output: str, advice: str) -> None:
    done = bash('better_step "$OUTPUT" "the usual advice"', OUTPUT=output)

    assert advice in done.stdout


@pytest.mark.parametrize(
    ("entry", "found"),
    [
        ("deb cdrom:[Debian 13]/ trixie main", True),
        ("  deb [trusted=yes] cdrom:[Debian 13]/ trixie main", True),
        ("Types: deb\nURIs: cdrom:[Debian 13]/", True),
        ("Types: deb\nURIs: http://mirror.invalid/debian cdrom:[Debian 13]/\nEnabled: yes", True),
        ("Enabled: no\nTypes: deb\nURIs: cdrom:[Debian 13]/", False),
        ("Types: deb\nURIs: cdrom:[Debian 13]/\nEnabled: no\n\nTypes: deb\nURIs: http://mirror.invalid/", False),
        ("# deb cdrom:[Debian 13]/ trixie main", False),
        ("deb http://mirror.invalid/debian trixie main", False),
    ],
)
def test_a_disc_in_the_sources_is_seen(tmp_path: Path, entry: str, found: bool) -> None:
    (tmp_path / "one.list").write_text("deb http://mirror.invalid/debian trixie main\n")
    (tmp_path / "two.list").write_text(f"{entry}\n")

    done = bash(f"discs {tmp_path}/none.list {tmp_path}/one.list {tmp_path}/two.list")

    assert done.stdout.split() == ([f"{tmp_path}/two.list"] if found else [])


def test_a_program_that_asks_waits_for_nobody() -> None:
    """apt asks for a disc on its input."""
    done = bash("quietly step next bash -c 'read -r line && echo read'; echo went on")

    assert done.returncode == 1
    assert "Failed: step" in done.stderr
