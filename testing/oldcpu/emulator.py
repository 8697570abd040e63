"""Programs on a processor of 2006: qemu's user mode, in a clean environment.

qemu ends a program at the first instruction that the chosen processor does not have, as the processor would. Only the
program itself is emulated: what it starts runs on the real processor, unless it is started through an emulator, too.
Python children of ours are (testing/oldcpu/launch.py); Debian's flite and espeak-ng, built for every amd64, are not.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LAUNCHER = ROOT / "testing/oldcpu/launch.py"
CPUS = ("core2duo", "Nehalem")


def emulator(cpu: str) -> list[str]:
    """The beginning of a command line that runs the rest on this processor."""
    qemu = shutil.which("qemu-x86_64-static") or shutil.which("qemu-x86_64")
    if qemu is None:
        raise RuntimeError("qemu-x86_64 is missing: run scripts/setup system")
    return [qemu, "-cpu", cpu]


def environment(**more: str) -> Mapping[str, str]:
    """Nothing of ours: an exported OPENBLAS_CORETYPE of another machine makes every numpy die."""
    return {"PATH": "/usr/bin:/bin", "HOME": "/tmp", "LANG": "C.UTF-8", **more}


def emulated_python(cpu: str, folder: Path) -> Path:
    """A program that behaves like this interpreter on an emulated processor."""
    wrapper = folder / f"python-{cpu}"
    wrapper.write_text(f'#!/bin/sh\nexec {" ".join(emulator(cpu))} {sys.executable} "$@"\n', encoding="utf-8")
    wrapper.chmod(0o755)
    return wrapper


def run_python(cpu: str, arguments: Sequence[str], timeout: float) -> subprocess.CompletedProcess[str]:
    """Run this interpreter with the project and its packages on an emulated processor."""
    return subprocess.run(
        [*emulator(cpu), sys.executable, *arguments],
        capture_output=True,
        text=True,
        env=environment(),
        timeout=timeout,
    )
