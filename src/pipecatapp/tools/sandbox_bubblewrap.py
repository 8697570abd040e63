"""A sandbox of Linux namespaces, made by bubblewrap: no daemon, no image, some 50 ms.

The program sees Debian's /usr and nothing else of this machine: no network, no other process, no file of a person, no
/proc. It is nobody, may gain no privilege, and leaves nothing behind: when bubblewrap ends, the kernel ends everything
inside. It is one process, so that the kernel's limits of a process are limits of all it takes; where the machine gives
this program control groups, one of them holds the total as well.
"""

from __future__ import annotations

import asyncio
import logging
import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypedDict

from pipecatapp.errors import ToolError, ToolOffError
from pipecatapp.tools.output import BoundedOutput, drained
from pipecatapp.tools.sandbox import RUNNER, Ending, Limits, RunResult
from pipecatapp.tools.sandbox_cgroup import Group, Groups
from pipecatapp.tools.sandbox_watch import caches, taken_by
from pipecatapp.tools.seccomp import sandbox_filter

logger = logging.getLogger(__name__)

_PYTHON = "/usr/bin/python3"
_PROGRAMS = ("bash", "unshare", "mount", "prlimit")  # of packages that every Debian has
_NOBODY = 65534
_INSIDE = 1000
_LOOK_EVERY_S = 0.04
_CHUNK = 64 * 1024
_MIB = 1024 * 1024
_FILES = ("/etc/localtime", "/etc/ld.so.cache")
_DEVICES = ("/dev/null", "/dev/full", "/dev/random", "/dev/urandom")

# Of the total, what a program's own pages cannot have: its files, what lies in sockets and pipes, the kernel's notes of
# its mappings, threads and files, and what page tables grow between two looks at them.
_RESERVE = 112 * _MIB
# 512 MB need one. More than this has only who spreads single pages over the address space.
_TABLES = 8 * _MIB

# Started as "sandbox". Enters the control groups, offers itself first when the machine runs out of memory (there is
# no /proc inside, where that could be taken back), keeps the machine's crash handler away (a limit of 0 does not),
# makes the only file system that can be written to: bubblewrap can bound the bytes of one, not the number of its
# files.
_LAUNCH = """
doors=$1 tmp=$2 prlimit=$3 unshare=$4 mount=$5; shift 5
for door in $doors; do echo 0 >&"$door" || exit; exec {door}>&-; done
echo 1000 >/proc/self/oom_score_adj || exit
exec "$prlimit" --core=1 -- "$unshare" --user --map-root-user --mount -- \\
    "$BASH" -c '"$0" -t tmpfs -o "$1" tmpfs /mnt && shift && exec "$@"' \\
    "$mount" "$tmp" "$@"
"""
_COMPLAINTS = ("sandbox: ", "bwrap: ", "unshare: ", "mount: ", "prlimit: ")
# Of a huge page the whole stays in memory for its last 4 KB, and limits count only what is mapped. The filter lets
# nobody take it back.
_PRELUDE = """
import ctypes
if ctypes.CDLL(None).prctl(41, *map(ctypes.c_ulong, (1, 0, 0, 0))):
    raise SystemExit("sandbox: huge pages cannot be forbidden")
"""


class _Identity(TypedDict, total=False):
    user: int
    group: int
    extra_groups: list[int]


