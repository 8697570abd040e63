"""The processes of an engine: started in a session of their own, and all of them found again, however they forked.

Each carries a mark in its environment, which it hands to whatever it starts. So everything that one rank has running is
found by looking at the machine, also by the next supervisor after this one was killed, and also what left its session
or lost its parent. No file is needed that could be wrong.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from pipecatapp.llm.child import rotate_log
from pipecatapp.llm.engines import Engine
from pipecatapp.llm.postmortem import Postmortem

MARK = "PIPECATAPP_EXPERT_RANK"
STOP_WITHIN_S = 8.0
_LOOK_EVERY_S = 0.05


class Running(Protocol):
    """An engine's program that was started."""

    @property
    def code(self) -> int | None:
        """Its exit status, negative for a signal, None while it runs."""

    async def wait(self) -> str:
        """Until it ends; why, in a sentence."""

    async def end(self) -> None:
        """End it and everything that it started."""

    def memory_mb(self) -> int:
        """Memory of its own that it has now, in MB: what would be free without it."""


class Starter(Protocol):
    """Starts programs of engines for one rank."""

    async def start(self, engine: Engine, arguments: Sequence[str], environment: dict[str, str], log: Path) -> Running:
        """Start one.

        Raises:
            OSError: it cannot be started.
        """

    async def clean(self) -> int:
        """End what an earlier supervisor of this rank left; how many processes that were."""


@dataclass(frozen=True, slots=True)
class ProcessStarter:
    """Starts real programs.

    Args:
        mark: names the rank among all that run on this machine.
    """

    mark: str

    async def start(
        self, engine: Engine, arguments: Sequence[str], environment: dict[str, str], log: Path
    ) -> EngineProcess:
        """Start one in a session of its own. It is killed with this process, however that ends."""
        log.parent.mkdir(parents=True, exist_ok=True)
        rotate_log(log)
        bound = ["setpriv", "--pdeathsig", "KILL", "--"] if shutil.which("setpriv") else []
        with log.open("ab") as output:
            process = await asyncio.create_subprocess_exec(
                *bound,
                *engine.command,
                *arguments,
                cwd=engine.folder,
                env={**engine.environment(), **environment, MARK: self.mark},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        return EngineProcess(process, self.mark, log)

    async def clean(self) -> int:
        """End what is left of an earlier supervisor."""
        left = await asyncio.to_thread(marked, self.mark)
        await _kill_all(self.mark)
        return len(left)


class EngineProcess:
    """A program that runs, and what it started.

    Args:
        process: the first of them.
        mark: what all of them carry.
        log: what they print to.
    """

    def __init__(self, process: asyncio.subprocess.Process, mark: str, log: Path) -> None:
        self._process = process
        self._mark = mark
        self._log = log
        self._postmortem = Postmortem()

    @property
    def code(self) -> int | None:
        """Its exit status."""
        return self._process.returncode

    async def wait(self) -> str:
        """Until it ends; its log is kept small meanwhile."""
        ended = asyncio.create_task(self._process.wait())
        try:
            while not ended.done():
                await asyncio.wait([ended], timeout=30)
                await asyncio.to_thread(rotate_log, self._log)
        finally:
            ended.cancel()
        return self._postmortem.describe(self.code, self._log)

    async def end(self) -> None:
        """SIGTERM to its session, SIGKILL to all that is left; returns when nothing is."""
        try:
            if self.code is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(self._process.pid, signal.SIGTERM)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._process.wait(), STOP_WITHIN_S)
        finally:
            await asyncio.shield(self._finish())

    async def _finish(self) -> None:
        await _kill_all(self._mark)
        await self._process.wait()

    def memory_mb(self) -> int:
        """Of all of them together."""
        return sum(_own_kb(pid) for pid in marked(self._mark)) >> 10


def marked(mark: str) -> list[int]:
    """The processes of this machine that carry the mark, zombies not among them."""
    wanted = f"{MARK}={mark}".encode()
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and wanted in _environment(int(folder.name)):
            found.append(int(folder.name))
    return found


async def _kill_all(mark: str) -> None:
    """Until nothing is left: what forks meanwhile is found in the next look."""
    deadline = time.monotonic() + STOP_WITHIN_S
    while left := await asyncio.to_thread(marked, mark):
        for pid in left:
            _kill(pid, mark)
        if time.monotonic() > deadline:
            raise OSError(f"the processes {', '.join(map(str, left))} of the engine do not end")
        await asyncio.sleep(_LOOK_EVERY_S)


def _kill(pid: int, mark: str) -> None:
    """Kill that process and no other that got its number meanwhile."""
    try:
        descriptor = os.pidfd_open(pid)
    except OSError:
        return
    try:
        if f"{MARK}={mark}".encode() in _environment(pid):
            signal.pidfd_send_signal(descriptor, signal.SIGKILL)
    except ProcessLookupError:
        return
    finally:
        os.close(descriptor)


def _environment(pid: int) -> list[bytes]:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return []


def _own_kb(pid: int) -> int:
    """Memory that is not backed by a file: the pages of a mapped model are the system's to take back."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("RssAnon:")), 0)
