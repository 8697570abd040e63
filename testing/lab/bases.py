"""The trees that nodes start from: a Debian with sshd and Python, and the layer of an agent above it.

A base is never written to: each node sees it through an overlay of its own.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import inspect
import json
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from testing.provision.debian_tree import prepare, prepare_pip
from testing.provision.entered import CACHE, cached
from testing.provision.systemd_tree import bootable_tree, install

USER = "deploy"
# What the installer's smallest Debian has beside systemd, and a server of ssh.
PACKAGES = (
    "openssh-server", "python3", "python3-apt", "sudo", "iproute2", "iputils-ping", "curl", "procps", "kmod", "udev",
    "nftables", "netbase",
)  # fmt: skip
# Before trixie these settings are part of another package.
SINCE_TRIXIE = ("linux-sysctl-defaults",)
# A base that nobody has asked for that long is an older version's. With less, two checkouts would take turns.
KEPT_S = 24 * 3600


def packages(suite: str) -> tuple[str, ...]:
    """What is installed in the node of a release."""
    return PACKAGES if suite == "bookworm" else (*PACKAGES, *SINCE_TRIXIE)


def plain(suite: str) -> Path:
    """The tree of a node as Debian's installer leaves it, with a user who may use sudo."""
    key = hashlib.sha256(inspect.getsource(_make_plain).encode() + " ".join(packages(suite)).encode()).hexdigest()[:8]
    return current(f"{suite}-lab", key, lambda fresh: _make_plain(suite, fresh))


def kernel() -> Path:
    """The layer that makes a node's tree a virtual machine's: Debian's kernel for those, in ``boot/vmlinuz``."""
    key = hashlib.sha256(inspect.getsource(_make_kernel).encode()).hexdigest()[:8]
    return current("kernel", key, _make_kernel)


def current(kind: str, key: str, make: Callable[[Path], None], cache: Path = CACHE) -> Path:
    """The base of this kind and version, made when it is first asked for; those of older versions go."""
    base = cached(cache / f"{kind}-{key}", make)
    for old in outdated(kind, base):
        _remove(old)
    return base


def outdated(kind: str, base: Path) -> list[Path]:
    """The bases of a kind beside this one that no lab stands on and nobody has asked for in a day."""
    used = set()
    for state in base.parent.glob("labs/*/lab.json"):
        with contextlib.suppress(FileNotFoundError):  # that lab has just gone
            used |= {layer for node in json.loads(state.read_text())["nodes"].values() for layer in node["layers"]}
    others = [lock.with_suffix("") for lock in base.parent.glob(f"{kind}-*.lock")]
    return sorted(other for other in others if other != base and str(other) not in used and _forgotten(other))


def _forgotten(base: Path) -> bool:
    # Each who asks for a base opens its lock for writing.
    return base.exists() and time.time() - Path(f"{base}.lock").stat().st_mtime > KEPT_S


def _remove(base: Path) -> None:
    with Path(f"{base}.lock").open() as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:  # somebody asks for it just now
            return
        if _forgotten(base):
            subprocess.run(["rm", "-rf", "--one-file-system", str(base)], check=True)


def _make_plain(suite: str, fresh: Path) -> None:
    subprocess.run(["cp", "-a", "--reflink=auto", str(bootable_tree(suite)), str(fresh)], check=True)
    prepare(fresh)
    install(fresh, *packages(suite))
    prepare_pip(fresh)
    subprocess.run(["chroot", str(fresh), "useradd", "--create-home", "--shell=/bin/bash", USER], check=True)
    rule = fresh / "etc/sudoers.d/deploy"
    rule.write_text(f"{USER} ALL=(ALL) NOPASSWD:ALL\n")
    rule.chmod(0o440)
    # Every node has keys and an identity of its own.
    for own in (*(fresh / "etc/ssh").glob("ssh_host_*"), fresh / "var/lib/dbus/machine-id"):
        own.unlink(missing_ok=True)
    for package in (fresh / "var/cache/apt/archives").glob("*.deb"):
        package.unlink()


def _make_kernel(fresh: Path) -> None:
    # Its package is unpacked, not installed: without an initrd it needs no more.
    tree = fresh.with_suffix(".tree")
    subprocess.run(["rm", "-rf", "--one-file-system", str(tree)], check=True)
    subprocess.run(["cp", "-a", "--reflink=auto", str(plain("trixie")), str(tree)], check=True)
    inside = ["chroot", str(tree), "sh", "-ec"]
    get = """
        cd /tmp
        apt-get -qq update
        apt-get -qq download $(apt-cache depends linux-image-cloud-amd64 | awk '$1 == "Depends:" {print $2}')
        dpkg-deb --extract linux-image-*.deb unpacked
        depmod --basedir /tmp/unpacked/usr $(ls unpacked/usr/lib/modules)
        mv unpacked/boot/vmlinuz-* unpacked/boot/vmlinuz
    """
    subprocess.run([*inside, get], check=True, capture_output=True)
    for folder in ("boot", "usr/lib/modules"):
        (fresh / folder).parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(["cp", "-a", str(tree / "tmp/unpacked" / folder), str(fresh / folder)], check=True)
    subprocess.run(["rm", "-rf", "--one-file-system", str(tree)], check=True)
