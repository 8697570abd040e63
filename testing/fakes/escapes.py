"""Programs that try to get out of a sandbox, or to take more than their share (``testing/data/escapes.txt``).

A program prints ``ESCAPED`` when it got what it wanted. Those that want too much are ended, or fail by themselves;
behind the name stands how the run may end. ``{secret}`` is a file of the agent, ``{port}`` a listening port of this
machine, ``{abstract}`` an abstract Unix socket, ``{pid}`` the agent's process, ``{nap}`` the length of one sleep.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

_DATA = Path(__file__).parents[1] / "data"
_LIBC = """
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
def call(number, *arguments):
    return libc.syscall(ctypes.c_long(number), *[ctypes.c_long(a) if isinstance(a, int) else a for a in arguments])
libc.mmap.restype = libc.shmat.restype = ctypes.c_long
libc.mmap.argtypes = [ctypes.c_long] * 6
libc.munmap.argtypes, libc.shmdt.argtypes = [ctypes.c_long] * 2, [ctypes.c_long]
libc.memset.argtypes = libc.madvise.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_long]
def mmap(length, flags, file=-1):
    at = libc.mmap(0, length, 3, flags, file, 0)
    if at == -1: raise OSError(ctypes.get_errno(), 'no mapping')
    return at
"""


@dataclass(frozen=True, slots=True)
class Escape:
    """One attempt. ``endings``: how the run may end."""

    name: str
    program: str
    endings: tuple[str, ...]


def load_escapes() -> list[Escape]:
    """All attempts to get out."""
    return _load("escapes")


def load_hoards() -> list[Escape]:
    """All attempts to hold more memory than is allowed, the kernel's included."""
    return _load("hoards")


def load_programs() -> list[Escape]:
    """Programs that do no harm and print ``fine``."""
    return _load("programs")


def _load(name: str) -> list[Escape]:
    escapes = []
    for part in f"\n{(_DATA / name).with_suffix('.txt').read_text()}".split("\n## ")[1:]:
        head, _, program = part.partition("\n")
        name, _, endings = head.partition(": ")
        program = program.replace("from libc import *\n", _LIBC)
        escapes.append(Escape(name, program, tuple(endings.split()) or ("exit",)))
    return escapes
