"""A node that is a virtual machine: an old PC with a kernel, a clock and a disk of its own, which a lab's others share.

QEMU emulates a Core 2 Duo, so that it needs no help of the processor's and is slow: a minute until it takes ssh. Its
disk forgets at a power cut what was not flushed (``write_log.py``).
"""

from __future__ import annotations

import contextlib
import random
import shlex
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from testing.lab import write_log
from testing.lab.network import Network
from testing.lab.node import Node, wait_until
from testing.provision.entered import PATH, Result

QEMU = "qemu-system-x86_64"
PROGRAMS = {QEMU: "qemu-system-x86", "qemu-img": "qemu-utils", "mke2fs": "e2fsprogs"}
DISK = "4G"
# Debian's kernel for virtual machines has this disk's driver in itself: no initrd.
# Guards against other processors' spies cost an emulated one most of its time. On a busy machine a processor's own
# counter is measured wrong at the start, and runs years ahead.
_ROOT = (
    "root=/dev/nvme0n1 rootfstype=ext4 rootflags=noinit_itable rw console=ttyS0 net.ifnames=0 panic=-1 quiet"
    " mitigations=off nowatchdog clocksource=acpi_pm tsc=unstable systemd.show_status=0"
)
_NETWORK = """[Match]
Name=eth0

[Link]
MTUBytes={mtu}

[Network]
Address={address}
Gateway={gateway}
LinkLocalAddressing=ipv6
IPv6AcceptRA=no
"""
# The image is made from the layers as one tree, in a namespace of mounts that ends with this.
_IMAGE = """
set -e
mount -t overlay overlay -o "lowerdir=$1,upperdir=$2/upper,workdir=$2/work" "$2/root"
mke2fs -q -t ext4 -E root_owner=0:0 -d "$2/root" "$2/disk.img" "$3"
"""


def missing() -> str:
    """Why there can be no virtual machine here; empty where there can."""
    packages = [package for program, package in PROGRAMS.items() if not shutil.which(program)]
    if packages:
        return f"no virtual machines here: apt-get install --no-install-recommends {' '.join(packages)}"
    return "" if Path("/dev/net/tun").exists() else "no virtual machines here: the kernel has no /dev/net/tun"