class BubblewrapSandbox:
    """Runs each program in namespaces of its own.

    Args:
        bwrap: the program ``bwrap``.
        groups: makes a control group for each program; None where this machine gives none.

    Raises:
        ToolOffError: this machine cannot make such a sandbox.
    """

    name = "the bubblewrap sandbox"

    def __init__(self, bwrap: str | None = None, groups: Groups | None = None) -> None:
        found = bwrap or shutil.which("bwrap")
        if found is None:
            raise ToolOffError("there is no bubblewrap; run: sudo apt-get install bubblewrap")
        self._programs = {program: shutil.which(program) or "" for program in (*_PROGRAMS, _PYTHON)}
        absent = [program for program, path in self._programs.items() if not path]
        if absent:
            raise ToolOffError(f"the sandbox needs {' and '.join(absent)}, which this machine does not have")
        filter_ = sandbox_filter()
        if filter_ is None:
            raise ToolOffError(
                f"there is no list of system calls for {platform.machine()}; set CODE_SANDBOX=docker, or none"
            )
        self._bwrap = found
        self._filter = filter_
        self._groups = groups
        self._try()

    async def run(self, program: str, limits: Limits) -> RunResult:
        """Run it to its end."""
        group = self._group(limits)
        try:
            return await self._run(program, limits, group)
        finally:
            if group is not None:
                await group.remove()

    async def _run(self, program: str, limits: Limits, group: Group | None) -> RunResult:
        out, err = BoundedOutput(), BoundedOutput()
        process = await self._start(program, limits, group)
        watch = _Watch(process.pid, limits.memory_bytes, alone=group is None)
        work: dict[asyncio.Task[None], Ending] = {
            asyncio.create_task(_when(lambda: out.total + err.total > limits.printed_bytes)): "output",
            asyncio.create_task(_when(watch.too_much)): "memory",
            asyncio.create_task(_finished(process, out, err, limits)): "exit",
        }
        try:
            done, _ = await asyncio.wait(work, timeout=limits.seconds, return_when=asyncio.FIRST_COMPLETED)
            ending: Ending = next((work[task] for task in work if task in done), "time")
        finally:
            for task in work:
                task.cancel()
            if process.returncode is None:
                process.kill()
            await asyncio.gather(*work, return_exceptions=True)
            await asyncio.gather(drained(process.stdout), drained(process.stderr))
            await process.wait()
        if ending == "exit" and group is not None and group.ran_out():
            ending = "memory"
        stderr = err.text()
        if ending == "exit" and process.returncode and not out.total and stderr.startswith(_COMPLAINTS):
            raise ToolError(f"the sandbox does not work: {stderr.splitlines()[0]}")
        return RunResult(ending, process.returncode or 0, out.text(), stderr)

    def _group(self, limits: Limits) -> Group | None:
        if self._groups is None:
            return None
        try:
            return self._groups.make(limits)
        except OSError as error:
            raise ToolError(f"the sandbox cannot make a control group: {error}") from error

    async def _start(self, program: str, limits: Limits, group: Group | None) -> asyncio.subprocess.Process:
        doors = group.doors if group is not None else ()
        try:
            with self._filter_file() as filter_:
                return await asyncio.create_subprocess_exec(
                    *self._command(program, limits, filter_, doors),
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=asyncio.subprocess.PIPE,
                    stderr=asyncio.subprocess.PIPE,
                    cwd="/",
                    env={},
                    start_new_session=True,
                    pass_fds=(filter_, *doors),
                    **_identity(),
                )
        finally:
            if group is not None:
                group.shut()

    def _try(self) -> None:
        """Run a first program: whether a kernel lets us do all this is known only then."""
        try:
            with self._filter_file() as filter_:
                tried = subprocess.run(
                    self._command("6 * 7", Limits(), filter_),
                    stdin=subprocess.DEVNULL,
                    capture_output=True,
                    cwd="/",
                    env={},
                    timeout=20,
                    check=False,
                    pass_fds=(filter_,),
                    **_identity(),
                )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise ToolOffError(f"bubblewrap cannot be run here: {error}") from error
        if tried.stdout.strip() != b"42":
            reason = tried.stderr.decode(errors="replace").strip().splitlines() or ["it does not say why"]
            raise ToolOffError(
                f"bubblewrap cannot make a sandbox here ({reason[-1]}); allow user namespaces, or set "
                "CODE_SANDBOX=docker; see docs/howto/run-code.md"
            )

    @contextmanager
    def _filter_file(self) -> Iterator[int]:
        """The filter as an open file, to be inherited."""
        with tempfile.TemporaryFile() as file:
            file.write(self._filter)
            file.flush()
            os.lseek(file.fileno(), 0, os.SEEK_SET)
            yield file.fileno()

    def _command(self, program: str, limits: Limits, filter_: int, doors: tuple[int, ...] = ()) -> list[str]:
        tmp = f"size={limits.files_bytes},nr_inodes={limits.files},mode=0700,nosuid,nodev,noexec"
        launch = [
            *(self._programs["bash"], "-c", _LAUNCH, "sandbox", " ".join(map(str, doors)), tmp),
            *(self._programs[program] for program in ("prlimit", "unshare", "mount")),
        ]
        inside = [
            *("--unshare-all", "--unshare-user", "--disable-userns", "--die-with-parent", "--new-session"),
            *("--cap-drop", "ALL", "--uid", str(_INSIDE), "--gid", str(_INSIDE)),
            *("--clearenv", "--setenv", "PATH", "/usr/bin", "--setenv", "HOME", "/tmp"),  # noqa: S108
            # More arenas would take address space, which is limited, for nothing.
            *("--setenv", "LANG", "C.UTF-8", "--setenv", "MALLOC_ARENA_MAX", "1"),
            *("--ro-bind", "/usr", "/usr", "--size", "4096", "--tmpfs", "/usr/local", "--remount-ro", "/usr/local"),
            *("--symlink", "usr/bin", "/bin", "--symlink", "usr/lib", "/lib", "--symlink", "usr/lib64", "/lib64"),
            *(part for file in _FILES for part in ("--ro-bind-try", file, file)),
            # No /dev/zero: what is mapped of it is shared memory that no limit of a process counts.
            *(part for device in _DEVICES for part in ("--dev-bind", device, device)),
            # The same twice: the locks of multiprocessing, which its thread pool has too, lie in /dev/shm.
            *("--bind", "/mnt", "/dev/shm", "--bind", "/mnt", "/tmp", "--chdir", "/tmp", "--remount-ro", "/"),  # noqa: S108
            *("--seccomp", str(filter_)),
        ]
        # Set inside, where only what is inside counts as this user's processes; bubblewrap's own is one of them.
        limited = [
            *("prlimit", f"--as={limits.memory_bytes - _RESERVE}", f"--nproc={limits.threads + 1}"),
            *(f"--fsize={limits.files_bytes}", f"--nofile={limits.open_files}", f"--cpu={int(limits.seconds) + 1}"),
            *("--memlock=0", "--msgqueue=0", "--sigpending=64", f"--stack={8 * _MIB}", "--"),
        ]
        python = [_PYTHON, "-I", "-B", "-c", _PRELUDE + RUNNER, program]
        return [*launch, self._bwrap, *inside, "--", *limited, *python]


