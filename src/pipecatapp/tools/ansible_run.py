"""One run of an Ansible program: what it prints, to its end or until it is ended, and what came of it."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pipecatapp.tools.output import BoundedOutput, NewestLine, drained, short

_END_S = 5.0
_CHUNK = 64 * 1024
_RECAP = re.compile(r"^(\S+)\s+: (ok=\d+ .*)$", re.MULTILINE)
_COUNT = re.compile(r"(\w+)=(\d+)")
_TASK = re.compile(r"^(?:TASK|RUNNING HANDLER) \[(.*)\] \**$")
_CHANGED = re.compile(r"^changed: \[([^\]]*)\]")
_FATAL = re.compile(r"^(?:fatal|failed): \[([^\]]*)\].*?(?:FAILED|UNREACHABLE)! => (.*)$")


@dataclass(frozen=True, slots=True)
class Played:
    """What came of a run; ``code`` is None when it took too long."""

    code: int | None
    output: str

    @property
    def recap(self) -> str:
        """Per host what happened, in words."""
        hosts = []
        for host, counts in _RECAP.findall(self.output):
            told = [f"{n} {name}" for name, n in _COUNT.findall(counts) if n != "0" or name in ("ok", "changed")]
            hosts.append(f"{host}: {', '.join(told)}")
        return "; ".join(hosts[:5]) + (f"; and {len(hosts) - 5} more hosts" if len(hosts) > 5 else "")

    @property
    def changes(self) -> list[str]:
        """The tasks that changed something."""
        task, changes = "", []
        for line in self.output.splitlines():
            if match := _TASK.match(line):
                task = match[1]
            elif (match := _CHANGED.match(line)) and task not in changes:
                changes.append(task)
        return changes

    @property
    def failure(self) -> str:
        """Where it failed first, and why, in the words of the host."""
        if (failed := self._failed) is not None:
            return f"{failed[0]!r} failed on {failed[1]}: {_message(failed[2])}"
        lines = [line for line in self.output.splitlines() if line.strip()]
        return short(lines[-1] if lines else "it does not say why", 200)

    @property
    def failed_at(self) -> str:
        """Where it failed first, in our own words; empty where that is not known."""
        return f"{self._failed[0]!r} on {self._failed[1]}" if self._failed is not None else ""

    @property
    def _failed(self) -> tuple[str, str, str] | None:
        """The first task that failed, the host, and what that says of it."""
        task = ""
        for line in self.output.splitlines():
            if match := _TASK.match(line):
                task = match[1]
            elif match := _FATAL.match(line):
                return task, match[1], match[2]
        return None


async def play(
    command: Sequence[str],
    folder: Path,
    environment: Mapping[str, str],
    seconds: float,
    show: Callable[[str], None] = lambda _: None,
) -> Played:
    """Run it in a folder, with nothing in its environment but this; ``show`` gets the newest line."""
    kept, newest = BoundedOutput(), NewestLine(lambda line: show(line.rstrip(" *")))
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        cwd=folder,
        env=dict(environment),
        start_new_session=True,
    )
    code: int | None = None
    try:
        async with asyncio.timeout(seconds):
            while process.stdout is not None and (data := await process.stdout.read(_CHUNK)):
                kept.add(data)
                newest.add(data)
            code = await process.wait()
    except TimeoutError:
        code = None
    finally:
        await _ended(process)
    return Played(code, kept.text())


async def _ended(process: asyncio.subprocess.Process) -> None:
    """End it with everything that it started, unless it has ended by itself."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        if process.returncode is not None:
            return
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with suppress(TimeoutError):
            async with asyncio.timeout(_END_S):
                await drained(process.stdout)
                await process.wait()


def _message(result: str) -> str:
    """What Ansible says of a failed task: a JSON object with a message in it."""
    try:
        told = json.loads(result)
    except ValueError:
        told = None
    text = str(told.get("msg", result)) if isinstance(told, dict) else result
    return short(text.strip().partition("\n")[0], 200).rstrip(".")
