"""``code_runner.run_python_code``: runs a Python program in a sandbox and says what it printed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipecatapp.domain import Preview, Risk, ToolResult, ToolSpec
from pipecatapp.errors import ToolError, ToolOffError
from pipecatapp.ports import Tool, ToolContext
from pipecatapp.tools.output import short
from pipecatapp.tools.registry import ToolServices
from pipecatapp.tools.sandbox import Limits, RunResult, Sandbox

_LIMITS = Limits()
# What the sandbox itself takes to start and to be cleared away on an old PC.
_OVERHEAD_S = 70.0


class CodeRunner:
    """Runs Python where it can do no harm.

    Args:
        sandbox: where.
        limits: what a program may take.
    """

    spec = ToolSpec(
        name="code_runner.run_python_code",
        description="Run a Python program in a sandbox without network or files; gives what it prints and the value "
        "of its last line.",
        parameters={
            "type": "object",
            "properties": {
                "code": {"type": "string", "minLength": 1, "maxLength": 20_000, "description": "Python 3."},
            },
            "required": ["code"],
        },
        risk=Risk.ACT,
        timeout_s=_LIMITS.seconds + _OVERHEAD_S,
        copied=("code",),
    )

    def __init__(self, sandbox: Sandbox, limits: Limits = _LIMITS) -> None:
        self._sandbox = sandbox
        self._limits = limits

    async def preview(self, arguments: Mapping[str, Any], context: ToolContext) -> Preview:
        """Show the program."""
        code = _code(arguments)
        short_one = len(code.strip()) <= 60 and "\n" not in code.strip()
        what = code.strip() if short_one else "a Python program"
        return Preview(
            f"Run {what} in {self._sandbox.name}.",
            detail=f"{code}\n\nIn {self._sandbox.name}: no network, no files of this machine, at most "
            f"{self._limits.seconds:g} seconds and {self._limits.memory_bytes // 1024**2} MB.",
            scope="the sandbox",
            whole=short_one,
        )

    async def run(self, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        """Run it to its end."""
        ran = await self._sandbox.run(_code(arguments), self._limits)
        detail = "\n".join(part for part in (ran.stdout, ran.stderr) if part)
        return ToolResult(self._sentence(ran), ok=ran.ending == "exit" and ran.code == 0, detail=detail)

    def _sentence(self, ran: RunResult) -> str:
        printed = short(ran.stdout)
        so_far = f" Until then it printed: {printed}" if printed else ""
        if ran.ending == "time":
            return f"The program did not end within {self._limits.seconds:g} seconds, so I stopped it.{so_far}"
        if ran.ending == "memory":
            return f"The program took more than {self._limits.memory_bytes // 1024**2} MB, so I stopped it.{so_far}"
        if ran.ending == "output":
            return f"The program printed more and more, so I stopped it. It began with: {short(ran.stdout, 100)}"
        if ran.code:
            reason = ran.stderr.strip().rpartition("\n")[2]
            return f"The program ended with {reason or f'exit code {ran.code}'}.{so_far}"
        return f"The program printed: {printed}" if printed else "The program ran and printed nothing."


def _code(arguments: Mapping[str, Any]) -> str:
    code = str(arguments["code"])
    if "\0" in code:
        raise ToolError("the program has a zero byte in it, so Python cannot run it")
    return code


def create(services: ToolServices) -> Tool:
    """The tool, for the registry."""
    return CodeRunner(choose(services.code_sandbox, services.code_sandbox_image))


def choose(name: str, image: str) -> Sandbox:
    """The sandbox of this name; ``auto``: Docker where its engine answers and has the image, else bubblewrap.

    Raises:
        ToolOffError: there is none, and why.
    """
    from pipecatapp.tools.sandbox_bubblewrap import BubblewrapSandbox
    from pipecatapp.tools.sandbox_cgroup import find_groups
    from pipecatapp.tools.sandbox_docker import DockerSandbox

    if name == "none":
        raise ToolOffError("CODE_SANDBOX=none turns it off")
    if name == "docker":
        return DockerSandbox(image)
    if name == "bubblewrap":
        return BubblewrapSandbox(groups=find_groups())
    try:
        return DockerSandbox(image)
    except ToolOffError as error:
        no_docker = str(error)
    try:
        return BubblewrapSandbox(groups=find_groups())
    except ToolOffError as error:
        raise ToolOffError(f"there is no sandbox for programs: {error}; nor Docker: {no_docker}") from error
