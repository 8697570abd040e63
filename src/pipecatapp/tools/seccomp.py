"""The allow-list of ``syscalls.py`` as a filter: as classic BPF for the kernel, and as a profile for Docker.

A call of another architecture ends the program; so does nothing else. What is refused says EPERM; what is newer than
the list says ENOSYS, so that the C library does it the old way.
"""

from __future__ import annotations

import errno
import json
import platform
import struct
from collections.abc import Sequence
from typing import Any

from pipecatapp.tools.syscalls import CONDITIONS, NOTHING_TO_DO, NUMBERS, Want

_Instruction = tuple[int, int, int, int]

_LOAD, _AND, _JUMP_EQUAL, _JUMP_GREATER_EQUAL, _RETURN = 0x20, 0x54, 0x15, 0x35, 0x06
_ALLOW, _KILL, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
_REFUSE, _ABSENT, _DONE = _ERRNO | errno.EPERM, _ERRNO | errno.ENOSYS, _ERRNO
_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16
# Each machine: how the kernel calls it, and which of the numbers are its own.
_MACHINES = {"x86_64": (0xC000003E, 0), "aarch64": (0xC00000B7, 1)}
_X32 = 0x40000000  # calls of x86_64's other interface count from here
_NEWER = 424  # from here on all machines count alike


def sandbox_filter(machine: str | None = None) -> bytes | None:
    """The filter for this kind of machine; None where the call numbers are not known here."""
    known = _MACHINES.get(machine or platform.machine())
    if known is None:
        return None
    architecture, column = known
    program = [
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_JUMP_EQUAL, 1, 0, architecture),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _NUMBER),
        (_JUMP_GREATER_EQUAL, 0, 1, _X32),
        (_RETURN, 0, 0, _REFUSE),
    ]
    for name, numbers in NUMBERS.items():
        number = numbers[column]
        if number is not None:
            rule = _rule(name)
            program += [(_JUMP_EQUAL, 0, len(rule), number), *rule]
    # Also clone3, whose flags lie in memory where no filter sees them.
    program += [(_JUMP_GREATER_EQUAL, 0, 1, _NEWER), (_RETURN, 0, 0, _ABSENT), (_RETURN, 0, 0, _REFUSE)]
    return b"".join(struct.pack("<HBBI", *instruction) for instruction in program)


def docker_profile() -> str:
    """The same for Docker, as JSON. Locks and flushes are done: there the container's own limits hold the rest."""
    calls: list[dict[str, Any]] = []
    for name in NUMBERS:
        lines = [*CONDITIONS.get(name, []), *(NOTHING_TO_DO.get(name, []) if name in CONDITIONS else [])]
        for line in lines or [()]:
            arguments = [
                {"index": want.argument, "value": want.mask, "valueTwo": want.value, "op": "SCMP_CMP_MASKED_EQ"}
                for want in line
            ]
            calls.append({"names": [name], "action": "SCMP_ACT_ALLOW", "args": arguments})
    calls.append({"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "args": [], "errnoRet": errno.ENOSYS})
    return json.dumps({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": calls})


def _rule(name: str) -> list[_Instruction]:
    """What happens to this call; it always returns."""
    if name not in CONDITIONS:
        return [(_RETURN, 0, 0, _DONE if name in NOTHING_TO_DO else _ALLOW)]
    rule = [part for line in CONDITIONS[name] for part in _line(line, _ALLOW)]
    rule += [part for line in NOTHING_TO_DO.get(name, []) for part in _line(line, _DONE)]
    return [*rule, (_RETURN, 0, 0, _REFUSE)]


def _line(wants: Sequence[Want], verdict: int) -> list[_Instruction]:
    """Returns the verdict where each part holds, else goes on behind it."""
    line: list[_Instruction] = [(_RETURN, 0, 0, verdict)]
    for want in reversed(wants):
        line = [
            (_LOAD, 0, 0, _ARGUMENTS + 8 * want.argument),
            (_AND, 0, 0, want.mask),
            (_JUMP_EQUAL, 0, len(line), want.value),
            *line,
        ]
    return line
