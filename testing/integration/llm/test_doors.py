"""The doors of Debian's packages: which are asked, in which order, and what a closed one or a wrong file comes to."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import os
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from pipecatapp.errors import EngineError
from pipecatapp.llm import debian, doors
from pipecatapp.llm.engines import DebianPackage, DebianPin
from testing.fakes.file_site import FileSite, running_file_site

pytestmark = pytest.mark.integration

POOL = "pool/main/l/llama.cpp/llama.cpp-tools_1.0+dfsg-1_amd64.deb"
# An address of the test network of RFC 5737, which nobody answers at, would take a time-out: a closed port is as good.
CLOSED = "http://127.0.0.1:9"


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Callable[[], FileSite]]:
    """Starts web servers, as many as a test wants."""
    with contextlib.ExitStack() as running:
        numbers = itertools.count()
        yield lambda: running.enter_context(running_file_site(tmp_path / f"site{next(numbers)}"))


@pytest.fixture
def deb(tmp_path: Path) -> bytes:
    """A real package with a llama-server that is a shell script."""
    tree = tmp_path / "deb"
    (tree / "DEBIAN").mkdir(parents=True)
    (tree / "DEBIAN/control").write_text(
        "Package: llama.cpp-tools\nVersion: 1:1.0+dfsg-1\nArchitecture: amd64\nMaintainer: x <x@x>\nDescription: x\n"
    )
    (tree / "usr/bin").mkdir(parents=True)
    (tree / "usr/bin/llama-server").write_text("#!/bin/sh\n")
    subprocess.run(["dpkg-deb", "--build", str(tree), str(tmp_path / "x.deb")], check=True, capture_output=True)
    return (tmp_path / "x.deb").read_bytes()


@pytest.fixture
def pin(deb: bytes) -> DebianPin:
    sha256, sha1 = hashlib.sha256(deb).hexdigest(), hashlib.sha1(deb, usedforsecurity=False).hexdigest()
    return DebianPin("1.0", "amd64", (DebianPackage("llama.cpp-tools", POOL, sha256, sha1),), f"{CLOSED}/file")


@pytest.fixture
def mirrors(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], None]:
    """Lays this machine's apt sources out anew, in the file that APT_CONFIG names."""

    def lay_out(sources: str) -> None:
        (tmp_path / "sources.list").write_text(sources)
        (tmp_path / "apt.conf").write_text(
            f'Dir::Etc::sourcelist "{tmp_path}/sources.list";\nDir::Etc::sourceparts "-";\n'
        )
        monkeypatch.setenv("APT_CONFIG", str(tmp_path / "apt.conf"))

    lay_out("")
    return lay_out


def fetch(folder: Path, pin: DebianPin, *sources: str) -> Path:
    return debian.unpack(folder / "engine", pin, lambda *step: None, lambda tree: None, sources)


