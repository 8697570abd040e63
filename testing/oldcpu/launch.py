"""Run on the emulated processor: a module or script whose own Python children are emulated, too.

python launch.py EMULATED_PYTHON MODULE_OR_PATH [ARGUMENT...]
"""

from __future__ import annotations

import runpy
import sys


def main() -> None:
    """Become the program."""
    _, python, program, *arguments = sys.argv
    sys.executable = python
    sys.argv = [program, *arguments]
    if program.endswith(".py"):
        runpy.run_path(program, run_name="__main__")
    else:
        runpy.run_module(program, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
