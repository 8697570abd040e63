"""Starts, stops and shows the agent where the cluster runs it: what `services` calls for `pipecatapp`.

    agent_job.py NODE SETTINGS start|stop|restart|state|up

The job is the house's, wherever it runs: `stop` ends it on every machine, `start` brings it back, `restart` is for the
agent of this node alone: its unit ends, and the job that held it starts it again. Another agent goes on meanwhile.
It has the app's own token, which may read and scale jobs and no more.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nomad_http import Nomad, NomadError

JOB, GROUP = "pipecat-app", "agent"
PATH = f"/v1/job/{JOB}"
UNIT = "pipecatapp.service"
# It takes its time to say goodbye, and on an old PC to load.
LIMIT_S = 60.0


def read_settings(file: Path) -> dict[str, str]:
    """The lines ``NAME=value`` of a settings file."""
    lines = (line.partition("=") for line in file.read_text(encoding="utf-8").splitlines())
    return {name: value for name, _, value in lines if not name.startswith("#")}


def _systemctl(*words: str) -> int:
    return subprocess.run(["/usr/bin/systemctl", *words], check=False).returncode


class AgentJob:
    """The agent's job.

    Args:
        nomad: the API of this node's agent.
        node: this node's name.
        pause: what waits between two looks.
        systemctl: runs it with these words; its exit status.
    """

    def __init__(
        self,
        nomad: Nomad,
        node: str,
        pause: Callable[[float], None] = time.sleep,
        systemctl: Callable[..., int] | None = None,
    ) -> None:
        self._nomad = nomad
        self._node = node
        self._pause = pause
        self._systemctl = systemctl or _systemctl

    def nodes(self) -> list[str]:
        """Where it runs."""
        return sorted(one["NodeName"] for one in self._allocations() if one["ClientStatus"] == "running")

    def count(self) -> int | None:
        """How many are wanted; None where there is no such job."""
        job = self._nomad.find(PATH)
        if job is None or job["Stop"]:
            return None
        return sum(int(group["Count"]) for group in job["TaskGroups"] if group["Name"] == GROUP)

    def start(self) -> str:
        """Let it run; what went wrong, else nothing."""
        count = self.count()
        if count is None:
            return f"the cluster has no job {JOB}; run the playbook"
        if count == 0:
            self._scale(self._wanted())
        return self._wait(lambda: bool(self.nodes()), "it finds no place: sudo nomad job status " + JOB)

    def stop(self) -> str:
        """End it everywhere; what went wrong, else nothing."""
        if self.count():
            self._scale(0)
        return self._wait(lambda: not self._alive(), "it does not end")

    def restart(self) -> str:
        """Start it anew where it runs on this node; what went wrong, else nothing."""
        if self._node not in self.nodes():
            return ""
        if self._systemctl("stop", UNIT):
            return "its unit does not end: journalctl -u pipecatapp"
        return self._wait(lambda: self._systemctl("is-active", "--quiet", UNIT) == 0, "the job does not start it again")

    def state(self) -> str:
        """One line for people."""
        count = self.count()
        if count is None:
            return f"no job {JOB} in the cluster"
        if nodes := self.nodes():
            return f"job {JOB} runs on {', '.join(nodes)}"
        return f"job {JOB} is stopped" if count == 0 else f"job {JOB} waits for a place"

    def _wanted(self) -> int:
        """How many there are when it is not stopped."""
        return int(((self._nomad.find(PATH) or {}).get("Meta") or {}).get("agents", 1))

    def _allocations(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._nomad.find(f"{PATH}/allocations") or []
        return found

    def _alive(self) -> bool:
        return any(one["ClientStatus"] in ("pending", "running") for one in self._allocations())

    def _scale(self, count: int) -> None:
        wanted = {"Count": count, "Target": {"Group": GROUP}, "Message": "services"}
        self._nomad.patiently("POST", f"{PATH}/scale", wanted)

    def _wait(self, done: Callable[[], bool], problem: str) -> str:
        waited = 0.0
        while not done():
            if waited >= LIMIT_S:
                return problem
            self._pause(0.5)
            waited += 0.5
        return ""


def main(node: str, settings: Path, what: str) -> int:
    """Do it; the exit status."""
    try:
        known = read_settings(settings)
        nomad = Nomad([known["NOMAD_ADDR"]], known["NOMAD_CACERT"], known["NOMAD_TOKEN"])
        job = AgentJob(nomad, node)
        if what == "state":
            print(job.state())
        elif what == "up":
            return 0 if job.nodes() else 1
        elif problem := {"start": job.start, "stop": job.stop, "restart": job.restart}[what]():
            print(f"{JOB}: {problem}", file=sys.stderr)
            return 1
    except (NomadError, OSError, KeyError) as error:
        unknown = f"the cluster does not say: {error}"
        if what != "state":
            print(f"{JOB}: {unknown}", file=sys.stderr)
            return 1
        print(unknown)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Path(sys.argv[2]), sys.argv[3]))
