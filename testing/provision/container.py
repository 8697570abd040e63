"""What systemd needs to be the first process of a container: a cgroup of its own, and systemd-nspawn around it."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from testing.provision.entered import Entered, Result

# The container sees one hierarchy of cgroups, its own part of the machine's: without it systemd would make folders in
# the machine's root. KVM, journald's sockets and udev are not needed.
CGROUPS = """
mount --make-rslave /
umount -l -R /sys/fs/cgroup
mount -t cgroup2 cgroup2 /sys/fs/cgroup
"""
NSPAWN = """systemd-nspawn --quiet --register=no --keep-unit --console=read-only --system-call-filter='@known' --boot"""
# Lets what runs inside write in /proc/sys/net and /sys, as on a PC.
ENVIRONMENT = {"SYSTEMD_NSPAWN_API_VFS_WRITABLE": "network"}


def hierarchy() -> Path | None:
    """Where this machine has its hierarchy of cgroups v2; None where it has none."""
    for place in (Path("/sys/fs/cgroup/unified"), Path("/sys/fs/cgroup")):
        if (place / "cgroup.controllers").exists():
            return place
    return None


class Group:
    """A cgroup named for what runs in it: whoever comes later finds it, and all that is in it, by this name."""

    def __init__(self, name: str) -> None:
        place = hierarchy()
        if place is None:
            raise RuntimeError("this machine has no hierarchy of cgroups v2")
        self.path = place / name

    def make(self) -> None:
        """Make it."""
        self.path.mkdir(exist_ok=True)

    def processes(self) -> list[int]:
        """The processes in it and in the groups below it."""
        found: list[int] = []
        for folder in self._folders():
            with contextlib.suppress(OSError):
                found += map(int, (folder / "cgroup.procs").read_text().split())
        return found

    def first_process(self) -> int:
        """The process that is number one in a namespace of processes; 0 while there is none."""
        for pid in self.processes():
            with contextlib.suppress(OSError, StopIteration):
                status = Path(f"/proc/{pid}/status").read_text()
                numbers = next(line for line in status.splitlines() if line.startswith("NSpid:")).split()[1:]
                # One more namespace than this one: a sandbox inside the container has a number one, too.
                if len(numbers) == 2 and numbers[-1] == "1":
                    return pid
        return 0

    def freeze(self, frozen: bool) -> None:
        """Stop everything in it, or let it go on."""
        (self.path / "cgroup.freeze").write_text("1" if frozen else "0")

    def kill(self, limit_s: float = 60) -> None:
        """End everything in it at once."""
        if not self.path.exists():
            return
        deadline = time.monotonic() + limit_s
        while processes := self.processes():
            for pid in processes:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self.freeze(False)
            if time.monotonic() > deadline:
                raise TimeoutError(f"{self.path} still has processes after {limit_s:g} s: {processes}")
            time.sleep(0.02)

    def remove(self, limit_s: float = 60) -> None:
        """Take it away, when nothing runs in it any more."""
        deadline = time.monotonic() + limit_s
        for folder in reversed(list(self._folders())):
            while folder.exists():
                try:
                    folder.rmdir()
                except OSError as error:
                    # A killed process is no longer listed, and still there until the kernel has taken it apart.
                    if error.errno != errno.EBUSY or time.monotonic() > deadline:
                        raise
                    time.sleep(0.05)

    def _folders(self) -> Iterator[Path]:
        for folder, _folders, _names in os.walk(self.path):
            yield Path(folder)


class Booted(Entered):
    """A machine whose first process is systemd."""

    def come_up(self, alive: Callable[[], bool], limit_s: float = 180) -> None:
        """Wait until systemd says that the boot is over.

        Raises:
            RuntimeError: it ended or is not up in time.
        """
        deadline = time.monotonic() + limit_s
        while not self._is_up():
            if not alive():
                raise RuntimeError("the tree's systemd did not start; are you root?")
            if time.monotonic() > deadline:
                raise RuntimeError(f"the tree's systemd did not come up in {limit_s:g} s")
            time.sleep(0.2)
        # A PC's /proc is whole. Where the container covers parts of it, the kernel gives a whole one to nobody inside.
        covers = "awk '$5 ~ \"^/proc/\" {print $5}' /proc/self/mountinfo | sort --reverse | xargs -n1 umount --lazy"
        self.run("sh", "-c", f"{covers} 2>/dev/null")

    def _is_up(self) -> bool:
        try:
            # Until its bus is there systemd cannot be asked, then it says itself when the boot is over.
            asked: Result = self.run("systemctl", "is-system-running", "--wait", limit_s=120)
        except RuntimeError:  # not yet
            return False
        return asked.output.strip() in ("running", "degraded")
