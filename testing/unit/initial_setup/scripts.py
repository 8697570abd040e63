"""Runs initial-setup/setup.sh, or one function of its parts."""

from __future__ import annotations

import subprocess
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[3] / "initial-setup"
PARTS = ("conf", "addresses", "values", "files", "machine", "render", "network", "steps", "key")


def function(call: str, text: str = "") -> subprocess.CompletedProcess[str]:
    """Run shell code in which every function of the parts is defined; ``text`` is what it reads."""
    parts = "\n".join(f"source {FOLDER}/lib/{part}.sh" for part in PARTS)
    return subprocess.run(
        ["bash", "-c", f"set -euo pipefail\n{parts}\n{call}"], input=text, capture_output=True, text=True, timeout=60
    )


def checked(folder: Path, text: str | bytes) -> tuple[int, list[str]]:
    """What is said of the values in a file: the exit code and the mistakes."""
    config = folder / "setup.conf"
    config.write_bytes(text if isinstance(text, bytes) else text.encode())
    call = f"read_config {config}\ncheck_values\nreport_errors\n" + 'declare -p CONF; printf "prefix %s\\n" "$PREFIX"'
    done = function(call)
    return done.returncode, [line.strip() for line in done.stderr.splitlines()[1:]]


def read(folder: Path, text: str | bytes, key: str) -> str:
    """The value of a setting."""
    config = folder / "setup.conf"
    config.write_bytes(text if isinstance(text, bytes) else text.encode())
    return function(f'read_config {config}\nprintf %s "${{CONF[{key}]}}"').stdout