@pytest.mark.usefixtures("mirrors")
class TestDoors:
    def test_a_folder_is_asked_first_whatever_its_files_are_called(
        self, tmp_path: Path, pin: DebianPin, deb: bytes
    ) -> None:
        (tmp_path / "stick").mkdir()
        (tmp_path / "stick/renamed.deb").write_bytes(deb)

        tree = fetch(tmp_path, pin, str(tmp_path / "stick"), CLOSED)

        assert (tree / "usr/bin/llama-server").is_file()

    def test_a_folder_may_hold_what_is_no_package(self, tmp_path: Path, pin: DebianPin, deb: bytes) -> None:
        stick = tmp_path / "stick"
        (stick / "a.deb").mkdir(parents=True)
        os.mkfifo(stick / "b.deb")
        (stick / "c.deb").symlink_to("nowhere")
        (stick / "d.deb").write_bytes(deb)

        assert fetch(tmp_path, pin, str(stick)).is_dir()

    def test_a_download_that_was_killed_stands_in_nobodys_way(
        self, tmp_path: Path, pin: DebianPin, deb: bytes, site: Callable[[], FileSite]
    ) -> None:
        (tmp_path / "engine/packages/.fetch-killed").mkdir(parents=True)
        (tmp_path / "engine/packages/.fetch-killed/half.deb").write_bytes(deb[:10])
        (tmp_path / "engine/.unpack-killed/tree").mkdir(parents=True)
        killed = [path for path in (tmp_path / "engine").rglob("*") if path.name.endswith("-killed")]
        peer = site()
        peer.put(pin.packages[0].file, deb)

        assert fetch(tmp_path, pin, peer.url).is_dir()
        assert all(path.exists() for path in killed), "another process may be using them"
        for path in killed:
            os.utime(path, (0, 0))
        fetch(tmp_path, pin)
        assert not any(path.exists() for path in killed), "they take no room for ever"

    def test_another_pc_may_serve_the_files(
        self, tmp_path: Path, pin: DebianPin, deb: bytes, site: Callable[[], FileSite]
    ) -> None:
        peer = site()
        peer.put("llama.cpp-tools_1.0+dfsg-1_amd64.deb", deb)

        assert fetch(tmp_path, pin, peer.url).is_dir()

    def test_the_pool_of_the_machines_mirror_is_asked_and_no_list(
        self, tmp_path: Path, pin: DebianPin, deb: bytes, site: Callable[[], FileSite], mirrors: Callable[[str], None]
    ) -> None:
        mirror = site()
        mirror.put(f"debian/{POOL}", deb)
        mirrors(f"deb {mirror.url}/debian bookworm main\ndeb {mirror.url}/debian-security bookworm-security main\n")

        assert fetch(tmp_path, pin).is_dir()
        # However old the mirror's lists are: they are not read.
        assert [path for path in mirror.asked if "/dists/" in path] == []

    def test_what_a_mirror_no_longer_has_comes_from_debians_archive(
        self, tmp_path: Path, pin: DebianPin, deb: bytes, site: Callable[[], FileSite], mirrors: Callable[[str], None]
    ) -> None:
        mirror, archive = site(), site()
        mirrors(f"deb {mirror.url}/debian bookworm main\n")
        archive.put(f"file/{pin.packages[0].sha1}", deb)

        assert fetch(tmp_path, replace(pin, snapshot=f"{archive.url}/file")).is_dir()
        assert mirror.asked != []

    def test_a_file_that_is_another_one_is_not_taken(
        self, tmp_path: Path, pin: DebianPin, deb: bytes, site: Callable[[], FileSite]
    ) -> None:
        wrong, right = site(), site()
        wrong.put(pin.packages[0].file, deb + b"more")
        right.put(pin.packages[0].file, deb)

        assert fetch(tmp_path, pin, wrong.url, right.url).is_dir()

    def test_when_no_door_has_it_each_says_why(
        self, tmp_path: Path, pin: DebianPin, site: Callable[[], FileSite], mirrors: Callable[[str], None]
    ) -> None:
        mirrors(f"deb {site().url}/debian bookworm main\n")

        with pytest.raises(EngineError) as caught:
            fetch(tmp_path, pin, str(tmp_path / "nowhere"))

        text = str(caught.value)
        assert "there is no such folder" in text
        assert "404" in text
        assert "Debian's archive: " in text
        assert "connect" in text.lower()
        assert debian.installed(tmp_path / "engine") is None

    def test_a_closed_door_is_knocked_at_once(
        self, tmp_path: Path, pin: DebianPin, deb: bytes, site: Callable[[], FileSite]
    ) -> None:
        first, second = (
            pin.packages[0],
            replace(pin.packages[0], name="libllama0", pool="pool/main/l/libllama0_1_amd64.deb"),
        )
        peer = site()
        peer.put(first.file, deb)
        peer.put(second.file, deb)
        ways = doors.doors(tmp_path / "apt", pin, [CLOSED, peer.url])

        for package in (first, second):
            ways.bring(package, tmp_path / package.file)

        assert list(ways.reasons) == [CLOSED]
        assert len(peer.asked) == 2

    def test_what_is_kept_is_not_fetched_again(self, tmp_path: Path, pin: DebianPin, deb: bytes) -> None:
        (tmp_path / "engine/packages").mkdir(parents=True)
        (tmp_path / "engine/packages/other-name.deb").write_bytes(deb)
        (tmp_path / "engine/packages/old_1_amd64.deb").write_bytes(b"of another release")

        fetch(tmp_path, pin)

        assert [file.name for file in (tmp_path / "engine/packages").iterdir()] == [pin.packages[0].file]

    def test_a_password_in_a_url_is_told_to_nobody(self, tmp_path: Path, pin: DebianPin) -> None:
        with pytest.raises(EngineError) as caught:
            fetch(tmp_path, pin, "http://user:hunter2@127.0.0.1:9/packages")

        assert "hunter2" not in str(caught.value)


class Swapped:
    """A folder in which somebody swaps the file after it was looked at."""

    name = "a stranger's folder"

    def bring(self, package: DebianPackage, target: Path) -> None:
        target.write_bytes(b"another one")


def test_what_was_handed_over_is_looked_at_here(tmp_path: Path, pin: DebianPin, deb: bytes) -> None:
    (tmp_path / "stick").mkdir()
    (tmp_path / "stick/x.deb").write_bytes(deb)
    target = tmp_path / "x.deb"

    with pytest.raises(EngineError, match="another file than the pinned one"):
        doors.Doors([Swapped()]).bring(pin.packages[0], target)
    assert not target.exists()
    doors.Doors([Swapped(), doors.Folder(tmp_path / "stick")]).bring(pin.packages[0], target)
    assert target.read_bytes() == deb


@pytest.mark.parametrize(
    "sources",
    ["deb cdrom:[Debian GNU/Linux 12 _Bookworm_]/ bookworm main\n", "deb http://127.0.0.1:9/ubuntu noble main\n", ""],
)
def test_a_disc_or_another_distribution_is_no_mirror(mirrors: Callable[[str], None], sources: str) -> None:
    mirrors(sources)

    assert doors.mirrors() == []
