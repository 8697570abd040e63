"""Where the commands of the pages run: as on an installed node, with the agent running, and without touching this one.

A namespace of their own gives them port 8000, shows that none of them needs the internet, and lays throw-away copies
over /etc, /opt and /var/lib, so that the paths on the pages are the real ones.
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

# Where an installed agent is.
PLACES = ("/etc/pipecatapp", "/opt/pipecatapp", "/var/lib/pipecatapp", "/var/log/pipecatapp", "/run/pipecatapp")

# Does for one program in a namespace what the role `service` installs under this name for systemd and runit.
SERVICES = """#!/bin/sh
set -eu
start() {
  setsid pipecatapp serve >>"$HOME/agent.log" 2>&1 </dev/null &
  echo $! >"$HOME/agent.pid"
  for _ in $(seq 600); do
    if curl --silent --fail --output /dev/null http://localhost:8000/health; then return; fi
    kill -0 "$(cat "$HOME/agent.pid")"
    sleep 0.2
  done
  exit 1
}
stop() {
  if [ ! -f "$HOME/agent.pid" ]; then return; fi
  kill "$(cat "$HOME/agent.pid")"
  while kill -0 "$(cat "$HOME/agent.pid")" 2>/dev/null; do sleep 0.1; done
  rm "$HOME/agent.pid"
}
case $1 in
  start) start ;;
  stop) stop ;;
  restart) stop; start ;;
esac
"""


class Sandbox:
    """One copy for all pages of a run; a context manager.

    Args:
        folder: where it lies.
        agent: the agent runs in it.
    """

    def __init__(self, folder: Path, *, agent: bool = True) -> None:
        self._agent = agent
        self.tree = folder / "pipecatapp"
        self._folder = folder
        self._namespace: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Sandbox:
        try:
            self._copy()
            self._enter_namespace()
            self._install()
            if self._agent:
                self._start_agent()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._namespace is None:
            return
        self.run("if [ -x /opt/pipecatapp/bin/services ]; then /opt/pipecatapp/bin/services stop; fi")
        self._namespace.terminate()
        self._namespace.wait(timeout=20)
        self._namespace = None

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
        # The pages write `sudo` where an installed node wants it, for the agent's own files `sudo -u pipecatapp`; here
        # everything belongs to whoever runs the tests.
        sudo = self._folder / "bin" / "sudo"
        sudo.parent.mkdir()
        sudo.write_text('#!/bin/sh\n[ "$1" != -u ] || shift 2\nexec "$@"\n')
        sudo.chmod(0o755)

    def _enter_namespace(self) -> None:
        become = [] if os.geteuid() == 0 else ["--map-root-user", "--user"]
        entered = self._folder / "entered"
        scratch = self._folder / "scratch"
        scratch.mkdir()
        script = f"""
            mount -t tmpfs tmpfs {scratch}
            for name in etc opt var/lib; do
              mkdir -p {scratch}/$name {scratch}/work/$name
              mount -t overlay overlay -o lowerdir=/$name,upperdir={scratch}/$name,workdir={scratch}/work/$name /$name
            done
            # Of an agent that is installed on this machine nothing shows through.
            for place in {" ".join(PLACES)}; do
              if [ -e $place ]; then mount -t tmpfs tmpfs $place; fi
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
        """What the roles put under /etc, /opt and /var/lib, as far as the pages speak of it."""
        services = self._folder / "services"
        services.write_text(SERVICES, encoding="utf-8")
        installed = self.run(
            f"""
            install -D -m 0755 {services} /opt/pipecatapp/bin/services
            ln -s {ROOT}/.venv /opt/pipecatapp/venv
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
        started = self.run("/opt/pipecatapp/bin/services start", timeout=150)
        if started.returncode != 0:
            log = (self._folder / "agent.log").read_text(encoding="utf-8", errors="replace")
            raise RuntimeError(f"the agent did not become ready:\n{started.stdout}\n{log[-3000:]}")

    def _environment(self) -> Mapping[str, str]:
        kept = {name: value for name, value in os.environ.items() if name in ("LANG", "TERM", "USER", "LOGNAME")}
        return {
            **kept,
            "HOME": str(self._folder),
            "PATH": f"{self._folder / 'bin'}:{ROOT / '.venv/bin'}:{os.environ['PATH']}",
            "PYTHONPATH": str(self.tree / "src"),
        }
