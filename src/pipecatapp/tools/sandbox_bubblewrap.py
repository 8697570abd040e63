"""A sandbox of Linux namespaces, made by bubblewrap: no daemon, no image, some 50 ms.

The program sees Debian's /usr and nothing else of this machine: no network, no other process, no file of a person. It
is nobody, may gain no privilege, and leaves nothing behind: when bubblewrap ends, the kernel ends everything inside.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypedDict

from pipecatapp.errors import ToolError, ToolOffError
from pipecatapp.tools.output import BoundedOutput, drained
from pipecatapp.tools.sandbox import RUNNER, Ending, Limits, RunResult
from pipecatapp.tools.seccomp import sandbox_filter

_PYTHON = "/usr/bin/python3"
_PROGRAMS = ("prlimit", "choom")  # of util-linux, which every Debian has
_NOBODY = 65534
_INSIDE = 1000
_LOOK_EVERY_S = 0.1
_CHUNK = 64 * 1024


class _Identity(TypedDict, total=False):
    user: int
    group: int
    extra_groups: list[int]


class BubblewrapSandbox:
    """Runs each program in namespaces of its own.

    Args:
        bwrap: the program ``bwrap``.

    Raises:
        ToolOffError: this machine cannot make such a sandbox.
    """

    name = "the bubblewrap sandbox"

    def __init__(self, bwrap: str | None = None) -> None:
        found = bwrap or shutil.which("bwrap")
        if found is None:
            raise ToolOffError("there is no bubblewrap; run: sudo apt-get install bubblewrap")
        absent = [program for program in (_PYTHON, *_PROGRAMS) if shutil.which(program) is None]
        if absent:
            raise ToolOffError(f"the sandbox needs {' and '.join(absent)}, which this machine does not have")
        self._bwrap = found
        self._filter = sandbox_filter()
        self._try()

    async def run(self, program: str, limits: Limits) -> RunResult:
        """Run it to its end."""
        out, err = BoundedOutput(), BoundedOutput()
        process = await self._start(program, limits)
        work: dict[asyncio.Task[None], Ending] = {
            asyncio.create_task(_when(lambda: out.total + err.total > limits.printed_bytes)): "output",
            asyncio.create_task(_when(lambda: memory_of(process.pid) > limits.memory_bytes)): "memory",
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
        stderr = err.text()
        if process.returncode and not out.total and stderr.startswith("bwrap: "):
            raise ToolError(f"the sandbox does not work: {stderr.splitlines()[0]}")
        return RunResult(ending, process.returncode or 0, out.text(), stderr)

    async def _start(self, program: str, limits: Limits) -> asyncio.subprocess.Process:
        with self._filter_file() as filters:
            return await asyncio.create_subprocess_exec(
                *self._command(program, limits, filters),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                cwd="/",
                env={},
                start_new_session=True,
                pass_fds=filters,
                **_identity(),
            )

    def _try(self) -> None:
        """Run a first program: whether a kernel lets us do all this is known only then."""
        try:
            with self._filter_file() as filters:
                tried = subprocess.run(
                    self._command("6 * 7", Limits(), filters),
                    stdin=subprocess.DEVNULL,
                    capture_output=True,
                    cwd="/",
                    env={},
                    timeout=20,
                    check=False,
                    pass_fds=filters,
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
    def _filter_file(self) -> Iterator[tuple[int, ...]]:
        """The filter as an open file, to be inherited; nothing where there is no filter for this machine."""
        if self._filter is None:
            yield ()
            return
        with tempfile.TemporaryFile() as file:
            file.write(self._filter)
            file.flush()
            os.lseek(file.fileno(), 0, os.SEEK_SET)
            yield (file.fileno(),)

    def _command(self, program: str, limits: Limits, filters: tuple[int, ...]) -> list[str]:
        tmp = str(limits.files_bytes)
        inside = [
            *("--unshare-all", "--unshare-user", "--disable-userns", "--die-with-parent", "--new-session"),
            *("--cap-drop", "ALL", "--uid", str(_INSIDE), "--gid", str(_INSIDE)),
            *("--clearenv", "--setenv", "PATH", "/usr/bin", "--setenv", "HOME", "/tmp"),  # noqa: S108
            *("--setenv", "LANG", "C.UTF-8", "--setenv", "PYTHONDONTWRITEBYTECODE", "1"),
            *("--ro-bind", "/usr", "/usr", "--size", "4096", "--tmpfs", "/usr/local", "--remount-ro", "/usr/local"),
            *("--symlink", "usr/bin", "/bin", "--symlink", "usr/lib", "/lib", "--symlink", "usr/lib64", "/lib64"),
            *(
                "--ro-bind-try",
                "/etc/localtime",
                "/etc/localtime",
                "--ro-bind-try",
                "/etc/ld.so.cache",
                "/etc/ld.so.cache",
            ),
            *("--proc", "/proc", "--dev", "/dev", "--remount-ro", "/dev"),
            *("--size", tmp, "--tmpfs", "/tmp", "--chdir", "/tmp", "--remount-ro", "/"),  # noqa: S108
            *(part for number in filters for part in ("--seccomp", str(number))),
        ]
        # Set inside, where only what is inside counts as this user's processes. The kernel takes these first when
        # the machine runs out of memory.
        limited = [
            *("choom", "-n", "1000", "--", "prlimit", f"--as={limits.memory_bytes}", f"--nproc={limits.processes}"),
            *(f"--fsize={limits.files_bytes}", f"--nofile={limits.open_files}", f"--cpu={int(limits.seconds) + 1}"),
            *("--core=0", "--memlock=0", "--msgqueue=0", "--"),
        ]
        return [self._bwrap, *inside, "--", *limited, _PYTHON, "-I", "-c", RUNNER, program]


def _identity() -> _Identity:
    """Who starts bubblewrap: never root."""
    return {"user": _NOBODY, "group": _NOBODY, "extra_groups": []} if os.getuid() == 0 else {}


def memory_of(pid: int) -> int:
    """Bytes of memory of a process and everything that comes from it; what is shared counts several times."""
    total, waiting = 0, [pid]
    while waiting:
        process = Path("/proc", str(waiting.pop()))
        try:
            status = (process / "status").read_text(encoding="utf-8", errors="replace")
            for thread in (process / "task").iterdir():
                waiting += [int(child) for child in (thread / "children").read_text().split()]
        except OSError:
            continue  # it has ended meanwhile
        for line in status.splitlines():
            if line.startswith(("RssAnon:", "RssShmem:")):
                total += int(line.split()[1]) * 1024
    return total


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
