"""One node of a lab: a PC with its own systemd, sshd, disk and network, that can be treated as badly as a real one."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from testing.lab.bases import USER
from testing.lab.network import Network
from testing.provision.container import CGROUPS, ENVIRONMENT, NSPAWN, Booted, Group
from testing.provision.debian_tree import resolver

# Its mounts are in a namespace that ends with its last process. A reboot from inside ends nspawn with 133; a PC's
# kernel would have lost its packet filter by then.
_BOOT = f"""
set -e
{CGROUPS}
mount -t overlay overlay -o "lowerdir=$1,upperdir=$2/upper,workdir=$2/work" "$2/root"
while :; do
  code=0
  {NSPAWN} --directory="$2/root" --machine="$3" --hostname="$4" --network-namespace-path="/run/netns/$3" \\
    --capability=CAP_NET_ADMIN,CAP_BPF || code=$?
  [ "$code" = 133 ] || exit "$code"
  nsenter --net="/run/netns/$3" nft flush ruleset
done
"""

_DISGUISE = """#!/bin/sh
exec unshare --uts --mount sh -c '
  hostname {name} && mount --bind /opt/lab/{name}/machine-id /etc/machine-id && exec /usr/bin/python3 "$@"
' - "$@"
"""


def wait_until(what: str, holds: Callable[[], bool], limit_s: float = 120, every_s: float = 0.2) -> float:
    """Wait until something holds; how long it took, in seconds.

    Raises:
        TimeoutError: it did not in time.
    """
    began = time.monotonic()
    while not holds():
        if time.monotonic() - began > limit_s:
            raise TimeoutError(f"{what}: not within {limit_s:g} s")
        time.sleep(every_s)
    return time.monotonic() - began


class Node(Booted):
    """One node; ``Lab`` makes it.

    Args:
        name: its host name.
        folder: its disk and the log of its console.
        network: the lab's.
        layers: what lies below its own disk, the topmost first.
        address: what it has in the lab's network.
    """

    namespaces = ("mount", "pid", "uts", "ipc", "net", "cgroup")

    def __init__(self, name: str, folder: Path, network: Network, layers: Sequence[Path], address: str) -> None:
        self.name = name
        self.folder = folder
        self.layers = [Path(layer) for layer in layers]
        self.address = address
        self._network = network
        self._group = Group(network.node_namespace(name))

    @property
    def root(self) -> Path:
        """Its files as seen from here, while it runs. An absolute link in them leads out of it: ask ``run`` there."""
        return Path(f"/proc/{self.first_process()}/root")

    @property
    def has_disk(self) -> bool:
        """Whether something is installed on it: its sshd's key comes soon after the rest."""
        return self._public_key.exists()

    @property
    def public_key(self) -> str:
        """Its sshd's."""
        return self._public_key.read_text().strip()

    @property
    def _public_key(self) -> Path:
        return self.folder / "upper/etc/ssh/ssh_host_ed25519_key.pub"

    @property
    def running(self) -> bool:
        """Whether any of it runs."""
        return self._group.path.exists() and bool(self._group.processes())

    def first_process(self) -> int:
        """Its systemd."""
        pid = self._group.first_process()
        if not pid:
            raise RuntimeError(f"{self.name} does not run; its console: {self.folder / 'console.log'}")
        return pid

    def install(self, authorized: str) -> None:
        """Give it a new disk: a fresh Debian that takes this key of ssh."""
        if self.folder.exists():
            subprocess.run(["rm", "-rf", "--one-file-system", str(self.folder)], check=True)
        upper = self.folder / "upper"
        for folder in ("work", "root", "upper/etc/ssh"):
            (self.folder / folder).mkdir(parents=True)
        # A folder of the upper layer speaks for its mode and owner, too.
        for folder in (self.folder, upper, upper / "etc", upper / "etc/ssh"):
            folder.chmod(0o755)
        (upper / "etc/hostname").write_text(f"{self.name}\n")
        (upper / "etc/hosts").write_text(f"127.0.0.1 localhost\n127.0.1.1 {self.name}\n::1 localhost\n")
        (upper / "etc/machine-id").write_text("")
        shutil.copy(resolver(), upper / "etc/resolv.conf")
        key = upper / "etc/ssh/ssh_host_ed25519_key"
        make_key(key, f"root@{self.name}")
        home = upper / "home" / USER
        base = next(layer for layer in self.layers if (layer / "home" / USER).is_dir()) / "home"
        (home / ".ssh").mkdir(parents=True)
        (home / ".ssh/authorized_keys").write_text(authorized)
        user = (base / USER).stat()
        shutil.copystat(base, home.parent)
        shutil.copystat(base / USER, home)
        (home / ".ssh").chmod(0o700)
        (home / ".ssh/authorized_keys").chmod(0o600)
        for path in (home, home / ".ssh", home / ".ssh/authorized_keys"):
            os.chown(path, user.st_uid, user.st_gid)

    def start(self, limit_s: float = 180) -> None:
        """Press its button and wait until its systemd says that all is started.

        Raises:
            RuntimeError: it runs already, or did not come up.
        """
        if self.running:
            raise RuntimeError(f"{self.name} runs already")
        self._tidy()
        self._network.plug(self.name, self.address)
        self._group.make()
        script = 'echo $$ >"$1"; shift; exec setsid --fork unshare --mount bash -c "$@"'
        layers = ":".join(map(str, self.layers))
        with (self.folder / "console.log").open("ab") as console:
            subprocess.run(
                ["bash", "-c", script, "boot", str(self._group.path / "cgroup.procs"), _BOOT, "node", layers,
                 str(self.folder), self._group.path.name, self.name],
                env={**os.environ, **ENVIRONMENT}, stdin=subprocess.DEVNULL, stdout=console, stderr=console, check=True,
            )  # fmt: skip
        self.come_up(lambda: self.running, limit_s)

    def stop(self, limit_s: float = 120) -> None:
        """Shut it down as a person does."""
        self.run("systemctl", "poweroff", limit_s=limit_s)
        try:
            wait_until(f"{self.name} off", lambda: not self.running, limit_s)
        finally:
            self.power_cut()

    def power_cut(self) -> None:
        """Pull its plug: nothing of it says good-bye, and nobody answers for it."""
        with contextlib.suppress(RuntimeError):  # no link: it is off
            self._network.link(self.name, up=False)
        self._group.kill()
        self._tidy()

    def reboot(self, limit_s: float = 180) -> None:
        """Boot it again from inside, as after an update."""
        before = self.first_process()
        self.run("systemctl", "reboot", limit_s=limit_s)
        wait_until(f"{self.name} rebooting", lambda: self._group.first_process() not in (0, before), limit_s)
        self.come_up(lambda: self.running, limit_s)

    def pause(self) -> None:
        """Stop all of its processes where they stand; its kernel goes on answering the network."""
        self._group.freeze(True)

    def resume(self) -> None:
        """Let them go on."""
        self._group.freeze(False)

    def cut_off(self) -> None:
        """Pull its network cable."""
        self._network.link(self.name, up=False)

    def reconnect(self) -> None:
        """Plug the cable in again."""
        self._network.link(self.name, up=True)

    def disguise(self, name: str) -> None:
        """Make a Python in which root sees another machine's name and identity, and this one's else."""
        folder = self.root / "opt/lab" / name
        folder.mkdir(parents=True)
        (folder / "machine-id").write_text(hashlib.sha256(name.encode()).hexdigest()[:32] + "\n")
        program = folder / "python3"
        program.write_text(_DISGUISE.format(name=name))
        program.chmod(0o755)

    @staticmethod
    def disguised_python(name: str) -> str:
        """Where this Python is, in the node."""
        return f"/opt/lab/{name}/python3"

    def _tidy(self) -> None:
        self._network.unplug(self.name)
        forget(self._group)


def make_key(path: Path, comment: str) -> None:
    """Make a key of ssh without a password, and its public part beside it."""
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", str(path)]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)


def forget(group: Group) -> None:
    """Remove what a container of this name left on the machine, once nothing of it runs."""
    group.remove()
    # On a machine without systemd these lie on the disk, where a killed nspawn does not remove them.
    for left in Path("/run/systemd/nspawn").glob(f"*/{group.path.name}"):
        left.rmdir()