class Virtual(Node):
    """One virtual machine; ``Lab`` makes it.

    Args:
        name, folder, network, address: as a node's.
        layers: the kernel's (``bases.kernel``), then a node's.
        ssh: the start of a command line that reaches its root.
        clock: what the clock on its board says whenever it is switched on (``2009-01-01T00:00:00``), as that of a PC
            does whose battery is empty; None: it is right.
    """

    memory_mb = 768

    def __init__(
        self,
        name: str,
        folder: Path,
        network: Network,
        layers: Sequence[Path],
        address: str,
        ssh: Callable[[], list[str]],
        clock: str | None = None,
    ) -> None:
        super().__init__(name, folder, network, layers, address)
        self.clock = clock
        # How many writes the last power cut took.
        self.lost_writes = 0
        self._ssh = ssh

    @property
    def root(self) -> Path:
        """Nobody sees its files from here.

        Raises:
            NotImplementedError: always.
        """
        raise NotImplementedError(f"{self.name} is a virtual machine: ask `run` there")

    def first_process(self) -> int:
        """Its QEMU."""
        pids = self._group.processes() if self._group.path.exists() else []
        if not pids:
            raise RuntimeError(f"{self.name} does not run; its console: {self.folder / 'console.log'}")
        return pids[0]

    def install(self, authorized: str) -> None:
        """Give it a new disk: a fresh Debian that takes this key of ssh, root's too."""
        super().install(authorized)
        upper = self.folder / "upper"
        network, units = upper / "etc/systemd/network", upper / "etc/systemd/system/multi-user.target.wants"
        for folder in (network, units, upper / "root/.ssh"):
            folder.mkdir(parents=True)
        settings = {"address": f"{self.address}/{self._network.subnet.prefixlen}", "gateway": self._network.gateway}
        (network / "10-lab.network").write_text(_NETWORK.format(mtu=self._network.mtu, **settings))
        (units / "systemd-networkd.service").symlink_to("/usr/lib/systemd/system/systemd-networkd.service")
        keys = upper / "root/.ssh/authorized_keys"
        keys.write_text(authorized)
        for path, mode in ((upper / "root", 0o700), (keys.parent, 0o700), (keys, 0o600)):
            path.chmod(mode)
        layers = ":".join(map(str, self.layers))
        made = ["unshare", "--mount", "bash", "-c", _IMAGE, "image", layers, str(self.folder), DISK]
        subprocess.run(made, check=True, capture_output=True, stdin=subprocess.DEVNULL)

    def start(self, limit_s: float = 1200) -> None:
        """Press its button and wait until its systemd says that all is started.

        Raises:
            RuntimeError: it runs already, or did not come up.
        """
        if self.running:
            raise RuntimeError(f"{self.name} runs already")
        self._tidy()
        self._settle_disk()
        live = ["qemu-img", "create", "-q", "-f", "qcow2", "-b", "disk.img", "-F", "raw", "live.qcow2"]
        subprocess.run(live, cwd=self.folder, check=True, stdin=subprocess.DEVNULL)
        (self.folder / "writes.log").touch()
        self._network.plug_machine(self.name)
        self._group.make()
        script = 'echo $$ >"$1"; shift; exec setsid --fork "$@"'
        with (self.folder / "qemu.log").open("ab") as said:
            subprocess.run(
                ["bash", "-c", script, "boot", str(self._group.path / "cgroup.procs"), *self._command()],
                cwd=self.folder, stdin=subprocess.DEVNULL, stdout=said, stderr=said, check=True,
            )  # fmt: skip
        self.come_up(lambda: self.running, limit_s)

    def come_up(self, alive: Callable[[], bool], limit_s: float = 1200) -> None:
        """Wait until systemd says over ssh that the boot is over.

        Raises:
            RuntimeError: it ended.
            TimeoutError: it is not up in time.
        """

        def up() -> bool:
            if not alive():
                said = (self.folder / "qemu.log").read_text(errors="replace")[-2000:]
                raise RuntimeError(f"{self.name} ended; its console: {self.folder / 'console.log'}; {said}")
            return self._is_up()

        wait_until(f"{self.name} up", up, limit_s, every_s=0.5)

    def stop(self, limit_s: float = 300) -> None:
        """Shut it down as a person does."""
        # Its sshd may end before it has answered.
        with contextlib.suppress(RuntimeError):
            self.run("systemctl", "poweroff", limit_s=limit_s)
        try:
            wait_until(f"{self.name} off", lambda: not self.running, limit_s)
        finally:
            self.power_cut()

    def power_cut(self, chance: random.Random | None = None) -> None:
        """Pull its plug. Its disk has what was flushed; of the rest nothing, or with ``chance`` any half of it."""
        super().power_cut()
        self._settle_disk(chance)

    def reboot(self, limit_s: float = 1200) -> None:
        """Boot it again from inside, as after an update."""
        boot = ("cat", "/proc/sys/kernel/random/boot_id")
        before = self.run(*boot).output
        with contextlib.suppress(RuntimeError):
            self.run("systemctl", "reboot", limit_s=limit_s)

        def again() -> bool:
            try:
                return self.run(*boot, limit_s=60).output != before
            except RuntimeError:
                return False

        wait_until(f"{self.name} rebooting", again, limit_s, every_s=1)
        self.come_up(lambda: self.running, limit_s)

    def disguise(self, name: str) -> None:
        """Not this one.

        Raises:
            NotImplementedError: always.
        """
        raise NotImplementedError(f"{self.name} is a virtual machine and stands for no other ({name})")

    def popen(
        self, command: Sequence[str], env: Mapping[str, str] | None = None, cwd: str = "/", stdin: int | None = None
    ) -> subprocess.Popen[str]:
        """Start a command there as root, over ssh; its output (both streams) is in ``stdout``."""
        self.first_process()
        variables = {"PATH": PATH, "HOME": "/root", "DEBIAN_FRONTEND": "noninteractive", **(env or {})}
        wanted = shlex.join(["env", "-i", *(f"{name}={value}" for name, value in variables.items()), *command])
        return subprocess.Popen(
            [*self._ssh(), f"cd {shlex.quote(cwd)} && exec {wanted} 2>&1"],
            stdin=subprocess.DEVNULL if stdin is None else stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )

    def run(
        self,
        *command: str,
        env: Mapping[str, str] | None = None,
        cwd: str = "/",
        limit_s: float = 900,
        text: str | None = None,
    ) -> Result:
        """Run a command there to its end; ``text`` is what it reads.

        Raises:
            RuntimeError: it is off, or does not take ssh.
        """
        done = super().run(*command, env=env, cwd=cwd, limit_s=limit_s, text=text)
        if done.code == 255:
            raise RuntimeError(f"{self.name} does not answer: {done.output.strip()}")
        return done

    def _command(self) -> list[str]:
        kernel = next(layer for layer in self.layers if (layer / "boot/vmlinuz").exists()) / "boot/vmlinuz"
        clock = f"base={self.clock},clock=host" if self.clock else "base=utc,clock=host"
        # The log is the disk's truth: what lies beside it need not be safe.
        quick = "cache.no-flush=on"
        return [
            *self._network.inside(QEMU, "-name", self.name, "-nodefaults", "-no-user-config", "-display", "none"),
            "-accel", "tcg", "-cpu", "core2duo", "-smp", "1", "-m", str(self.memory_mb), "-rtc", clock,
            "-kernel", str(kernel), "-append", _ROOT,
            "-chardev", "file,id=console,path=console.log,append=on", "-serial", "chardev:console",
            "-blockdev", f"driver=qcow2,node-name=live,file.driver=file,file.filename=live.qcow2,{quick}",
            "-blockdev", f"driver=file,node-name=log,filename=writes.log,{quick}",
            "-blockdev", "driver=blklogwrites,node-name=disk,file=live,log=log",
            "-device", "nvme,serial=lab,drive=disk",
            "-netdev", f"tap,id=cable,ifname={self._network.cable(self.name)},script=no,downscript=no",
            "-device", f"virtio-net-pci,netdev=cable,mac={self._network.card(self.name)},romfile=",
            "-device", "virtio-rng-pci",
        ]  # fmt: skip

    def _settle_disk(self, chance: random.Random | None = None) -> None:
        log, disk = self.folder / "writes.log", self.folder / "disk.img"
        if not log.exists():
            return
        keep = (lambda: chance.random() < 0.5) if chance else (lambda: False)
        with log.open("rb") as written, disk.open("r+b") as file:
            self.lost_writes = write_log.replay(written, file, keep)
        log.unlink()
        (self.folder / "live.qcow2").unlink(missing_ok=True)