def _identity() -> _Identity:
    """Who starts bubblewrap: never root."""
    return {"user": _NOBODY, "group": _NOBODY, "extra_groups": []} if os.getuid() == 0 else {}


class _Watch:
    """Looks at what a program takes.

    Args:
        pid: the process that it comes from.
        most: bytes that it may take.
        alone: nothing else holds it. Then what the machine caches counts as well: a program could ask for names that
            are not there, and each would be remembered.
    """

    def __init__(self, pid: int, most: int, *, alone: bool) -> None:
        self._pid = pid
        self._most = most
        self._cached = caches() if alone else None

    def too_much(self) -> bool:
        """Whether it takes too much now."""
        taken = taken_by(self._pid)
        cached = 0 if self._cached is None else max(0, caches() - self._cached)
        return taken.tables > _TABLES or taken.pages + taken.tables + cached > self._most


async def _finished(
    process: asyncio.subprocess.Process, out: BoundedOutput, err: BoundedOutput, limits: Limits
) -> None:
    await asyncio.gather(_pump(process.stdout, out, limits), _pump(process.stderr, err, limits))
    await process.wait()


async def _pump(stream: asyncio.StreamReader | None, kept: BoundedOutput, limits: Limits) -> None:
    """Take what is printed until nobody can print any more, or far too much of it was."""
    while stream is not None and kept.total <= limits.printed_bytes and (data := await stream.read(_CHUNK)):
        kept.add(data)


async def _when(happened: Callable[[], bool]) -> None:
    while not happened():  # noqa: ASYNC110  it is looked up in /proc, nobody tells it
        await asyncio.sleep(_LOOK_EVERY_S)
