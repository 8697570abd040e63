"""The system call filter, run as the kernel runs it: by a small interpreter of classic BPF."""

from __future__ import annotations

import errno
import json
import struct
from typing import Any

import pytest

from pipecatapp.tools.seccomp import docker_profile, sandbox_filter
from pipecatapp.tools.syscalls import CONDITIONS, NOTHING_TO_DO, NUMBERS

pytestmark = pytest.mark.unit

ALLOW, KILL = 0x7FFF0000, 0x80000000
X86_64, AARCH64, I386, ARM = 0xC000003E, 0xC00000B7, 0x40000003, 0x40000028
DONE = 0x00050000
THREAD = 0x3D0F00  # the flags of the GNU library


def refused(reason: int = errno.EPERM) -> int:
    return 0x00050000 | reason


def verdict(number: int, *arguments: int, architecture: int = X86_64, machine: str = "x86_64") -> int:
    data = struct.pack("<IIQ6Q", number, architecture, 0, *arguments, *[0] * (6 - len(arguments)))
    program = sandbox_filter(machine)
    assert program is not None
    instructions = list(struct.iter_unpack("<HBBI", program))
    accumulator, at = 0, 0
    while True:
        code, yes, no, value = instructions[at]
        at += 1
        match code:
            case 0x20:
                (accumulator,) = struct.unpack_from("<I", data, value)
            case 0x54:
                accumulator &= value
            case 0x15:
                at += yes if accumulator == value else no
            case 0x35:
                at += yes if accumulator >= value else no
            case 0x06:
                return int(value)
            case _:
                raise AssertionError(code)


def by_name(name: str, *arguments: int) -> int:
    return verdict(NUMBERS[name][0], *arguments)


@pytest.mark.parametrize("column", [0, 1])
def test_exactly_what_is_listed_is_allowed(column: int) -> None:
    machine, architecture = [("x86_64", X86_64), ("aarch64", AARCH64)][column]
    known = {numbers[column]: name for name, numbers in NUMBERS.items() if numbers[column] is not None}
    assert len(known) == sum(numbers[column] is not None for numbers in NUMBERS.values())
    for number in range(700):
        said = verdict(number, architecture=architecture, machine=machine)
        name = known.get(number, "")
        if not name:
            assert said == refused(errno.ENOSYS if number >= 424 else errno.EPERM)
        elif name not in CONDITIONS:
            assert said == (DONE if name in NOTHING_TO_DO else ALLOW)


@pytest.mark.parametrize(
    "name",
    [
        *("ptrace", "mount", "unshare", "bpf", "keyctl", "memfd_create", "semget", "shmget", "msgget", "mq_open"),
        *("socket", "sendmsg", "sendmmsg", "setsockopt", "io_uring_setup", "io_setup", "userfaultfd", "inotify_init1"),
        *("timer_create", "timerfd_create", "signalfd4", "splice", "vmsplice", "tee", "perf_event_open", "setxattr"),
        *("fork", "vfork", "clone3", "execveat", "mknod", "seccomp", "close_range", "process_vm_writev", "pidfd_open"),
        *(
            "rt_sigqueueinfo",
            "setrlimit",
            "process_madvise",
            "personality",
            "memfd_secret",
            "remap_file_pages",
            "mlock",
        ),
    ],
)
def test_what_hoards_or_gets_out_is_not_listed(name: str) -> None:
    assert name not in NUMBERS


def test_threads_are_made_and_nothing_else() -> None:
    assert by_name("clone", THREAD) == ALLOW
    assert by_name("clone", THREAD | 0x400000) == ALLOW  # of musl
    for flags in (17, 0x4111, 0x1200011, 0x100 | 17):
        assert by_name("clone", flags) == refused()
    for absent in (0x100, 0x200, 0x400, 0x800, 0x10000):
        assert by_name("clone", THREAD & ~absent) == refused()
    for added in (0x1000, 0x2000, 0x4000, 0x20000, *(1 << bit for bit in range(25, 31))):
        assert by_name("clone", THREAD | added) == refused()
    assert verdict(435) == refused(errno.ENOSYS)


