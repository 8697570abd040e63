"""The system calls that a program in the sandbox may make: what Python and its standard library need, and no more.

Each call that is not here is refused, so what a kernel learns next is refused too. None of them makes another process,
a namespace, or a socket that reaches anybody. None holds memory that the limits of the process do not see: a page that
is shared and mapped no more, a larger pipe, a message or semaphore that outlives its maker, a table of files for each
thread.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Want:
    """What the low half of an argument must be, once it was masked: the kernel looks at no more of it either."""

    argument: int
    value: int
    mask: int = 0xFFFFFFFF


# The number of each call on x86_64 and on aarch64; None where that machine does not have it.
NUMBERS: dict[str, tuple[int, int | None]] = {
    # Files, those in /tmp and the programs of the machine.
    "read": (0, 63), "write": (1, 64), "open": (2, None), "openat": (257, 56), "close": (3, 57), "stat": (4, None),
    "fstat": (5, 80), "lstat": (6, None), "newfstatat": (262, 79), "statx": (332, 291), "lseek": (8, 62),
    "pread64": (17, 67), "pwrite64": (18, 68), "readv": (19, 65), "writev": (20, 66), "preadv": (295, 69),
    "pwritev": (296, 70), "preadv2": (327, 286), "pwritev2": (328, 287), "access": (21, None), "faccessat": (269, 48),
    "faccessat2": (439, 439), "dup": (32, 23), "dup2": (33, None), "dup3": (292, 24), "pipe": (22, None),
    "pipe2": (293, 59), "truncate": (76, 45), "ftruncate": (77, 46), "fallocate": (285, 47), "getdents": (78, None),
    "getdents64": (217, 61), "getcwd": (79, 17), "chdir": (80, 49), "fchdir": (81, 50), "rename": (82, None),
    "renameat": (264, 38), "renameat2": (316, 276), "mkdir": (83, None), "mkdirat": (258, 34), "rmdir": (84, None),
    "unlink": (87, None), "unlinkat": (263, 35), "link": (86, None), "linkat": (265, 37), "symlink": (88, None),
    "symlinkat": (266, 36), "readlink": (89, None), "readlinkat": (267, 78), "chmod": (90, None), "fchmod": (91, 52),
    "fchmodat": (268, 53), "fchmodat2": (452, 452), "chown": (92, None), "fchown": (93, 55), "lchown": (94, None),
    "fchownat": (260, 54), "umask": (95, 166), "utime": (132, None), "utimes": (235, None), "futimesat": (261, None),
    "utimensat": (280, 88), "statfs": (137, 43), "fstatfs": (138, 44), "sendfile": (40, 71),
    "copy_file_range": (326, 285), "getxattr": (191, 8), "lgetxattr": (192, 9), "fgetxattr": (193, 10),
    "listxattr": (194, 11), "llistxattr": (195, 12), "flistxattr": (196, 13), "fcntl": (72, 25), "ioctl": (16, 29),
    "flock": (73, 32), "fsync": (74, 82), "fdatasync": (75, 83), "sync": (162, 81), "syncfs": (306, 267),
    "msync": (26, 227), "fadvise64": (221, 223),
    # Memory.
    "mmap": (9, 222), "munmap": (11, 215), "mprotect": (10, 226), "mremap": (25, 216), "brk": (12, 214),
    "madvise": (28, 233),
    # This process, its threads, its signals, its clock.
    "execve": (59, 221), "exit": (60, 93), "exit_group": (231, 94), "clone": (56, 220), "prctl": (157, 167),
    "arch_prctl": (158, None), "prlimit64": (302, 261), "getrlimit": (97, 163),
    "getpid": (39, 172), "gettid": (186, 178), "getppid": (110, 173), "getuid": (102, 174), "geteuid": (107, 175),
    "getgid": (104, 176), "getegid": (108, 177), "getresuid": (118, 148), "getresgid": (120, 150),
    "getgroups": (115, 158), "getpgrp": (111, None), "getpgid": (121, 155), "getsid": (124, 156),
    "getpriority": (140, 141), "kill": (62, 129), "tgkill": (234, 131), "tkill": (200, 130),
    "rt_sigaction": (13, 134), "rt_sigprocmask": (14, 135), "rt_sigreturn": (15, 139), "rt_sigpending": (127, 136),
    "rt_sigsuspend": (130, 133), "rt_sigtimedwait": (128, 137), "sigaltstack": (131, 132), "pause": (34, None),
    "alarm": (37, None), "setitimer": (38, 103), "getitimer": (36, 102), "restart_syscall": (219, 128),
    "wait4": (61, 260), "waitid": (247, 95), "nanosleep": (35, 101), "clock_nanosleep": (230, 115),
    "clock_gettime": (228, 113), "clock_getres": (229, 114), "gettimeofday": (96, 169), "time": (201, None),
    "times": (100, 153), "getrusage": (98, 165), "sysinfo": (99, 179), "uname": (63, 160), "getrandom": (318, 278),
    "getcpu": (309, 168), "set_tid_address": (218, 96), "set_robust_list": (273, 99), "get_robust_list": (274, 100),
    "rseq": (334, 293), "futex": (202, 98), "sched_yield": (24, 124), "sched_getaffinity": (204, 123),
    "sched_getparam": (143, 121), "sched_getscheduler": (145, 120), "sched_get_priority_max": (146, 125),
    "sched_get_priority_min": (147, 126),
    # Waiting for several things; a pair of sockets is how asyncio wakes itself.
    "select": (23, None), "pselect6": (270, 72), "poll": (7, None), "ppoll": (271, 73), "epoll_create": (213, None),
    "epoll_create1": (291, 20), "epoll_ctl": (233, 21), "epoll_wait": (232, None), "epoll_pwait": (281, 22),
    "eventfd2": (290, 19), "socketpair": (53, 199), "getsockname": (51, 204), "getpeername": (52, 205),
    "getsockopt": (55, 209), "sendto": (44, 206), "recvfrom": (45, 207), "shutdown": (48, 210),
}  # fmt: skip

# They would reach a lock, a disk or a cache of the machine. In the sandbox, where one process has its files in memory,
# nothing is to be done: they say that it is done.
NOTHING_TO_DO: dict[str, list[tuple[Want, ...]]] = {
    **{name: [] for name in ("flock", "fsync", "fdatasync", "sync", "syncfs", "msync", "fadvise64")},
    "fcntl": [(Want(1, command),) for command in (6, 7)],  # F_SETLK, F_SETLKW
}

# Flags of clone: those of a thread (CLONE_VM, _FS, _FILES, _SIGHAND, _THREAD), and those that it must not have: a
# descriptor, tracing, its parent's wait (CLONE_PIDFD, _PTRACE, _VFORK) and each new namespace.
_THREAD, _NO_THREAD = 0x10F00, 0x7E027000
# Flags of mmap: MAP_SHARED, _PRIVATE, _SHARED_VALIDATE, the mask of these, MAP_ANONYMOUS, _HUGETLB.
_SHARED, _PRIVATE, _VALIDATED, _KIND, _ANONYMOUS, _RESERVED_PAGES = 1, 2, 3, 0x0F, 0x20, 0x40000


def _one_of(argument: int, *values: int) -> list[tuple[Want, ...]]:
    return [(Want(argument, value),) for value in values]


# Calls that depend on their arguments: one of the lines must hold, and in it each part.
CONDITIONS: dict[str, list[tuple[Want, ...]]] = {
    "clone": [(Want(0, _THREAD, _THREAD | _NO_THREAD),)],
    # What is shared stays in memory while any part of it is mapped, and a limit counts the mapped part alone: none of
    # it without a file.
    "mmap": [
        (Want(3, _PRIVATE, _KIND | _RESERVED_PAGES),),
        (Want(3, _SHARED, _KIND | _ANONYMOUS | _RESERVED_PAGES),),
        (Want(3, _VALIDATED, _KIND | _ANONYMOUS | _RESERVED_PAGES),),
    ],
    # Nothing that makes huge pages: of these, too, the whole stays for its last part.
    "madvise": _one_of(2, 0, 1, 2, 3, 4, 8, 15, 16, 17),
    # PR_SET_NAME, PR_GET_NAME, and PR_SET_THP_DISABLE with 1.
    "prctl": [*_one_of(0, 15, 16), (Want(0, 41), Want(1, 1))],
    # Its own, and not RLIMIT_CORE: whether the machine's crash handler looks at a program is not for that to say.
    "prlimit64": [(Want(0, 0), Want(1, resource)) for resource in range(16) if resource != 4],
    # Copies of a descriptor, its flags, who has a lock, the size of a pipe (not to set it), seals.
    "fcntl": _one_of(1, 0, 1, 2, 3, 4, 5, 1030, 1032, 1034),
    # TCGETS, TIOCGWINSZ, FIONREAD, FIONBIO, FIONCLEX, FIOCLEX
    "ioctl": _one_of(1, 0x5401, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451),
    "socketpair": _one_of(0, 1),  # AF_UNIX
}
