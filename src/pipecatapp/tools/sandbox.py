"""What ``code_runner`` wants from a place where a strange program can do no harm: limits in, an ending out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

# "exit": by itself, with its exit code. "time", "memory", "output": it was ended because it took too much of that.
Ending = Literal["exit", "time", "memory", "output"]

# Runs a program given as an argument. As at Python's prompt, the value of a last expression is printed.
RUNNER = """
import ast, linecache, sys, traceback
source = sys.argv.pop(1)
sys.argv[0] = name = "program.py"
linecache.cache[name] = len(source), None, source.splitlines(True), name
scope = {"__name__": "__main__", "__builtins__": __builtins__}
try:
    body = ast.parse(source, name).body
    last = [body.pop()] if body and isinstance(body[-1], ast.Expr) else []
    exec(compile(ast.Module(body, []), name, "exec"), scope)
    exec(compile(ast.Interactive(last), name, "single"), scope)
except Exception as error:
    sys.stdout.flush()
    frames = error.__traceback__
    while frames is not None and frames.tb_frame.f_code.co_filename != name:
        frames = frames.tb_next
    traceback.print_exception(error.with_traceback(frames))
    sys.exit(1)
"""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a program may take. ``memory_bytes`` is all of it: files, buffers and what the kernel keeps for it too."""

    seconds: float = 20.0
    memory_bytes: int = 512 * 1024 * 1024
    threads: int = 31
    files_bytes: int = 16 * 1024 * 1024
    files: int = 1000
    open_files: int = 64
    printed_bytes: int = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class RunResult:
    """How a program ended and what it printed (bounded)."""

    ending: Ending
    code: int
    stdout: str
    stderr: str


class Sandbox(Protocol):
    """Runs Python without network, without the machine's files, as nobody, within limits; nothing of it stays."""

    @property
    def name(self) -> str:
        """What a person calls it."""

    async def run(self, program: str, limits: Limits) -> RunResult:
        """Run it to its end. Raises ToolError when the sandbox itself does not work; cancelling ends the program."""
