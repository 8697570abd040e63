"""A throw-away Debian: an unpacked tree with its own /dev, processes and mounts, entered by chroot.

Nothing of it is visible to the machine: mounts live in a mount namespace that dies with its first process,
and with it every process that was started inside. The network is the machine's, so ports must be free ones.
"""

from __future__ import annotations

import configparser
import os
import re
import shutil
import signal
import subprocess
from pathlib import Path

from testing.provision.entered import CACHE, Entered, cached, house_environment

_INIT = r"""
set -e
tree=$1
mount -t tmpfs -o mode=755 tmpfs "$tree/dev"
for node in null:1:3 zero:1:5 full:1:7 random:1:8 urandom:1:9 tty:5:0; do
  IFS=: read -r name major minor <<<"$node"
  mknod -m 666 "$tree/dev/$name" c "$major" "$minor"
done
ln -s /proc/self/fd "$tree/dev/fd"
for n in 0:stdin 1:stdout 2:stderr; do ln -s "/proc/self/fd/${n%%:*}" "$tree/dev/${n#*:}"; done
mkdir "$tree/dev/shm" "$tree/dev/pts"
mount -t tmpfs -o mode=1777 tmpfs "$tree/dev/shm"
mount -t proc proc "$tree/proc"
mount -t tmpfs -o mode=755 tmpfs "$tree/run"
# A first process that only reaps: nothing in here restarts what bootstrap.sh starts.
exec chroot "$tree" /bin/bash -c 'echo ready; while :; do sleep 3600 & wait $!; done'
"""


def apt_mirror() -> str:
    """The package mirror that this machine itself uses, from its apt sources."""
    candidates = [Path("/etc/apt/sources.list"), *sorted(Path("/etc/apt/sources.list.d").glob("debian*"))]
    for path in candidates:
        if path.is_file():
            found = re.search(r"^(?:URIs:|deb(?:\s+\[[^\]]*\])?)\s+(\S+/debian/?)(?:\s|$)", path.read_text(), re.M)
            if found:
                return found.group(1)
    raise RuntimeError("no Debian mirror in this machine's apt sources; add one, or run on Debian")


def base_tree(suite: str) -> Path:
    """The unpacked minimal Debian that trees are copied from; made once by debootstrap and cached."""

    def make(fresh: Path) -> None:
        subprocess.run(
            ["debootstrap", "--variant=minbase", "--include=ca-certificates", suite, str(fresh), apt_mirror()],
            check=True,
            stdout=subprocess.DEVNULL,
        )

    return cached(CACHE / suite, make)


def resolver() -> Path:
    """The file that names the servers of names; one that a machine's own stub hides is taken from behind it."""
    behind = Path("/run/systemd/resolve/resolv.conf")
    stub = re.search(r"^nameserver\s+127\.", Path("/etc/resolv.conf").read_text(), re.M)
    return behind if stub and behind.exists() else Path("/etc/resolv.conf")


def prepare(tree: Path) -> None:
    """Name resolution, certificate authorities, how apt and pip download: a mirror may be frozen or behind a proxy."""
    shutil.copy(resolver(), tree / "etc/resolv.conf")
    settings = subprocess.run(["apt-config", "dump"], check=True, capture_output=True, text=True).stdout.splitlines()
    wanted = ("Acquire::Check-Valid-Until ", "Acquire::http::Proxy", "Acquire::https::")
    acquire = [line for line in settings if line.startswith(wanted)]
    (tree / "etc/apt/apt.conf.d/99machine").write_text("\n".join(acquire) + "\n")
    for authority in Path("/usr/local/share/ca-certificates").glob("*.crt"):
        shutil.copy(authority, tree / "usr/local/share/ca-certificates")
    subprocess.run(["chroot", str(tree), "update-ca-certificates"], check=True, capture_output=True)


def prepare_pip(tree: Path) -> None:
    """Tell the tree's pip what this machine's own settings and environment say of the house."""
    settings = configparser.ConfigParser()
    settings.read("/etc/pip.conf")
    house = house_environment(tree)
    names = {"PIP_INDEX_URL": "index-url", "PIP_EXTRA_INDEX_URL": "extra-index-url", "PIP_CERT": "cert"}
    settings.read_dict({"global": {option: house[name] for name, option in names.items() if name in house}})
    with (tree / "etc/pip.conf").open("w") as file:
        settings.write(file)


class DebianTree(Entered):
    """One tree with its first process running. Use as a context manager; leaving it removes everything."""

    # What it is a copy of.
    base = staticmethod(base_tree)

    def __init__(self, suite: str, path: Path) -> None:
        self.path = path
        subprocess.run(["cp", "-a", "--reflink=auto", str(self.base(suite)), str(path)], check=True)
        prepare(path)
        self._init: subprocess.Popen[str] | None = None
        self._pid = 0

    def __enter__(self) -> DebianTree:
        self._init = subprocess.Popen(
            ["unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--uts", "--ipc", "--kill-child",
             "bash", "-c", _INIT, "init", str(self.path)],
            stdout=subprocess.PIPE,
            text=True,
        )  # fmt: skip
        assert self._init.stdout is not None
        if self._init.stdout.readline() != "ready\n":
            raise RuntimeError("the tree's first process did not start; are you root?")
        children = Path(f"/proc/{self._init.pid}/task/{self._init.pid}/children").read_text().split()
        self._pid = int(children[0])
        return self

    def __exit__(self, *_: object) -> None:
        assert self._init is not None
        os.kill(self._pid, signal.SIGKILL)  # the whole process namespace dies with its first process
        self._init.wait(timeout=30)
        assert self._init.stdout is not None
        self._init.stdout.close()
        subprocess.run(["rm", "-rf", "--one-file-system", str(self.path)], check=True)

    def first_process(self) -> int:
        """The one that only reaps."""
        return self._pid
