"""Programs on a processor of 2006: qemu's user mode, in a clean environment.

qemu ends a program at the first instruction that the chosen processor does not have, as the processor would. Only the
program itself is emulated: what it starts runs on the real processor, so a child needs an emulator of its own.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CPUS = ("core2duo", "Nehalem")


def emulator(cpu: str) -> list[str]:
    """The beginning of a command line that runs the rest on this processor."""
    qemu = shutil.which("qemu-x86_64-static") or shutil.which("qemu-x86_64")
    if qemu is None:
        raise RuntimeError("qemu-x86_64 is missing: run scripts/setup system")
    return [qemu, "-cpu", cpu]


def environment(**more: str) -> Mapping[str, str]:
    """Nothing of ours: an exported OPENBLAS_CORETYPE of another machine makes every numpy die."""
    packages = f"{ROOT / 'src'}:{ROOT}:{sysconfig.get_path('purelib')}"
    return {"PATH": "/usr/bin:/bin", "HOME": "/tmp", "LANG": "C.UTF-8", "PYTHONPATH": packages, **more}


def run_python(cpu: str, arguments: Sequence[str], timeout: float) -> subprocess.CompletedProcess[str]:
    """Run this interpreter with the project and its packages on an emulated processor."""
    # The real binary: the one in a virtual environment may be a link or a launcher.
    python = str(Path(sys.executable).resolve())
    return subprocess.run(
        [*emulator(cpu), python, *arguments], capture_output=True, text=True, env=environment(), timeout=timeout
    )
