"""A throw-away Debian that boots: the same tree with systemd as its first process, in a container of systemd-nspawn."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from pathlib import Path

from testing.provision.debian_tree import CACHE, DebianTree, base_tree, prepare

_CGROUP = Path("/sys/fs/cgroup/unified")
# The container sees one hierarchy of cgroups, its own part of the machine's: without it systemd would make folders in
# the machine's root. KVM, journald's sockets and udev are not needed.
_BOOT = """
set -e
mount --make-rslave /
umount -l -R /sys/fs/cgroup
mount -t cgroup2 cgroup2 /sys/fs/cgroup
exec systemd-nspawn --quiet --directory="$1" --register=no --keep-unit --machine="$2" --console=read-only \
  --system-call-filter='@known' --boot
"""


def bootable_tree(suite: str) -> Path:
    """The tree that booting ones are copied from: a minimal Debian with systemd; made once and cached."""
    base = CACHE / f"{suite}-systemd"
    if not (base / "usr/sbin/init").exists():
        fresh = CACHE / f"{suite}-systemd.{os.getpid()}"
        subprocess.run(["cp", "-a", "--reflink=auto", str(base_tree(suite)), str(fresh)], check=True)
        prepare(fresh)
        environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND": "noninteractive"}
        for command in (["update"], ["install", "--yes", "--no-install-recommends", "systemd", "systemd-sysv", "dbus"]):
            program = ["chroot", str(fresh), "apt-get", "-qq", *command]
            subprocess.run(program, env=environment, check=True, capture_output=True)
        fresh.rename(base)
    return base


class SystemdTree(DebianTree):
    """One booted tree. Use as a context manager; leaving it removes everything."""

    base = staticmethod(bootable_tree)

    def __enter__(self) -> SystemdTree:
        self._group = _CGROUP / f"pipecatapp-{self.path.name}"
        self._group.mkdir()
        (self.path / "etc/machine-id").write_text("")
        script = f'echo $$ >{self._group}/cgroup.procs; exec unshare --mount bash -c "$0" boot "$@"'
        self._init = subprocess.Popen(
            ["bash", "-c", script, _BOOT, str(self.path), self.path.name[:60]],
            env={**os.environ, "SYSTEMD_NSPAWN_API_VFS_WRITABLE": "network"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
            text=True,
        )
        deadline = time.monotonic() + 120
        while self._pid == 0:
            if time.monotonic() > deadline or self._init.poll() is not None:
                raise RuntimeError("the tree's systemd did not start; are you root?")
            time.sleep(0.1)
            self._pid = _first_process(self._init.pid)
        # Until its bus is there systemd cannot be asked, then it says itself when the boot is over.
        while self.run("systemctl", "is-system-running", "--wait").output.strip() not in ("running", "degraded"):
            if time.monotonic() > deadline:
                raise RuntimeError("the tree's systemd did not come up")
            time.sleep(0.2)
        # A PC's /proc is whole. Where the container covers parts of it, the kernel gives a whole one to nobody inside.
        covers = "awk '$5 ~ \"^/proc/\" {print $5}' /proc/self/mountinfo | sort --reverse | xargs -n1 umount --lazy"
        self.run("sh", "-c", f"{covers} 2>/dev/null")
        return self

    def __exit__(self, *_: object) -> None:
        assert self._init is not None
        self.run("systemctl", "poweroff")
        try:
            self._init.wait(timeout=60)
        except subprocess.TimeoutExpired:
            os.kill(self._pid, signal.SIGKILL)
            self._init.wait(timeout=60)
        # On a machine without systemd this lies on the disk, where nspawn does not remove it.
        with contextlib.suppress(FileNotFoundError):
            Path("/run/systemd/nspawn/propagate", self.path.name[:60]).rmdir()
        for folder, _folders, _names in os.walk(self._group, topdown=False):
            Path(folder).rmdir()
        subprocess.run(["rm", "-rf", "--one-file-system", str(self.path)], check=True)


def _first_process(pid: int) -> int:
    """The descendant that is number one in a namespace of processes; 0 while there is none."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        for child in map(int, children):
            status = Path(f"/proc/{child}/status").read_text()
            numbers = next(line for line in status.splitlines() if line.startswith("NSpid:")).split()
            if numbers[-1] == "1" and len(numbers) > 2:
                return child
            if found := _first_process(child):
                return found
    except (FileNotFoundError, StopIteration):
        pass
    return 0
