"""``ssh.run_command``: runs a command on another machine and says what it printed."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Mapping
from typing import Any

from pipecatapp.domain import Preview, Risk, ToolResult, ToolSpec
from pipecatapp.errors import ToolError, ToolOffError
from pipecatapp.ports import Tool, ToolContext
from pipecatapp.tools.output import short
from pipecatapp.tools.registry import ToolServices
from pipecatapp.tools.ssh_folder import SshFolder, seen_as
from pipecatapp.tools.ssh_session import Command, RunResult, host_key, run
from pipecatapp.tools.ssh_target import Target

_SECONDS = 60
_MOST_SECONDS = 600
_LOG_IN_S = 60.0
_END_S = 5.0
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


class RunCommand:
    """Runs commands over SSH.

    Args:
        folder: keys, passwords and known hosts.
    """

    spec = ToolSpec(
        name="ssh.run_command",
        description="Run a shell command on another machine over SSH; gives its exit status and what it printed.",
        parameters={
            "type": "object",
            "properties": {
                "host": {
                    "type": "string",
                    "minLength": 1,
                    "maxLength": 320,
                    "description": "A name, an address or an alias; host:port works too.",
                },
                "command": {"type": "string", "minLength": 1, "maxLength": 4000},
                "username": {"type": "string", "maxLength": 64, "description": "Default: that of the host's alias."},
                "seconds": {
                    "type": "integer",
                    "minimum": 1,
                    "maximum": _MOST_SECONDS,
                    "description": f"How long it may take; default {_SECONDS}.",
                },
            },
            "required": ["host", "command"],
        },
        risk=Risk.DANGER,
        timeout_s=_MOST_SECONDS + _LOG_IN_S,
        copied=("host", "command", "username"),
        untrusted=True,
    )

    def __init__(self, folder: SshFolder) -> None:
        self._folder = folder

    async def preview(self, arguments: Mapping[str, Any], context: ToolContext) -> Preview:
        """Show where it would run; where the host is new, ask to connect to it and see its key."""
        target, command = await asyncio.to_thread(self._meant, arguments)
        known = await asyncio.to_thread(self._folder.known)
        if known.lookup(target.known_as) is not None:
            return Preview(_run(target, command), _detail(target, command), scope=target.account)
        return Preview(
            f"Connect to {target.name}{target.at_port}, which I do not know yet, and see its key{target.way}.",
            f"{_detail(target, command)}\n\nThis is the first connection to {target.known_as}: its key is shown, "
            "nobody is logged in there, and nothing is run.",
            look=True,
        )

    async def look(self, arguments: Mapping[str, Any], context: ToolContext) -> Preview:
        """Show the key of a new host."""
        target, command = await asyncio.to_thread(self._meant, arguments)
        key = await asyncio.to_thread(host_key, self._folder, target)
        await asyncio.to_thread(self._folder.show, target, key)
        return Preview(
            f"{_run(target, command)} I do not know this host yet.",
            f"{_detail(target, command)}\n\nThis is the first connection to {target.known_as}. Its key "
            f"({key.get_name()}) has the fingerprint\n{key.fingerprint}\nCompare it with what `ssh-keygen -lf` says "
            "there. A yes stores it.",
            scope=target.account,
            found=seen_as(target, key),
        )

    async def run(self, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        """Run it to its end."""
        target, text = await asyncio.to_thread(self._meant, arguments)
        seconds = int(arguments.get("seconds", _SECONDS))
        loop = asyncio.get_running_loop()
        command = Command(
            target,
            text,
            seconds,
            show=lambda line: _shown(loop, context, line),
            stop=threading.Event(),
            seen=context.seen,
        )
        working = asyncio.create_task(asyncio.to_thread(run, self._folder, command))
        try:
            ran = await asyncio.shield(working)
        except asyncio.CancelledError:
            command.stop.set()
            working.add_done_callback(lambda task: task.cancelled() or task.exception())
            await asyncio.wait({working}, timeout=_END_S)
            raise
        printed = "\n".join(part for part in (ran.stdout, ran.stderr) if part)
        return ToolResult(
            _sentence(f"{short(text, 80)} on {target.name}", seconds, ran, printed),
            ok=ran.ending == "exit" and ran.code == 0,
            detail=f"{target.account}$ {text}\n{printed}",
        )

    def _meant(self, arguments: Mapping[str, Any]) -> tuple[Target, str]:
        command = str(arguments["command"]).strip()
        if not command or _CONTROLS.search(command):
            raise ToolError("the command is empty or has control characters in it")
        target = self._folder.target(str(arguments["host"]), str(arguments.get("username", "")).strip())
        known = self._folder.known() if target.jumps else None
        for jump in target.jumps:
            if known is not None and known.lookup(jump.known_as) is None:
                raise ToolError(
                    f"{target.name} is reached through {jump.name}, which I do not know yet; have me run a command on "
                    f"{jump.name} first, so that you see its key"
                )
        return target, command


def create(services: ToolServices) -> Tool:
    """The tool, for the registry."""
    if services.ssh_dir is None:
        raise ToolOffError("there is no SSH_DIR")
    return RunCommand(SshFolder(services.ssh_dir))


def _run(target: Target, command: str) -> str:
    return f"Run {short(command, 80)} on {target.name} as {target.user}{target.way}."


def _detail(target: Target, command: str) -> str:
    return f"{command}\n\non {target.account}" + "".join(f"\nthrough {jump.account}" for jump in target.jumps)


def _shown(loop: asyncio.AbstractEventLoop, context: ToolContext, line: str) -> None:
    """Progress comes from a thread, and after a cancellation nobody may be there any more."""
    if not loop.is_closed():
        loop.call_soon_threadsafe(context.progress, line)


def _sentence(what: str, seconds: int, ran: RunResult, printed: str) -> str:
    said = f": {short(printed)}" if printed.strip() else " and printed nothing."
    if ran.ending == "exit":
        return f"{what} ended with {ran.code}{said}"
    so_far = f" Until then it printed: {short(printed)}" if printed.strip() else ""
    if ran.ending == "time":
        return f"{what} did not end within {seconds} seconds, so I stopped it.{so_far}"
    if ran.ending == "output":
        return f"{what} printed more and more, so I stopped it. It began with: {short(printed, 100)}"
    return f"{what}: the connection was lost before it ended.{so_far}"
