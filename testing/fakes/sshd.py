"""Another machine to log in to: a real sshd of Debian on a free port, with a user of its own.

The user ``tester`` exists in this sshd's view of /etc alone (a mount namespace): that, and passwords, need root.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from testing.ports import free_port

SSHD = "/usr/sbin/sshd"
USER, PASSWORD = "tester", "correct horse"
_UID = 47110


class Sshd:
    """Starts, stops, changes its key."""

    def __init__(self) -> None:
        # Not pytest's folder: sshd reads there as the user.
        self.folder = Path(tempfile.mkdtemp(prefix="pipecatapp-sshd-"))
        self.folder.chmod(0o755)
        self.home = self.folder / "home"
        self.home.mkdir()
        os.chown(self.home, _UID, _UID)
        self.port = free_port()
        self._process: asyncio.subprocess.Process | None = None
        self.new_host_key()
        (self.folder / "authorized_keys").touch()
        self._etc()
        (self.folder / "config").write_text(
            f"Port {self.port}\nListenAddress 127.0.0.1\nHostKey {self.folder}/host_key\nPidFile none\nUsePAM no\n"
            f"AuthorizedKeysFile {self.folder}/authorized_keys\nStrictModes no\nPasswordAuthentication yes\n"
            "PermitRootLogin yes\nPrintMotd no\nLogLevel ERROR\n"
        )

    @property
    def fingerprint(self) -> str:
        """As ``ssh-keygen -lf`` says it."""
        said = subprocess.run(
            ["ssh-keygen", "-lf", self.folder / "host_key.pub"], capture_output=True, text=True, check=True
        )
        return said.stdout.split()[1]

    def new_host_key(self) -> None:
        """From the next start on it is another machine."""
        for name in ("host_key", "host_key.pub"):
            (self.folder / name).unlink(missing_ok=True)
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.folder / "host_key"], check=True)

    def authorize(self, public_key: str) -> None:
        """Let the owner of this key in."""
        (self.folder / "authorized_keys").write_text(f"{public_key}\n")

    async def start(self) -> None:
        """Return when it answers."""
        Path("/run/sshd").mkdir(exist_ok=True)
        mounts = 'for f in passwd shadow group; do mount --bind "$0/etc/$f" "/etc/$f" || exit; done'
        self._process = await asyncio.create_subprocess_exec(
            "unshare",
            "--mount",
            "sh",
            "-c",
            f'{mounts}; exec "$1" -D -f "$0/config"',
            str(self.folder),
            SSHD,
            stdin=asyncio.subprocess.DEVNULL,
        )
        async with asyncio.timeout(30):
            while True:
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", self.port)
                except OSError:
                    await asyncio.sleep(0.05)
                else:
                    writer.close()
                    return

    async def stop(self) -> None:
        """End it; sessions go on."""
        if self._process is not None:
            self._process.terminate()
            await self._process.wait()
            self._process = None

    async def remove(self) -> None:
        """End it and clear up."""
        await self.stop()
        shutil.rmtree(self.folder)

    def _etc(self) -> None:
        etc = self.folder / "etc"
        etc.mkdir()
        hashed = subprocess.run(
            ["openssl", "passwd", "-6", "-stdin"], input=PASSWORD, capture_output=True, text=True, check=True
        ).stdout.strip()
        lines = {
            "passwd": f"{USER}:x:{_UID}:{_UID}::{self.home}:/bin/sh\n",
            "shadow": f"{USER}:{hashed}:20000:0:99999:7:::\n",
            "group": f"{USER}:x:{_UID}:\n",
        }
        for name, line in lines.items():
            (etc / name).write_text(Path("/etc", name).read_text() + line)
        (etc / "shadow").chmod(0o600)
