"""Commands run inside a machine that is namespaces around a first process, and what the machines of the tests share."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

CACHE = Path(os.environ.get("PIPECATAPP_TEST_CACHE", "/var/cache/pipecatapp-tests"))
# What tells pip of a mirror, a proxy or an authority of the house.
HOUSE = (
    "PIP_INDEX_URL",
    "PIP_EXTRA_INDEX_URL",
    "PIP_CERT",
    "SSL_CERT_FILE",
    "REQUESTS_CA_BUNDLE",
    "http_proxy",
    "https_proxy",
)
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def house_environment(tree: Path) -> dict[str, str]:
    """What this machine's environment says of the house, less the files that the tree has not."""
    house = {name: os.environ[name] for name in HOUSE if name in os.environ}
    return {k: v for k, v in house.items() if not v.startswith("/") or (tree / v[1:]).exists()}


def cached(folder: Path, make: Callable[[Path], None]) -> Path:
    """A folder that is made once and then kept; ``make`` fills an empty one beside it.

    Only one process makes it, the others wait; one that was not finished is made anew.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with Path(f"{folder}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            fresh = Path(f"{folder}.fresh")
            if fresh.exists():
                subprocess.run(["rm", "-rf", "--one-file-system", str(fresh)], check=True)
            make(fresh)
            fresh.rename(folder)
    return folder


@dataclass(frozen=True)
class Result:
    """What a command inside left behind."""

    code: int
    output: str


class Entered:
    """A machine whose first process is known; a subclass says how it starts and ends."""

    # Of the first process, those that a command enters.
    namespaces: tuple[str, ...] = ("mount", "pid", "uts", "ipc")

    def first_process(self) -> int:
        """Its number in this machine.

        Raises:
            RuntimeError: it does not run.
        """
        raise NotImplementedError

    def popen(
        self, command: Sequence[str], env: Mapping[str, str] | None = None, cwd: str = "/", stdin: int | None = None
    ) -> subprocess.Popen[str]:
        """Start a command inside; its output (both streams) is in ``stdout``."""
        return subprocess.Popen(
            ["nsenter", "--target", str(self.first_process()), *(f"--{name}" for name in self.namespaces), "--root",
             f"--wdns={cwd}", "env", "-i", f"PATH={PATH}", "HOME=/root", "DEBIAN_FRONTEND=noninteractive",
             *(f"{name}={value}" for name, value in (env or {}).items()), *command],
            stdin=subprocess.DEVNULL if stdin is None else stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )  # fmt: skip

    def run(
        self,
        *command: str,
        env: Mapping[str, str] | None = None,
        cwd: str = "/",
        limit_s: float = 900,
        text: str | None = None,
    ) -> Result:
        """Run a command inside to its end; ``text`` is what it reads."""
        process = self.popen(command, env, cwd, None if text is None else subprocess.PIPE)
        try:
            output, _ = process.communicate(text, timeout=limit_s)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            output, _ = process.communicate()
            raise AssertionError(f"{command[0]} did not end in {limit_s} s:\n{output}") from None
        return Result(process.returncode, output)


def needed(*programs: str) -> str:
    """Why a Debian of one's own cannot be had here; empty where it can."""
    if os.geteuid() != 0 or not all(map(shutil.which, programs)):
        return f"a Debian tree needs root, {' and '.join(programs)}; run scripts/setup, then scripts/test as root"
    return ""
