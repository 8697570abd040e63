"""What the labs of this machine share: their folder, the lock, the kernel settings raised while one is there."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from testing.provision.container import hierarchy
from testing.provision.entered import CACHE, needed

LABS = CACHE / "labs"
PROGRAMS = ("debootstrap", "systemd-nspawn", "nsenter", "ip", "nft", "ssh", "ssh-keygen")
# Twenty systemd want more watches than the kernel gives by default; packets of the nodes go through this machine.
_RAISED = {"/proc/sys/fs/inotify/max_user_instances": "1024", "/proc/sys/net/ipv4/ip_forward": "1"}
_BEFORE = LABS / ".before.json"


def missing() -> str:
    """Why there can be no lab here; empty where there can."""
    if why := needed(*PROGRAMS):
        return why.replace("a Debian tree", "a lab")
    if hierarchy() is None:
        return "a lab needs a hierarchy of cgroups v2"
    return ""


@contextmanager
def locked() -> Iterator[None]:
    """One lab at a time comes or goes."""
    LABS.mkdir(parents=True, exist_ok=True)
    with (LABS / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def names() -> list[str]:
    """The labs that are there, running or left behind."""
    return sorted(path.parent.name for path in LABS.glob("*/lab.json"))


def raise_settings() -> None:
    """Raise the kernel's settings and remember what they were; under the lock."""
    if not remembered():
        before = {path: Path(path).read_text().strip() for path in _RAISED}
        write(_BEFORE, json.dumps({"boot": _boot(), "before": before}))
    for path, value in _RAISED.items():
        if int(Path(path).read_text()) < int(value):
            Path(path).write_text(value)


def remembered() -> dict[str, str]:
    """What the raised settings were before; empty where nothing of this boot is remembered."""
    try:
        noted = json.loads(_BEFORE.read_text())
    except FileNotFoundError:
        return {}
    return dict(noted["before"]) if noted["boot"] == _boot() else {}


def restore_settings() -> None:
    """Put them back when the last lab has gone; under the lock."""
    if names():
        return
    for path, value in remembered().items():
        Path(path).write_text(value)
    _BEFORE.unlink(missing_ok=True)


def _boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def started(pid: int) -> str:
    """When a process began, in the kernel's ticks: a number may be another process's later. Empty: it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except OSError:
        return ""


def owner() -> list[str]:
    """This process, for others to see whether it lives."""
    return [str(os.getpid()), started(os.getpid())]


def write(path: Path, text: str) -> None:
    """Replace a file as a whole."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    fresh.write_text(text)
    fresh.replace(path)


def remove(folder: Path) -> None:
    """Remove a lab's folder; what is mounted in it is unmounted first."""
    if not folder.exists():
        return
    mounted = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    for place in reversed([place for place in mounted if Path(place).is_relative_to(folder)]):
        subprocess.run(["umount", place], check=True)
    subprocess.run(["rm", "-rf", "--one-file-system", str(folder)], check=True)
