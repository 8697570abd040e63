"""Where control groups may be made, read from what the kernel says of this process and its mounts."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pipecatapp.tools.sandbox_cgroup import VersionOne, VersionTwo, find_groups

pytestmark = pytest.mark.unit


class Kernel:
    """A tree of groups in a folder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._mounts: list[str] = []

    def mount(self, kind: str, options: str, *groups: str, source: str = "/") -> None:
        point = self.root / (options.replace(",", "-") or kind)
        for group in ("", *groups):
            (point / group).mkdir(parents=True, exist_ok=True)
        self._mounts.append(f"30 23 0:26 {source} {point} rw,nosuid shared:9 - {kind} {kind} rw,{options}")

    def folder(self, *parts: str) -> Path:
        return self.root.joinpath(*parts)

    def find(self, *own: str) -> VersionOne | VersionTwo | None:
        (self.root / "own").write_text("".join(f"{line}\n" for line in own))
        (self.root / "mounts").write_text("".join(f"{line}\n" for line in self._mounts))
        return find_groups(self.root / "own", self.root / "mounts")

    def unit(self, group: str, controllers: str, *, handed_over: bool) -> Path:
        folder = self.folder("cgroup2", group)
        (folder / "cgroup.controllers").write_text(controllers)
        (folder / "cgroup.procs").write_text("")
        (folder / "cgroup.subtree_control").write_text("")
        if handed_over:
            try:
                os.setxattr(folder, "user.delegate", b"1")
            except OSError:
                pytest.skip("this file system has no attributes")
        return folder


@pytest.fixture
def kernel(tmp_path: Path) -> Kernel:
    return Kernel(tmp_path)


def test_a_unit_that_was_handed_over_keeps_its_own_processes_in_a_leaf(kernel: Kernel) -> None:
    kernel.mount("cgroup2", "", "system.slice/agent.service")
    unit = kernel.unit("system.slice/agent.service", "cpu memory pids", handed_over=True)
    (unit / "cgroup.procs").write_text("42\n")
    assert isinstance(kernel.find("0::/system.slice/agent.service"), VersionTwo)
    assert (unit / "main/cgroup.procs").read_text() == "42"
    assert (unit / "cgroup.subtree_control").read_text() == "+memory +pids"


def test_a_process_that_systemd_put_into_a_leaf_finds_what_is_above_it(kernel: Kernel) -> None:
    kernel.mount("cgroup2", "", "agent.service/main")
    unit = kernel.unit("agent.service", "memory pids", handed_over=True)
    assert isinstance(kernel.find("0::/agent.service/main"), VersionTwo)
    assert (unit / "cgroup.subtree_control").read_text() == "+memory +pids"


def test_nobody_elses_groups_are_touched(kernel: Kernel) -> None:
    kernel.mount("cgroup2", "", "session.scope")
    unit = kernel.unit("session.scope", "memory pids", handed_over=False)
    assert kernel.find("0::/session.scope") is None
    assert sorted(path.name for path in unit.iterdir()) == [
        "cgroup.controllers",
        "cgroup.procs",
        "cgroup.subtree_control",
    ]


def test_without_the_controller_of_memory_there_is_none(kernel: Kernel) -> None:
    kernel.mount("cgroup2", "", "agent.service")
    kernel.unit("agent.service", "cpu pids", handed_over=True)
    assert kernel.find("0::/agent.service") is None


def test_version_one_is_found_through_what_is_mounted(kernel: Kernel) -> None:
    kernel.mount("cgroup", "memory", "a")
    kernel.mount("cgroup", "pids")
    kernel.mount("cgroup2", "")
    stale = kernel.folder("memory", "a", f"pipecatapp-sandbox-{2**22 + 1}-0")
    stale.mkdir()
    assert isinstance(kernel.find("8:pids:/", "4:memory:/a", "0::/"), VersionOne)
    assert not stale.exists()  # its agent was killed


def test_a_container_sees_its_part_of_the_tree(kernel: Kernel) -> None:
    kernel.mount("cgroup", "memory", "b", source="/docker/a")
    assert isinstance(kernel.find("4:memory:/docker/a/b"), VersionOne)


def test_no_groups_at_all(kernel: Kernel) -> None:
    assert kernel.find("0::/") is None
    kernel.mount("cgroup", "cpu")
    assert kernel.find("3:cpu:/") is None
