"""``python3 -m power_agent.switch UNIT...``: starts or stops one of these units for the power agent, and no other.

systemd runs it as root for each connection to its socket, which the agent's user alone may open; one line comes in
("stop pipecatapp-engine.service"), one goes out ("done", or what was wrong). "energy" asks what the processors have
taken so far, which only root may read.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

_LINE_LIMIT = 300
_WITHIN_S = 55
_ZONES = Path("/sys/class/powercap")


def answer(line: str, allowed: Sequence[str], systemctl: Callable[[Sequence[str]], str]) -> str:
    """Do what the line asks for, where it is allowed."""
    verb, _, unit = line.strip().partition(" ")
    if verb == "energy":
        return energy()
    if verb not in ("start", "stop"):
        return "neither start nor stop"
    if unit not in allowed:
        return "not a unit that may be switched; run playbook.yaml again"
    if verb == "stop":
        return systemctl(["stop", unit]) or "done"
    # A unit that crashed too often is not started before that is forgotten.
    systemctl(["reset-failed", unit])
    return systemctl(["start", "--no-block", unit]) or "done"


def energy(zones: Path = _ZONES) -> str:
    """Microjoules of all packages, since they count."""
    try:
        return str(sum(int((zone / "energy_uj").read_text(encoding="ascii")) for zone in zones.glob("intel-rapl:?")))
    except (OSError, ValueError) as error:
        return f"energy: {error}"


def _systemctl(arguments: Sequence[str]) -> str:
    try:
        done = subprocess.run(
            ["systemctl", *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_WITHIN_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return " ".join(str(error).split())
    return "" if done.returncode == 0 else " ".join(done.stderr.split()) or f"systemctl ends with {done.returncode}"


def main() -> int:
    """Serve the one connection that is this process' standard input and output."""
    sys.stdout.write(answer(sys.stdin.readline(_LINE_LIMIT), sys.argv[1:], _systemctl) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
