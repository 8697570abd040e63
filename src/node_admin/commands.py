"""Runs one program to its end: its own words for the log file of root, the names of its tasks for whoever waits."""

from __future__ import annotations

import asyncio
import os
import re
import signal
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_END_S = 10.0
_LONGEST = 64 * 1024  # of one line that is looked at
_LARGEST_LOG = 8 * 1024 * 1024
# What tasks print may hold a secret that somebody forgot to hide; what they are called does not.
_STEP = re.compile(rb"^(?:PLAY|TASK|RUNNING HANDLER) \[([^\]]{1,150})\]")
_RECAP = re.compile(rb"^([a-z0-9.-]{1,64})\s+: (ok=\d+\s+changed=\d+\s+unreachable=\d+\s+failed=\d+)")


@dataclass(frozen=True, slots=True)
class Ended:
    """How it ended; ``code`` is None where it took too long. ``step`` is the task that it came to."""

    code: int | None
    step: str
    recap: Sequence[str]


async def run(
    command: Sequence[str],
    folder: Path,
    environment: Mapping[str, str],
    seconds: float,
    log: Path,
    show: Callable[[str], None],
) -> Ended:
    """Run it with nothing in its environment but this. Cancelled, it is ended with all that it started."""
    step, recap, written, rest = "", [], 0, b""
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
    output = process.stdout or asyncio.StreamReader()
    try:
        with open(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:  # noqa: PTH123, ASYNC230
            async with asyncio.timeout(seconds):
                while data := await output.read(_LONGEST):
                    if written < _LARGEST_LOG:
                        file.write(data)
                        file.flush()
                        written += len(data)
                    *lines, rest = (rest + data).split(b"\n")
                    rest = rest[:_LONGEST]
                    for line in lines:
                        if found := _STEP.match(line):
                            step = _plain(found[1])
                            show(step)
                        elif found := _RECAP.match(line):
                            recap.append(f"{_plain(found[1])}: {' '.join(_plain(found[2]).split())}")
                code = await process.wait()
    except TimeoutError:
        code = None
    finally:
        await _end(process)
    return Ended(code, step, recap)


def _plain(data: bytes) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in data.decode("utf-8", "replace"))


async def _end(process: asyncio.subprocess.Process) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        if process.returncode is not None:
            return
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with suppress(TimeoutError):
            async with asyncio.timeout(_END_S):
                await process.wait()
