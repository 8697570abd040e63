"""Where the commands of the pages run: as on an installed node, with the agent running, and without touching this one.

A namespace of their own gives them port 8000, shows that none of them needs the internet, and lays throw-away copies
over /etc and /var/lib, so that the paths on the pages are the real ones.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

from testing.docs.pages import ROOT

# Made by scripts/setup, too large to copy.
LINKED = (".venv", ".cache", "node_modules")


class Sandbox:
    """One copy for all pages of a run; a context manager."""

    def __init__(self, folder: Path) -> None:
        self.tree = folder / "pipecatapp"
        self._folder = folder
        self._namespace: subprocess.Popen[bytes] | None = None
        self._agent: subprocess.Popen[bytes] | None = None
        self._log = folder / "agent.log"

    def __enter__(self) -> Sandbox:
        try:
            self._copy()
            self._enter_namespace()
            self._install()
            self._start_agent()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for process in (self._agent, self._namespace):
            if process is not None:
                process.terminate()
        for process in (self._agent, self._namespace):
            if process is not None:
                process.wait(timeout=20)

    def run(self, command: str, timeout: float = 120) -> subprocess.CompletedProcess[str]:
        """Run a command as the pages would have it typed; both streams come back in ``stdout``."""
        return subprocess.run(
            [*self._inside(), "bash", "-euo", "pipefail", "-c", command],
            cwd=self.tree,
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout,
        )

    def _copy(self) -> None:
        listing = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for name in filter(None, listing.split("\0")):
            source, target = ROOT / name, self.tree / name
            if source.is_file():
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(source, target)
        for name in LINKED:
            if (ROOT / name).exists():
                (self.tree / name).symlink_to(ROOT / name)
        # The pages write `sudo` where an installed node wants it; here everything belongs to whoever runs the tests.
        sudo = self._folder / "bin" / "sudo"
        sudo.parent.mkdir()
        sudo.write_text('#!/bin/sh\nexec "$@"\n')
        sudo.chmod(0o755)

    def _enter_namespace(self) -> None:
        become = [] if os.geteuid() == 0 else ["--map-root-user", "--user"]
        entered = self._folder / "entered"
        scratch = self._folder / "scratch"
        scratch.mkdir()
        script = f"""
            mount -t tmpfs tmpfs {scratch}
            for name in etc var/lib; do
              mkdir -p {scratch}/$name {scratch}/work/$name
              mount -t overlay overlay -o lowerdir=/$name,upperdir={scratch}/$name,workdir={scratch}/work/$name /$name
            done
            ip link set lo up
            touch {entered}
            exec sleep infinity
        """
        self._namespace = subprocess.Popen(["unshare", *become, "--net", "--mount", "sh", "-euc", script])
        deadline = time.monotonic() + 10
        while not entered.exists():
            if self._namespace.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("no namespace for the commands: root (or user namespaces) and iproute2 are needed")
            time.sleep(0.05)

    def _install(self) -> None:
        """What the role `pipecatapp` puts under /etc and /var/lib."""
        installed = self.run(
            f"""
            install -d /etc/pipecatapp/prompts /var/lib/pipecatapp/engine
            install -m 0644 ansible/roles/pipecatapp/files/prompts/*.txt /etc/pipecatapp/prompts/
            install -m 0644 group_vars/models.yaml /etc/pipecatapp/models.yaml
            printf '%s\n' STATE_DIR=/var/lib/pipecatapp PROMPTS_DIR=/etc/pipecatapp/prompts \\
              MODELS_FILE=/etc/pipecatapp/models.yaml >/etc/pipecatapp/pipecatapp.env
            ln -s {ROOT}/.cache/engine/* /var/lib/pipecatapp/engine/
            """
        )
        if installed.returncode != 0:
            raise RuntimeError(f"the node could not be laid out:\n{installed.stdout}")

    def _inside(self) -> list[str]:
        if self._namespace is None:
            raise RuntimeError("the sandbox is not open")
        user = [] if os.geteuid() == 0 else ["--user", "--preserve-credentials"]
        # nsenter changes to the root of the mounts: back to the tree.
        return ["nsenter", "--target", str(self._namespace.pid), *user, "--net", "--mount", f"--wd={self.tree}"]

    def _start_agent(self) -> None:
        with self._log.open("wb") as log:
            self._agent = subprocess.Popen(
                [*self._inside(), "pipecatapp", "serve"],
                cwd=self.tree,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        deadline = time.monotonic() + 120
        while self.run("curl --silent --fail http://localhost:8000/health").returncode != 0:
            if self._agent.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the agent did not become ready:\n{self._log.read_text()[-3000:]}")
            time.sleep(0.5)

    def _environment(self) -> Mapping[str, str]:
        kept = {name: value for name, value in os.environ.items() if name in ("LANG", "TERM", "USER", "LOGNAME")}
        return {
            **kept,
            "HOME": str(self._folder),
            "PATH": f"{self._folder / 'bin'}:{ROOT / '.venv/bin'}:{os.environ['PATH']}",
            "PYTHONPATH": str(self.tree / "src"),
        }
