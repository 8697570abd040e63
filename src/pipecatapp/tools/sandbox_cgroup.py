"""A control group for each program of the sandbox: the kernel then bounds all its memory, its own share included.

It needs a part of the tree of groups that was handed to this program: by systemd (``Delegate=``, version 2), or, with
version 1, by who is root. Nobody else's groups are touched.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from pipecatapp.tools.sandbox import Limits

logger = logging.getLogger(__name__)

_OURS = "main"  # version 2 wants processes in leaves only: those of this program go here
_NAME = "pipecatapp-sandbox-"
_LEAVE_S = 5.0
_LOOK_EVERY_S = 0.02
_number = itertools.count()


class Group(Protocol):
    """A group for one program."""

    @property
    def doors(self) -> tuple[int, ...]:
        """Open files; a process that writes ``0`` to each has entered."""

    def shut(self) -> None:
        """Close the doors: who is in stays in."""

    def ran_out(self) -> bool:
        """Whether the kernel ended a process in it because there was no memory left."""

    async def remove(self) -> None:
        """End what is in it and take it away."""


class Groups(Protocol):
    """Where groups are made."""

    def make(self, limits: Limits) -> Group:
        """A group with these limits. Raises OSError."""


class _Folders:
    """A group that is one folder in each of some hierarchies: the first one is that of memory."""

    def __init__(self, parents: Iterable[Path], settings: dict[str, str]) -> None:
        name = f"{_NAME}{os.getpid()}-{next(_number)}"
        self._folders: list[Path] = []
        doors: list[int] = []
        try:
            for parent in parents:
                folder = parent / name
                folder.mkdir()
                self._folders.append(folder)
                for setting, value in settings.items():
                    if (folder / setting).exists():
                        (folder / setting).write_text(value)
                doors.append(os.open(folder / "cgroup.procs", os.O_WRONLY | os.O_CLOEXEC))
        except OSError:
            self.doors = tuple(doors)
            self.shut()
            for folder in self._folders:
                folder.rmdir()
            raise
        self.doors = tuple(doors)

    def shut(self) -> None:
        doors, self.doors = self.doors, ()
        for door in doors:
            os.close(door)

    def ran_out(self) -> bool:
        return any(
            line.startswith("oom_kill ") and line != "oom_kill 0"
            for name in ("memory.events", "memory.oom_control")
            if (self._folders[0] / name).exists()
            for line in (self._folders[0] / name).read_text().splitlines()
        )

    async def remove(self) -> None:
        self.shut()
        end = asyncio.get_running_loop().time() + _LEAVE_S
        waiting = list(self._folders)
        while waiting:
            waiting = [folder for folder in waiting if not _removed(folder)]
            if waiting and asyncio.get_running_loop().time() > end:
                logger.warning("the control group %s stays behind", waiting[0])
                return
            if waiting:
                await asyncio.sleep(_LOOK_EVERY_S)


class VersionTwo:
    """Groups below one that systemd handed over.

    Args:
        base: the group that was handed over.

    Raises:
        OSError: it was not.
    """

    def __init__(self, base: Path) -> None:
        self._base = base
        ours = base / _OURS
        ours.mkdir(exist_ok=True)
        # A process may be started meanwhile.
        for _ in range(5):
            for process in (base / "cgroup.procs").read_text().split():
                with suppress(ProcessLookupError):  # it has ended
                    (ours / "cgroup.procs").write_text(process)
            try:
                (base / "cgroup.subtree_control").write_text("+memory +pids")
                break
            except OSError as error:
                failed = error
        else:
            raise failed
        _sweep([base])

    def make(self, limits: Limits) -> Group:
        """A group with these limits. Raises OSError."""
        return _Folders(
            [self._base],
            {
                "memory.max": str(limits.memory_bytes),
                "memory.swap.max": "0",
                "memory.oom.group": "1",
                "pids.max": str(limits.threads + _AROUND),
            },
        )


class VersionOne:
    """Groups in hierarchies of their own, for memory and, where there is one, for processes.

    Args:
        memory: a group of the hierarchy of memory, in which this program may make others.
        pids: the same for processes.
    """

    def __init__(self, memory: Path, pids: Path | None) -> None:
        self._parents = [memory, *([pids] if pids else [])]
        _sweep(self._parents)

    def make(self, limits: Limits) -> Group:
        """A group with these limits. Raises OSError."""
        return _Folders(
            self._parents,
            {
                "memory.swappiness": "0",
                "memory.limit_in_bytes": str(limits.memory_bytes),
                "memory.memsw.limit_in_bytes": str(limits.memory_bytes),
                "pids.max": str(limits.threads + _AROUND),
            },
        )


# bubblewrap's own processes are in the group too.
_AROUND = 4


def find_groups(
    own: Path = Path("/proc/self/cgroup"), mounts: Path = Path("/proc/self/mountinfo")
) -> VersionTwo | VersionOne | None:
    """Where this program may make groups; None where it may not."""
    places = _places(own.read_text().splitlines(), mounts.read_text().splitlines())
    try:
        if "" in places:
            for base in (places[""], places[""].parent):
                if _handed_over(base) and {"memory", "pids"} <= set((base / "cgroup.controllers").read_text().split()):
                    return VersionTwo(base)
        memory, pids = places.get("memory"), places.get("pids")
        if memory is not None and os.access(memory, os.W_OK):
            return VersionOne(memory, pids if pids is not None and os.access(pids, os.W_OK) else None)
    except OSError as error:
        logger.warning("this program may make no control groups (%s)", error)
    return None


def _places(own: list[str], mounts: list[str]) -> dict[str, Path]:
    """The folder of this process's group for each controller; the empty name is version 2."""
    roots: dict[str, tuple[str, str]] = {}
    for line in mounts:
        before, _, after = line.partition(" - ")
        root, point = before.split(" ")[3:5]
        kind, _, options = after.split(" ")[:3]
        if kind == "cgroup2":
            roots[""] = root, point
        elif kind == "cgroup":
            roots |= dict.fromkeys(options.split(","), (root, point))
    places = {}
    for line in own:
        _, names, path = line.split(":", 2)
        for name in names.split(","):
            if name in roots:
                root, point = roots[name]
                places[name] = Path(point, os.path.relpath(path, root))
    return places


def _handed_over(base: Path) -> bool:
    for mark in ("user.delegate", "trusted.delegate"):
        with suppress(OSError):
            if os.getxattr(base, mark) == b"1":
                return True
    return False


def _sweep(parents: Iterable[Path]) -> None:
    """Remove what a killed agent left behind."""
    for parent in parents:
        for folder in parent.glob(f"{_NAME}*"):
            if not Path("/proc", folder.name.removeprefix(_NAME).partition("-")[0]).exists():
                _removed(folder)


def _removed(folder: Path) -> bool:
    try:
        if (folder / "cgroup.kill").exists():
            (folder / "cgroup.kill").write_text("1")
        folder.rmdir()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True
