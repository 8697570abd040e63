"""The trees that nodes start from: a Debian with sshd and Python, and the layer of an agent above it.

A base is never written to: each node sees it through an overlay of its own.
"""

from __future__ import annotations

import hashlib
import inspect
import subprocess
from pathlib import Path

from testing.provision.debian_tree import prepare, prepare_pip
from testing.provision.entered import CACHE, cached
from testing.provision.systemd_tree import bootable_tree, install

USER = "deploy"
# What the installer's smallest Debian has beside systemd, and a server of ssh.
PACKAGES = (
    "openssh-server", "python3", "python3-apt", "sudo", "iproute2", "iputils-ping", "curl", "procps", "kmod", "udev",
    "nftables", "netbase", "linux-sysctl-defaults",
)  # fmt: skip


def plain(suite: str) -> Path:
    """The tree of a node as Debian's installer leaves it, with a user who may use sudo."""
    key = hashlib.sha256(inspect.getsource(_make_plain).encode() + " ".join(PACKAGES).encode()).hexdigest()[:8]
    return cached(CACHE / f"{suite}-lab-{key}", lambda fresh: _make_plain(suite, fresh))


def _make_plain(suite: str, fresh: Path) -> None:
    subprocess.run(["cp", "-a", "--reflink=auto", str(bootable_tree(suite)), str(fresh)], check=True)
    prepare(fresh)
    install(fresh, *PACKAGES)
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
