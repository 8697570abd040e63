"""A server as a program of ours: one JSON message a line over its pipes, in bounded memory.

The library's own transport holds a line of any length, and copies all of it for each piece that comes: a line of 60 MB
took it nine seconds. The program gets nothing of our environment but PATH, HOME and the like. What it writes to its
standard error is kept for the reason when it dies.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import time
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import mcp_types as types

from pipecatapp.errors import ToolError
from pipecatapp.tools.mcp_servers.config import ServerConfig
from pipecatapp.tools.mcp_servers.messages import LARGEST, describe_unreadable, has_too_many_values

if TYPE_CHECKING:
    from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
    from mcp.client._transport import TransportStreams
    from mcp.shared.message import SessionMessage

STDERR_LINE = 200  # characters
_STDERR_LINES = 3
_LONGEST = 8 * LARGEST  # a line that goes on behind this ends the connection
_END_S = 2.0  # to end by itself when its input ends; as long again after SIGTERM
_TOO_MANY = "its answer holds too many values"
_TOO_LARGE = f"its answer is larger than {LARGEST // 1024 // 1024} MB"


class Traces:
    """What a program leaves behind: the last lines of its standard error, and what in its output ended it, if so."""

    def __init__(self) -> None:
        self.fault = ""
        self.lines: deque[str] = deque(maxlen=_STDERR_LINES)
        self._open = ""

    async def read(self, stream: asyncio.StreamReader) -> None:
        """Keep the last lines until the stream ends."""
        while data := await stream.read(4096):
            *lines, rest = (self._open + data.decode(errors="replace")).split("\n")
            self._open = rest[-STDERR_LINE:]
            for text in lines:
                if printable := "".join(char if char.isprintable() else " " for char in text).strip():
                    self.lines.append(printable[-STDERR_LINE:])


@asynccontextmanager
async def run_program(config: ServerConfig, traces: Traces) -> AsyncIterator[TransportStreams]:
    """Start the program; the streams to it, as the library's client takes them. It is ended at the end.

    Raises:
        ToolError: it cannot be started; says why and what to do.
    """
    process = await _start(config)
    assert process.stdin is not None  # noqa: S101 - all three are pipes
    assert process.stdout is not None  # noqa: S101
    assert process.stderr is not None  # noqa: S101
    to_us, from_program = anyio.create_memory_object_stream["SessionMessage | Exception"](0)
    to_program, from_us = anyio.create_memory_object_stream["SessionMessage"](0)
    tasks = [
        asyncio.create_task(_read(process.stdout, to_us, traces), name=f"from {config.name}"),
        asyncio.create_task(_write(process.stdin, from_us, to_us), name=f"to {config.name}"),
        asyncio.create_task(traces.read(process.stderr), name=f"errors of {config.name}"),
    ]
    try:
        yield from_program, to_program
    finally:
        from_program.close()
        to_program.close()
        ending = asyncio.create_task(_end(process, tasks))
        try:
            await asyncio.shield(ending)
        except asyncio.CancelledError:
            await ending
            raise
        finally:
            for stream in (to_us, from_us):
                stream.close()


async def _start(config: ServerConfig) -> asyncio.subprocess.Process:
    from mcp.client.stdio import get_default_environment

    if config.cwd is not None and not await asyncio.to_thread(Path(config.cwd).is_dir):
        raise ToolError(f"there is no folder {config.cwd} to start it in")
    environment = get_default_environment() | dict(config.env)
    try:
        return await asyncio.create_subprocess_exec(
            config.command,
            *config.args,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=environment,
            cwd=config.cwd,
            start_new_session=True,
            limit=LARGEST,
        )
    except (OSError, ValueError) as error:
        raise ToolError(await asyncio.to_thread(_explain, config.command, environment, error)) from error


def _explain(command: str, environment: dict[str, str], error: OSError | ValueError) -> str:
    """Why it cannot be started, and what to do."""
    if not isinstance(error, FileNotFoundError):
        why = error.strerror.lower() if isinstance(error, OSError) and error.strerror else str(error)
        return f"{command} cannot be started: {why}"
    path = environment.get("PATH", "")
    if shutil.which(command, path=path) is not None:
        return f"{command} cannot be started: the program that its first line names is not there"
    if "/" in command:
        return f"{command} cannot be started: no such file"
    hint = ' (what follows the program belongs into "args")' if " " in command else ""
    return (
        f"{command} cannot be started: it is in no folder of PATH ({path or 'which is empty'}){hint}; install it, or "
        'write its whole path in "command"'
    )


async def _read(
    stream: asyncio.StreamReader, to_us: MemoryObjectSendStream[SessionMessage | Exception], traces: Traces
) -> None:
    """Pass on a message for each line, and what is no message as an exception."""
    with to_us, contextlib.suppress(anyio.BrokenResourceError, anyio.ClosedResourceError, ConnectionError):
        while True:
            try:
                line = await stream.readuntil(b"\n")
            except asyncio.IncompleteReadError as error:
                if error.partial.strip():
                    await to_us.send(_parse(error.partial))
                return
            except asyncio.LimitOverrunError:
                ends = await _skip(stream)
                if not ends:
                    traces.fault = "it writes a line that does not end"
                    return
                await to_us.send(describe_unreadable(ends, _TOO_LARGE) or ValueError(_TOO_LARGE))
                continue
            if line.strip():
                await to_us.send(_parse(line))


async def _skip(stream: asyncio.StreamReader) -> bytes:
    """Read the rest of a line that is too long; its beginning and its end, or nothing where it does not end."""
    first = last = b""
    skipped = 0
    while skipped < _LONGEST:
        try:
            piece = await stream.readuntil(b"\n")
        except asyncio.LimitOverrunError as error:
            piece = await stream.readexactly(error.consumed)
        except asyncio.IncompleteReadError:
            break
        skipped += len(piece)
        first, last = first or piece[:1000], (last + piece)[-1000:]
        if piece.endswith(b"\n"):
            return first + last.rstrip()
    return b""


def _parse(line: bytes) -> SessionMessage | Exception:
    from mcp.shared.message import SessionMessage

    if has_too_many_values(line):
        return describe_unreadable(line.strip(), _TOO_MANY) or ValueError(_TOO_MANY)
    try:
        return SessionMessage(
            types.jsonrpc_message_adapter.validate_json(line.decode("utf-8", "replace"), by_name=False)
        )
    except ValueError as error:
        deep = "recursion limit" in str(error)
        why = "its answer is nested too deep" if deep else "its answer cannot be read"
        return describe_unreadable(line.strip(), why) or ValueError(why)


async def _write(
    stream: asyncio.StreamWriter,
    from_us: MemoryObjectReceiveStream[SessionMessage],
    to_us: MemoryObjectSendStream[SessionMessage | Exception],
) -> None:
    try:
        async for item in from_us:
            text = item.message.model_dump_json(by_alias=True, exclude_unset=True)
            stream.write(text.encode("utf-8", "replace") + b"\n")
            await stream.drain()
    except (OSError, anyio.ClosedResourceError):
        to_us.close()  # whoever waits for an answer hears that none will come


async def _end(process: asyncio.subprocess.Process, tasks: list[asyncio.Task[None]]) -> None:
    """Close its input, wait, then end it with all that it started."""
    assert process.stdin is not None  # noqa: S101
    assert process.stdout is not None  # noqa: S101
    tasks[0].cancel()
    await asyncio.wait(tasks[:1])
    draining = asyncio.create_task(_drain(process.stdout))  # who cannot write does not read the end of its input
    process.stdin.close()
    for sent in (None, signal.SIGTERM, signal.SIGKILL):
        if sent is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, sent)
        if await _has_ended(process, _END_S):
            break
    # Programs that it left behind may hold the pipes for ever.
    await asyncio.wait(tasks[2:], timeout=0.2)
    for task in (*tasks, draining):
        task.cancel()
    await asyncio.gather(*tasks, draining, return_exceptions=True)
    process._transport.close()  # type: ignore[attr-defined]  # nothing else closes what such a program holds


async def _has_ended(process: asyncio.subprocess.Process, seconds: float) -> bool:
    """Whether it ends within this time. ``Process.wait`` waits for its pipes too, which others may hold."""
    ends = time.monotonic() + seconds
    while process.returncode is None:
        if time.monotonic() > ends:
            return False
        await asyncio.sleep(0.02)
    return True


async def _drain(stream: asyncio.StreamReader) -> None:
    while await stream.read(65536):
        pass
