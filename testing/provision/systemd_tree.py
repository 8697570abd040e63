"""A throw-away Debian that boots: the same tree with systemd as its first process, in a container of systemd-nspawn."""

from __future__ import annotations

import contextlib
import os
import subprocess
from pathlib import Path

from testing.provision.container import CGROUPS, ENVIRONMENT, NSPAWN, Booted, Group
from testing.provision.debian_tree import DebianTree, base_tree, prepare
from testing.provision.entered import CACHE, PATH, cached

_BOOT = f"""
set -e
{CGROUPS}
exec {NSPAWN} --directory="$1" --machine="$2"
"""


def install(tree: Path, *packages: str) -> None:
    """Install Debian packages in a tree in which nothing runs."""
    environment = {"PATH": PATH, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["update"], ["install", "--yes", "--no-install-recommends", *packages]):
        program = ["chroot", str(tree), "apt-get", "-qq", *command]
        subprocess.run(program, env=environment, check=True, capture_output=True)


def bootable_tree(suite: str) -> Path:
    """The tree that booting ones are copied from: a minimal Debian with systemd; made once and cached."""

    def make(fresh: Path) -> None:
        subprocess.run(["cp", "-a", "--reflink=auto", str(base_tree(suite)), str(fresh)], check=True)
        prepare(fresh)
        install(fresh, "systemd", "systemd-sysv", "dbus")

    return cached(CACHE / f"{suite}-systemd", make)


class SystemdTree(DebianTree, Booted):
    """One booted tree. Use as a context manager; leaving it removes everything."""

    base = staticmethod(bootable_tree)

    def __enter__(self) -> SystemdTree:
        self._group = Group(f"pipecatapp-{self.path.name}")
        self._group.make()
        (self.path / "etc/machine-id").write_text("")
        script = f'echo $$ >{self._group.path}/cgroup.procs; exec unshare --mount bash -c "$0" boot "$@"'
        self._init = subprocess.Popen(
            ["bash", "-c", script, _BOOT, str(self.path), self.path.name[:60]],
            env={**os.environ, **ENVIRONMENT},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
            text=True,
        )
        init = self._init
        self.come_up(lambda: init.poll() is None)
        return self

    def first_process(self) -> int:
        """Its systemd."""
        pid = self._group.first_process()
        if not pid:
            raise RuntimeError(f"{self.path.name} does not run")
        return pid

    def __exit__(self, *_: object) -> None:
        assert self._init is not None
        with contextlib.suppress(RuntimeError):
            self.run("systemctl", "poweroff")
        try:
            self._init.wait(timeout=60)
        except subprocess.TimeoutExpired:
            self._group.kill()
            self._init.wait(timeout=60)
        # On a machine without systemd this lies on the disk, where nspawn does not remove it.
        with contextlib.suppress(FileNotFoundError):
            Path("/run/systemd/nspawn/propagate", self.path.name[:60]).rmdir()
        self._group.remove()
        subprocess.run(["rm", "-rf", "--one-file-system", str(self.path)], check=True)