@pytest.mark.parametrize(
    ("flags", "allowed"),
    [
        (0x22, True), (0x02, True), (0x32, True), (0x01, True), (0x03, True), (0x4022, True), (0x812, True),
        (0x21, False), (0x23, False), (0x31, False), (0x40022, False), (0x40001, False), (0x28, False), (0x00, False),
    ],
)  # fmt: skip
def test_nothing_is_shared_without_a_file(flags: int, allowed: bool) -> None:
    assert by_name("mmap", 0, 4096, 3, flags) == (ALLOW if allowed else refused())


def test_huge_pages_can_be_forbidden_and_not_allowed() -> None:
    assert by_name("prctl", 41, 1) == ALLOW
    assert by_name("prctl", 41, 0) == refused()
    assert by_name("madvise", 0, 0, 4) == ALLOW
    for advice in (9, 12, 14, 20, 21, 22, 23, 25):
        assert by_name("madvise", 0, 0, advice) == refused()


@pytest.mark.parametrize("option", [1, 4, 8, 22, 36, 38, 53, 59, 0x53564D41, 78])
def test_a_process_stays_as_it_was_made(option: int) -> None:
    assert by_name("prctl", option) == refused()


def test_locks_do_nothing_and_pipes_stay_small() -> None:
    assert by_name("fcntl", 3, 1) == by_name("fcntl", 3, 1032) == ALLOW
    assert by_name("fcntl", 3, 6) == by_name("fcntl", 3, 7) == by_name("flock") == DONE
    for command in (8, 10, 37, 38, 1024, 1026, 1031, 1033):
        assert by_name("fcntl", 3, command) == refused()


def test_only_the_half_of_an_argument_counts_that_the_kernel_reads() -> None:
    assert by_name("fcntl", 3, 1031 | 1 << 32) == refused()
    assert by_name("prlimit64", 1 << 32) == ALLOW


def test_limits_are_set_on_itself_and_not_what_becomes_of_its_crash() -> None:
    assert by_name("prlimit64", 0, 9) == ALLOW
    assert by_name("prlimit64", 1, 9) == by_name("prlimit64", 0, 4) == refused()


@pytest.mark.parametrize("family", [0, 2, 10, 16, 17, 40])
def test_a_pair_of_sockets_is_all(family: int) -> None:
    assert by_name("socketpair", 1) == ALLOW
    assert by_name("socketpair", family) == refused()


def test_another_architecture_is_killed_and_x32_refused() -> None:
    assert verdict(1, architecture=I386) == KILL
    assert verdict(64, architecture=ARM, machine="aarch64") == KILL
    assert verdict(0x40000000 | 39) == refused()
    assert sandbox_filter("armv7l") is None


def docker_allows(name: str, *arguments: int) -> bool:
    """As libseccomp reads the profile: one line that fits is enough."""
    profile: dict[str, Any] = json.loads(docker_profile())
    assert profile["defaultAction"] == "SCMP_ACT_ERRNO"
    return any(
        name in line["names"]
        and line["action"] == "SCMP_ACT_ALLOW"
        and all(arguments[part["index"]] & part["value"] == part["valueTwo"] for part in line["args"])
        for line in profile["syscalls"]
    )


def test_docker_gets_the_same_list() -> None:
    assert docker_allows("read")
    assert docker_allows("clone", THREAD)
    assert not docker_allows("clone", 17)
    assert docker_allows("mmap", 0, 0, 0, 0x22)
    assert not docker_allows("mmap", 0, 0, 0, 0x21)
    assert docker_allows("fcntl", 3, 6)
    assert not docker_allows("fcntl", 3, 1031)
    assert not docker_allows("socket", 2)
    assert not docker_allows("prctl", 41, 0)
    assert docker_allows("prctl", 41, 1)
