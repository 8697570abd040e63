"""A throw-away Debian: an unpacked tree with its own /dev, processes and mounts, entered by chroot.

Nothing of it is visible to the machine: mounts live in a mount namespace that dies with its first process,
and with it every process that was started inside. The network is the machine's, so ports must be free ones.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

CACHE = Path(os.environ.get("PIPECATAPP_TEST_CACHE", "/var/cache/pipecatapp-tests"))

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
    base = CACHE / suite
    if not (base / "etc/debian_version").exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        fresh = CACHE / f"{suite}.{os.getpid()}"
        subprocess.run(
            ["debootstrap", "--variant=minbase", "--include=ca-certificates", suite, str(fresh), apt_mirror()],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        fresh.rename(base)
    return base


def prepare(tree: Path) -> None:
    """Name resolution, certificate authorities, how apt downloads: a mirror may be frozen or behind a proxy."""
    shutil.copy("/etc/resolv.conf", tree / "etc/resolv.conf")
    settings = subprocess.run(["apt-config", "dump"], check=True, capture_output=True, text=True).stdout.splitlines()
    wanted = ("Acquire::Check-Valid-Until ", "Acquire::http::Proxy", "Acquire::https::")
    acquire = [line for line in settings if line.startswith(wanted)]
    (tree / "etc/apt/apt.conf.d/99machine").write_text("\n".join(acquire) + "\n")
    for authority in Path("/usr/local/share/ca-certificates").glob("*.crt"):
        shutil.copy(authority, tree / "usr/local/share/ca-certificates")
    subprocess.run(["chroot", str(tree), "update-ca-certificates"], check=True, capture_output=True)


@dataclass(frozen=True)
class Result:
    """What a command inside the tree left behind."""

    code: int
    output: str


class DebianTree:
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

    def popen(
        self, command: Sequence[str], env: Mapping[str, str] | None = None, cwd: str = "/"
    ) -> subprocess.Popen[str]:
        """Start a command inside; its output (both streams) is in ``stdout``."""
        return subprocess.Popen(
            ["nsenter", "--target", str(self._pid), "--mount", "--pid", "--uts", "--ipc", "--root", f"--wdns={cwd}",
             "env", "-i", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root",
             "DEBIAN_FRONTEND=noninteractive", *(f"{name}={value}" for name, value in (env or {}).items()), *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )  # fmt: skip

    def run(self, *command: str, env: Mapping[str, str] | None = None, cwd: str = "/", limit_s: float = 900) -> Result:
        """Run a command inside to its end."""
        process = self.popen(command, env, cwd)
        try:
            output, _ = process.communicate(timeout=limit_s)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            output, _ = process.communicate()
            raise AssertionError(f"{command[0]} did not end in {limit_s} s:\n{output}") from None
        return Result(process.returncode, output)
