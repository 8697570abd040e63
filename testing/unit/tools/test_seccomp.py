"""The system call filter, run as the kernel runs it: by a small interpreter of classic BPF."""

from __future__ import annotations

import errno
import struct

import pytest

from pipecatapp.tools.seccomp import sandbox_filter

pytestmark = pytest.mark.unit

ALLOW, KILL = 0x7FFF0000, 0x80000000
X86_64 = 0xC000003E


def verdict(number: int, argument: int = 0, architecture: int = X86_64) -> int:
    data = struct.pack("<IIQQ", number, architecture, 0, argument)
    program = sandbox_filter("x86_64")
    assert program is not None
    instructions = list(struct.iter_unpack("<HBBI", program))
    accumulator, at = 0, 0
    while True:
        code, yes, no, value = instructions[at]
        at += 1
        match code:
            case 0x20:
                (accumulator,) = struct.unpack_from("<I", data, value)
            case 0x15:
                at += yes if accumulator == value else no
            case 0x35:
                at += yes if accumulator >= value else no
            case 0x45:
                at += yes if accumulator & value else no
            case 0x06:
                return int(value)
            case _:
                raise AssertionError(code)


def refused(reason: int = errno.EPERM) -> int:
    return 0x00050000 | reason


@pytest.mark.parametrize("number", [101, 165, 272, 308, 321, 250, 319, 29, 425, 0x40000000 | 39])
def test_what_no_calculation_needs_is_refused(number: int) -> None:
    assert verdict(number) == refused()


@pytest.mark.parametrize("number", [0, 1, 2, 9, 39, 57, 59, 231, 257, 318])
def test_everyday_calls_are_allowed(number: int) -> None:
    assert verdict(number) == ALLOW


def test_processes_and_threads_are_made_but_no_namespaces() -> None:
    assert verdict(56, 0x3D0F00) == ALLOW
    assert verdict(56, 17) == ALLOW
    for flag in (0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000):
        assert verdict(56, flag | 17) == refused()
    assert verdict(435) == refused(errno.ENOSYS)


@pytest.mark.parametrize(
    ("family", "allowed"), [(1, True), (2, True), (10, True), (16, False), (17, False), (40, False)]
)
def test_only_families_that_a_network_namespace_holds(family: int, allowed: bool) -> None:
    assert verdict(41, family) == (ALLOW if allowed else refused())


def test_another_architecture_is_killed() -> None:
    assert verdict(1, architecture=0x40000003) == KILL
    assert sandbox_filter("aarch64") is None
